/**
 * The scenarios.
 *
 * @module
 */

import { Events } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import { Poll } from "../../src/poll/poll.ts";
import { UnixStream } from "../../src/net/unix_stream.ts";
import type { FiberHandler } from "../../src/fiber/fiber_server.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { echo } from "../../src/server/echo.ts";
import { serve } from "../../src/server/serve.ts";
import { ClosedLoop } from "./closed_loop.ts";
import { countCalls, countServer } from "./counting.ts";
import * as exchanges from "./exchanges.ts";
import type { Allocated, Meter } from "./meter.ts";
import { Fibers } from "../../mod.ts";

/** The bytes that one exchange allocates. */
export interface Figures {
  /** All of them. */
  readonly total: Allocated;
  /** The handler alone, called without a server. */
  readonly handler: Allocated;
}

/** A scenario. */
export interface Scenario {
  /** Its name, for people. */
  readonly title: string;
  /** Counts it. */
  readonly count: (meter: Meter) => Promise<Figures>;
}

/** The name of a scenario. */
export type ScenarioName = keyof typeof SCENARIOS;

/** The number of elements of the array with a known size. */
export const KNOWN_ELEMENTS = 100;

const NOTHING: Allocated = { heapBytes: 0, besideBytes: 0 };
const TCP = { hostname: "127.0.0.1", port: 0 } as const;
const TIMER_MS = 60_000;
const MESSAGE_BYTES = 64;

/** All scenarios. */
export const SCENARIOS = {
  known: {
    title: `${KNOWN_ELEMENTS} elements of an array, to check the counting`,
    count: countKnown,
  },
  get: http("GET, the smallest there is", exchanges.PLAIN),
  alone: http("GET, each in a turn of its own", exchanges.ALONE),
  pipeline: http("GET, sixteen in one write", exchanges.PIPELINED),
  differs: http(
    "GET, sixteen in one write, each unlike the last",
    exchanges.DIFFERENT,
  ),
  async: http("GET, async handler", exchanges.ASYNC),
  app: http("GET as a browser sends it: URL, two fields, JSON", exchanges.APP),
  post: http("POST of 1 KB of JSON", exchanges.JSON_POST),
  echo: tcp("echo of 64 bytes, callbacks", (reactor) => {
    echo({ ...TCP, reactor });
  }),
  fibers: tcp("echo of 64 bytes, fibers", (reactor) => {
    new Fibers(reactor).serve(TCP, echoInFiber);
  }),
  timer: { title: "timer, set and cleared", count: countTimers },
  native: {
    title: "write, poll and read of the library",
    count: countNativeCalls,
  },
} satisfies Readonly<Record<string, Scenario>>;

function http(title: string, exchange: exchanges.HttpExchange): Scenario {
  const { handler, request } = exchange;
  const count = async (meter: Meter): Promise<Figures> => {
    const total = await countServer(meter, exchange, (reactor) => {
      serve({ ...TCP, reactor, onListen() {} }, handler);
    });
    // Last: the first caller of a function decides how V8 optimises it.
    const alone = await countCalls(meter, () => handler(request));
    return { total, handler: alone };
  };
  return { title, count };
}

async function withoutHandler(total: Promise<Allocated>): Promise<Figures> {
  return { total: await total, handler: NOTHING };
}

function tcp(title: string, start: (reactor: Reactor) => void): Scenario {
  const count = (meter: Meter) =>
    withoutHandler(countServer(meter, exchanges.ECHOED, start));
  return { title, count };
}

async function echoInFiber(
  connection: Parameters<FiberHandler>[0],
): Promise<void> {
  for await (const chunk of connection) await connection.write(chunk);
}

/** The size of one more element is known, that of an array is not. */
async function countKnown(meter: Meter): Promise<Figures> {
  const total = await countCalls(meter, () => new Array(1 + KNOWN_ELEMENTS));
  const handler = await countCalls(meter, () => new Array(1));
  return { total, handler };
}

async function countTimers(meter: Meter): Promise<Figures> {
  const system = new ClosedLoop({ ...exchanges.ECHOED, connections: 0 });
  using reactor = new Reactor({ system });
  const nothing = () => {};
  return await withoutHandler(countCalls(meter, () => {
    reactor.clearTimer(reactor.setTimer(TIMER_MS, nothing));
  }));
}

async function countNativeCalls(meter: Meter): Promise<Figures> {
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  using poll = new Poll();
  poll.registry.register(right, 1, Interest.READABLE);
  const events = new Events();
  const bytes = new Uint8Array(MESSAGE_BYTES);
  return await withoutHandler(countCalls(meter, () => {
    left.tryWrite(bytes, 0, MESSAGE_BYTES);
    poll.poll(events, 0);
    const count = right.tryRead(bytes, 0, MESSAGE_BYTES);
    if (count !== MESSAGE_BYTES) throw new Error(`Read "${count}" bytes`);
  }));
}
