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
  // A request and its exchange, which V8 can do without.
  get: { asRun: 16, asWritten: 144, beside: 1 },
  // And a turn: what the loop awaits, and its times.
  alone: { asRun: 80, asWritten: 208, beside: 1 },
  pipeline: { asRun: 16, asWritten: 144, beside: 1 },
  // And a head that is parsed, and the bytes that it refers to.
  differs: { asRun: 100, asWritten: 216, beside: 60 },
  async: { asRun: 392, asWritten: 392, beside: 1 },
  app: { asRun: 640, asWritten: 640, beside: 1 },
  post: { asRun: 1_800, asWritten: 1_800, beside: 1_520 },
  // Nothing, but for the turn's share.
  echo: { asRun: 8, asWritten: 8, beside: 1 },
  // A chunk to keep, its bytes and the promises of reading and writing.
  fibers: { asRun: 560, asWritten: 652, beside: 65 },
  timer: { asRun: 96, asWritten: 144, beside: 1 },
  native: { asRun: 1, asWritten: 1, beside: 1 },
};
