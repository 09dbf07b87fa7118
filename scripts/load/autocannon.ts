/**
 * Runs autocannon, and watches what it costs.
 *
 * @module
 */

import autocannon from "autocannon";
import process from "node:process";
import { Histogram } from "./histogram.ts";
import type { LoadOptions } from "./options.ts";

const US_PER_SECOND = 1_000_000;
const MS_PER_SECOND = 1_000;

/** What came of a run. */
export interface LoadResult {
  /** Answers, of whatever status. */
  readonly responses: number;
  /** Answers with another status than 2xx. */
  readonly non2xx: number;
  /** Connections that failed, requests that timed out. */
  readonly errors: number;
  /** How many of the errors were timeouts. */
  readonly timeouts: number;
  /** Connections that the server closed before all was answered. */
  readonly resets: number;
  /** Bytes of answers. */
  readonly bytes: number;
  /** From the first connection to the end. */
  readonly elapsedSeconds: number;
  /** How long answers took. */
  readonly latency: Histogram;
  /** Processor cores that the client kept busy. */
  readonly clientCores: number;
}

/** Loads `url`, with a progress bar where standard error is a terminal. */
export async function runAutocannon(
  url: string,
  options: LoadOptions,
): Promise<LoadResult> {
  const latency = new Histogram();
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  const result = await run(url, options, (ms) => latency.record(ms));
  const elapsedSeconds = (performance.now() - startMs) / MS_PER_SECOND;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    responses: result["2xx"] + result.non2xx,
    non2xx: result.non2xx,
    errors: result.errors,
    timeouts: result.timeouts,
    resets: result.resets,
    bytes: result.throughput.total,
    elapsedSeconds,
    latency,
    clientCores: (user + system) / US_PER_SECOND / elapsedSeconds,
  };
}

function run(
  url: string,
  { connections, pipelining, durationSeconds }: LoadOptions,
  onAnswer: (durationMs: number) => void,
): Promise<autocannon.Result> {
  const { promise, resolve, reject } = Promise.withResolvers<
    autocannon.Result
  >();
  const instance = autocannon(
    { url, connections, pipelining, duration: durationSeconds },
    (error, result) => error ? reject(error) : resolve(result),
  );
  instance.on(
    "response",
    (_client, _status, _bytes, durationMs) => onAnswer(durationMs),
  );
  if (Deno.stderr.isTerminal()) {
    autocannon.track(instance, {
      renderProgressBar: true,
      renderResultsTable: false,
      renderLatencyTable: false,
    });
  }
  return promise;
}
