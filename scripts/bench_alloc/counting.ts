/**
 * Counts what servers allocate for each message, and what handlers do when
 * nobody serves them.
 *
 * @module
 */

import { Reactor } from "../../src/reactor/reactor.ts";
import { ClosedLoop, type Exchange } from "./closed_loop.ts";
import { type Allocated, type Meter, reduceCounts } from "./meter.ts";

/** Until all that is used a lot is optimised. */
const WARM_UP = 30_000;
/**
 * What is done every half second, or every second, has been done by then: it
 * may change what is optimised, and how.
 */
const WARM_UP_TURN_MS = 100;
/** As with a server that has its core to itself. */
const MESSAGE_MS = 0.008;
/** Messages, or calls, that are counted at a time. */
const EACH = 2_048;
/** How often. */
const TIMES = 16;
/** Results of calls that are kept, or V8 might not make them at all. */
const KEPT = 1_024;

/** Returns what a server allocates for each of its answers. */
export function countServer(
  meter: Meter,
  exchange: Exchange,
  start: (reactor: Reactor) => void,
): Promise<Allocated> {
  const { connections, depth } = exchange;
  const { promise, resolve, reject } = Promise.withResolvers<Allocated>();
  const loop = new ClosedLoop(exchange);
  const reactor = new Reactor({ system: loop, onError: reject });
  const counts: Allocated[] = [];
  // Between two turns, and by no promise: that would be counted, too.
  const after = (answers: number, then: () => void) => {
    const end = loop.answers + Math.ceil(answers / depth);
    loop.onPoll = () => {
      if (loop.answers >= end) then();
    };
  };
  const begin = () => {
    const before = loop.answers;
    after(EACH, () => end((loop.answers - before) * depth));
    meter.begin();
  };
  const end = (answers: number) => {
    counts.push(reduceCounts([meter.end()], answers));
    if (counts.length < TIMES) return begin();
    loop.onPoll = () => {};
    reactor.close();
    resolve(reduceCounts(counts, 1));
  };
  loop.turnMs = WARM_UP_TURN_MS;
  after(WARM_UP, () => {
    loop.turnMs = connections * depth * MESSAGE_MS;
    begin();
  });
  start(reactor);
  return promise;
}

/** Returns what each call of `call` allocates, and what it leaves to do. */
export async function countCalls(
  meter: Meter,
  call: () => unknown,
): Promise<Allocated> {
  const kept: unknown[] = new Array(KEPT).fill(null);
  const counts: Allocated[] = [];
  for (let time = 0; time < TIMES + WARM_UP / EACH; time++) {
    meter.begin();
    for (let index = 0; index < EACH; index++) kept[index % KEPT] = call();
    await new Promise((resolve) => setImmediate(resolve));
    counts.push(meter.end());
  }
  return reduceCounts(counts, EACH);
}
