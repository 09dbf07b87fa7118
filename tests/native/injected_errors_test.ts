/** What the system refuses only now and then, injected by strace. */

import { assertEquals } from "@std/assert";
import { runProgram } from "../util/program.ts";
import { NO_STRACE } from "../util/strace.ts";

const IS_IGNORED = NO_STRACE || Deno.build.os !== "linux";

/** What a fixture prints while calls fail, as strace's `inject` has it. */
async function printed(fixture: string, inject: string): Promise<string> {
  const { pathname } = new URL(`../fixtures/${fixture}`, import.meta.url);
  const { stdout } = await runProgram([
    "strace",
    ...["-D", "-f", "-qq", "-o", "/dev/null"],
    ...["-e", `trace=${inject.split(":")[0]}`, "-e", `inject=${inject}`],
    ...[Deno.execPath(), "run", "-A", pathname],
  ]);
  return stdout;
}

/** What the listener's figures are, when calls of accept4 fail as `how` says. */
async function figures(how: string): Promise<{
  answered: number;
  accepted: number;
  acceptsFailed: number;
  errors: string[];
}> {
  return JSON.parse(await printed("failing_accepts.ts", `accept4:${how}`));
}

/** Some of the list, which `native/src/ffi/listener.rs` has in whole. */
for (const errno of ["ECONNABORTED", "EPERM", "EPROTO", "ENETUNREACH"]) {
  Deno.test({
    name: `a listener passes over a connection, when accept says ${errno}`,
    ignore: IS_IGNORED,
    fn: async () => {
      // Every other call: the connection itself is left, and comes next.
      const { acceptsFailed, ...others } = await figures(
        `error=${errno}:when=1+2`,
      );
      assertEquals(others, { answered: 20, accepted: 20, errors: [] });
      assertEquals(acceptsFailed >= 19, true, `${acceptsFailed} have failed`);
    },
  });
}

Deno.test({
  name: "a listener rests and calls onError, when every accept fails for good",
  ignore: IS_IGNORED,
  fn: async () => {
    // The first 64 of a call, and what makes it give up; then all is well.
    const { errors, ...others } = await figures("error=EPERM:when=1..65");
    assertEquals(others, { answered: 20, accepted: 20, acceptsFailed: 64 });
    assertEquals(errors.length, 1);
  },
});

Deno.test({
  name: "a name is not called unknown, when no server has answered",
  ignore: IS_IGNORED,
  fn: async () => {
    const inject = "connect,sendto,sendmmsg:error=ENETUNREACH";
    assertEquals(
      await printed("resolves.ts", inject),
      "EAI_AGAIN\nEAI_AGAIN\n",
    );
  },
});

/** What a fixture prints when no byte of its batches is lost or doubled. */
const ALL_BYTES = `${JSON.stringify({ bytes: 23_760, wrong: 0 })}\n`;

for (
  const inject of [
    "io_uring_setup:error=EPERM",
    "io_uring_setup:error=ENOSYS",
    ...["EINTR", "EAGAIN", "ENOMEM", "EBUSY", "EBADF"].flatMap((errno) => [
      `io_uring_enter:error=${errno}`,
      `io_uring_enter:error=${errno}:when=2`,
      `io_uring_enter:error=${errno}:when=5+`,
    ]),
    // As if it had taken all entries, but it has taken none.
    "io_uring_enter:retval=24:when=4",
  ]
) {
  Deno.test({
    name: `batches lose no byte, with ${inject}`,
    ignore: IS_IGNORED,
    fn: async () => {
      assertEquals(await printed("batches_in_trouble.ts", inject), ALL_BYTES);
    },
  });
}
