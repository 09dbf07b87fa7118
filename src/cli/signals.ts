/**
 * Stops a server on SIGINT and SIGTERM.
 *
 * @module
 */

/** The signals that ask a program to end, with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** A shell's exit code for a program that a signal ended is this and more. */
const EXIT_CODE_BASE = 128;

/**
 * Ctrl-C signals every process on the terminal, and `deno task` passes its own
 * on: the program gets it twice, a millisecond apart. No finger is as quick.
 */
const SAME_PRESS_MS = 100;

/** Calls `stop` on the first signal, and ends the process on the second. */
export function stopOnSignals(stop: () => void): void {
  let firstMs: number | undefined;
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        stop();
      } else if (nowMs - firstMs > SAME_PRESS_MS) {
        Deno.exit(EXIT_CODE_BASE + number);
      }
    });
  }
}
