/**
 * Says how a load run went, for people and for programs.
 *
 * @module
 */

import { formatBytes } from "../packages/std.ts";

const US_PER_SECOND = 1_000_000;

/** A client that uses so much of its core cannot send more. */
const CLIENT_BUSY_CORES = 0.9;
/** A server that uses no more than this could have answered more. */
const SERVER_IDLE_CORES = 0.75;

/** How a server is loaded. */
export interface LoadOptions {
  /** Connections that are open at once. */
  readonly connections: number;
  /** Requests that a connection sends before an answer comes. */
  readonly pipelining: number;
  /** Seconds. */
  readonly duration: number;
}

/** What the clients saw, as `drive.mjs` prints it, and what the server used. */
export interface LoadResult {
  /** Answers, of any status. */
  readonly requests: number;
  readonly non2xx: number;
  /** Connections that failed, and requests that timed out. */
  readonly errors: number;
  /** How many of the errors were timeouts. */
  readonly timeouts: number;
  /** Connections that the server closed too early. */
  readonly resets: number;
  readonly bytes: number;
  /** From the first connection to the end. */
  readonly elapsedSeconds: number;
  /** The times of answers by percentile: `p50`, `p97_5`, `max`. */
  readonly latencyMs: Readonly<Record<string, number>>;
  /** Processor cores that the client kept busy. */
  readonly clientCores: number;
  /** The server's processor time in microseconds, if known. */
  readonly cpuUs?: number;
}

/** A run as `--json` prints it. */
export type LoadReport = ReturnType<typeof reportOf>;

/** Returns the report of a run. */
export function reportOf(
  url: string,
  { connections, pipelining }: LoadOptions,
  { cpuUs, ...result }: LoadResult,
) {
  const { requests, bytes, elapsedSeconds, errors, non2xx, resets } = result;
  const serverCores = cpuUs === undefined
    ? null
    : cpuUs / US_PER_SECOND / elapsedSeconds;
  return {
    ...{ url, connections, pipelining },
    ...result,
    requestsPerSecond: Math.round(requests / elapsedSeconds),
    bytesPerSecond: Math.round(bytes / elapsedSeconds),
    serverCpuUsPerRequest: cpuUs && requests ? cpuUs / requests : null,
    serverCores,
    /** Which side was at its limit. */
    bottleneck: bottleneckOf(result.clientCores, serverCores),
    /** Whether each request was answered with a 2xx. */
    ok: requests > 0 && errors + non2xx + resets === 0,
  };
}

function bottleneckOf(clientCores: number, serverCores: number | null) {
  if (clientCores < CLIENT_BUSY_CORES) return "not the client";
  if (serverCores === null) return "perhaps the client";
  return serverCores < SERVER_IDLE_CORES ? "client" : "not the client";
}

/** Returns the report as lines of text. */
export function reportLines(report: LoadReport): string[] {
  const { url, connections, pipelining, elapsedSeconds, requests } = report;
  const { serverCpuUsPerRequest, serverCores } = report;
  const latency = Object.entries(report.latencyMs)
    .map(([name, ms]) => `${name.replace("_", ".")} ${ms} ms`);
  return [
    `${url}, ${connections} connections, pipelines of ${pipelining}, ` +
    `${elapsedSeconds.toFixed(1)} s`,
    "",
    `  latency     ${latency.join("  ")}`,
    `  requests    ${requests.toLocaleString("en")}, ` +
    `${report.requestsPerSecond.toLocaleString("en")} a second`,
    `  throughput  ${formatBytes(report.bytesPerSecond)} a second`,
    `  failures    ${failures(report)}`,
    ...serverCpuUsPerRequest === null ? [] : [
      `  server CPU  ${serverCpuUsPerRequest.toFixed(2)} microseconds a ` +
      `request, ${serverCores?.toFixed(2)} of a core`,
    ],
    ...bottleneckLines(report),
  ];
}

function failures({ errors, timeouts, resets, non2xx }: LoadReport): string {
  const counts = Object.entries({
    errors: errors - timeouts,
    timeouts,
    resets,
    "non-2xx": non2xx,
  });
  return counts.filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

function bottleneckLines({ bottleneck, clientCores }: LoadReport): string[] {
  if (bottleneck === "not the client") return [];
  const was = bottleneck === "client" ? "was" : "may have been";
  return [
    "",
    `The client ${was} the bottleneck: it used ${clientCores.toFixed(2)} ` +
    "cores itself. The server can do more.",
  ];
}
