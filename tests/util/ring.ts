/**
 * Whether batches of reads and writes go through a ring here.
 *
 * @module
 */

import { lacks } from "./machine.ts";

/** Whether there is no `io_uring`, or this process may not use it. */
export const NO_RING: boolean = lacks("io_uring", () => {
  const program = new URL("../fixtures/has_ring.ts", import.meta.url).pathname;
  // A ring of this process would be one descriptor more in other tests.
  return new Deno.Command(Deno.execPath(), { args: ["run", "-A", program] })
    .outputSync().success;
});
