import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseResults, type Results } from "../../scripts/bench/results.ts";
import { BUILD_DEADLINE_MS, Program, runProgram } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);

/** It takes Linux's /proc, and a load generator that is written for epoll. */
const ignore = Deno.build.os !== "linux";

/** In the environment of all that an interrupted run has started. */
const MARK = "DENIO_BENCH_TEST";

const CONFIG = new URL("deno.json", ROOT).pathname;
const BENCH: [string, ...string[]] = [
  ...[Deno.execPath(), "task", "--quiet", "--config", CONFIG, "bench"],
] as [string, ...string[]];

/** Somebody may have results that are not to be lost. */
function outputFile(name: string): string {
  return new URL(`native/target/bench_test_${name}.json`, ROOT).pathname;
}

Deno.test({
  name: "bench measures each server, and writes what it prints",
  ignore,
  async fn() {
    const output = outputFile("measures");
    const options = ["--only=get", "--rounds=1", "--seconds=0.2"];
    const peers = "--peers=denio,Deno";
    const { code, stdout, stderr } = await runProgram(
      [...BENCH, ...options, peers, "--json", `--output=${output}`],
      { deadlineMs: BUILD_DEADLINE_MS },
    );
    assertEquals(code, 0, stderr);
    const results = parseResults(stdout);
    assertEquals(parseResults(await Deno.readTextFile(output)), results);
    await Deno.remove(output);
    assertGetMeasured(results);
    assertMatch(stderr, /^\[1 of 6\] GET, keep-alive: warming up denio$/m);
    assertMatch(stderr, /^\[6 of 6.*\] .*: system calls of Deno$/m);
  },
});

function assertGetMeasured(results: Results): void {
  const { rounds, seconds, machine, missing, scenarios, budgets } = results;
  assertEquals([rounds, seconds], [1, 0.2]);
  assertEquals(machine.Deno, Deno.version.deno);
  assertEquals(missing, []);
  assertEquals(scenarios.map(({ name }) => name), ["get"]);
  const { peers, unit, group } = scenarios[0]!;
  assertEquals([unit, group], ["request", "http"]);
  assertEquals(peers.map(({ peer }) => peer), ["denio", "Deno"]);
  for (const { figures, toBest } of peers) {
    const { cpuUs, perSecond, p50Us, residentBytes } = figures;
    for (const spread of [cpuUs, perSecond, p50Us, residentBytes]) {
      assert(spread !== undefined && spread.median > 0);
    }
    assert(toBest.cpuUs !== undefined && toBest.cpuUs > 0);
  }
  const met = budgets.filter(({ measured }) => measured !== null);
  assert(met.some(({ name }) => name === "GET: user CPU of a request"));
}

Deno.test({
  name: "bench refuses a server that it does not know",
  ignore,
  async fn() {
    const { code, stdout, stderr } = await runProgram(
      [...BENCH, "--peers=apache"],
      { deadlineMs: BUILD_DEADLINE_MS },
    );
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^error: Cannot use --peers "apache": there are bare/);
  },
});

Deno.test({
  name: "bench leaves nothing behind, when it is interrupted",
  ignore,
  async fn() {
    const output = outputFile("interrupted");
    const mark = crypto.randomUUID();
    const main = new URL("scripts/bench/main.ts", ROOT).pathname;
    const options = ["--only=get", "--peers=denio,Deno", `--output=${output}`];
    const command = [Deno.execPath(), "run", "-A", main, ...options] as const;
    await using bench = new Program(command, { env: { [MARK]: mark } });
    await bench.complained(/round 1 of 5, Deno/);
    const started = await marked(mark);
    assert(started.length >= 3, "two servers and the benchmark itself run");
    // Of Ctrl-C a task's program is told twice.
    bench.kill("SIGINT");
    bench.kill("SIGTERM");
    const { code } = await bench.ended();
    assertEquals(code, 128 + 2);
    assertEquals(await marked(mark), []);
    assertEquals(groupsOf(started), []);
    await assertAbsent(output);
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
  ).filter((path) => {
    try {
      return Deno.statSync(path).isDirectory;
    } catch {
      return false;
    }
  });
}

async function assertAbsent(file: string): Promise<void> {
  const found = await Deno.stat(file).catch(() => undefined);
  assertEquals(found, undefined, "no scenario was complete");
}
