import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertThrows,
} from "@std/assert";
import { UsageError } from "../../scripts/command_line.ts";
import { Histogram } from "../../scripts/load/histogram.ts";
import { parseLoadOptions } from "../../scripts/load/options.ts";
import {
  bottleneckOf,
  isClean,
  type LoadReport,
  reportJson,
  reportLines,
} from "../../scripts/load/report.ts";
import type { LoadResult } from "../../scripts/load/autocannon.ts";
import { parseStat } from "../../scripts/process_cpu.ts";
import { runProgram } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("parseLoadOptions() gives defaults, when nothing is said", () => {
  assertEquals(parseLoadOptions([]), {
    url: undefined,
    connections: 100,
    pipelining: 10,
    durationSeconds: 10,
    json: false,
    help: false,
  });
});

Deno.test("parseLoadOptions() takes a URL, with or without its scheme", () => {
  const url = "http://127.0.0.1:8000/a";
  assertEquals(parseLoadOptions([url]).url, url);
  assertEquals(parseLoadOptions(["127.0.0.1:8000/a", "-c", "5"]).url, url);
});

for (const args of [["-c", "0"], ["-p", "1.5"], ["-d", "-1"], ["ftp://a"]]) {
  Deno.test(`parseLoadOptions() refuses "${args.join(" ")}"`, () => {
    assertThrows(() => parseLoadOptions(args), UsageError);
  });
}

Deno.test("Histogram gives percentiles to one per cent", () => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms);
  for (const [share, ms] of [[0.5, 500], [0.9, 900], [0.99, 990]] as const) {
    assertAlmostEquals(histogram.percentileMs(share), ms, ms / 100);
  }
  assertEquals(histogram.percentileMs(1), 1000);
  assertEquals(histogram.maxMs, 1000);
  assertEquals(histogram.count, 1000);
});

Deno.test("Histogram counts what is out of its range at its ends", () => {
  const histogram = new Histogram();
  assertEquals(histogram.percentileMs(0.5), 0);
  histogram.record(0);
  assertEquals(histogram.percentileMs(0.5), 0);
  histogram.record(1e9);
  assert(histogram.percentileMs(1) >= 3_600_000);
});

Deno.test("parseStat() finds the times, whatever the program is called", () => {
  const fields = "S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20";
  assertEquals(parseStat(`42 (a b) c) ${fields}`), {
    userUs: 1_230_000,
    systemUs: 450_000,
  });
});

function reportWith(
  changes: Partial<LoadResult>,
  serverCores?: number,
): LoadReport {
  const latency = new Histogram();
  latency.record(1);
  const serverUs = serverCores && serverCores * 10 * 1e6;
  return {
    url: "http://127.0.0.1:1/",
    options: parseLoadOptions([]),
    result: {
      responses: 1_000_000,
      non2xx: 0,
      errors: 0,
      timeouts: 0,
      resets: 0,
      bytes: 5e8,
      elapsedSeconds: 10,
      latency,
      clientCores: 1,
      ...changes,
    },
    serverCpu: serverUs
      ? { userUs: serverUs / 4, systemUs: serverUs * 3 / 4 }
      : undefined,
  };
}

Deno.test("a load report is clean, unless anything went wrong", () => {
  assert(isClean(reportWith({})));
  for (
    const changes of [
      { errors: 1 },
      { errors: 1, timeouts: 1 },
      { non2xx: 1 },
      { resets: 1 },
      { responses: 0 },
    ]
  ) {
    assert(!isClean(reportWith(changes)), JSON.stringify(changes));
  }
});

Deno.test("a load report says who was the bottleneck", () => {
  assertEquals(bottleneckOf(reportWith({}, 0.4)), "client");
  assertEquals(bottleneckOf(reportWith({}, 0.95)), "not the client");
  assertEquals(
    bottleneckOf(reportWith({ clientCores: 0.5 }, 0.4)),
    "not the client",
  );
  assertEquals(bottleneckOf(reportWith({})), "perhaps the client");
});

Deno.test("a load report tells people what was measured", () => {
  const text = reportLines(
    reportWith({ errors: 3, timeouts: 1, non2xx: 2 }, 0.4),
  ).join("\n");
  assertMatch(text, /latency +p50 1 ms +p90 1 ms +p99 1 ms +p99\.9 1 ms +max/);
  assertMatch(text, /requests +1,000,000, 100,000 a second/);
  assertMatch(text, /throughput +50\.0 MB a second/);
  assertMatch(text, /failures +2 errors, 1 timeouts, 2 non-2xx/);
  assertMatch(text, /server CPU +1 user \+ 3 system microseconds a request/);
  assertMatch(text, /The client was the bottleneck: it used 1\.00 cores/);
});

Deno.test("a load report leaves out what is not known", () => {
  const report = reportWith({ clientCores: 0.5 });
  const text = reportLines(report).join("\n");
  assert(!text.includes("server CPU") && !text.includes("bottleneck"));
  assertEquals(reportJson(report).serverCpuUsPerRequest, null);
});

/** The task itself, so that its permissions are what is tested. */
function load(...args: string[]) {
  const config = new URL("deno.json", ROOT).pathname;
  const task = ["task", "--quiet", "--config", config, "load"];
  return runProgram([Deno.execPath(), ...task, ...args]);
}

Deno.test("load starts the built-in server, and measures it", async () => {
  const { code, stdout } = await load("-d", "1", "-c", "10", "--json");
  const report = JSON.parse(stdout);
  assertEquals(code, 0);
  assert(report.ok && report.requests > 0 && report.latencyMs.p99 >= 0);
  assertEquals(typeof report.serverCpuUsPerRequest?.user, "number");
});

Deno.test("load exits 1, when a server answers otherwise than 2xx", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("no", { status: 503 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const { code, stdout } = await load(url, "-d", "1", "-c", "2", "-p", "1");
  assertMatch(stdout, /failures +\d+ non-2xx/);
  assertEquals(code, 1);
});

Deno.test("load says so in one line, when nobody answers", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { code, stdout, stderr } = await load(`127.0.0.1:${port}`);
  assertMatch(stderr, /^error: Cannot load "http:[^\n]+\n$/);
  assertEquals({ code, stdout }, { code: 1, stdout: "" });
});

Deno.test("load --help explains, and exits 0", async () => {
  const { code, stdout } = await load("--help");
  assertMatch(stdout, /Usage: deno task load \[URL\] \[OPTIONS\]/);
  assertEquals(code, 0);
});
