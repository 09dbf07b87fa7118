/**
 * The scenarios. As a program it counts one, in a process of its own:
 * `scenarios.ts NAME`.
 *
 * @module
 */

// Otherwise the first body would load it, at some time of the count.
import "node:buffer";
import {
  APP_ANSWER,
  APP_PATH,
  BROWSER_FIELDS,
  HELLO,
  JSON_ANSWER,
  JSON_BODY,
} from "../bench/payloads.ts";
import { type Handler, handler, hello } from "../bench/servers/app.ts";
import { Events } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import { Poll } from "../../src/poll/poll.ts";
import { UnixStream } from "../../src/net/unix_stream.ts";
import type { FiberHandler } from "../../src/fiber/fiber_server.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { echo } from "../../src/server/echo.ts";
import { serve } from "../../src/server/serve.ts";
import { ClosedLoop, type Exchange } from "./closed_loop.ts";
import { countCalls, countServer } from "./counting.ts";
import { type Allocated, Meter } from "./meter.ts";
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

/** An exchange over HTTP. */
interface HttpExchange extends Exchange {
  /** Answers each request. */
  readonly handler: Handler;
  /**
   * Stands in for a request when the handler is called without a server: the
   * parts that the handler reads are there already, and cost nothing.
   */
  readonly request: Request;
}

const CONNECTIONS = 64;
const DEPTH = 16;
const ORIGIN = "127.0.0.1:8000";

/** Returns the text of a request. */
function requestOf(line: string, ...rest: string[]): string {
  return [`${line} HTTP/1.1`, `Host: ${ORIGIN}`, ...rest].join("\r\n");
}

/** Returns an object with the parts of a request that a handler reads. */
function standIn(path: string, parts: object): Request {
  return { url: `http://${ORIGIN}${path}`, ...parts } as Request;
}

const GET = requestOf("GET /", "\r\n");
const FIELDS = BROWSER_FIELDS.map((field): [string, string] => {
  const [name, value] = field.split(": ", 2);
  return [name!.toLowerCase(), value!];
});

/** The smallest request there is, with the smallest handler. */
const PLAIN: HttpExchange = {
  connections: CONNECTIONS,
  question: GET,
  depth: 1,
  ending: HELLO,
  handler: hello,
  request: standIn("/", {}),
};

/** Sixty-four bytes, which the server sends back. */
const MESSAGE = `${"-".repeat(63)}\n`;
const ECHOED: Exchange = {
  connections: CONNECTIONS,
  question: MESSAGE,
  depth: 1,
  ending: MESSAGE,
};

/** All scenarios. */
export const SCENARIOS = {
  known: {
    title: `${KNOWN_ELEMENTS} elements of an array, to check the counting`,
    count: countKnown,
  },
  get: http("GET, the smallest there is", {}),
  alone: http("GET, each in a turn of its own", { connections: 1 }),
  pipeline: http("GET, sixteen in one write", {
    question: GET.repeat(DEPTH),
    depth: DEPTH,
  }),
  differs: http("GET, sixteen in one write, each unlike the last", {
    // No head repeats the one before it: each is parsed.
    question: (GET + GET.replace("/", "/other")).repeat(DEPTH / 2),
    depth: DEPTH,
  }),
  async: http("GET, async handler", {
    // deno-lint-ignore require-await -- many handlers are async without need
    handler: async () => hello(),
  }),
  app: http("GET as a browser sends it: URL, two fields, JSON", {
    question: requestOf(`GET ${APP_PATH}`, ...BROWSER_FIELDS, "\r\n"),
    ending: APP_ANSWER,
    handler,
    request: standIn(APP_PATH, { headers: new Map(FIELDS) }),
  }),
  post: http("POST of 1 KB of JSON", {
    question: requestOf(
      "POST /json",
      "Content-Type: application/json",
      `Content-Length: ${JSON_BODY.length}`,
      `\r\n${JSON_BODY}`,
    ),
    ending: JSON_ANSWER,
    handler,
    request: standIn("/json", {
      json: () => Promise.resolve(JSON.parse(JSON_BODY)),
    }),
  }),
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

/** An exchange over HTTP: the smallest one, except for `differs`. */
function http(title: string, differs: Partial<HttpExchange>): Scenario {
  const exchange = { ...PLAIN, ...differs };
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
    withoutHandler(countServer(meter, ECHOED, start));
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
  const system = new ClosedLoop({ ...ECHOED, connections: 0 });
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

if (import.meta.main) {
  const { count } = SCENARIOS[Deno.args[0] as ScenarioName];
  // deno-lint-ignore no-console -- its parent reads it
  console.log(JSON.stringify(await count(new Meter())));
}
