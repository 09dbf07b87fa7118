/**
 * Whether tests can compare with what `strace` sees.
 *
 * @module
 */

import { lacks } from "./machine.ts";

/** Whether there is no `strace`, or it may not trace here. */
export const NO_STRACE: boolean = lacks("strace", () => {
  try {
    const args = ["-D", "-f", "-o", "/dev/null", "-e", "trace=close", "true"];
    return new Deno.Command("strace", { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
});
