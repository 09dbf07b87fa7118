/**
 * Batches of operations on a proactor, and the system calls that its policies
 * of batching make of them.
 *
 * @module
 */

import {
  Batching,
  Completions,
  Operations,
  Proactor,
} from "../../src/proactor.ts";

/** The operations of a batch. */
export const SIZES = [1, 4, 16, 64, 256];

/** The policies that are compared, by their names. */
export const POLICIES: Readonly<Record<string, Batching>> = {
  "turn": Batching.turn,
  "count(16)": Batching.count(16),
  "count(1)": Batching.count(1),
  "delay(0.01)": Batching.delay(0.01),
};

/** What is counted, and the time. */
export const TITLES = {
  systemCalls: "System calls for a batch",
  submitted: "Operations a system call",
  completions: "Completions a wait",
  us: "Microseconds an operation",
} as const;

/** Batches that are measured together. */
export const BATCHES = 200;
const US_PER_MS = 1000;

/**
 * Submits each operation by itself, as connections do that answer one after
 * the other, and waits until all have completed.
 */
export function measure(
  batching: Batching,
  size: number,
): Record<keyof typeof TITLES, number> {
  using proactor = new Proactor({ batching });
  const operations = new Operations();
  const completions = new Completions();
  const startMs = performance.now();
  for (let batch = 0; batch < BATCHES; batch++) {
    for (let token = 1; token <= size; token++) {
      operations.nop(token);
      proactor.submit(operations);
    }
    for (let left = size; left > 0;) left -= proactor.wait(completions);
  }
  const us = (performance.now() - startMs) * US_PER_MS;
  const stats = proactor.stats();
  return {
    systemCalls: stats.systemCalls / BATCHES,
    submitted: stats.submitted / stats.systemCalls,
    completions: stats.completions / stats.waits,
    us: us / stats.submitted,
  };
}
