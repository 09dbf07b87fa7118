/**
 * Copies a file by reads and writes that a `Proactor` submits together.
 *
 * `deno run -A tests/examples/proactor_copy.ts from to`
 *
 * @module
 */

import {
  Completions,
  decodeStat,
  File,
  Operations,
  Proactor,
  WOULD_BLOCK,
} from "../../src/proactor.ts";

/** Bytes of one read; its token is the number of its part. */
const PART_BYTES = 65_536;
/** Parts that are read at a time. */
const PARTS = 16;

/** Copies a file, and returns its size. */
export function copy(from: string, to: string): number {
  using proactor = new Proactor({ operations: PARTS });
  const operations = new Operations(PARTS);
  const completions = new Completions(PARTS, PARTS * PART_BYTES);
  const ask = (): void => {
    proactor.submit(operations);
    proactor.wait(completions);
    const result = completions.result(0);
    if (result < 0) throw new Error(`Cannot copy "${from}": errno ${-result}`);
  };
  operations.open(0, from);
  ask();
  using source = new File(completions.handle(0));
  operations.open(0, to, { write: true, create: true, truncate: true });
  ask();
  using target = new File(completions.handle(0));
  operations.stat(0, source);
  ask();
  const { size } = decodeStat(completions.bytes, completions.start(0));
  let part = 0;
  for (let written = 0; written < size;) {
    while (part * PART_BYTES < size) {
      if (operations.length === 0) {
        operations.read(part, source, PART_BYTES, part * PART_BYTES);
      }
      if (proactor.submit(operations) === WOULD_BLOCK) break;
      part++;
    }
    proactor.wait(completions);
    written += writeParts(proactor, completions, target);
  }
  return size;
}

/** Writes what was read, and returns how many bytes were written before. */
function writeParts(
  proactor: Proactor,
  completions: Completions,
  target: File,
): number {
  const operations = new Operations(PARTS);
  let written = 0;
  for (let index = 0; index < completions.length; index++) {
    if (completions.isDrained(index)) continue;
    const result = completions.result(index);
    if (result < 0) throw new Error(`Cannot copy: errno ${-result}`);
    if (completions.operation(index) === "write") {
      written += result;
      continue;
    }
    const token = completions.token(index);
    const [start, end] = [completions.start(index), completions.end(index)];
    operations.write(token, target, start, end, token * PART_BYTES);
  }
  // Each read that has completed has left a place.
  proactor.submit(operations, completions.bytes);
  return written;
}

if (import.meta.main) {
  const [from, to] = Deno.args;
  if (from !== undefined && to !== undefined) copy(from, to);
}
