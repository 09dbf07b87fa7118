/**
 * Says how a load run went, for people and for programs.
 *
 * @module
 */

import { formatBytes } from "../packages/std.ts";
import type { LoadOptions, LoadResult } from "./autocannon.ts";

const US_PER_SECOND = 1_000_000;

/** A client that uses this much cannot send more. */
const CLIENT_BUSY_CORES = 0.9;
/** A server that uses no more than this would have answered more. */
const SERVER_IDLE_CORES = 0.75;

/** Everything that is known of a run. */
export interface LoadReport {
  /** What was loaded. */
  readonly url: string;
  /** How. */
  readonly options: LoadOptions;
  /** What the client saw. */
  readonly result: LoadResult;
  /** Processor time that the server used meanwhile, where it is known. */
  readonly serverCpuUs?: number;
}

/** Returns whether each request was answered with a 2xx. */
export function isClean({ result }: LoadReport): boolean {
  const { responses, errors, non2xx, resets } = result;
  return responses > 0 && errors + non2xx + resets === 0;
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
  const { responses, bytes, elapsedSeconds } = result;
  return {
    url,
    connections,
    pipelining,
    elapsedSeconds: rounded(elapsedSeconds),
    requests: responses,
    requestsPerSecond: Math.round(responses / elapsedSeconds),
    bytesPerSecond: Math.round(bytes / elapsedSeconds),
    latencyMs: result.latencyMs,
    errors: result.errors,
    timeouts: result.timeouts,
    resets: result.resets,
    non2xx: result.non2xx,
    serverCpuUsPerRequest: rounded(cpuPerRequest(report)) ?? null,
    serverCores: rounded(serverCores(report)) ?? null,
    clientCores: rounded(result.clientCores),
    bottleneck: bottleneckOf(report),
    ok: isClean(report),
  };
}

/** Returns the report as lines of text. */
export function reportLines(report: LoadReport): string[] {
  const { url, options: { connections, pipelining }, result } = report;
  const { responses, bytes, elapsedSeconds, latencyMs } = result;
  const perSecond = Math.round(responses / elapsedSeconds);
  const latency = Object.entries(latencyMs)
    .map(([name, ms]) => `${name.replace("_", ".")} ${ms} ms`);
  return [
    `${url}, ${connections} connections, pipelines of ${pipelining}, ` +
    `${elapsedSeconds.toFixed(1)} s`,
    "",
    `  latency     ${latency.join("  ")}`,
    `  requests    ${responses.toLocaleString("en")}, ` +
    `${perSecond.toLocaleString("en")} a second`,
    `  throughput  ${formatBytes(bytes / elapsedSeconds)} a second`,
    `  failures    ${failures(result)}`,
    ...cpuLines(report),
    ...bottleneckLines(report),
  ];
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

function cpuLines(report: LoadReport): string[] {
  const cpu = cpuPerRequest(report);
  return cpu === undefined ? [] : [
    `  server CPU  ${cpu.toFixed(2)} microseconds a request, ` +
    `${serverCores(report)?.toFixed(2)} of a core`,
  ];
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
  const { serverCpuUs, result: { responses } } = report;
  return serverCpuUs && responses ? serverCpuUs / responses : undefined;
}

function serverCores(report: LoadReport): number | undefined {
  const { serverCpuUs, result: { elapsedSeconds } } = report;
  return serverCpuUs && serverCpuUs / US_PER_SECOND / elapsedSeconds;
}

/** To hundredths: more digits would be noise. */
function rounded<T extends number | undefined>(value: T): T {
  return (value && Math.round(value * 100) / 100) as T;
}
