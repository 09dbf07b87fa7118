/**
 * What is measured.
 *
 * @module
 */

import { BASELINE, LIMIT, SUBJECT } from "./names.ts";
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

/** What scenarios are about: a section of the report each. */
export type Group =
  | "http"
  | "tcp"
  | "latency"
  | "scaling"
  | "workers"
  | "memory"
  | "start";

/**
 * What servers are started as: `hello`, HTTP with one answer to everything, the
 * least that a handler can do; `http`, HTTP with routes; `echo`, TCP; and
 * `hello` on one Worker or two, which denio alone has.
 */
export type Service = "hello" | "http" | "echo" | "workers-1" | "workers-2";

/** What a scenario takes of a server: a route of `http`, or a service. */
export type Ability =
  | "hello"
  | "app"
  | "json"
  | "upload"
  | "big"
  | "events"
  | "login"
  | "echo"
  | "workers";

/** One thing to measure. */
export interface Scenario {
  /** The name that `--only` takes. */
  readonly name: string;
  /** What it is, for people. */
  readonly title: string;
  /** What it is about. */
  readonly group: Group;
  /** What figures are counted for. */
  readonly unit: string;
  /**
   * How it is measured: `load` puts load on each server in turns, `beside` does
   * so with idle connections and without, `logins` beside a load of logins,
   * `idle` weighs connections that wait, and `start` times a server's start.
   */
  readonly kind: "load" | "beside" | "logins" | "idle" | "start";
  /** How servers are started. */
  readonly service: Service;
  /** What they must be able to do, which not all are. */
  readonly needs: Ability;
  /** Connections that are open at once, idle ones among them. */
  readonly connections: number;
  /** What the load generator is told beside `--connections` and how long. */
  readonly load: readonly string[];
  /** Whether servers have half a core, so that the load is not the limit. */
  readonly isLimited: boolean;
  /** The only servers that take part, where not all do. */
  readonly peers?: readonly string[];
  /** Whether wrk is the load, of which nothing but `GET /` is asked. */
  readonly isByWrk?: true;
}

/** Connections that are busy, where nothing else is asked. */
export const BUSY = 64;
/** Idle connections: most limits on descriptors allow as many. */
const IDLE = 15_000;
/** Enough for an event to cost more than the timer that sends it. */
const SSE_CLIENTS = 1_000;
/** Large bodies keep a core busy with fewer connections. */
const BULK_CONNECTIONS = 16;
/** How many connections scaling is followed over. */
const SCALE = [1, 8, 64, 512, 4096, IDLE];
/** The servers that scaling and logins are about. */
const FEW = [LIMIT, SUBJECT, BASELINE];
/** How often health is asked for, beside logins. */
const HEALTH_MS = 20;

/** What most scenarios are; each says how it differs. */
const GET = {
  group: "http",
  unit: "request",
  kind: "load",
  service: "hello",
  needs: "hello",
  connections: BUSY,
  load: ["http", "--expect", HELLO],
  isLimited: true,
} as const satisfies Partial<Scenario>;

const PIPELINED = [...GET.load, "--depth", "16"];
const ROUTED = { ...GET, service: "http" } as const;

const HTTP: readonly Scenario[] = [
  { ...GET, name: "get", title: "GET, keep-alive" },
  {
    ...GET,
    name: "pipeline",
    title: "GET, sixteen in a pipeline",
    load: PIPELINED,
  },
  {
    ...ROUTED,
    name: "pipeline-url",
    title: "GET, sixteen in a pipeline, URL read",
    load: PIPELINED,
  },
  {
    ...ROUTED,
    name: "app",
    title: "a browser's GET, two headers read, JSON answered",
    needs: "app",
    load: [
      ...["http", "--path", APP_PATH],
      ...BROWSER_FIELDS.flatMap((field) => ["--header", field]),
      ...["--expect", APP_ANSWER],
    ],
  },
  {
    ...ROUTED,
    name: "post",
    title: "POST of 1 KB JSON, parsed",
    needs: "json",
    load: [
      ...["http", "--method", "POST", "--path", "/json"],
      ...["--header", "Content-Type: application/json"],
      ...["--body", JSON_BODY, "--expect", JSON_ANSWER],
    ],
  },
  {
    ...ROUTED,
    name: "upload",
    title: "POST of 64 KiB, sent back",
    needs: "upload",
    connections: BULK_CONNECTIONS,
    load: [
      ...["http", "--method", "POST", "--path", "/echo"],
      ...["--body-bytes", `${UPLOAD_BYTES}`, "--expect-echo"],
    ],
  },
  {
    ...ROUTED,
    name: "big",
    title: "GET of 1 MiB",
    needs: "big",
    connections: BULK_CONNECTIONS,
    load: ["http", "--path", "/big", "--expect-bytes", `${BIG_BYTES}`],
  },
  {
    ...ROUTED,
    name: "sse",
    title: "server-sent events, 1,000 clients, 10 a second each",
    unit: "event",
    needs: "events",
    connections: SSE_CLIENTS,
    load: ["sse", "--path", "/events"],
  },
  {
    ...GET,
    name: "churn",
    title: "connect, GET, close",
    unit: "connection",
    connections: BULK_CONNECTIONS,
    load: [...GET.load, "--close"],
  },
  {
    ...GET,
    name: "cross-check",
    title: "GET, keep-alive, with wrk as the load",
    peers: FEW,
    isByWrk: true,
  },
];

const echo = (
  name: string,
  connections: number,
  [size, bytes]: readonly [string, number],
): Scenario => ({
  name,
  title: `TCP echo of ${size}, ${connectionsText(connections)}`,
  group: "tcp",
  unit: "message",
  kind: "load",
  service: "echo",
  needs: "echo",
  connections,
  load: ["echo", "--bytes", `${bytes}`],
  isLimited: true,
});

const TCP: readonly Scenario[] = [
  ...[1, 64, 512].map((connections) =>
    echo(`echo${connections}`, connections, ["64 B", 64])
  ),
  echo("echo64k", BUSY, ["64 KiB", 64 * 1024]),
];

/** A core of its own: a server without processor time cannot be in time. */
const LONE = { ...GET, group: "latency", isLimited: false } as const;

const LATENCY: readonly Scenario[] = [
  {
    ...LONE,
    name: "latency",
    title: "one connection, one request after the other",
    connections: 1,
  },
  ...[20, 50].map((intervalMs) => ({
    ...LONE,
    name: `latency-${intervalMs}ms`,
    title: `one connection, a request every ${intervalMs} ms`,
    connections: 1,
    load: [...GET.load, "--interval-ms", `${intervalMs}`],
  })),
  {
    ...LONE,
    name: "logins",
    title: `a request every ${HEALTH_MS} ms beside 64 logins`,
    kind: "logins",
    service: "http",
    needs: "login",
    connections: 1,
    load: [...GET.load, "--interval-ms", `${HEALTH_MS}`],
  },
];

const SCALING: readonly Scenario[] = SCALE.map((connections) => ({
  ...GET,
  name: `scale-${connections}`,
  title: `GET, keep-alive, ${connectionsText(connections)}`,
  group: "scaling",
  connections,
  peers: FEW,
}));

const WORKERS: readonly Scenario[] = ([1, 2] as const).map((workers) => ({
  ...GET,
  name: `workers-${workers}`,
  title: `GET, keep-alive, on ${workers} Worker${workers === 1 ? "" : "s"}`,
  group: "workers",
  service: `workers-${workers}` as const,
  needs: "workers",
}));

const REST: readonly Scenario[] = [
  {
    ...GET,
    name: "idle",
    title: "memory of a connection that waits, 15,000 of them",
    group: "memory",
    unit: "connection",
    kind: "idle",
    connections: IDLE,
    load: ["idle"],
    isLimited: false,
  },
  {
    ...GET,
    name: "idle-busy",
    title: "64 busy beside 15,000 idle connections",
    group: "memory",
    kind: "beside",
    connections: BUSY + IDLE,
  },
  {
    ...GET,
    name: "start",
    title: "start to first answer",
    group: "start",
    unit: "start",
    kind: "start",
    connections: 1,
    isLimited: false,
  },
];

/** Every scenario, in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  ...HTTP,
  ...TCP,
  ...LATENCY,
  ...SCALING,
  ...WORKERS,
  ...REST,
];

/** Returns a scenario by its name. */
export function scenarioOf(name: string): Scenario {
  const scenario = SCENARIOS.find((scenario) => scenario.name === name);
  if (scenario === undefined) throw new TypeError(`No scenario "${name}"`);
  return scenario;
}

/**
 * Returns what the load generator is told for one server. The bare loop sends
 * its fixed answer to each request, also where others answer with more.
 */
export function loadFor({ load }: Scenario, peer: string): string[] {
  const place = load.indexOf("--expect");
  return peer === LIMIT && place >= 0 ? load.with(place + 1, HELLO) : [...load];
}

function connectionsText(connections: number): string {
  const text = connections.toLocaleString("en");
  return `${text} connection${connections === 1 ? "" : "s"}`;
}
