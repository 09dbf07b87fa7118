/** Fairness: how long one connection may keep others waiting. */

import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { type Connection, Reactor } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  MEMORY_ADDRESS,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";

const POLITE = 100;
const MESSAGE_BYTES = 64;
const KIB = 1024;

Deno.test("a polite request is answered within two turns, while another connection floods", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const askedAt: (number | undefined)[] = [];
  const waits: number[] = [];
  const polite: MemoryStream[] = [];
  let flooded = 0;
  let next = 0;
  const answer = (index: number, connection: Connection) => {
    waits.push(reactor.stats().turns - askedAt[index]!);
    askedAt[index] = undefined;
    connection.write(new Uint8Array(MESSAGE_BYTES));
  };
  const flood = (bytes: number) => {
    flooded += bytes;
    // In the middle of the flood's own turn.
    const index = next++ % POLITE;
    if (askedAt[index] !== undefined) return;
    askedAt[index] = reactor.stats().turns;
    polite[index]!.receive(MESSAGE_BYTES);
  };
  const indexes = new Map<Connection, number>();
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void indexes.set(connection, indexes.size),
    data: (connection, _bytes, start, end) => {
      const index = indexes.get(connection)!;
      if (index === POLITE) flood(end - start);
      else answer(index, connection);
    },
  });
  for (let index = 0; index < POLITE; index++) polite.push(system.arrive());
  const flooder = system.arrive();
  await system.settle();
  const before = reactor.stats().turns;
  const FLOOD_BYTES = 64 * KIB * KIB;
  flooder.receive(FLOOD_BYTES);
  await system.settle();
  assertEquals(flooded, FLOOD_BYTES);
  const turns = reactor.stats().turns - before;
  assert(turns >= FLOOD_BYTES / (256 * KIB), `${turns} turns`);
  assert(waits.length >= turns - 2, `${waits.length} answers`);
  assertLessOrEqual(Math.max(...waits), 2);
});

Deno.test("two floods have equal shares, turn by turn", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const read = new Map<Connection, number>();
  let furthest = 0;
  const turnReadBytes = 100 * KIB;
  reactor.listen({ ...MEMORY_ADDRESS, turnReadBytes }, {
    open: (connection) => void read.set(connection, 0),
    data: (connection, _bytes, start, end) => {
      read.set(connection, read.get(connection)! + end - start);
      const [first, second] = [...read.values()];
      furthest = Math.max(furthest, Math.abs(first! - second!));
    },
  });
  const streams = [system.arrive(), system.arrive()];
  await system.settle();
  for (const stream of streams) stream.receive(8 * KIB * KIB);
  await system.settle();
  assertEquals([...read.values()], [8 * KIB * KIB, 8 * KIB * KIB]);
  // Two reads, when one does not return all.
  assertEquals(furthest, 128 * KIB);
});

Deno.test("a turn whose time is over leaves other connections to the next turns, in order", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const acted: number[][] = [];
  const indexes = new Map<Connection, number>();
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void indexes.set(connection, indexes.size),
    data: (connection) => {
      (acted[reactor.stats().turns] ??= []).push(indexes.get(connection)!);
      system.spend(3);
    },
  });
  const streams = [0, 1, 2, 3, 4].map(() => system.arrive());
  await system.settle();
  for (const [index, stream] of streams.entries()) {
    stream.receive(index === 4 ? 192 * KIB : MESSAGE_BYTES);
  }
  await system.settle();
  const turns = acted.filter((indexes) => indexes.length > 0);
  assertEquals(turns, [[0, 1], [2, 3], [4, 4], [4]]);
});

Deno.test("a turn whose time is over in the middle of a batch keeps what was read for the others, and reads it once", async () => {
  const system = new MemorySystem({ batches: true });
  using reactor = new Reactor({ system });
  const acted: string[][] = [];
  const indexes = new Map<Connection, number>();
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void indexes.set(connection, indexes.size),
    data: (connection, _bytes, start, end) => {
      const turn = acted[reactor.stats().turns] ??= [];
      turn.push(`${indexes.get(connection)} ${end - start}`);
      system.spend(3);
    },
  });
  const streams = [0, 1, 2, 3, 4, 5].map(() => system.arrive());
  await system.settle();
  for (const stream of streams) stream.receive(MESSAGE_BYTES);
  const before = reactor.stats().reads;
  await system.settle();
  assertEquals(acted.filter((lines) => lines.length > 0), [
    ["0 64", "1 64"],
    ["2 64", "3 64"],
    ["4 64", "5 64"],
  ]);
  assertEquals(reactor.stats().reads - before, streams.length);
});

Deno.test("floods that take all of a turn's time act by turns, and so do new events", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const FLOOD = 16;
  const reads = new Map<Connection, number>();
  const waits: number[] = [];
  let askedAt = 0;
  let most = 0;
  reactor.listen(MEMORY_ADDRESS, {
    open: (connection) => void reads.set(connection, 0),
    data: (connection) => {
      reads.set(connection, reads.get(connection)! + 1);
      const [first, second, third, fourth] = [...reads.values()];
      const floods = [first!, second!, third!];
      most = Math.max(most, Math.max(...floods) - Math.min(...floods));
      system.spend(10);
      const { turns } = reactor.stats();
      const index = [...reads.keys()].indexOf(connection);
      // Each flood has a new event, too.
      if (index < 3) {
        if (floods[index]! < FLOOD) streams[index]!.receive(64 * KIB);
        return;
      }
      // The fourth asks again whenever it was answered.
      waits.push(turns - askedAt);
      askedAt = turns;
      if (fourth! < 5) streams[3]!.receive(MESSAGE_BYTES);
    },
  });
  const streams = [0, 1, 2, 3].map(() => system.arrive());
  await system.settle();
  for (const stream of streams.slice(0, 3)) stream.receive(64 * KIB);
  streams[3]!.receive(MESSAGE_BYTES);
  const before = reactor.stats().turns;
  await system.settle();
  assertEquals([...reads.values()].slice(0, 3), [FLOOD, FLOOD, FLOOD]);
  assertLessOrEqual(Math.max(...waits.slice(1)), 2);
  // The first acts in each turn, until the last has had its first event.
  assertLessOrEqual(most, 3);
  // Each turn acts on one flood and on one event at least.
  assertLessOrEqual(reactor.stats().turns - before, 3 * FLOOD + 5);
});

/** One round of requests by polite clients: how long each took. */
interface Latencies {
  readonly us: number[];
  readonly turns: number[];
}

/** A hundred clients ask in turn, each after the answer to the one before. */
async function politeRounds(
  reactor: Reactor,
  { port, rounds }: { port: number; rounds: number },
): Promise<Latencies> {
  const latencies: Latencies = { us: [], turns: [] };
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = POLITE;
  const message = new Uint8Array(MESSAGE_BYTES);
  for (let client = 0; client < POLITE; client++) {
    let askedMs = 0;
    let askedTurn = 0;
    let asked = 0;
    const ask = (connection: Connection) => {
      asked++;
      askedMs = performance.now();
      askedTurn = reactor.stats().turns;
      connection.write(message);
    };
    reactor.connect({ hostname: LOOPBACK.hostname, port }, {
      open: ask,
      data: (connection) => {
        latencies.us.push((performance.now() - askedMs) * 1_000);
        latencies.turns.push(reactor.stats().turns - askedTurn);
        if (asked < rounds) return ask(connection);
        connection.close();
        if (--left === 0) resolve();
      },
    });
  }
  await within(promise, "the polite");
  return latencies;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/** Sends until it is stopped. */
function flood(reactor: Reactor, port: number): Connection {
  const chunk = new Uint8Array(KIB * KIB);
  const more = (connection: Connection) => {
    while (!connection.isClosed && connection.write(chunk));
  };
  return reactor.connect({ hostname: LOOPBACK.hostname, port }, {
    open: more,
    drain: more,
    data() {},
  });
}

cleanTest(
  "a hundred polite clients are answered, while another floods as fast as it can",
  async () => {
    // Clients have their own loop: a flooding client would block it, too.
    using reactor = new Reactor();
    let flooded = 0;
    const listener = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        if (end - start === MESSAGE_BYTES) connection.write(bytes, start, end);
        else flooded += end - start;
      },
    });
    const { port } = listener.addr;
    const ROUNDS = 50;
    // A first round, for the compiler.
    await politeRounds(reactor, { port, rounds: ROUNDS });
    const alone = await politeRounds(reactor, { port, rounds: ROUNDS });
    const flooder = flood(reactor, port);
    const beside = await politeRounds(reactor, { port, rounds: ROUNDS });
    flooder.abort();
    assert(flooded > KIB * KIB, `${flooded} bytes were flooded`);
    assertEquals(beside.us.length, POLITE * ROUNDS);
    const aloneUs = median(alone.us);
    const besideUs = median(beside.us);
    // deno-lint-ignore no-console -- figures for the reader, no assertion
    console.log(
      `median of ${POLITE} polite clients: ${aloneUs.toFixed(0)} us in ` +
        `${median(alone.turns)} turns alone, ${besideUs.toFixed(0)} us in ` +
        `${median(beside.turns)} turns beside a flood of ` +
        `${(flooded / KIB / KIB).toFixed(0)} MiB: ` +
        `${(besideUs / aloneUs).toFixed(2)} times`,
    );
  },
);
