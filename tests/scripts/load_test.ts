import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LoadResult } from "../../scripts/load/autocannon.ts";
import {
  bottleneckOf,
  isClean,
  type LoadReport,
  reportJson,
  reportLines,
} from "../../scripts/load/report.ts";
import { builtInServer, startServer } from "../../scripts/server_process.ts";
import { runProgram } from "../util/program.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

function reportWith(
  changes: Partial<LoadResult>,
  serverCores?: number,
): LoadReport {
  return {
    url: "http://127.0.0.1:1/",
    options: { connections: 100, pipelining: 10, duration: 10 },
    result: {
      requests: 1_000_000,
      non2xx: 0,
      errors: 0,
      timeouts: 0,
      resets: 0,
      bytes: 5e8,
      elapsedSeconds: 10,
      latencyMs: { p50: 1, p97_5: 2 },
      clientCores: 1,
      ...changes,
    },
    ...serverCores && { serverCpuUs: serverCores * 10 * 1e6 },
  };
}

Deno.test("a load report is clean, unless anything went wrong", () => {
  assert(isClean(reportWith({})));
  const wrong = [{ errors: 1 }, { non2xx: 1 }, { resets: 1 }, { requests: 0 }];
  for (const changes of wrong) assert(!isClean(reportWith(changes)));
});

Deno.test("a load report says whether the client was the bottleneck", () => {
  assertEquals(bottleneckOf(reportWith({}, 0.4)), "client");
  assertEquals(bottleneckOf(reportWith({}, 0.95)), "not the client");
  const idle = reportWith({ clientCores: 0.5 });
  assertEquals(bottleneckOf(idle), "not the client");
  assertEquals(bottleneckOf(reportWith({})), "perhaps the client");
});

Deno.test("a load report has text for people", () => {
  const result = { errors: 3, timeouts: 1, non2xx: 2 };
  const text = reportLines(reportWith(result, 0.4)).join("\n");
  assertMatch(text, /latency +p50 1 ms +p97\.5 2 ms/);
  assertMatch(text, /requests +1,000,000, 100,000 a second/);
  assertMatch(text, /throughput +50 MB a second/);
  assertMatch(text, /failures +2 errors, 1 timeouts, 2 non-2xx/);
  assertMatch(
    text,
    /server CPU +4\.00 microseconds a request, 0\.40 of a core/,
  );
  assertMatch(text, /The client was the bottleneck: it used 1\.00 cores/);
});

Deno.test("a load report leaves out what is not known", () => {
  const report = reportWith({ clientCores: 0.5 });
  const text = reportLines(report).join("\n");
  assert(!text.includes("server CPU") && !text.includes("bottleneck"));
  assertEquals(reportJson(report).serverCpuUsPerRequest, null);
});

/** The task itself, so that its permissions are tested, too. */
function load(...args: string[]) {
  const task = ["task", "--quiet", "--config", CONFIG, "load"];
  return runProgram([Deno.execPath(), ...task, ...args]);
}

Deno.test("load starts the built-in server, and measures it", async () => {
  const { code, stdout, stderr } = await load("-d", "1", "-c", "10", "--json");
  const report = JSON.parse(stdout);
  assertEquals(code, 0);
  // On node: autocannon's latencies would not be the server's on Deno.
  assert(!stderr.includes("warning"), stderr);
  assert(report.ok && report.requests > 0 && report.latencyMs.p99 >= 0);
  assert(Deno.build.os !== "linux" || report.serverCpuUsPerRequest > 0);
});

Deno.test("load warns, when autocannon runs on Deno without npm", async () => {
  await using server = await startServer(builtInServer());
  const script = new URL("../../scripts/load.ts", import.meta.url).pathname;
  const url = `http://127.0.0.1:${server.port}/`;
  const { code, stderr } = await runProgram(
    [Deno.execPath(), "run", "--quiet", "-A", script, url, "-d", "1"],
    { env: { PATH: "/nonexistent" } },
  );
  assertMatch(stderr, /^warning: there is no npm[^\n]+\n$/);
  assertEquals(code, 0);
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

Deno.test("load prints one line, when no server answers", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { code, stdout, stderr } = await load(`127.0.0.1:${port}`);
  assertMatch(stderr, /^error: Cannot load "http:[^\n]+\n$/);
  assertEquals({ code, stdout }, { code: 1, stdout: "" });
});

for (const args of [["-c", "0"], ["-p", "1.5"], ["-d", "-1"], ["ftp://a"]]) {
  Deno.test(`load refuses "${args.join(" ")}" in one line`, async () => {
    const { code, stderr } = await load(...args);
    assertMatch(stderr, /^error: [^\n]+\n$/);
    assertEquals(code, 2);
  });
}

Deno.test("load --help explains, and exits 0", async () => {
  const { code, stdout } = await load("--help");
  assertMatch(stdout, /Usage: deno task load \[URL\] \[OPTIONS\]/);
  assertEquals(code, 0);
});
