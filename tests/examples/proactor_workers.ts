/**
 * Workers that share one ring: each submits its operations to a proactor whose
 * owner waits for all of them, and gets its own completions.
 *
 * `deno run -A tests/examples/proactor_workers.ts`
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { Completions, Proactor } from "../../src/proactor.ts";

/** What a Worker gets. */
export interface Task {
  /** The handle of the proactor. */
  readonly proactor: number;
  /** How many operations it submits. */
  readonly operations: number;
}

/** What a Worker answers: how often each of its tokens came. */
export interface Answer {
  /** Tokens that came once. */
  readonly once: number;
  /** Tokens that came more than once, or belong to another Worker. */
  readonly wrong: number;
}

/** Runs Workers that submit nops, and returns their answers. */
export async function runWorkers(
  workers: number,
  operations: number,
): Promise<Answer[]> {
  using proactor = new Proactor({ operations: 1024 });
  const url = new URL("proactor_worker.ts", import.meta.url);
  const answers: Answer[] = [];
  for (let count = 0; count < workers; count++) {
    const worker = new Worker(url, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      answers.push(data);
      worker.terminate();
    };
    const task: Task = { proactor: proactor.handle, operations };
    worker.postMessage(task);
  }
  const completions = new Completions();
  while (answers.length < workers) {
    // Short, so that Deno delivers the messages of the Workers.
    await proactor.park(10);
    proactor.wait(completions, 0);
  }
  return answers;
}

if (import.meta.main) console.log(await runWorkers(4, 100_000));
