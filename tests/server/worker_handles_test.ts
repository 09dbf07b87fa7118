/** The handles of a Worker are closed when it ends, in each way to end. */

import { assert, assertRejects } from "@std/assert";
import type { Ending } from "../fixtures/ending_worker.ts";
import { handleCount } from "../util/clean_tests.ts";
import { eventually, within } from "../util/waiting.ts";

const ENDINGS: readonly (Ending | "terminate")[] = [
  "close",
  "exit",
  "reject",
  "terminate",
  "throw",
];

/** A Worker that starts parks on Deno's pool, an idle one by the kernel. */
const STATES = ["starting", "idle"] as const;

const CASES = STATES.flatMap((state) =>
  ENDINGS.map((ending) => [state, ending] as const)
);

// Not a clean test, which counts descriptors: Deno keeps two of the first
// Worker.
for (const [state, ending] of CASES) {
  Deno.test(
    `a Worker's sockets are closed, when it is ${state} and ends by "${ending}"`,
    async () => {
      const before = handleCount();
      const url = new URL("../fixtures/ending_worker.ts", import.meta.url);
      const worker = new Worker(url, { type: "module", name: state });
      worker.onerror = (event) => event.preventDefault();
      const port = await within(portOf(worker), "the Worker to listen");
      assert(handleCount() > before);
      (await Deno.connect({ port })).close();

      if (ending === "terminate") worker.terminate();
      else worker.postMessage(ending);
      const isClosed = () => handleCount() === before;
      await eventually("the Worker's handles to be closed", isClosed);
      await assertRejects(
        () => Deno.connect({ port }),
        Deno.errors.ConnectionRefused,
      );
    },
  );
}

function portOf(worker: Worker): Promise<number> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
  });
}
