import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type LoadResult,
  reportLines,
  reportOf,
} from "../../scripts/load/report.ts";
import { deadPort } from "../util/deno_client.ts";
import { runTask } from "../util/program.ts";

function reportWith(changes: Partial<LoadResult>) {
  const options = { connections: 100, pipelining: 10, duration: 10 };
  return reportOf("http://127.0.0.1:1/", options, {
    ...{ requests: 1_000_000, non2xx: 0, errors: 0, timeouts: 0, resets: 0 },
    ...{ bytes: 5e8, elapsedSeconds: 10, latencyMs: { p50: 1, p97_5: 2 } },
    clientCores: 1,
    ...changes,
  });
}

Deno.test("a load report is clean, unless anything went wrong", () => {
  assert(reportWith({}).ok);
  const wrong = [{ errors: 1 }, { non2xx: 1 }, { resets: 1 }, { requests: 0 }];
  for (const changes of wrong) assert(!reportWith(changes).ok);
});

Deno.test("a load report says whether the client was the bottleneck", () => {
  const of = (changes: Partial<LoadResult>) => reportWith(changes).bottleneck;
  assertEquals(of({ cpuUs: 4e6 }), "client");
  assertEquals(of({ cpuUs: 9.5e6 }), "not the client");
  assertEquals(of({ clientCores: 0.5 }), "not the client");
  assertEquals(of({}), "perhaps the client");
});

Deno.test("a load report has text for people, of what is known", () => {
  const result = { errors: 3, timeouts: 1, non2xx: 2, cpuUs: 4e6 };
  const text = reportLines(reportWith(result)).join("\n");
  assertMatch(text, /latency +p50 1 ms +p97\.5 2 ms/);
  assertMatch(text, /requests +1,000,000, 100,000 a second/);
  assertMatch(text, /throughput +50 MB a second/);
  assertMatch(text, /failures +2 errors, 1 timeouts, 2 non-2xx/);
  assertMatch(
    text,
    /server CPU +4\.00 microseconds a request, 0\.40 of a core/,
  );
  assertMatch(text, /The client was the bottleneck: it used 1\.00 cores/);
  const less = reportLines(reportWith({ clientCores: 0.5 })).join("\n");
  assert(!less.includes("server CPU") && !less.includes("bottleneck"));
});

/** The task itself, so that its permissions are tested, too. */
const load = (...args: string[]) => runTask("load", args);

Deno.test("load starts the built-in server, and measures it", async () => {
  const { code, stdout } = await load("-d", "1", "-c", "10", "--json");
  const report = JSON.parse(stdout);
  assertEquals(code, 0);
  assert(report.ok && report.requests > 0 && report.latencyMs.p99 >= 0);
  assert(Deno.build.os !== "linux" || report.serverCpuUsPerRequest > 0);
});

Deno.test("load times answers, and exits 1 when they are not 2xx", async () => {
  const ANSWER_MS = 40;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async () => {
      await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
      return new Response("no", { status: 503 });
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const words = [url, "-d", "1", "-c", "2", "-p", "1", "--json"];
  const { code, stdout } = await load(...words);
  const { requests, non2xx, latencyMs } = JSON.parse(stdout);
  assert(requests > 0 && non2xx === requests, stdout);
  assert(latencyMs.p50 >= ANSWER_MS - 1, stdout);
  assertEquals(code, 1);
});

Deno.test("load prints one line, when no server answers", async () => {
  const { code, stdout, stderr } = await load(`127.0.0.1:${deadPort()}`);
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
