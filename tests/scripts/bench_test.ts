import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "node:fs";
import { budgetsOf } from "../../scripts/bench/budgets.ts";
import { Results } from "../../scripts/bench/results.ts";
import { BUILD_DEADLINE_MS, Program, runTask } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);

/** It takes Linux's /proc, and a load generator that is written for epoll. */
const ignore = Deno.build.os !== "linux";

/** In the environment of all that an interrupted run has started. */
const MARK = "DENIO_BENCH_TEST";

Deno.test({
  name: "bench measures each server, and writes the results that it prints",
  ignore,
  async fn() {
    const output = await Deno.makeTempFile();
    const options = ["--only=get,start", "--rounds=1", "--seconds=0.2"];
    const peers = ["--peers", "denio,bare loop"];
    const words = [...options, ...peers, "--json", "--output", output];
    const { code, stdout, stderr } = await runTask("bench", words, {
      deadlineMs: BUILD_DEADLINE_MS,
    });
    assertEquals(code, 0, stderr);
    assertEquals(await Deno.readTextFile(output), stdout);
    await Deno.remove(output);
    const results = Results.parse(stdout);
    const { rounds, seconds, machine, missing } = results.run;
    assertEquals([rounds, seconds, missing], [1, 0.2, {}]);
    assert("denio" in machine && "processor" in machine);
    assertEquals(results.scenarios(), ["get", "start"]);
    assertEquals(results.peers("get").toSorted(), ["bare loop", "denio"]);
    for (const figure of ["cpuUs", "perSecond", "p50Us"] as const) {
      assert(results.median("get", "bare loop", figure) > 0, figure);
    }
    const own = results.median("get", "denio", "ownUs");
    const [denio, limit] = ["denio", "bare loop"].map((peer) =>
      results.median("get", peer, "cpuUs")
    );
    assert(Math.abs(own - (denio! - limit!)) < 0.01, `${own}`);
    assert(results.median("start", "denio", "startMs") > 0);
    const known = budgetsOf(results).filter(({ measured }) => measured > 0);
    assert(known.some(({ name }) => name === "GET: CPU"));
    assertMatch(stderr, /^\[1 of 2\] GET, keep-alive: warming up denio$/m);
    assertMatch(stderr, /^\[2 of 2, .+ left\] start .*: round 5 of 5, denio$/m);
  },
});

for (
  const [words, complaint] of [
    [["--peers=apache"], 'Cannot measure "apache": there are bare loop, '],
    [["--only", "got"], 'Cannot run "got": there are get, pipeline, '],
    [["--seconds=0"], 'Cannot use --seconds "0": it must be a number above 0'],
    [["faster"], 'Cannot use "faster"; see --help'],
  ] as const
) {
  Deno.test(`bench refuses ${words.join(" ")} in one line`, async () => {
    const { code, stderr } = await runTask("bench", words);
    assertEquals([code, stderr.trim().split("\n").length], [2, 1]);
    assert(stderr.startsWith(`error: ${complaint}`), stderr);
  });
}

Deno.test({
  name: "bench leaves nothing behind, when it is interrupted",
  ignore,
  async fn() {
    const mark = crypto.randomUUID();
    const main = new URL("scripts/bench/main.ts", ROOT).pathname;
    const output = `${await Deno.makeTempDir()}/none.json`;
    const options = ["--only=get", "--peers=denio,Deno", `--output=${output}`];
    const command = [Deno.execPath(), "run", "-A", main, ...options] as const;
    await using bench = new Program(command, { env: { [MARK]: mark } });
    await bench.complained(/round 1 of 5, Deno/);
    const started = await marked(mark);
    assert(started.length >= 3, "two servers and the benchmark itself run");
    // A task's program gets Ctrl-C twice.
    bench.kill("SIGINT");
    bench.kill("SIGTERM");
    const { code } = await bench.ended();
    assertEquals(code, 128 + 2);
    assertEquals(await marked(mark), []);
    assertEquals(groupsOf(started), []);
    assert(!existsSync(output), "no scenario was complete");
  },
});

/** Returns the processes that have the mark, by number. */
async function marked(mark: string): Promise<number[]> {
  const script = `grep -lsz "^${MARK}=${mark}$" /proc/[0-9]*/environ`;
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", script],
    stderr: "null",
  }).output();
  const paths = new TextDecoder().decode(stdout).match(/\d+/g) ?? [];
  return paths.map(Number);
}

/** Returns the control groups that were made by one of these processes. */
function groupsOf(pids: readonly number[]): string[] {
  return ["/sys/fs/cgroup", "/sys/fs/cgroup/cpu"].flatMap((folder) =>
    pids.map((pid) => `${folder}/denio-bench-${pid}`)
  ).filter((path) => existsSync(path));
}
