/** The backend `io_uring` where it is refused, and where its calls fail. */

import { assertEquals, assertMatch } from "@std/assert";
import { lacks } from "../util/machine.ts";
import { runProgram } from "../util/program.ts";
import { NO_STRACE } from "../util/strace.ts";
import { Poll } from "../../src/poll.ts";

const NO_RING = lacks(
  "io_uring, by kernel or permission",
  () => Poll.backends().includes("io_uring"),
);

/** Runs a fixture on io_uring while a call fails, and returns its result. */
async function whileFailing(
  inject: string,
  fixture: string,
  ...args: string[]
): Promise<Record<string, unknown>> {
  const { pathname } = new URL(`../fixtures/${fixture}`, import.meta.url);
  const { stdout } = await runProgram([
    "env",
    ...["DENIO_BACKEND=io_uring", "strace", "-f", "-qq"],
    ...["-o", "/dev/null", "-e", `trace=${inject.split(":")[0]}`],
    ...["-e", `inject=${inject}`],
    ...[Deno.execPath(), "run", "-A", pathname, ...args],
  ]);
  return JSON.parse(stdout);
}

const FORBIDDEN =
  /a filter of system calls|kernel.io_uring_disabled|older than Linux 6.1/;

for (
  const [failure, reason] of [
    ["setup:error=EPERM", FORBIDDEN],
    ["setup:error=ENOSYS", FORBIDDEN],
    ["setup:error=EINVAL", /older than Linux 6.1/],
    ["setup:error=EMFILE", /out of descriptors/],
    // A ring can be opened, and not be used.
    ["enter:error=EPERM", FORBIDDEN],
    ["enter:error=ENOSYS", FORBIDDEN],
  ] as const
) {
  Deno.test({
    name: `io_uring says why it is refused, and auto is epoll, when ${failure}`,
    ignore: NO_STRACE,
    async fn() {
      const inject = `io_uring_${failure}`;
      const seen = await whileFailing(inject, "asks_for_ring.ts");
      for (const opened of [seen["poll"], seen["reactor"]] as string[]) {
        assertMatch(
          opened,
          /^\w+: Cannot open a poll on backend "io_uring", since /,
        );
        assertMatch(opened, reason);
        if (!failure.includes("EMFILE")) assertMatch(opened, /^NotSupported: /);
      }
      assertEquals([seen["auto"], seen["isListed"]], ["open", false]);
    },
  });
}

for (const failure of ["EINTR:when=3+4", "EAGAIN:when=4+5", "EBUSY:when=5+7"]) {
  Deno.test({
    name:
      `a reactor on io_uring answers, when io_uring_enter fails: ${failure}`,
    ignore: NO_STRACE || NO_RING,
    async fn() {
      const inject = `io_uring_enter:error=${failure}`;
      const seen = await whileFailing(
        inject,
        "parks_in_trouble.ts",
        "nothing",
      );
      assertEquals(seen, { answers: 3, errors: [] });
    },
  });
}
