/**
 * Reads from a test runner's output how many tests passed and failed.
 *
 * @module
 */

/** How tests went. */
export interface Counts {
  /** Tests that held. */
  readonly passed: number;
  /** Tests that did not. */
  readonly failed: number;
}

/** The line that a runner ends with; cargo prints one for each test binary. */
const SUMMARIES = {
  deno: /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/gm,
  cargo: /^test result: .*?(\d+) passed; (\d+) failed/gm,
};

// deno-lint-ignore no-control-regex -- these are what colours are made of
const COLOURS = /\x1b\[[\d;]*m/g;

/** Returns what the output of a runner says. */
export function countsIn(
  output: string,
  runner: keyof typeof SUMMARIES,
): Counts {
  const lines = output.replace(COLOURS, "").matchAll(SUMMARIES[runner]);
  return sumOf(
    [...lines].map(([, passed, failed]) => ({
      passed: Number(passed),
      failed: Number(failed),
    })),
  );
}

/** Returns all counts in one. */
export function sumOf(all: readonly Counts[]): Counts {
  return all.reduce(
    (sum, { passed, failed }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
    }),
    { passed: 0, failed: 0 },
  );
}
