/** The memory of connections, and which are reset when they hold too much. */

import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { type CloseReason, type Connection, Reactor } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { lacks } from "../util/machine.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";
import { Poll } from "../../src/poll.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1_000;

/** A reactor with a bound of one MiB; its clients read only when asked to. */
async function bounded(clients: number) {
  const system = new MemorySystem();
  const reported: unknown[] = [];
  const reactor = new Reactor({
    system,
    memoryBytesMax: MIB,
    onError: (error) => void reported.push(error),
  });
  const connections: Connection[] = [];
  const closed: [number, CloseReason][] = [];
  const drains: number[] = [];
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void connections.push(connection),
    data() {},
    drain: (connection) => void drains.push(connections.indexOf(connection)),
    close: (connection, reason) =>
      void closed.push([connections.indexOf(connection), reason]),
  });
  const streams = Array.from({ length: clients }, () => system.arrive());
  await system.settle();
  for (const stream of streams) stream.room = 0;
  const owe = async (client: number, bytes: number) => {
    connections[client]!.write(new Uint8Array(bytes));
    await system.pass(10);
  };
  const [memory, open] = [
    () => reactor.stats().memoryBytes,
    () => reactor.stats().open,
  ];
  return {
    system,
    reactor,
    connections,
    closed,
    reported,
    streams,
    drains,
    owe,
    memory,
    open,
  };
}

const NO_RING = lacks(
  "io_uring, by kernel or permission",
  () => Poll.backends().includes("io_uring"),
);

cleanTest(
  "what a poll has received for a paused connection counts",
  async () => {
    using reactor = new Reactor({ backend: "io_uring" });
    const connections: Connection[] = [];
    const listener = reactor.listen(LOOPBACK, {
      open(connection) {
        connection.pause();
        connections.push(connection);
      },
      data() {},
    });
    using client = await Deno.connect(listener.addr);
    const sent = client.write(new Uint8Array(64 * KIB));
    const memory = () => reactor.stats().memoryBytes;
    await eventually("64 KiB", () => memory() >= 64 * KIB);
    assertLess(memory(), 256 * KIB);
    for (const connection of connections) connection.resume();
    await eventually("nothing", () => memory() === 0);
    await sent;
  },
  { ignore: NO_RING },
);

Deno.test("those that have moved nothing for seconds are reset, at the bound, the longest first", async () => {
  const { system, reactor, reported, closed, streams, owe, memory } =
    await bounded(6);
  using _reactor = reactor;
  for (const client of [2, 0, 3, 1]) await owe(client, 300 * KIB);
  assert(memory() > MIB);
  await system.pass(8 * SECOND_MS);
  assertEquals(closed, []);
  // The third client has read meanwhile; the last two connections hold nothing.
  streams[2]!.makeRoom(1);
  await system.pass(3 * SECOND_MS);
  assertEquals(closed, [[0, "shed"], [3, "shed"]]);
  assertEquals(streams[0]!.resetOnClose, true);
  assert(memory() < 0.75 * MIB);
  assertEquals(reactor.stats().closed.shed, 2);
  // The report names each connection.
  const errors = reported.flatMap((error) => (error as AggregateError).errors);
  assertEquals(errors.length, 2);
  assert(errors[0] instanceof Deno.errors.ConnectionReset);
});

Deno.test("a connection is not reset while its peer takes bytes, however much it holds", async () => {
  const { system, reactor, closed, streams, owe, memory } = await bounded(5);
  using _reactor = reactor;
  // The peer acknowledges, though the system has no room for more.
  let unackedBytes = 1_000_000;
  const property = { get: () => unackedBytes };
  Object.defineProperty(streams[0]!, "unackedBytes", property);
  for (const client of [0, 1, 2, 3, 4]) await owe(client, 500 * KIB);
  assert(memory() > 2 * MIB);
  // In steps, as Linux announces room when a peer reads slowly.
  for (let step = 0; step < 20; step++) {
    unackedBytes--;
    for (const stream of streams.slice(1)) stream.makeRoom(1);
    await system.pass(1_500);
  }
  assertEquals(closed, []);
  await system.pass(11 * SECOND_MS);
  assert(closed.length > 0);
});

Deno.test("a connection with many held bytes is reset as well, when others have moved since", async () => {
  const { system, reactor, connections, closed, streams, owe } = await bounded(
    4,
  );
  using _reactor = reactor;
  connections[1]!.heldBytes = 500 * KIB;
  // The program has to act, and a reset would free little.
  connections[3]!.heldBytes = 16_000;
  await owe(0, 400 * KIB);
  await owe(2, 200 * KIB);
  for (let step = 0; step < 12; step++) {
    for (const client of [0, 2]) streams[client]!.makeRoom(1);
    await system.pass(SECOND_MS);
  }
  assertEquals(closed, [[1, "shed"]]);
});

Deno.test("a listener accepts no connection at three quarters of the bound, and accepts again below", async () => {
  const { system, reactor, streams, owe, open } = await bounded(2);
  using _reactor = reactor;
  await owe(0, 600 * KIB);
  system.arrive();
  await system.settle();
  assertEquals(open(), 3);
  await owe(1, 200 * KIB);
  system.arrive();
  await system.pass(SECOND_MS);
  assertEquals(open(), 3);
  assertEquals(reactor.stats().closed.shed, 0);
  streams[1]!.makeRoom(200 * KIB);
  await system.pass(100);
  assertEquals(open(), 4);
});

Deno.test("a listener accepts, when the connections that hold memory have moved nothing for seconds", async () => {
  const { system, reactor, streams, closed, owe } = await bounded(3);
  using _reactor = reactor;
  await owe(0, 400 * KIB);
  await owe(1, 400 * KIB);
  system.arrive();
  await system.pass(8 * SECOND_MS);
  assertEquals(reactor.stats().accepted, 3);
  // One client reads, and is spared.
  streams[0]!.makeRoom(1);
  await system.pass(3 * SECOND_MS);
  assertEquals(closed, [[1, "shed"]]);
  assertEquals(reactor.stats().accepted, 4);
});

Deno.test("clients that take nothing never hold more than twice the bound for long", async () => {
  const { system, reactor, connections, memory } = await bounded(20);
  using _reactor = reactor;
  let most = 0;
  for (let step = 0; step < 1_000; step++) {
    const connection = connections[step % connections.length]!;
    connection.write(new Uint8Array(30 * KIB));
    if (connection.isClosed) {
      system.arrive().room = 0;
      connections.splice(connections.indexOf(connection), 1);
    }
    await system.pass(10);
    most = Math.max(most, memory());
  }
  // 30 KiB every 10 ms are 6 MiB in two seconds.
  assertLess(most, 10 * MIB);
  assert(reactor.stats().closed.shed > 10);
});

Deno.test("a connection that waits for memory goes on when there is some", async () => {
  const { system, reactor, connections, drains, streams, owe } = await bounded(
    3,
  );
  using _reactor = reactor;
  await owe(0, 800 * KIB);
  assert(!connections[1]!.isOverfull);
  await owe(2, 300 * KIB);
  assert(connections[1]!.isOverfull);
  connections[1]!.awaitRoom();
  await system.pass(SECOND_MS);
  assertEquals(drains, []);
  streams[2]!.makeRoom(10 * KIB);
  await system.settle();
  assertEquals(drains, []);
  streams[0]!.makeRoom(600 * KIB);
  await system.settle();
  assertEquals(drains, [1]);
});

Deno.test("an array counts once for all its connections, never for much, and stops no listener", async () => {
  const { system, reactor, connections, streams, memory, open } = await bounded(
    30,
  );
  using _reactor = reactor;
  const array = new Uint8Array(200 * KIB);
  for (const connection of connections) connection.writeOwned(array);
  assert(memory() >= 64 * KIB && memory() < 74 * KIB, `${memory()} bytes`);
  for (const connection of connections.slice(0, 12)) {
    connection.writeOwned(new Uint8Array(50 * MIB));
  }
  assert(memory() > 0.75 * MIB && memory() < MIB, `${memory()} bytes`);
  system.arrive();
  await system.settle();
  assertEquals(open(), 31);
  for (const stream of streams) stream.makeRoom(Infinity);
  await system.settle();
  assertEquals(memory(), 0);
});

cleanTest(
  "slow readers of large answers all get them, beyond the bound",
  async () => {
    using reactor = new Reactor({ memoryBytesMax: MIB });
    const LENGTH = 8 * MIB;
    const { addr } = reactor.listen(LOOPBACK, {
      open: (connection) => {
        connection.writeOwned(new Uint8Array(LENGTH));
        connection.closeWrite();
      },
      data() {},
    });
    // Later clients wait in the backlog.
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => Deno.connect(addr)),
    );
    await eventually("a connection", () => reactor.stats().accepted > 0);
    const piece = new Uint8Array(64 * KIB);
    const counts = await Promise.all(clients.map(async (client) => {
      let count = 0;
      for (;;) {
        const read = await client.read(piece);
        if (read === null) break;
        count += read;
      }
      client.close();
      return count;
    }));
    assertEquals(counts, clients.map(() => LENGTH));
    assertEquals(reactor.stats().closed.shed, 0);
  },
);

Deno.test("new Reactor() throws RangeError, when its bound is below one", () => {
  for (const memoryBytesMax of [0, NaN]) {
    assertThrows(
      () => new Reactor({ memoryBytesMax }),
      RangeError,
      `memoryBytesMax "${memoryBytesMax}"`,
    );
  }
});
