/**
 * Counts the bytes that a server allocates for each message, and those that a
 * handler allocates when it is called without a server.
 *
 * @module
 */

import { Reactor } from "../../src/reactor/reactor.ts";
import { ClosedLoop, type Exchange } from "./closed_loop.ts";
import { type Allocated, type Meter, reduceCounts } from "./meter.ts";

/** Messages until V8 has optimised all hot code. */
const WARM_UP = 30_000;
/**
 * Turns are long then: work of every half second or second is done early,
 * because it may change what V8 optimises.
 */
const WARM_UP_TURN_MS = 100;
/** The time of a message on a server that has a core of its own. */
const MESSAGE_MS = 0.008;
/** Messages, or calls, that are counted at a time. */
const EACH = 2_048;
/** How often they are counted. */
const TIMES = 16;
/** Results that are kept: V8 may leave out objects that are not used. */
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
  // Between two turns, and without a promise, which would be counted, too.
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

/** Returns the bytes of each call of `call`, with those of its promises. */
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
