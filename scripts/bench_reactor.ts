/**
 * Prints what the reactor itself costs, over a system in memory: a message
 * echoed, a timer set and cleared, a connection's memory. It asserts nothing;
 * compare two versions on one machine, in turns: `deno task bench:reactor`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- the figures are what it is for

import type { Listener } from "../src/reactor/listener.ts";
import type { EngineListener } from "../src/reactor/listener/engine.ts";
import { Reactor } from "../src/reactor/reactor.ts";
import { ClosedLoop } from "./bench_alloc/closed_loop.ts";
import { ECHOED } from "./bench_alloc/exchanges.ts";

const MESSAGES = 1_600_000;
const ROUNDS = 5;
const PENDING = 100_000;
const CONNECTIONS = 15_000;
const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;
const TIMEOUTS = { timeouts: { idleMs: 60_000, writeMs: 60_000 } };

const nothing = () => {};

/** Nanoseconds of one message: an event, a read and a write. */
function echoNs(options: object): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const system = new ClosedLoop(ECHOED);
  system.turnMs = 0.1;
  const reactor = new Reactor({ system, onError: reject });
  reactor.listen({ ...ADDRESS, ...options }, {
    data: (connection, bytes, start, end) => {
      connection.write(bytes, start, end);
    },
  });
  const startMs = performance.now();
  system.onPoll = () => {
    if (system.answers < MESSAGES) return;
    system.onPoll = nothing;
    resolve((performance.now() - startMs) * 1e6 / MESSAGES);
    reactor.close();
  };
  return promise;
}

/** A system that nothing happens on. */
function idleSystem(connections = 0): ClosedLoop {
  return new ClosedLoop({ ...ECHOED, connections, depth: 0 });
}

/** Nanoseconds of setting and clearing one timer beside many that wait. */
function timerNs(): { set: number; both: number } {
  using reactor = new Reactor({ system: idleSystem() });
  const delays = Array.from({ length: PENDING }, () => Math.random() * 6e4);
  const setMs = performance.now();
  for (const delayMs of delays) reactor.setTimer(delayMs, nothing);
  const startMs = performance.now();
  for (const delayMs of delays) {
    reactor.clearTimer(reactor.setTimer(delayMs, nothing));
  }
  const endMs = performance.now();
  return {
    set: (startMs - setMs) * 1e6 / PENDING,
    both: (endMs - startMs) * 1e6 / PENDING,
  };
}

/** Prints the bytes of the heap, and beside it, of each thing that is made. */
function printBytes(what: string, count: number, make: () => unknown): void {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: buffers are freed behind the first.
  const collect = () => [gc?.(), gc?.()];
  collect();
  const before = Deno.memoryUsage();
  const kept = make();
  collect();
  const after = Deno.memoryUsage();
  const heap = (after.heapUsed - before.heapUsed) / count;
  const external = (after.external - before.external) / count;
  if (kept === undefined) throw new Error("Nothing was made");
  console.log(
    `${what}: ${heap.toFixed(0)} + ${external.toFixed(0)} bytes of heap + ` +
      "beside it",
  );
}

/** Connections that nothing happens on, beside their sockets. */
function accepted(system: ClosedLoop, options: object): Reactor {
  const reactor = new Reactor({ system });
  const listener = reactor.listen(
    { ...ADDRESS, ...options },
    { data() {} },
  ) as Listener as EngineListener;
  while (reactor.size <= CONNECTIONS) listener.onReady(1);
  return reactor;
}

function pending(): Reactor {
  const reactor = new Reactor({ system: idleSystem() });
  for (let index = 0; index < PENDING; index++) {
    reactor.setTimer(index, nothing);
  }
  return reactor;
}

for (let round = 0; round < ROUNDS; round++) {
  const plain = (await echoNs({})).toFixed(1);
  const timed = (await echoNs(TIMEOUTS)).toFixed(1);
  console.log(`echo: ${plain} ns a message, ${timed} with timeouts`);
}
for (let round = 0; round < ROUNDS; round++) {
  const { set, both } = timerNs();
  console.log(
    `timers: ${set.toFixed(0)} ns to set, ${both.toFixed(0)} to set and clear` +
      ` with ${PENDING} pending`,
  );
}
printBytes("timer", PENDING, pending);
for (
  const [what, options] of [["", {}], [" with timeouts", TIMEOUTS]] as const
) {
  const system = idleSystem(CONNECTIONS);
  const make = () => accepted(system, options);
  printBytes(`connection${what}`, CONNECTIONS, make);
}
if (!("gc" in globalThis)) console.log("(exact with --v8-flags=--expose-gc)");
Deno.exit();
