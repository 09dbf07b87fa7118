import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bench } from "../../scripts/bench/bench.ts";
import { CpuReader } from "../../scripts/bench/cpu_watch.ts";
import { BESIDE } from "../../scripts/bench/measure_beside.ts";
import { LOAD } from "../../scripts/bench/measure_load.ts";
import { START } from "../../scripts/bench/measure_start.ts";
import type { Method } from "../../scripts/bench/method.ts";
import type { Peer } from "../../scripts/bench/peers.ts";
import { Progress } from "../../scripts/bench/progress.ts";
import { inTurns, orderOf } from "../../scripts/bench/rounds.ts";
import { BUSY, type Scenario } from "../../scripts/bench/scenarios.ts";
import { Failure } from "../../scripts/command_line.ts";

const isLinux = Deno.build.os === "linux";

Deno.test("orderOf() has none always after the same one, nor always first", () => {
  for (const count of [2, 3, 8]) {
    const peers = Array.from({ length: count }, (_, index) => index);
    const before = peers.map(() => new Set<number | undefined>());
    for (let round = 0; round < 5; round++) {
      const order = orderOf(peers, round);
      assertEquals(order.toSorted((a, b) => a - b), peers, "each has a turn");
      order.forEach((peer, place) => before[peer]!.add(order[place - 1]));
    }
    for (const predecessors of before) assert(predecessors.size > 1);
  }
});

Deno.test("orderOf() leaves one alone, and none", () => {
  assertEquals(orderOf(["denio"], 3), ["denio"]);
  assertEquals(orderOf([], 3), []);
});

Deno.test("inTurns() warms all up, and then measures all in each round", async () => {
  const seen: string[] = [];
  const samples = await inTurns(["a", "b", "c"], {
    rounds: 3,
    warmUp: (peer) => Promise.resolve(void seen.push(`warm ${peer}`)),
    measure(peer, round) {
      seen.push(`${round}${peer}`);
      return Promise.resolve(round);
    },
    drop: () => assert(false, "nobody failed"),
  });
  assertEquals(
    seen.join(" "),
    "warm a warm b warm c 0a 0b 0c 1c 1b 1a 2b 2c 2a",
  );
  assertEquals([...samples], [["a", [0, 1, 2]], ["b", [0, 1, 2]], [
    "c",
    [0, 1, 2],
  ]]);
});

Deno.test("inTurns() goes on without those that fail, and names them", async () => {
  const dropped: string[] = [];
  const measured: string[] = [];
  const samples = await inTurns(["cold", "weak", "good"], {
    rounds: 3,
    warmUp: (peer) =>
      peer === "cold"
        ? Promise.reject(new Failure("it is cold"))
        : Promise.resolve(),
    measure(peer, round) {
      measured.push(peer);
      return peer === "weak" && round === 1
        ? Promise.reject(new Failure("it is weak"))
        : Promise.resolve(round);
    },
    drop: (peer, { message }) => void dropped.push(`${peer}: ${message}`),
  });
  assertEquals(dropped, ["cold: it is cold", "weak: it is weak"]);
  assertEquals(measured.filter((peer) => peer !== "good"), ["weak", "weak"]);
  assertEquals([...samples], [["good", [0, 1, 2]]]);
});

Deno.test("inTurns() does not hide a fault of its own", async () => {
  await assertRejects(
    () =>
      inTurns(["a"], {
        rounds: 1,
        warmUp: () => Promise.resolve(),
        measure: () => Promise.reject(new TypeError("a bug")),
        drop: () => assert(false, "that is nobody's failure"),
      }),
    TypeError,
    "a bug",
  );
});

Deno.test("Progress counts, guesses, and forgets what a part left out", () => {
  let text = "";
  let nowMs = 0;
  const progress = new Progress({
    isTerminal: false,
    write: (line) => text += line,
    now: () => nowMs,
    columns: () => 80,
  });
  progress.say("building");
  progress.begin(10);
  progress.beginPart(6);
  for (const step of ["a", "b", "c"]) {
    progress.step(step);
    nowMs += 60_000;
  }
  // Three of them were not needed, as somebody fell out.
  progress.beginPart(4);
  progress.step("d");
  assertEquals(
    text,
    "building\n[1 of 10] a\n[2 of 10] b\n[3 of 10] c\n" +
      "[7 of 10, 2 minutes left] d\n",
  );
});

Deno.test("Progress writes over its line on a terminal, which it fits", () => {
  let text = "";
  const progress = new Progress({
    isTerminal: true,
    write: (line) => text += line,
    now: () => 0,
    columns: () => 12,
  });
  progress.say("a line that is long");
  progress.clear();
  assertEquals(text, "\r\x1b[Ka line that\r\x1b[K");
});

/** Servers as small as can be: what one says, it answers. */
function peerOf(name: string, serverCode: string): Peer {
  const announce = "onListen: ({ port }) => " +
    "console.log(`listening on 127.0.0.1:${port}`)";
  const code = `Deno.serve({ hostname: "127.0.0.1", port: 0, ${announce} }, ` +
    `() => ${serverCode})`;
  return {
    name,
    version: "1",
    supports: (_, route) => route === "hello",
    command: () => [
      ...[Deno.execPath(), "run", "--quiet", "--no-prompt"],
      ...["--allow-net=127.0.0.1", `data:text/typescript,${escape(code)}`],
    ],
  };
}

function escape(code: string): string {
  return encodeURIComponent(code);
}

const HELLO = 'new Response("Hello, World!")';
const FAST = peerOf("denio", HELLO);
const SLOW = peerOf("Deno", HELLO);
const WRONG = peerOf("node", 'new Response("Good night")');
const ECHO_ONLY: Peer = { ...FAST, name: "Go", supports: () => false };

const SCENARIO: Scenario = {
  name: "get",
  title: "GET",
  group: "http",
  unit: "request",
  kind: "load",
  service: "http",
  route: "hello",
  connections: BUSY,
  load: ["http"],
  isLimited: true,
};

/** A load that only says that it was one. */
const LOAD_LINE = JSON.stringify({
  requests: 1000,
  seconds: 0.001,
  failures: 0,
  p50Us: 1,
  p99Us: 2,
  p999Us: 3,
});

async function run(method: Method, scenario: Scenario) {
  const steps: string[] = [];
  const loads: string[] = [];
  const progress = new Progress({
    isTerminal: false,
    write: (line) => steps.push(line.trim().replace(/^\[[^\]]*\] /, "")),
    now: () => 0,
    columns: () => 80,
  });
  await using reader = new CpuReader();
  const peers = [FAST, WRONG, ECHO_ONLY, SLOW];
  const bench = new Bench({
    ...{ peers, reader, progress, rounds: 2, seconds: 0.01 },
    machine: {
      onServerCore: [],
      onLoadCore: [],
      quota: undefined,
      connectionsMax: 1000,
      notes: [],
    },
    countCalls: () => Promise.resolve({ calls: 2_000, requests: 1_000 }),
    loadOf: () => (_port, scenario) => {
      loads.push([`${scenario.connections}`, ...scenario.load].join(" "));
      return ["echo", LOAD_LINE];
    },
  });
  progress.begin(100);
  progress.beginPart(100);
  const measured = await method.measure(bench, scenario);
  return { bench, measured, steps, loads };
}

Deno.test({
  name: "a scenario measures who can, in turns, and drops who answers wrongly",
  ignore: !isLinux,
  async fn() {
    const { bench, measured, steps } = await run(LOAD, SCENARIO);
    assertEquals(steps, [
      "GET: warming up denio",
      "GET: warming up Deno",
      "GET: round 1 of 2, denio",
      "GET: round 1 of 2, Deno",
      "GET: round 2 of 2, Deno",
      "GET: round 2 of 2, denio",
      "GET: system calls of denio",
      "GET: system calls of Deno",
    ]);
    assertEquals(steps.length, 2 * LOAD.steps(SCENARIO, 2));
    assertEquals(measured.map(({ peer }) => peer), ["denio", "Deno"]);
    const { figures } = measured[0]!;
    assertEquals(figures.perSecond?.median, 1_000_000);
    assertEquals(figures.p999Us?.median, 3);
    assertEquals(figures.systemCalls?.median, 2);
    assert(figures.residentBytes!.median > 1_000_000);
    assertEquals([...bench.failed], ["node"]);
    assertEquals(bench.notes.length, 1);
    assert(/^get: node is left out: .*Good night/.test(bench.notes[0]!));
  },
});

Deno.test({
  name: "a scenario beside idle connections gives the ratio of rates",
  ignore: !isLinux,
  async fn() {
    const scenario: Scenario = {
      ...SCENARIO,
      kind: "beside",
      connections: BUSY + 500,
      peers: ["denio"],
    };
    const { measured, loads, steps } = await run(BESIDE, scenario);
    const [alone, beside] = ["64 http", "64 http --idle 500"];
    // Who is first changes with the round, too.
    assertEquals(loads, [alone, beside, alone, alone, beside]);
    assertEquals(steps.length, BESIDE.steps(scenario, 2));
    assertEquals(measured[0]?.figures.perSecond?.median, 1);
    assertEquals(
      measured[0]?.note,
      "1000000 requests a second, 1000000 without idle connections",
    );
  },
});

Deno.test({
  name: "a start is timed to the first right answer",
  ignore: !isLinux,
  async fn() {
    const { bench, measured, steps } = await run(START, SCENARIO);
    assertEquals(measured.map(({ peer }) => peer), ["denio", "Deno"]);
    assert(measured[0]!.figures.startMs!.min > 0);
    assertEquals(steps.length, 2 * START.steps(SCENARIO, 2));
    assertEquals([...bench.failed], ["node"]);
    assert(/no first answer/.test(bench.notes[0]!), bench.notes[0]);
  },
});
