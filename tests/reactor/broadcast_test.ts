/** The same bytes to many connections. */

import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { type Connection, Reactor } from "../../mod.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import type { Part } from "../../src/stream/shared.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readExactly } from "../util/deno_client.ts";
import { engineOf } from "../util/engine.ts";
import { encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";

const KIB = 1024;

/** Returns a whole text as a range in the middle of an array. */
function partOf(text: string): Part {
  return { bytes: encoded(`<${text}>`), start: 1, end: text.length + 1 };
}

/** Broadcasts to all of `connections`; returns to which it cannot. */
function broadcast(
  connections: readonly Connection[],
  part: Part,
): readonly number[] {
  return engineOf(connections[0]!).broadcast(connections, part);
}

/** A reactor in memory with some clients; `steps` are the system's calls. */
async function connected(clients: number, batches = true) {
  const steps: string[] = [];
  const called: string[] = [];
  const system = new MemorySystem({
    batches,
    policy: {
      log: (name, step) => {
        if (name === "system" && step.startsWith("write")) steps.push(step);
      },
    },
  });
  const reactor = new Reactor({ system });
  const connections: Connection[] = [];
  const note = (name: string) => (connection: Connection) =>
    void called.push(`${name} ${connections.indexOf(connection)}`);
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void connections.push(connection),
    data() {},
    drain: note("drain"),
    broken: note("broken"),
    error: note("error"),
    close: note("close"),
  });
  const streams = Array.from({ length: clients }, () => system.arrive());
  await system.settle();
  return { system, reactor, connections, streams, steps, called };
}

Deno.test("broadcast() sends one range to 512 receivers in one call, and leaves the array to its owner", async () => {
  const { system, reactor, connections, streams, steps } = await connected(600);
  using _ = reactor;
  // Longer than what an outbox copies.
  const text = "hello ".repeat(1_000);
  const part = partOf(text);
  broadcast(connections, part);
  assertEquals(steps, ["write 512", "write 88"]);
  streams[7]!.room = 2;
  broadcast(connections, part);
  part.bytes.fill(0);
  assertEquals(streams[7]!.text, `${text}he`);
  streams[7]!.makeRoom(Infinity);
  await system.settle();
  for (const stream of streams) assertEquals(stream.text, text + text);
});

Deno.test("broadcast() keeps the order of writes, when bytes are collected or unsent", async () => {
  const { system, reactor, connections, streams } = await connected(3);
  using _ = reactor;
  const [plain, collected, unsent] = connections.map(engineOf);
  streams[2]!.room = 1;
  unsent!.write(encoded("ab"));
  // Room that the reactor does not know of yet.
  streams[2]!.room = 1;
  reactor.setTimer(0, () => {
    collected!.write(encoded("ab"));
    broadcast(connections, partOf("cd"));
    for (const receiver of [plain!, collected!, unsent!]) {
      receiver.write(encoded("ef"));
    }
  });
  await system.settle();
  streams[2]!.makeRoom(Infinity);
  await system.settle();
  assertEquals(streams.map(({ text }) => text), ["cdef", "abcdef", "abcdef"]);
});

Deno.test("broadcast() sends nothing to receivers that close or are closed", async () => {
  const { system, reactor, connections, streams } = await connected(3);
  using _ = reactor;
  streams[0]!.room = 1;
  connections[0]!.write(encoded("ab"));
  connections[0]!.close();
  connections[1]!.abort();
  broadcast(connections, partOf("cd"));
  streams[0]!.makeRoom(Infinity);
  await system.settle();
  assertEquals(streams.map(({ text }) => text), ["ab", "", "cd"]);
});

Deno.test("broadcast() holds one copy for all receivers that are slow, and asks them to wait", async () => {
  const { system, reactor, connections, streams, called } = await connected(50);
  using _ = reactor;
  for (const stream of streams) stream.room = 0;
  const before = reactor.stats().memoryBytes;
  const length = 64 * KIB;
  broadcast(connections, {
    bytes: new Uint8Array(length),
    start: 0,
    end: length,
  });
  const held = reactor.stats().memoryBytes - before;
  assert(held >= length);
  assertLess(held, length + 50 * KIB);
  assertEquals(connections[0]!.bufferedBytes, length);
  for (const stream of streams) stream.makeRoom(Infinity);
  await system.settle();
  assertEquals(reactor.stats().memoryBytes, before);
  assertEquals(called.length, 50);
  assertEquals(called[0], "drain 0");
});

Deno.test("broadcast() ends a receiver that fails after it has returned, and no other", async () => {
  const { system, reactor, connections, streams, called } = await connected(4);
  using _ = reactor;
  const fails = [streams[1]!, streams[2]!];
  system.policy.write = (stream) => fails.includes(stream) ? -32 : undefined;
  reactor.setTimer(0, () => {
    connections[2]!.write(encoded("ab"));
    broadcast(connections, partOf("cd"));
    broadcast(connections, partOf("ef"));
    assertEquals(called, []);
  });
  await system.settle();
  const expected = ["broken", "close", "error"].flatMap(
    (name) => [`${name} 1`, `${name} 2`],
  );
  assertEquals(called.toSorted(), expected);
  assertEquals([streams[0]!.text, streams[3]!.text], ["cdef", "cdef"]);
});

Deno.test("broadcast() ends the receivers of a call that throws", async () => {
  const { system, reactor, connections, streams, called } = await connected(2);
  using _ = reactor;
  system.policy.call = (call) => {
    if (call === "stream.tryWrite") throw new Error("on purpose");
  };
  broadcast(connections, partOf("ab"));
  assertEquals(called, []);
  await system.settle();
  assertEquals(called.filter((name) => name.startsWith("error")).length, 2);
  assertEquals(streams.map(({ text }) => text), ["", ""]);
});

Deno.test("broadcast() names the receivers of another reactor, and all where the system sends to one at a time", async () => {
  const here = await connected(2, false);
  const there = await connected(2);
  using _ = here.reactor;
  using __ = there.reactor;
  const both = [...here.connections, ...there.connections];
  assertEquals(broadcast(both, partOf("ab")), [0, 1, 2, 3]);
  assertEquals(broadcast(both.toReversed(), partOf("cd")), [2, 3]);
  const streams = [...here.streams, ...there.streams];
  assertEquals(streams.map(({ text }) => text), ["", "", "cd", "cd"]);
});

Deno.test("broadcast() throws RangeError and sends nothing, when the range lies outside", async () => {
  const { reactor, connections, streams } = await connected(2);
  using _ = reactor;
  const bytes = encoded("abc");
  for (const [start, end] of [[-1, 2], [0, 4], [2, 1]] as const) {
    assertThrows(
      () => broadcast(connections, { bytes, start, end }),
      RangeError,
    );
  }
  broadcast(connections, { bytes, start: 1, end: 1 });
  assertEquals(streams.map(({ writes }) => writes), [0, 0]);
});

cleanTest(
  "broadcast() reaches clients that read slowly and all others, when some have reset",
  async () => {
    const count = 20;
    using reactor = new Reactor();
    const connections: Connection[] = [];
    let closed = 0;
    const listener = reactor.listen(LOOPBACK, {
      open: (connection) => void connections.push(connection),
      data() {},
      close: () => void closed++,
    });
    const clients = await Promise.all(
      Array.from({ length: count }, () => Deno.connect(listener.addr)),
    );
    await eventually("all", () => connections.length === count);
    clients[0]!.close();
    const bytes = new Uint8Array(MESSAGE_BYTES);
    for (let round = 0; round < ROUNDS; round++) {
      bytes.fill(round);
      broadcast(connections, { bytes, start: 0, end: bytes.byteLength });
    }
    assert(connections.some(({ bufferedBytes }) => bufferedBytes > 0));
    for (const client of clients.slice(1)) {
      for (let round = 0; round < ROUNDS; round++) {
        const read = await readExactly(client, MESSAGE_BYTES);
        assert(read.every((byte) => byte === round));
      }
      client.close();
    }
    await eventually("all ends", () => closed === count);
  },
);

const MESSAGE_BYTES = 200 * KIB;
const ROUNDS = 20;
