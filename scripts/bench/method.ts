/**
 * What a way to measure scenarios is.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import type { PeerResult } from "./results.ts";
import type { Scenario } from "./scenarios.ts";

/** What a server gives before ratios are known. */
export type Measured = Omit<PeerResult, "toBest">;

/** A way to measure scenarios of one kind. */
export interface Method {
  /** How many steps each server takes, for so many rounds. */
  steps(scenario: Scenario, rounds: number): number;
  /** Measures every server that takes part and does not fall out. */
  measure(bench: Bench, scenario: Scenario): Promise<Measured[]>;
}
