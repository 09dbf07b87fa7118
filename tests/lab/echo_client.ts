/**
 * Clients of the lab's servers, and their bytes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  Events,
  Interest,
  Poll,
  TcpStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { LOOPBACK } from "../util/streams.ts";
import { DEADLINE_MS, eventually } from "../util/waiting.ts";

/** A prime, so that no buffer's length is a multiple of it. */
const PERIOD = 251;
/** Looks in a row, a millisecond apart, in which nothing has moved. */
const STILL_LOOKS = 20;

/** Returns bytes of which none passes for its neighbour. */
export function pattern(length: number, shift = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    bytes[index] = (index + shift) % PERIOD;
  }
  return bytes;
}

/**
 * Sends a message that is larger than all buffers on its way, and reads nothing
 * before the server has stopped reading. Then reads all of it, and its end.
 */
export async function pushAndRead(port: number, length: number): Promise<void> {
  const message = pattern(length);
  const came = new Uint8Array(length + 1);
  using poll = new Poll();
  using client = TcpStream.connect({ ...LOOPBACK, port });
  const both = Interest.READABLE | Interest.WRITABLE;
  poll.registry.register(client, 1, both, { mode: "level" });
  poll.poll(new Events(), DEADLINE_MS);
  let [sent, still] = [0, 0];
  const push = () => {
    const count = sent < length ? client.write(message, sent) : WOULD_BLOCK;
    if (count === WOULD_BLOCK) return false;
    sent += count;
    if (sent === length) client.shutdown("write");
    return true;
  };
  await eventually("the server to stop reading", () => {
    still = push() ? 0 : still + 1;
    return still >= STILL_LOOKS || sent === length;
  });
  assert(sent < length, "the server has a limit");
  const events = new Events();
  for (let read = 0;;) {
    assertEquals(poll.poll(events, DEADLINE_MS), 1, "the server has stalled");
    const count = client.read(came, read);
    if (count === 0) {
      assertEquals(read, length);
      break;
    }
    if (count !== WOULD_BLOCK) read += count;
    push();
    if (sent === length) {
      poll.registry.reregister(client, 1, Interest.READABLE, { mode: "level" });
    }
  }
  assertEquals(message.findIndex((byte, index) => byte !== came[index]), -1);
}
