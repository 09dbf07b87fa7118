/**
 * Serves a module of `fetch` on one Worker for each core, and starts a Worker
 * again when it dies.
 *
 * `deno run -A tests/examples/on_all_cores.ts tests/examples/notes.ts 8000`
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import {
  serve,
  type ServeModuleOptions,
  type WorkerEnd,
  type WorkersServer,
} from "../../mod.ts";

/** Serves a module on Workers. */
export function onAllCores(
  options: ServeModuleOptions,
): Promise<WorkersServer> {
  return serve({ onWorkerEnd: report, ...options });
}

function report({ index, error, restartMs }: WorkerEnd): void {
  console.error(`Worker ${index} died, and is back in ${restartMs} ms`, error);
}

if (import.meta.main) {
  const [module = "tests/examples/notes.ts", port = "8000"] = Deno.args;
  const server = await onAllCores({ module, port: Number(port) });
  console.log("serving on", server.addr);
  Deno.addSignalListener("SIGINT", () => server.shutdown());
  await server.finished;
  console.log("connections by Worker:", server.accepted);
}
