import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuReader, parseLook } from "../../scripts/bench/cpu_watch.ts";
import { runLoad, seenBy } from "../../scripts/bench/load_generators.ts";
import { parseCores, parseDescriptors } from "../../scripts/bench/machine.ts";
import {
  describeMachine,
  parseCpuInfo,
  parseMemory,
} from "../../scripts/bench/machine_description.ts";
import {
  callsOfRequest,
  parsePerf,
  parseStrace,
} from "../../scripts/bench/system_calls.ts";
import { Failure } from "../../scripts/command_line.ts";

const isLinux = Deno.build.os === "linux";

Deno.test("parseCores() reads the kernel's lists", () => {
  assertEquals(parseCores("0"), [0]);
  assertEquals(parseCores("0-1"), [0, 1]);
  assertEquals(parseCores("2,4-6,9"), [2, 4, 5, 6, 9]);
});

Deno.test("parseDescriptors() reads the soft limit", () => {
  const limits = (soft: string) =>
    "Limit                     Soft Limit           Hard Limit\n" +
    `Max open files            ${soft}                 1048576   files\n`;
  assertEquals(parseDescriptors(limits("1024")), 1024);
  assertEquals(parseDescriptors(limits("unlimited")), Infinity);
  assertEquals(parseDescriptors(""), 0);
});

Deno.test("parseCpuInfo() reads the model, the cores, and who emulates", () => {
  const core = (number: number) =>
    `processor\t: ${number}\nmodel name\t: AMD EPYC 7B13\n` +
    "flags\t\t: fpu hypervisor sse2\n\n";
  assertEquals(parseCpuInfo(core(0) + core(1)), {
    model: "AMD EPYC 7B13",
    cores: 2,
    isVirtual: true,
  });
  const arm = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n";
  assertEquals(parseCpuInfo(arm), {
    model: undefined,
    cores: 1,
    isVirtual: false,
  });
});

Deno.test("parseMemory() reads the total", () => {
  const text = "MemTotal:       24683888 kB\nMemFree:        23629128 kB\n";
  assertEquals(parseMemory(text), "24105 MiB");
  assertEquals(parseMemory(""), undefined);
});

Deno.test("describeMachine() names the system and who takes part", () => {
  const deno = {
    name: "Deno",
    version: "2.9.6",
    supports: () => true,
    command: () => [],
  };
  const machine = describeMachine([deno]);
  assertEquals(machine.Deno, "2.9.6");
  assert(machine.system?.includes(Deno.build.arch), machine.system);
});

Deno.test("parsePerf() reads the count, if there is one", () => {
  const event = "raw_syscalls:sys_enter,584365,100.00,,";
  assertEquals(parsePerf(`# started\n\n1234,,${event}\n`), 1234);
  assertEquals(parsePerf(`<not counted>,,${event}`), undefined);
  assertEquals(parsePerf("event syntax error: unknown tracepoint"), undefined);
});

Deno.test("parseStrace() reads the total, with errors and without", () => {
  const table = (errors: string) =>
    "% time     seconds  usecs/call     calls    errors syscall\n" +
    "------ ----------- ----------- --------- --------- ----------------\n" +
    " 60.00    0.000200           2        70        14 read\n" +
    " 40.00    0.000100           2        39           write\n" +
    "------ ----------- ----------- --------- --------- ----------------\n" +
    `100.00    0.000300           2       109 ${errors} total\n`;
  assertEquals(parseStrace(table("       14")), 109);
  assertEquals(parseStrace(table("         ")), 109);
  assertEquals(
    parseStrace("strace: attach: Operation not permitted"),
    undefined,
  );
});

Deno.test("callsOfRequest() takes away what opening connections takes", () => {
  const more = { calls: 3_000, requests: 1_000 };
  assertEquals(callsOfRequest(more), 3);
  assertEquals(callsOfRequest(more, { calls: 1_500, requests: 250 }), 2);
});

const STAT = "7 (a;(b) c) S 1 2 3 4 5 6 7 8 9 10 1 3 0 0";
const TICKS = { userUs: 10_000, systemUs: 30_000 };

Deno.test("parseLook() believes nanoseconds, and ticks for whose it was", () => {
  const known = new Map();
  const look = parseLook(` 7 30000000 8 8000000;${STAT}`, known);
  assertEquals(look, { ...TICKS, totalUs: 38_000 });
  assertEquals(
    parseLook(` 7 0;${STAT}`, new Map()),
    { ...TICKS, totalUs: 40_000 },
  );
  assertEquals(parseLook(" * 0;", new Map()), undefined);
});

Deno.test("parseLook() remembers what threads used that have ended", () => {
  const known = new Map();
  parseLook(` 7 30000000 8 8000000;${STAT}`, known);
  const look = parseLook(` 7 31000000;${STAT}`, known);
  assertEquals(look?.totalUs, 39_000);
});

Deno.test({
  name: "CpuReader knows what a process used, and that one is not there",
  ignore: !isLinux,
  async fn() {
    await using reader = new CpuReader();
    const watch = reader.watch(Deno.pid);
    const { cpu } = await reader.look(Deno.pid);
    assert(cpu.totalUs > 0);
    const looks = await watch.stop();
    assert(looks.length >= 2);
    assert(looks.at(-1)!.cpu.totalUs >= looks[0]!.cpu.totalUs);
    await assertRejects(() => reader.look(2 ** 30), Failure, "has ended");
    // And goes on.
    await reader.look(Deno.pid);
  },
});

const SAID = {
  requests: 9,
  seconds: 0.5,
  failures: 0,
  firstFailure: null,
  p50Us: 1.5,
  p99Us: 2.5,
  p999Us: 3.5,
};

Deno.test("seenBy() reads the last line, of each load generator", () => {
  const latencyUs = { p50Us: 1.5, p99Us: 2.5, p999Us: 3.5 };
  assertEquals(
    seenBy(
      `Running\n${JSON.stringify({ ...SAID, secondsSince: 0.25 })}\n`,
      7_000,
    ),
    { requests: 9, seconds: 0.5, endedMs: 6_750, latencyUs },
  );
  const short = { ...SAID, p50Us: 0, p99Us: null, p999Us: undefined };
  const autocannon = { requests: 9, elapsedSeconds: 0.5 };
  const none = { errors: 0, resets: 0, non2xx: 0 };
  for (const said of [short, { ...autocannon, ...none }]) {
    assertEquals(
      seenBy(JSON.stringify(said), 7),
      { requests: 9, seconds: 0.5, endedMs: 7, latencyUs: {} },
    );
  }
});

Deno.test("seenBy() refuses wrong answers, and none", () => {
  const wrong = { ...SAID, failures: 2, firstFailure: "byte 3 was 0x00" };
  assertThrows(
    () => seenBy(JSON.stringify(wrong), 0),
    Failure,
    "2 requests failed and 9 were answered, first: byte 3 was 0x00",
  );
  const none = { ...SAID, requests: 0 };
  assertThrows(() => seenBy(JSON.stringify(none), 0), Failure, "0 were answer");
  assertThrows(
    () => seenBy("Killed", 0),
    Failure,
    '"Killed", which is no JSON',
  );
});

Deno.test("runLoad() says why a load failed", async () => {
  await assertRejects(
    () => runLoad(["sh", "-c", "echo cannot connect >&2; exit 1"]),
    Failure,
    "the load failed: cannot connect",
  );
});
