/**
 * What is measured.
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
import type { Service } from "./peers.ts";
import type { Group } from "./results.ts";

/**
 * How a scenario is measured: `load` puts load on each server in turns,
 * `beside` does so with idle connections and without, `idle` weighs
 * connections that wait, and `start` times a server's start.
 */
export type Kind = "load" | "beside" | "idle" | "start";

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
  /** How it is measured. */
  readonly kind: Kind;
  /** What servers must be. */
  readonly service: Service;
  /** What they must answer, which not all can. */
  readonly route: string;
  /** Connections that are open at once, idle ones among them. */
  readonly connections: number;
  /** What the load generator is told, but for `--connections` and how long. */
  readonly load: readonly string[];
  /** Whether servers have half a core, so that the load is not the limit. */
  readonly isLimited: boolean;
  /** Workers that a server has, where that is what it is about. */
  readonly workers?: number;
  /** The only servers that take part, where not all do. */
  readonly peers?: readonly string[];
  /** How deep wrk pipelines, in scenarios that it can do instead. */
  readonly wrkDepth?: number;
}

/** Connections that are busy, where nothing else is asked. */
export const BUSY = 64;
/** Idle ones: DESIGN.md has them so, and most limits on descriptors do too. */
const IDLE = 15_000;
/** So many that what an event costs is not the timer's. */
const SSE_CLIENTS = 1_000;
/** Bodies of some size keep a core busy with fewer connections. */
const BULK_CONNECTIONS = 16;
/** How scaling is followed, up to what is idle elsewhere. */
const SCALE = [1, 8, 64, 512, 4096, IDLE];
/** Those that scaling is about: the subject, its rival, and the limit. */
const SCALE_PEERS = ["bare loop", "denio", "Deno"];

const ECHO_BYTES = 64;
const ECHO_BULK_BYTES = 64 * 1024;

/** What most scenarios are; each says how it differs. */
const GET = {
  group: "http",
  unit: "request",
  kind: "load",
  service: "hello",
  route: "hello",
  connections: BUSY,
  load: ["http", "--expect", HELLO],
  isLimited: true,
} as const satisfies Partial<Scenario>;

const HTTP: readonly Scenario[] = [
  { ...GET, name: "get", title: "GET, keep-alive", wrkDepth: 1 },
  {
    ...GET,
    name: "pipeline",
    title: "GET, sixteen in a pipeline",
    load: [...GET.load, "--depth", "16"],
    wrkDepth: 16,
  },
  {
    ...GET,
    name: "app",
    title: "a browser's GET, two headers read, JSON answered",
    service: "http",
    route: "app",
    load: [
      "http",
      "--path",
      APP_PATH,
      ...BROWSER_FIELDS.flatMap((field) => ["--header", field]),
      "--expect",
      APP_ANSWER,
    ],
  },
  {
    ...GET,
    name: "post",
    title: "POST of 1 KB JSON, parsed",
    service: "http",
    route: "json",
    load: [
      "http",
      ...["--method", "POST", "--path", "/json"],
      ...["--header", "Content-Type: application/json"],
      ...["--body", JSON_BODY, "--expect", JSON_ANSWER],
    ],
  },
  {
    ...GET,
    name: "upload",
    title: "POST of 64 KiB, sent back",
    service: "http",
    route: "echo",
    connections: BULK_CONNECTIONS,
    load: [
      "http",
      ...["--method", "POST", "--path", "/echo"],
      ...["--body-bytes", `${UPLOAD_BYTES}`, "--expect-echo"],
    ],
  },
  {
    ...GET,
    name: "big",
    title: "GET of 1 MiB",
    service: "http",
    route: "big",
    connections: BULK_CONNECTIONS,
    load: ["http", "--path", "/big", "--expect-bytes", `${BIG_BYTES}`],
  },
  {
    ...GET,
    name: "sse",
    title: "server-sent events, 1,000 clients, 10 a second each",
    unit: "event",
    service: "http",
    route: "events",
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
];

const echo = (connections: number, bytes: number, size: string) => ({
  title: `TCP echo of ${size}, ${connections} connection${
    connections === 1 ? "" : "s"
  }`,
  group: "tcp" as const,
  unit: "message",
  kind: "load" as const,
  service: "echo" as const,
  route: "echo",
  connections,
  load: ["echo", "--bytes", `${bytes}`],
  isLimited: true,
});

const TCP: readonly Scenario[] = [
  ...[1, 64, 512].map((connections) => ({
    ...echo(connections, ECHO_BYTES, "64 B"),
    name: `echo${connections}`,
  })),
  { ...echo(BUSY, ECHO_BULK_BYTES, "64 KiB"), name: "echo64k" },
];

/** A core of its own: a server without processor time cannot be in time. */
const LATENCY: readonly Scenario[] = [0, 20, 50].map((intervalMs) => ({
  ...GET,
  name: intervalMs === 0 ? "latency" : `latency-${intervalMs}ms`,
  title: intervalMs === 0
    ? "one connection, one request after the other"
    : `one connection, a request every ${intervalMs} ms`,
  group: "latency",
  connections: 1,
  load: intervalMs === 0
    ? GET.load
    : [...GET.load, "--interval-ms", `${intervalMs}`],
  isLimited: false,
}));

const CONNECTIONS: readonly Scenario[] = SCALE.map((connections) => ({
  ...GET,
  name: `scale-${connections}`,
  title: `GET, keep-alive, ${connections.toLocaleString("en")} connection${
    connections === 1 ? "" : "s"
  }`,
  group: "scaling",
  connections,
  peers: SCALE_PEERS,
}));

const WORKERS: readonly Scenario[] = ([1, 2] as const).map((workers) => ({
  ...GET,
  name: `workers-${workers}`,
  title: `GET, keep-alive, on ${workers} Worker${workers === 1 ? "" : "s"}`,
  group: "scaling",
  service: `workers-${workers}` as const,
  workers,
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
    title: "64 busy beside 15,000 idle: rate to that without them",
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
  ...CONNECTIONS,
  ...WORKERS,
  ...REST,
];
