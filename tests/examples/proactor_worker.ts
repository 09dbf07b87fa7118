/**
 * A Worker of `proactor_workers.ts`: it submits to another thread's proactor.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import {
  Completions,
  Operations,
  Producer,
  WOULD_BLOCK,
} from "../../src/proactor.ts";
import type { Answer, Task } from "./proactor_workers.ts";

/** Operations that are added to a batch at a time. */
const BATCH = 64;

self.onmessage = ({ data }: MessageEvent<Task>) => {
  self.postMessage(work(data));
};

function work({ proactor, operations: total }: Task): Answer {
  const producer = new Producer(proactor);
  using reaper = producer.openReaper();
  const operations = new Operations(BATCH);
  operations.reaper = reaper;
  const completions = new Completions();
  const seen = new Uint8Array(total);
  let added = 0;
  let ended = 0;
  let wrong = 0;
  while (ended < total) {
    while (operations.length < BATCH && added < total) operations.nop(added++);
    const taken = producer.submit(operations);
    // Without room the reaper hears of room: it never waits in vain.
    const isFull = taken === WOULD_BLOCK || added === total;
    reaper.wait(completions, isFull ? undefined : 0);
    for (let index = 0; index < completions.length; index++) {
      if (completions.isDrained(index)) continue;
      const token = completions.token(index);
      if (token >= total || seen[token]! > 0) wrong++;
      else seen[token] = 1;
      ended++;
    }
  }
  const once = seen.reduce((sum, count) => sum + count, 0);
  return { once, wrong };
}
