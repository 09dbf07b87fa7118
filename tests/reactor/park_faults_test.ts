/** Parks when the system or the program takes the means to park away. */

import { assertEquals, assertNotMatch } from "@std/assert";
import { Reactor } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { lacks } from "../util/machine.ts";
import { runProgram } from "../util/program.ts";
import { runScript } from "../util/scripts.ts";
import { NO_STRACE } from "../util/strace.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";
import { Poll } from "../../src/poll.ts";
import { Parker } from "../../src/poll/parker.ts";

const FIXTURE = "parks_in_trouble.ts";
const ALL_WELL = { answers: 3, errors: [] };

const NO_KERNEL_PARK = lacks("a kernel whose native AIO polls", () => {
  try {
    using poll = new Poll();
    using _parker = new Parker(poll, "kernel");
    return true;
  } catch {
    return false;
  }
});

for (const missing of ["descriptors", "process", "modules"] as const) {
  Deno.test({
    name: `a reactor answers and its timers run, when no ${missing} are left`,
    ignore: Deno.build.os === "windows",
    async fn() {
      const args = [missing];
      const before = "ulimit -n 200";
      const { stdout } = await runScript(FIXTURE, { args, before });
      assertEquals(JSON.parse(stdout), ALL_WELL);
    },
  });
}

/** Runs the fixture while calls fail; returns its output and strace's. */
async function traced(
  calls: string,
  inject?: string,
): Promise<{ stdout: string; trace: string }> {
  const { pathname } = new URL(`../fixtures/${FIXTURE}`, import.meta.url);
  const output = await Deno.makeTempFile();
  try {
    const { stdout } = await runProgram([
      "strace",
      ...["-f", "-qq", "-o", output, "-e", `trace=${calls}`],
      ...inject === undefined ? [] : ["-e", `inject=${inject}`],
      ...[Deno.execPath(), "run", "-A", pathname, "nothing"],
    ]);
    return { stdout, trace: await Deno.readTextFile(output) };
  } finally {
    await Deno.remove(output);
  }
}

/** The calls that park a reactor by the kernel, and how each may fail later. */
const FAILURES = [
  "io_submit:error=EAGAIN:when=3+",
  "io_submit:error=ENOMEM:when=3",
  "io_getevents:error=EINVAL:when=2+",
  "timerfd_settime:error=EINVAL:when=2+",
];

for (const inject of FAILURES) {
  Deno.test({
    name: `a reactor answers, when parking fails later: ${inject}`,
    ignore: NO_STRACE || NO_KERNEL_PARK,
    async fn() {
      const { stdout, trace } = await traced(inject.split(":")[0]!, inject);
      assertEquals(JSON.parse(stdout), ALL_WELL);
      assertEquals(trace.includes("(INJECTED)"), true);
    },
  });
}

Deno.test({
  name: "close() does not wait for Linux to end what a reactor was parked by",
  ignore: NO_STRACE || NO_KERNEL_PARK,
  async fn() {
    const { trace } = await traced("io_submit,io_destroy");
    const [thread] = /^\d+(?= +io_submit)/m.exec(trace)!;
    assertNotMatch(trace, new RegExp(`^${thread} +io_destroy`, "m"));
  },
});

cleanTest(
  "a reactor leaves Deno's pool of threads, when its timers are never far",
  async () => {
    const before = descriptors();
    using reactor = new Reactor();
    reactor.listen(LOOPBACK, { data() {} });
    reactor.setInterval(30, () => {});
    await eventually(
      "a park by the kernel",
      () =>
        descriptorsSince(before).some(({ kind }) => kind.includes("timerfd")),
    );
  },
  { ignore: NO_KERNEL_PARK },
);
