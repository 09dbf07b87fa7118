/** The types of connections and listeners that programs see. */

import { assertEquals } from "@std/assert";
import type { Connection, Listener } from "../../mod.ts";

/** Each public member: one more, or one less, is a type error. */
const CONNECTION = {
  data: true,
  isClosed: true,
  isRefed: true,
  isIdle: true,
  isOverfull: true,
  peerHasEnded: true,
  bufferedBytes: true,
  heldBytes: true,
  nowMs: true,
  quietSinceMs: true,
  timeouts: true,
  peerKey: true,
  peerAddress: true,
  localAddress: true,
  write: true,
  writeVectored: true,
  writeOwned: true,
  writeInto: true,
  pause: true,
  resume: true,
  readNow: true,
  awaitRoom: true,
  setDeadline: true,
  setTimeouts: true,
  upgrade: true,
  closeWrite: true,
  close: true,
  closeLingering: true,
  closeIdle: true,
  abort: true,
  shutdown: true,
  terminate: true,
  ref: true,
  unref: true,
} satisfies Record<keyof Connection, true>;

const LISTENER = {
  addr: true,
  isClosed: true,
  isRefed: true,
  onClose: true,
  pause: true,
  resume: true,
  acceptWaiting: true,
  ref: true,
  unref: true,
  close: true,
  [Symbol.dispose]: true,
} satisfies Record<keyof Listener, true>;

/** Members that could mix up the bytes of two peers, or break the loop. */
const INNARDS = [
  "token",
  "runs",
  "target",
  "send",
  "sent",
  "reserve",
  "retain",
  "onReady",
  "onRead",
  "evict",
  "fail",
  "host",
  "stream",
  "setup",
  "flags",
];

Deno.test("programs see nothing of the engine's in a connection or a listener", () => {
  const seen = [...Object.keys(CONNECTION), ...Object.keys(LISTENER)];
  assertEquals(seen.filter((name) => INNARDS.includes(name)), []);
});
