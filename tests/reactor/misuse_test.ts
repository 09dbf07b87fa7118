/**
 * Wrong arguments are refused by the call itself, with `TypeError` or
 * `RangeError`: they never become an error of the loop, which would close the
 * reactor.
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Connection,
  type ConnectionHandlers,
  echo,
  type Fiber,
  type FiberConnection,
  type FiberListener,
  Fibers,
  Reactor,
  serve,
} from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";

/** Values that a program in JavaScript may pass. */
// deno-lint-ignore no-explicit-any
type Any = any;

const NO_NUMBERS: Any[] = [null, "5", "abc", {}, [], NaN, 10n, () => {}];
const NO_FUNCTIONS: Any[] = [null, "f", {}, 5, true];
const NO_SIGNALS: Any[] = [null, "abort", {}, 5, new AbortController()];
const NO_ARRAYS: Any[] = [null, "bytes", 5, {}, [1]];
const NO_PLACES: Any[] = [-1, 0.5, NaN, Infinity, "x", {}];

interface Given {
  readonly reactor: Reactor;
  readonly system: MemorySystem;
  readonly connection: Connection;
  readonly fiber: Fiber;
  readonly conn: FiberConnection;
  readonly listener: FiberListener;
}

type Call = (given: Given, value: Any) => unknown;

const handlers: ConnectionHandlers = { data() {} };
const bytes = new Uint8Array(8);
const listenWith = (name: string): [string, Call] => [
  `listen() with ${name}`,
  ({ reactor }, value) =>
    reactor.listen({ ...MEMORY_ADDRESS, [name]: value }, handlers),
];
const handlerOf = (name: string): [string, Call] => [
  `listen() with the handler ${name}`,
  ({ reactor }, value) =>
    reactor.listen(MEMORY_ADDRESS, { ...handlers, [name]: value }),
];
const timeoutOf = (name: string): [string, Call] => [
  `listen() with ${name}`,
  ({ reactor }, value) =>
    reactor.listen(
      { ...MEMORY_ADDRESS, timeouts: { [name]: value } },
      handlers,
    ),
];

const NUMBERS: [string, Call][] = [
  ["setTimer()", ({ reactor }, value) => reactor.setTimer(value, () => {})],
  ["setInterval()", ({ reactor }, ms) => reactor.setInterval(ms, () => {})],
  ["sleep()", ({ reactor }, ms) => new Fibers(reactor).sleep(ms)],
  ["drain()", ({ reactor }, ms) => reactor.drain(ms)],
  ["Fiber.sleep()", ({ fiber }, ms) => fiber.sleep(ms)],
  ["withTimeout()", ({ fiber }, ms) => fiber.withTimeout(ms, () => {})],
  [
    "connect() with timeoutMs",
    ({ reactor }, timeoutMs) =>
      new Fibers(reactor).connect({ ...MEMORY_ADDRESS, timeoutMs }),
  ],
  [
    "memoryBytesMax",
    ({ system }, memoryBytesMax) => new Reactor({ system, memoryBytesMax }),
  ],
  ["setDeadline()", ({ connection }, ms) => connection.setDeadline(ms)],
  ["heldBytes", ({ connection }, value) => connection.heldBytes = value],
  ["readUntil()", ({ conn }, value) => conn.readUntil("\n", value)],
  [
    "echo() with graceMs",
    ({ reactor }, graceMs) => echo({ ...MEMORY_ADDRESS, reactor, graceMs }),
  ],
  timeoutOf("idleMs"),
  timeoutOf("readMs"),
  timeoutOf("writeMs"),
  timeoutOf("lifetimeMs"),
];

const FUNCTIONS: [string, Call][] = [
  ["setTimer()", ({ reactor }, value) => reactor.setTimer(1, value)],
  ["setInterval()", ({ reactor }, value) => reactor.setInterval(1, value)],
  ["spawn()", ({ reactor }, value) => new Fibers(reactor).spawn(value)],
  ["Fiber.spawn()", ({ fiber }, value) => fiber.spawn(value)],
  ["Fiber.scope()", ({ fiber }, value) => fiber.scope(value)],
  [
    "Fibers.serve()",
    ({ reactor }, value) => new Fibers(reactor).serve(MEMORY_ADDRESS, value),
  ],
  ["onError", ({ system }, onError) => new Reactor({ system, onError })],
  ["lookup", ({ system }, lookup) => new Reactor({ system, lookup })],
  [
    "connect()",
    ({ reactor }, data) => reactor.connect(MEMORY_ADDRESS, { data }),
  ],
  ...["data", "open", "end", "ending", "drain", "broken"].map(handlerOf),
  ...["error", "timeout", "shortage", "close"].map(handlerOf),
];

const SIGNALS: [string, Call][] = [
  [
    "sleep()",
    ({ reactor }, signal) => new Fibers(reactor).sleep(1, { signal }),
  ],
  ["read()", ({ conn }, signal) => conn.read(bytes, { signal })],
  ["readChunk()", ({ conn }, signal) => conn.readChunk({ signal })],
  ["write()", ({ conn }, signal) => conn.write(bytes, { signal })],
  ["accept()", ({ listener }, signal) => listener.accept({ signal })],
  [
    "connect()",
    ({ reactor }, signal) =>
      new Fibers(reactor).connect({ ...MEMORY_ADDRESS, signal }),
  ],
  [
    "spawn()",
    ({ reactor }, signal) => new Fibers(reactor).spawn(() => {}, { signal }),
  ],
  [
    "Fibers.serve()",
    ({ reactor }, signal) =>
      new Fibers(reactor).serve({ ...MEMORY_ADDRESS, signal }, () => {}),
  ],
];

const ARRAYS: [string, Call][] = [
  ["Connection.write()", ({ connection }, value) => connection.write(value)],
  [
    "writeVectored()",
    ({ connection }, value) => connection.writeVectored([value]),
  ],
  ["writeOwned()", ({ connection }, value) => connection.writeOwned(value)],
  ["read()", ({ conn }, value) => conn.read(value)],
  ["write()", ({ conn }, value) => conn.write(value)],
  ["writev()", ({ conn }, value) => conn.writev([value])],
];

const PLACES: [string, Call][] = [
  ["write() from", ({ connection }, at) => connection.write(bytes, at)],
  ["write() to", ({ connection }, at) => connection.write(bytes, 0, at)],
];

const TABLE: [string, [string, Call][], Any[]][] = [
  ["no number", NUMBERS, NO_NUMBERS],
  ["no function", FUNCTIONS, NO_FUNCTIONS],
  ["no signal", SIGNALS, NO_SIGNALS],
  ["no array of bytes", ARRAYS, NO_ARRAYS],
  ["no place", PLACES, NO_PLACES],
  ["no number", [
    listenWith("highWaterBytes"),
    listenWith("lowWaterBytes"),
    listenWith("turnReadBytes"),
  ], ["5", "abc", {}, NaN, 10n]],
  ["no object", [
    listenWith("timeouts"),
    ["setTimeouts()", ({ connection }, value) => connection.setTimeouts(value)],
    [
      "connect()",
      ({ reactor }, value) => reactor.connect(MEMORY_ADDRESS, value),
    ],
  ], [null, 5, "5", true]],
  ["no function", [
    [
      "serve() with onError",
      ({ reactor }, onError) =>
        serve({ ...MEMORY_ADDRESS, reactor, onError }, () => new Response()),
    ],
  ], ["f", {}, 5]],
];

/** Returns the error that a call throws, or rejects with. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Runs `body` with a reactor and its objects. */
async function withAll(body: (given: Given) => Promise<void>): Promise<void> {
  const system = new MemorySystem();
  const reported: unknown[] = [];
  const onError = (error: unknown) => void reported.push(error);
  using reactor = new Reactor({ system, onError });
  const fibers = new Fibers(reactor);
  const listener = fibers.listen(MEMORY_ADDRESS);
  const opened = Promise.withResolvers<Connection>();
  reactor.connect(MEMORY_ADDRESS, { ...handlers, open: opened.resolve });
  const conn = fibers.connect(MEMORY_ADDRESS);
  await system.settle();
  const [connection, gate] = [await opened.promise, Promise.withResolvers()];
  const fiber = fibers.spawn(() => gate.promise);
  await body({
    reactor,
    system,
    connection,
    fiber,
    conn: await conn,
    listener,
  });
  gate.resolve(undefined);
  // The loop goes on.
  let isDue = false;
  reactor.setTimer(1, () => void (isDue = true));
  await system.pass(10);
  assert(isDue, "timers run no more");
  assertEquals(reported, []);
}

for (const [what, calls, values] of TABLE) {
  for (const [name, call] of calls) {
    cleanTest(
      `${name} refuses what is ${what}, at once`,
      () =>
        withAll(async (given) => {
          for (const value of values) {
            const error = await errorOf(() => call(given, value));
            const isRefused = error instanceof TypeError ||
              error instanceof RangeError;
            assert(isRefused, `${typeof value}: ${error}`);
          }
        }),
    );
  }
}
