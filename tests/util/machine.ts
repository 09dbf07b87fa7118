/**
 * Parts of the machine that tests need and that may be missing.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- an untested part must be seen

import { Proactor } from "../../src/proactor/proactor.ts";

/** Returns whether to ignore tests because `what` is missing, and prints it. */
export function lacks(what: string, isThere: () => boolean): boolean {
  if (isThere()) return false;
  console.log(`Ignored here: what needs ${what}`);
  return true;
}

/** Whether this machine has no IPv6. */
export const NO_IPV6: boolean = lacks("IPv6", () => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
});

/** Whether this process may not use io_uring. */
export const NO_PROACTOR: boolean = lacks(
  "io_uring",
  () => Proactor.refusal === undefined,
);

/** Whether there is no `/proc` to count and measure with. */
export const NO_PROC: boolean = lacks(
  "/proc",
  () => Deno.build.os === "linux",
);
