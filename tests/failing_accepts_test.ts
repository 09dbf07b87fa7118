/** Errors of `accept(2)` that are one client's, injected by strace. */

import { assertEquals } from "@std/assert";
import { runProgram } from "./util/program.ts";
import { NO_STRACE } from "./util/strace.ts";

const FIXTURE = new URL("fixtures/failing_accepts.ts", import.meta.url);

/** What the fixture prints, when calls of accept4 fail as `how` says. */
async function figures(how: string): Promise<{
  answered: number;
  accepted: number;
  acceptsFailed: number;
  errors: string[];
}> {
  const { stdout } = await runProgram([
    "strace",
    ...["-D", "-f", "-qq", "-o", "/dev/null"],
    ...["-e", "trace=accept4", "-e", `inject=accept4:${how}`],
    ...[Deno.execPath(), "run", "-A", FIXTURE.pathname],
  ]);
  return JSON.parse(stdout);
}

/** Some of the list, which `native/src/ffi/listener.rs` has in whole. */
for (const errno of ["ECONNABORTED", "EPERM", "EPROTO", "ENETUNREACH"]) {
  Deno.test({
    name: `a listener passes over a connection, when accept says ${errno}`,
    ignore: NO_STRACE || Deno.build.os !== "linux",
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
  name: "a listener rests and tells of it, when every accept fails for good",
  ignore: NO_STRACE || Deno.build.os !== "linux",
  fn: async () => {
    // The first 64 of a call, and what makes it give up; then all is well.
    const { errors, ...others } = await figures("error=EPERM:when=1..65");
    assertEquals(others, { answered: 20, accepted: 20, acceptsFailed: 64 });
    assertEquals(errors.length, 1);
  },
});
