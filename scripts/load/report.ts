/**
 * Says what came of a load run, for people and for programs.
 *
 * @module
 */

import type { CpuTime } from "../process_cpu.ts";
import type { LoadResult } from "./autocannon.ts";
import type { LoadOptions } from "./options.ts";

const US_PER_SECOND = 1_000_000;
const BYTES_PER_MB = 1_000_000;

/** A client this busy cannot send more. */
const CLIENT_BUSY_CORES = 0.9;
/** A server this idle would have answered more. */
const SERVER_IDLE_CORES = 0.75;

const PERCENTILES = { p50: 0.5, p90: 0.9, p99: 0.99, p99_9: 0.999 };

/** Everything that is known of a run. */
export interface LoadReport {
  /** What was loaded. */
  readonly url: string;
  /** How. */
  readonly options: LoadOptions;
  /** What the client saw. */
  readonly result: LoadResult;
  /** What the server used meanwhile, where that could be seen. */
  readonly serverCpu: CpuTime | undefined;
}

/** Who kept the numbers from being higher. */
export type Bottleneck = "client" | "perhaps the client" | "not the client";

/** Whether every request was answered, and well. */
export function isClean({ result }: LoadReport): boolean {
  const { responses, errors, non2xx, resets } = result;
  return responses > 0 && errors + non2xx + resets === 0;
}

/** Returns whether the client, rather than the server, was at its limit. */
export function bottleneckOf(report: LoadReport): Bottleneck {
  if (report.result.clientCores < CLIENT_BUSY_CORES) return "not the client";
  const cores = serverCoresOf(report);
  if (cores === undefined) return "perhaps the client";
  return cores < SERVER_IDLE_CORES ? "client" : "not the client";
}

/** Returns the report as one object. */
export function reportJson(report: LoadReport): Record<string, unknown> {
  const { url, options, result } = report;
  return {
    url,
    connections: options.connections,
    pipelining: options.pipelining,
    elapsedSeconds: rounded(result.elapsedSeconds),
    requests: result.responses,
    requestsPerSecond: Math.round(result.responses / result.elapsedSeconds),
    bytesPerSecond: Math.round(result.bytes / result.elapsedSeconds),
    latencyMs: latencyOf(result),
    errors: result.errors,
    timeouts: result.timeouts,
    resets: result.resets,
    non2xx: result.non2xx,
    serverCpuUsPerRequest: cpuPerRequest(report) ?? null,
    serverCores: rounded(serverCoresOf(report)) ?? null,
    clientCores: rounded(result.clientCores),
    bottleneck: bottleneckOf(report),
    ok: isClean(report),
  };
}

/** Returns the report as lines of text. */
export function reportLines(report: LoadReport): string[] {
  const { url, options, result } = report;
  const { connections, pipelining } = options;
  const seconds = result.elapsedSeconds;
  const latency = Object.entries(latencyOf(result))
    .map(([name, ms]) => `${name.replace("_", ".")} ${ms} ms`).join("  ");
  const perSecond = Math.round(result.responses / seconds).toLocaleString("en");
  const megabytes = (result.bytes / seconds / BYTES_PER_MB).toFixed(1);
  return [
    `${url}, ${connections} connections, pipelines of ${pipelining}, ` +
    `${seconds.toFixed(1)} s`,
    "",
    `  latency     ${latency}`,
    `  requests    ${result.responses.toLocaleString("en")}, ` +
    `${perSecond} a second`,
    `  throughput  ${megabytes} MB a second`,
    `  failures    ${failures(result)}`,
    ...cpuLines(report),
    ...bottleneckLines(report),
  ];
}

function failures({ errors, timeouts, resets, non2xx }: LoadResult): string {
  const all = {
    errors: errors - timeouts,
    timeouts,
    resets,
    "non-2xx": non2xx,
  };
  const some = Object.entries(all).filter(([, count]) => count > 0);
  return some.map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}

function cpuLines(report: LoadReport): string[] {
  const cpu = cpuPerRequest(report);
  if (cpu === undefined) return [];
  const { user, system } = cpu;
  return [
    `  server CPU  ${user} user + ${system} system microseconds a request, ` +
    `${serverCoresOf(report)?.toFixed(2)} of a core`,
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

function latencyOf({ latency }: LoadResult): Record<string, number> {
  const entries = Object.entries(PERCENTILES).map(([name, share]) =>
    [name, rounded(latency.percentileMs(share))] as const
  );
  return Object.fromEntries([...entries, ["max", rounded(latency.maxMs)]]);
}

function cpuPerRequest({ serverCpu, result }: LoadReport) {
  if (serverCpu === undefined || result.responses === 0) return undefined;
  return {
    user: rounded(serverCpu.userUs / result.responses),
    system: rounded(serverCpu.systemUs / result.responses),
  };
}

function serverCoresOf({ serverCpu, result }: LoadReport): number | undefined {
  if (serverCpu === undefined) return undefined;
  const { userUs, systemUs } = serverCpu;
  return (userUs + systemUs) / US_PER_SECOND / result.elapsedSeconds;
}

/** To hundredths: more digits would be noise. */
function rounded(value: number): number;
function rounded(value: number | undefined): number | undefined;
function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value * 100) / 100;
}
