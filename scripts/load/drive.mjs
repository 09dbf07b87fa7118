/**
 * Runs autocannon and prints what its clients saw, as JSON:
 * `node drive.mjs MODULE OPTIONS`. It is JavaScript because node runs it.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a program

import { createHistogram } from "node:perf_hooks";
import process from "node:process";

const NS_PER_MS = 1e6;
const US_PER_SECOND = 1e6;
const PERCENTILES = Object.entries(
  { p50: 50, p90: 90, p97_5: 97.5, p99: 99, p99_9: 99.9, max: 100 },
);

const [module, options] = process.argv.slice(2);
const { default: autocannon } = await import(module);
const cpuBefore = process.cpuUsage();
const startMs = performance.now();
const instance = autocannon(JSON.parse(options));

// autocannon's own histogram counts whole milliseconds: most answers take none.
const latency = createHistogram();
instance.on("response", (_client, _status, _bytes, ms) => {
  latency.record(Math.max(1, Math.round(ms * NS_PER_MS)));
});
if (process.stderr.isTTY) {
  autocannon.track(instance, {
    renderProgressBar: true,
    renderResultsTable: false,
    renderLatencyTable: false,
  });
}
const result = await instance;

const elapsedSeconds = (performance.now() - startMs) / 1e3;
const { user, system } = process.cpuUsage(cpuBefore);
// To hundredths: more digits would be noise.
const rounded = (value) => Math.round(value * 100) / 100;
const latencyMs = PERCENTILES.map((
  [name, share],
) => [name, rounded(latency.percentile(share) / NS_PER_MS)]);
console.log(JSON.stringify({
  requests: result["2xx"] + result.non2xx,
  non2xx: result.non2xx,
  errors: result.errors,
  timeouts: result.timeouts,
  resets: result.resets,
  bytes: result.throughput.total,
  elapsedSeconds: rounded(elapsedSeconds),
  latencyMs: Object.fromEntries(latencyMs),
  clientCores: rounded((user + system) / US_PER_SECOND / elapsedSeconds),
}));
