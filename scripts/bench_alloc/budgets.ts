/**
 * The bytes that V8 may allocate for a request or a message beside those of its
 * handler: a little more than was measured with Deno 2.9.6.
 *
 * @module
 */

import type { ScenarioName } from "./scenarios.ts";

/** Bytes that one exchange may allocate. */
export interface Budget {
  /**
   * On the heap, as the code runs: the most of several runs of V8's inlining.
   */
  readonly asRun: number;
  /** On the heap, as the code is written: one more object shows here. */
  readonly asWritten: number;
  /**
   * Beside the heap: of a request, what its bytes take in the read buffer, of
   * which up to a quarter stays unused.
   */
  readonly beside: number;
}

/** The budgets. */
export const BUDGETS: Readonly<Record<ScenarioName, Budget>> = {
  // Exact: a difference means that the counting is wrong.
  known: { asRun: 801, asWritten: 801, beside: 1 },
  // A request, its head, and their exchange.
  get: { asRun: 192, asWritten: 200, beside: 56 },
  // And a turn: what the loop awaits, and its times.
  alone: { asRun: 258, asWritten: 264, beside: 56 },
  pipeline: { asRun: 184, asWritten: 200, beside: 56 },
  async: { asRun: 504, asWritten: 504, beside: 56 },
  app: { asRun: 1_024, asWritten: 1_024, beside: 616 },
  post: { asRun: 1_860, asWritten: 1_860, beside: 1_400 },
  // Nothing, but for the turn's share.
  echo: { asRun: 8, asWritten: 8, beside: 1 },
  // A chunk to keep, its bytes and the promises of reading and writing.
  fibers: { asRun: 560, asWritten: 652, beside: 65 },
  timer: { asRun: 96, asWritten: 144, beside: 1 },
  native: { asRun: 1, asWritten: 1, beside: 1 },
};
