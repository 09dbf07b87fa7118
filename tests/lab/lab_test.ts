/** `deno task lab` as its readers run it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { HELP } from "../../scripts/lab/options.ts";
import type { LabResults } from "../../scripts/lab/results.ts";
import { readExactly, writeText } from "../util/deno_client.ts";
import { lacks } from "../util/machine.ts";
import {
  BUILD_DEADLINE_MS,
  Program,
  runTask,
  taskCommand,
} from "../util/program.ts";

/** Long enough for a few messages. */
const SHORT = ["--connections", "1,3", "--seconds", "0.05"];
/** One command runs all models, others a few. */
const FEW = ["--models", "threads,epoll-level"];
const NOT_LINUX = lacks("the load generator's epoll", () => {
  return Deno.build.os === "linux";
});

/** Runs the lab in a folder of its own: it may write there. */
async function lab(...words: string[]) {
  const cwd = await Deno.makeTempDir();
  const deadlineMs = BUILD_DEADLINE_MS;
  try {
    const ended = await runTask("lab", words, { deadlineMs, cwd });
    const files = [...Deno.readDirSync(cwd)].map(({ name }) => name);
    return { ...ended, files };
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

/** The commands of the help's examples, as their words. */
const COMMANDS = [...HELP.matchAll(/^ {2}deno task lab ([^,>\n]*)/gm)]
  .map(([, words]) => words!.trim().split(" "));

Deno.test("lab --help explains, and exits 0", async () => {
  const { code, stdout } = await lab("--help");
  assertMatch(stdout, /^One echo server[^]+Usage: deno task lab \[OPTIONS\]/);
  assertEquals(code, 0);
  assert(COMMANDS.length >= 5, "the help has examples");
});

const MEASURING = COMMANDS.filter(([command]) => command!.startsWith("--"));

for (const words of MEASURING) {
  Deno.test({
    name: `the help's command "lab ${words.join(" ")}" runs`,
    ignore: NOT_LINUX,
    async fn() {
      const isFull = words.includes("--quick") || words.includes("--models");
      const { code, stdout, files } = await lab(
        ...[...words, ...SHORT, ...isFull ? [] : FEW],
      );
      assertEquals(code, 0);
      assertEquals(files, words.filter((word) => word.endsWith(".html")));
      if (words.includes("--json")) return void JSON.parse(stdout);
      assertMatch(stdout, /^3 connections, (all|1) busy$/m);
      assertMatch(stdout, /^Processor time of a message/m);
      // Each row has a figure for each column, or says why it has none.
      const rows = stdout.matchAll(/^(\S+)( +[\d,.%-]+){13}$/gm);
      assert([...rows].length > 0, stdout);
    },
  });
}

Deno.test("lab lesson prints the lesson, and its sources", async () => {
  assert(COMMANDS.some(([command]) => command === "lesson"));
  const { code, stdout } = await lab("lesson");
  assertEquals(code, 0);
  assertMatch(stdout, /^A SERVER WAITS\n[^]*\nSOURCES\n[^]*epoll\(7\)/);
});

for (const words of COMMANDS.filter(([command]) => command === "watch")) {
  Deno.test(`the help's command "lab ${words.join(" ")}" watches`, async () => {
    await using program = new Program(
      taskCommand("lab", words),
    );
    await program.printed(/: {2}nc 127\.0\.0\.1 \d+\n/);
    program.kill("SIGTERM");
    assertEquals((await program.ended()).code, 128 + 15);
  });
}

for (const words of COMMANDS.filter(([command]) => command === "serve")) {
  Deno.test(`the help's command "lab ${words.join(" ")}" serves`, async () => {
    const served = words.map((word) => word === "7000" ? "0" : word);
    await using program = new Program(
      taskCommand("lab", served),
    );
    const [, port] = await program.printed(/^listening on 127.0.0.1:(\d+)\n/m);
    await program.complained(/: scripts\/lab\/models\/\w+\.ts, process \d+\n/);
    using client = await Deno.connect({
      hostname: "127.0.0.1",
      port: Number(port),
    });
    await writeText(client, "hello");
    await readExactly(client, 5);
    program.kill("SIGTERM");
    assertEquals((await program.ended()).code, 128 + 15);
  });
}

Deno.test({
  name: "a model that cannot hold a load is shown with the reason",
  ignore: NOT_LINUX,
  async fn() {
    const options = [
      "--models=blocking",
      "--connections=1,3",
      "--seconds=0.05",
    ];
    const { code, stdout } = await lab(...options);
    assertEquals(code, 0);
    assertMatch(stdout, /^blocking +[\d,]+ /m);
    const seen = "1 of 3 clients were answered; others: Nothing came within";
    assertMatch(stdout, new RegExp(`^blocking +cannot: ${seen}`, "m"));
    assertMatch(stdout, /^ {2}blocking: .*; it cannot hold a second client/m);
    assertMatch(stdout, /^ {2}blocking +[\d.]+ +cannot$/m);
  },
});

Deno.test({
  name: "--json has the machine, every row, and figures that fit together",
  ignore: NOT_LINUX,
  async fn() {
    const { code, stdout } = await lab(
      ...["--json", "--models=threads,epoll-level", "--connections=2,30"],
      ...["--busy=50%", "--size=100", "--seconds=0.1"],
    );
    assertEquals(code, 0);
    const results: LabResults = JSON.parse(stdout);
    assertEquals(results.connections, [2, 30]);
    assertEquals([results.size, results.busyOption], [100, "50%"]);
    assert(results.machine.system?.startsWith("linux "));
    assertEquals(
      results.rows.map(({ model, connections, busy }) =>
        `${model} ${connections} ${busy}`
      ),
      ["threads 2 1", "epoll-level 2 1", "threads 30 15", "epoll-level 30 15"],
    );
    for (const { figures, model, connections } of results.rows) {
      assert(figures !== undefined && figures.messages > 0);
      const { messages, perSecond, seconds, p50Us, p99Us, cpuUs } = figures;
      assert(messages >= perSecond * seconds && p50Us <= p99Us && cpuUs! > 0);
      // The main thread accepts.
      if (model === "threads") assertEquals(figures.threads, connections + 1);
    }
  },
});
