/**
 * A filter between two pipes, as a shell or a parent process starts it:
 * standard input goes to standard output in capital letters.
 *
 * The reactor watches both pipes. The filter reads no more than it has written,
 * so a slow reader slows the writer.
 *
 * `echo hello | deno run -A tests/examples/capitals.ts | cat`
 *
 * @module
 */

import { Reactor } from "../../mod.ts";
import {
  Interest,
  PipeReader,
  PipeWriter,
  WOULD_BLOCK,
} from "../../src/poll.ts";

const CHUNK_BYTES = 65_536;
/** Chunks of one turn: other sources of the reactor get their share. */
const TURN_MAX = 8;
const A = "a".charCodeAt(0);
const Z = "z".charCodeAt(0);
/** Distance from a capital letter to its small one. */
const DISTANCE = A - "A".charCodeAt(0);

/** Copies a pipe to another in capital letters; closes both at the end. */
export function capitals(
  from: PipeReader,
  to: PipeWriter,
  reactor: Reactor = Reactor.shared,
): void {
  const buffer = new Uint8Array(CHUNK_BYTES);
  let start = 0;
  let end = 0;
  const move = () => {
    for (let count = 0; count < TURN_MAX;) {
      if (start === end) {
        const length = from.read(buffer);
        if (length === WOULD_BLOCK) return;
        if (length === 0) {
          reading.close();
          return writing.close();
        }
        capitalize(buffer, length);
        [start, end] = [0, length];
        count++;
      }
      const length = to.write(buffer, start, end);
      if (length === WOULD_BLOCK) return;
      start += length;
    }
    reading.requeue();
  };
  const reading = reactor.watch(from, Interest.READABLE, move);
  const writing = reactor.watch(to, Interest.WRITABLE, move);
}

function capitalize(bytes: Uint8Array, length: number): void {
  for (let index = 0; index < length; index++) {
    const letter = bytes[index]!;
    if (letter >= A && letter <= Z) bytes[index] = letter - DISTANCE;
  }
}

if (import.meta.main) {
  capitals(PipeReader.fromFd(0), PipeWriter.fromFd(1));
}
