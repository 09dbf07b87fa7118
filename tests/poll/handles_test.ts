/** Handles that have used up what 32 bits hold. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Endpoint,
  Events,
  Interest,
  pipe,
  Poll,
  type Registry,
  TcpListener,
  UdpSocket,
  UnixStream,
  Waker,
} from "../../src/poll.ts";
import { ReadBatch, WriteBatch } from "../../src/net/batches.ts";
import { AcceptTable } from "../../src/server/worker/accept_table.ts";
import { eventually } from "../util/waiting.ts";

/** More than the generations of a slot that 31 bits leave beside 20. */
const OPENS = 2_200_000;

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

/** Opens and closes until the next handles are beyond 32 bits. */
function useUpYoungHandles(registry: Registry): void {
  const old = registry.tryClone();
  const stale = old.handle;
  old.close();
  for (let count = 0; count < OPENS; count++) {
    const next = registry.tryClone();
    if (next.handle === stale) throw new Error(`${stale} is back: ${count}`);
    next.close();
  }
}

Deno.test("a handle does not come back, when a slot is used two million times, and all calls take the next ones", async () => {
  using poll = new Poll();
  useUpYoungHandles(poll.registry);
  using registry = poll.registry.tryClone();
  assert(registry.handle > 2 ** 32, `${registry.handle}`);
  registry.close();

  // Each takes the slot that was closed last.
  using listener = TcpListener.bind(LOOPBACK);
  assert(listener.handle > 2 ** 32, `${listener.handle}`);
  poll.registry.register(listener, 5, Interest.READABLE);
  using client = await Deno.connect({ port: listener.localAddress.port });
  const events = new Events();
  assertEquals(poll.poll(events, 5000), 1);
  assertEquals(events.token(0), 5);
  poll.registry.deregister(listener);
  const batch = listener.batch();
  assertEquals(listener.acceptBatch(batch), 1);
  using accepted = batch.stream(0);
  await client.write(new Uint8Array([1, 2, 3]));
  const reads = new ReadBatch(1);
  await eventually("the bytes to come", () => {
    reads.length = 0;
    reads.add(accepted.handle);
    reads.read(new Uint8Array(8), 0, 1);
    return reads.count(0) === 3;
  });

  const table = AcceptTable.of(2);
  const place = { token: 6, exclusive: false, registry: poll.registry };
  table.enter(1, { ...place, listener: listener.handle });
  assertEquals([table.isPresent(0), table.isPresent(1)], [false, true]);
  assertEquals(table.call(1), 0);
  table.leave(1);
  assert(table.call(1) < 0);
});

Deno.test("a batch reads from and writes to handles of all 52 bits", () => {
  using poll = new Poll();
  useUpYoungHandles(poll.registry);
  const pair = UnixStream.pair();
  using one = pair[0];
  using other = pair[1];
  assert(Math.max(one.handle, other.handle) > 2 ** 32);
  const writes = new WriteBatch(2);
  writes.add(one.handle, 0, 2);
  writes.add(other.handle, 2, 5);
  writes.write(new Uint8Array([1, 2, 3, 4, 5]));
  assertEquals([writes.count(0), writes.count(1)], [2, 3]);
  assertEquals([writes.handle(0), writes.handle(1)], [
    one.handle,
    other.handle,
  ]);
  const reads = new ReadBatch(2);
  reads.add(other.handle);
  reads.add(one.handle);
  const bytes = new Uint8Array(8);
  assertEquals(reads.read(bytes, 0, 1), 2);
  assertEquals([reads.count(0), reads.count(1)], [2, 3]);
  assertEquals([...bytes.subarray(0, 5)], [1, 2, 3, 4, 5]);
});

Deno.test("a closed object has no handle, so that it closes no other", () => {
  using poll = new Poll();
  const { reader, writer } = pipe();
  const objects: (Endpoint | Registry | Waker | Poll)[] = [
    TcpListener.bind(LOOPBACK),
    UdpSocket.bind(LOOPBACK),
    ...UnixStream.pair(),
    ...[reader, writer],
    poll.registry.tryClone(),
    new Waker(poll.registry, 1),
    new Poll(),
  ];
  for (const [index, object] of objects.entries()) {
    assert(object.handle > 0);
    if (index % 2 === 0) object.close();
    else object[Symbol.dispose]();
    assertEquals(object.handle, 0);
    object[Symbol.dispose]();
    assertThrows(() => object.close(), Deno.errors.BadResource);
  }
});
