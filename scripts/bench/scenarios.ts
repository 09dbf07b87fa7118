/**
 * The scenarios of the benchmark.
 *
 * @module
 */

import {
  APP_ANSWER,
  APP_PATH,
  BIG_BYTES,
  BROWSER_FIELDS,
  HELLO,
  JSON_ANSWER,
  JSON_BODY,
  UPLOAD_BYTES,
} from "./payloads.ts";

/** The server that is measured. */
export const SUBJECT = "denio";
/** denio's other face, for echo: a fiber for each connection. */
export const FIBERS = "denio fibers";
/** denio's echo over plain TCP, beside its echo over WebSockets. */
export const OVER_TCP = "denio TCP";
/** The server that denio is compared with. */
export const BASELINE = "Deno";
/** The server that denio is compared with over WebSockets. */
export const BUN = "Bun";
/**
 * A bare epoll loop in Rust that sends fixed bytes and runs no handler: no
 * server can need less than it does.
 */
export const LIMIT = "bare loop";
/** The same over io_uring's completions. */
export const RING = "bare ring";

/** Returns whether a peer is a loop and no server. */
export function isBare(peer: string): boolean {
  return peer === LIMIT || peer === RING;
}

/** Returns the name of denio on one backend. */
export function onBackend(backend: string): string {
  return `${SUBJECT} (${backend})`;
}

/** Returns the backend that a peer's name has, if it has one. */
export function backendOf(peer: string): string | undefined {
  return /^denio \((.+)\)$/.exec(peer)?.[1];
}

/** Returns whether a peer is denio, in one of its faces. */
export function isOwn(peer: string): boolean {
  return /^denio\b/.test(peer);
}

/** What scenarios are about: a section of the report each. */
export type Group =
  | "http"
  | "tcp"
  | "websocket"
  | "latency"
  | "scaling"
  | "workers"
  | "memory"
  | "start";

/**
 * The programs of servers: `hello`, HTTP with one answer to every request, the
 * least that a handler can do; `http`, HTTP with routes; `echo`, TCP; `hello` on
 * one Worker or two, which only denio has; and WebSockets that send messages
 * back, that do so compressed, or that publish them.
 */
export type Service =
  | "hello"
  | "http"
  | "echo"
  | "workers-1"
  | "workers-2"
  | "ws"
  | "ws-deflate"
  | "ws-topic";

/** What a scenario uses of a server: a route of `http`, or a service. */
export type Ability =
  | Exclude<Service, "http" | "workers-1" | "workers-2">
  | "app"
  | "json"
  | "upload"
  | "big"
  | "events"
  | "login"
  | "workers"
  | "ws-echo";

/** One thing to measure. */
export interface Scenario {
  /** The name that `--only` takes. */
  readonly name: string;
  readonly title: string;
  readonly group: Group;
  /** The unit that figures are divided by. */
  readonly unit: string;
  /**
   * How it is measured: `load` puts load on each server in turns, `beside` does
   * so with idle connections and without, `logins` beside a load of logins,
   * `idle` weighs connections that wait, and `start` times a server's start.
   */
  readonly kind: "load" | "beside" | "logins" | "idle" | "start";
  readonly service: Service;
  readonly needs: Ability;
  /** Connections that are open at once, idle ones among them. */
  readonly connections: number;
  /** Arguments of the load generator beside `--connections` and the time. */
  readonly load: readonly string[];
  /** Whether servers have half a core, so that the load is not the limit. */
  readonly isLimited: boolean;
  /** The servers that take part, where not all do. */
  readonly peers?: readonly string[];
  /** Whether wrk is the load, which sends only `GET /`. */
  readonly isByWrk?: true;
}

/** Busy connections, unless a scenario names another number. */
export const BUSY = 64;
/** Idle connections: most limits on descriptors allow as many. */
const IDLE = 15_000;
/** Enough for an event to cost more than the timer that sends it. */
const SSE_CLIENTS = 1_000;
const BULK_CONNECTIONS = 16;
/** The numbers of connections in the scenarios of scaling. */
const SCALE = [1, 8, 64, 512, 4096, IDLE];
/** The servers of scaling and logins. */
const FEW = [LIMIT, RING, SUBJECT, BASELINE];
/** The interval of requests for health, beside logins. */
const HEALTH_MS = 20;

/** Returns a scenario: a plain `GET`, except for `differs`. */
function scenario(
  name: string,
  title: string,
  differs: Partial<Scenario> = {},
): Scenario {
  return {
    ...{ name, title, group: "http", unit: "request", kind: "load" },
    ...{ service: "hello", needs: "hello", connections: BUSY, load: GET },
    isLimited: true,
    ...differs,
  };
}

const GET = ["http", "--expect", HELLO];
const PIPELINED = [...GET, "--depth", "16"];
const POST = ["http", "--method", "POST"];

/** A body of some size keeps a core busy with fewer connections. */
const BULK = { service: "http", connections: BULK_CONNECTIONS } as const;

const HTTP: readonly Scenario[] = [
  scenario("get", "GET, keep-alive"),
  scenario("pipeline", "GET, sixteen in a pipeline", { load: PIPELINED }),
  scenario("pipeline-url", "GET, sixteen in a pipeline, URL read", {
    service: "http",
    load: PIPELINED,
  }),
  scenario("app", "a browser's GET, two headers read, JSON answered", {
    service: "http",
    needs: "app",
    load: [
      ...["http", "--path", APP_PATH],
      ...BROWSER_FIELDS.flatMap((field) => ["--header", field]),
      ...["--expect", APP_ANSWER],
    ],
  }),
  scenario("post", "POST of 1 KB JSON, parsed", {
    service: "http",
    needs: "json",
    load: [
      ...[...POST, "--path", "/json"],
      ...["--header", "Content-Type: application/json"],
      ...["--body", JSON_BODY, "--expect", JSON_ANSWER],
    ],
  }),
  scenario("upload", "POST of 64 KiB, sent back", {
    ...BULK,
    needs: "upload",
    load: [
      ...[...POST, "--path", "/echo"],
      ...["--body-bytes", `${UPLOAD_BYTES}`, "--expect-echo"],
    ],
  }),
  scenario("big", "GET of 1 MiB", {
    ...BULK,
    needs: "big",
    load: ["http", "--path", "/big", "--expect-bytes", `${BIG_BYTES}`],
  }),
  scenario("sse", "server-sent events, 1,000 clients, 10 a second each", {
    unit: "event",
    service: "http",
    needs: "events",
    connections: SSE_CLIENTS,
    load: ["sse", "--path", "/events"],
  }),
  scenario("churn", "connect, GET, close", {
    unit: "connection",
    connections: BULK_CONNECTIONS,
    load: [...GET, "--close"],
  }),
  scenario("cross-check", "GET, keep-alive, with wrk as the load", {
    peers: FEW,
    isByWrk: true,
  }),
];

const TCP: readonly Scenario[] = ([
  ["echo1", 1, "64 B", 64],
  ["echo64", 64, "64 B", 64],
  ["echo512", 512, "64 B", 64],
  ["echo64k", 64, "64 KiB", 64 * 1024],
] as const).map(([name, connections, size, bytes]) =>
  scenario(name, `TCP echo of ${size}, ${connectionsText(connections)}`, {
    ...{ group: "tcp", unit: "message", service: "echo", needs: "echo" },
    connections,
    load: ["echo", "--bytes", `${bytes}`],
  })
);

/** So many that an event loop is busy with one message for a while. */
const RECEIVERS = 10_000;
const ONE_WEBSOCKET = { group: "websocket", unit: "message" } as const;
/** As long as servers compress by default. */
const DEFLATED = ["--websocket", "--deflate", "--bytes", "2048", "--text"];

const WEBSOCKET: readonly Scenario[] = [
  ...([
    ["ws-1", 1, "64 B", ["64"]],
    ["ws-64", BUSY, "64 B", ["64"]],
    ["ws-512", 512, "64 B", ["64"]],
    ["ws-text", BUSY, "64 B of text", ["64", "--text"]],
    ["ws-16k", BUSY, "16 KiB", [`${16 * 1024}`]],
    ["ws-pipeline", BUSY, "64 B, sixteen at once", ["64", "--depth", "16"]],
  ] as const).map(([name, connections, what, bytes]) =>
    scenario(name, `WebSocket, ${what}, ${connectionsText(connections)}`, {
      ...{ ...ONE_WEBSOCKET, service: "ws", needs: "ws-echo", connections },
      load: ["echo", "--websocket", "--bytes", ...bytes],
    })
  ),
  scenario("ws-publish", "WebSocket, one message to 10,000 receivers", {
    ...{ ...ONE_WEBSOCKET, service: "ws-topic", needs: "ws-topic" },
    ...{ connections: 1 + RECEIVERS, load: ["topic"] },
  }),
  ...([
    ["ws-idle", "ws", "WebSocket that waits", ["--websocket"]],
    ["ws-idle-deflate", "ws-deflate", "WebSocket that compresses", DEFLATED],
  ] as const).map(([name, service, what, load]) =>
    scenario(name, `memory of a ${what}, 15,000 of them`, {
      ...{ group: "memory", unit: "connection", kind: "idle", service },
      ...{ needs: service, connections: IDLE, isLimited: false },
      load: ["idle", ...load],
    })
  ),
];

/** A whole core: a server without processor time cannot be in time. */
const LONE = { group: "latency", connections: 1, isLimited: false } as const;

const every = (ms: number) => [...GET, "--interval-ms", `${ms}`];

const LATENCY: readonly Scenario[] = [
  scenario("latency", "one connection, one request after the other", LONE),
  ...[20, 50].map((ms) =>
    scenario(`latency-${ms}ms`, `one connection, a request every ${ms} ms`, {
      ...LONE,
      load: every(ms),
    })
  ),
  scenario("logins", `a request every ${HEALTH_MS} ms beside 64 logins`, {
    ...LONE,
    ...{ kind: "logins", service: "http", needs: "login" },
    load: every(HEALTH_MS),
  }),
];

const SCALING: readonly Scenario[] = SCALE.map((connections) =>
  scenario(
    `scale-${connections}`,
    `GET, keep-alive, ${connectionsText(connections)}`,
    { group: "scaling", connections, peers: FEW },
  )
);

const WORKERS: readonly Scenario[] = ([1, 2] as const).map((count) =>
  scenario(
    `workers-${count}`,
    `GET, keep-alive, on ${count} Worker${count === 1 ? "" : "s"}`,
    { group: "workers", service: `workers-${count}`, needs: "workers" },
  )
);

const REST: readonly Scenario[] = [
  scenario("idle", "memory of a connection that waits, 15,000 of them", {
    ...{ group: "memory", unit: "connection", kind: "idle" },
    connections: IDLE,
    load: ["idle"],
    isLimited: false,
  }),
  scenario("idle-busy", "64 busy beside 15,000 idle connections", {
    ...{ group: "memory", kind: "beside" },
    connections: BUSY + IDLE,
  }),
  scenario("start", "start to first answer", {
    ...{ group: "start", unit: "start", kind: "start" },
    connections: 1,
    isLimited: false,
  }),
];

/** Every scenario, in the order in which they run. */
export const SCENARIOS = [HTTP, TCP, WEBSOCKET, LATENCY, SCALING]
  .concat(WORKERS, REST).flat();

/** Returns a scenario by its name. */
export function scenarioOf(name: string): Scenario {
  const scenario = SCENARIOS.find((scenario) => scenario.name === name);
  if (scenario === undefined) throw new TypeError(`No scenario "${name}"`);
  return scenario;
}

/**
 * Returns the generator's arguments for one server. A bare loop sends its
 * fixed answer to each request, also where others send a longer one.
 */
export function loadFor({ load }: Scenario, peer: string): string[] {
  if (peer === OVER_TCP) return load.filter((word) => word !== "--websocket");
  const place = load.indexOf("--expect");
  return isBare(peer) && place >= 0 ? load.with(place + 1, HELLO) : [...load];
}

function connectionsText(connections: number): string {
  const text = connections.toLocaleString("en");
  return `${text} connection${connections === 1 ? "" : "s"}`;
}
