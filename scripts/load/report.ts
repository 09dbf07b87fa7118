/**
 * Says how a load run went, for people and for programs.
 *
 * @module
 */

import { formatBytes } from "../packages/std.ts";
import type { LoadOptions, LoadResult } from "./autocannon.ts";

const US_PER_SECOND = 1_000_000;

/** A client that uses so much of its core cannot send more. */
const CLIENT_BUSY_CORES = 0.9;
/** A server that uses no more than this could have answered more. */
const SERVER_IDLE_CORES = 0.75;

/** A run and its result. */
export interface LoadReport {
  /** The URL. */
  readonly url: string;
  /** The load. */
  readonly options: LoadOptions;
  /** The client's result. */
  readonly result: LoadResult;
  /** Processor time that the server used meanwhile, if known. */
  readonly serverCpuUs?: number;
}

/** Returns whether each request was answered with a 2xx. */
export function isClean({ result }: LoadReport): boolean {
  const { requests, errors, non2xx, resets } = result;
  return requests > 0 && errors + non2xx + resets === 0;
}

/** Returns whether the client, rather than the server, was at its limit. */
export function bottleneckOf(
  report: LoadReport,
): "client" | "perhaps the client" | "not the client" {
  if (report.result.clientCores < CLIENT_BUSY_CORES) return "not the client";
  const cores = serverCores(report);
  if (cores === undefined) return "perhaps the client";
  return cores < SERVER_IDLE_CORES ? "client" : "not the client";
}

/** Returns the report as one object. */
export function reportJson(report: LoadReport): Record<string, unknown> {
  const { url, options: { connections, pipelining }, result } = report;
  return {
    ...{ url, connections, pipelining },
    ...result,
    requestsPerSecond: perSecond(report),
    bytesPerSecond: Math.round(result.bytes / result.elapsedSeconds),
    serverCpuUsPerRequest: cpuPerRequest(report) ?? null,
    serverCores: serverCores(report) ?? null,
    bottleneck: bottleneckOf(report),
    ok: isClean(report),
  };
}

/** Returns the report as lines of text. */
export function reportLines(report: LoadReport): string[] {
  const { url, options: { connections, pipelining }, result } = report;
  const { requests, bytes, elapsedSeconds, latencyMs } = result;
  const latency = Object.entries(latencyMs)
    .map(([name, ms]) => `${name.replace("_", ".")} ${ms} ms`);
  const cpu = cpuPerRequest(report);
  return [
    `${url}, ${connections} connections, pipelines of ${pipelining}, ` +
    `${elapsedSeconds.toFixed(1)} s`,
    "",
    `  latency     ${latency.join("  ")}`,
    `  requests    ${requests.toLocaleString("en")}, ` +
    `${perSecond(report).toLocaleString("en")} a second`,
    `  throughput  ${formatBytes(bytes / elapsedSeconds)} a second`,
    `  failures    ${failures(result)}`,
    ...cpu === undefined ? [] : [
      `  server CPU  ${cpu.toFixed(2)} microseconds a request, ` +
      `${serverCores(report)?.toFixed(2)} of a core`,
    ],
    ...bottleneckLines(report),
  ];
}

function perSecond({ result: { requests, elapsedSeconds } }: LoadReport) {
  return Math.round(requests / elapsedSeconds);
}

function failures({ errors, timeouts, resets, non2xx }: LoadResult): string {
  const counts = Object.entries({
    errors: errors - timeouts,
    timeouts,
    resets,
    "non-2xx": non2xx,
  });
  return counts.filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

function bottleneckLines(report: LoadReport): string[] {
  const bottleneck = bottleneckOf(report);
  if (bottleneck === "not the client") return [];
  const was = bottleneck === "client" ? "was" : "may have been";
  const cores = report.result.clientCores.toFixed(2);
  return [
    "",
    `The client ${was} the bottleneck: it used ${cores} cores itself. The ` +
    "server can do more.",
  ];
}

function cpuPerRequest(report: LoadReport): number | undefined {
  const { serverCpuUs, result: { requests } } = report;
  return serverCpuUs && requests ? serverCpuUs / requests : undefined;
}

function serverCores(report: LoadReport): number | undefined {
  const { serverCpuUs, result: { elapsedSeconds } } = report;
  return serverCpuUs && serverCpuUs / US_PER_SECOND / elapsedSeconds;
}
