/** What the system refuses a proactor, injected by strace. */

import { assertEquals, assertMatch } from "@std/assert";
import { NO_PROACTOR } from "../util/machine.ts";
import { runProgram } from "../util/program.ts";
import { NO_STRACE } from "../util/strace.ts";

const ignore = NO_PROACTOR || NO_STRACE;

/** What the fixture prints while calls fail, as strace's `inject` has it. */
async function printed(inject: string): Promise<string> {
  const { pathname } = new URL(
    "../fixtures/proactor_rounds.ts",
    import.meta.url,
  );
  const { stdout } = await runProgram([
    "strace",
    ...["-D", "-f", "-qq", "-o", "/dev/null"],
    ...["-e", `trace=${inject.split(":")[0]}`, "-e", `inject=${inject}`],
    ...[Deno.execPath(), "run", "-A", pathname],
  ]);
  return stdout.trim();
}

const FAULTS: Record<string, string> = {
  "is interrupted": "error=EINTR:when=1+2",
  "is short of memory": "error=ENOMEM:when=1+3",
  "asks to try again": "error=EAGAIN:when=2+3",
  "is short of buffers": "error=ENOBUFS:when=2+3",
  "is busy": "error=EBUSY:when=1+3",
  "takes nothing": "retval=0:when=1+2",
};

for (const [fault, how] of Object.entries(FAULTS)) {
  Deno.test({
    name: `Proactor loses nothing, when the system ${fault} now and then`,
    ignore,
    fn: async () => {
      assertEquals(
        await printed(`io_uring_enter:${how}`),
        "5000 bytes, 50 nops",
      );
    },
  });
}

Deno.test({
  name: "Proactor throws and is closed, when the system takes nothing for good",
  ignore,
  fn: async () => {
    const said = await printed("io_uring_enter:error=EAGAIN:when=9+");
    assertMatch(said, /^WouldBlock: .*EAGAIN/);
  },
});

const REFUSALS: Record<string, RegExp> = {
  EPERM: /NotSupported: .*a filter of system calls forbids it/,
  ENOSYS: /NotSupported: .*a filter of system calls forbids it/,
  EMFILE: /too many open files/,
};

for (const [errno, message] of Object.entries(REFUSALS)) {
  Deno.test({
    name: `new Proactor() says why, when io_uring_setup is ${errno}`,
    ignore,
    fn: async () => {
      const said = await printed(`io_uring_setup:error=${errno}`);
      assertMatch(said, message);
    },
  });
}
