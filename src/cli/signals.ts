/**
 * Stops a server on SIGINT and SIGTERM.
 *
 * @module
 */

import { nowMs } from "../base/own.ts";

/** The signals that end the server, with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** A shell's exit code after a signal is this plus the signal's number. */
const EXIT_CODE_BASE = 128;

/**
 * Ctrl-C signals every process of the terminal, and `deno task` forwards its
 * own signal: the program gets two, a millisecond apart. Two key presses are
 * further apart than this.
 */
const SAME_PRESS_MS = 100;

/** Calls `stop` on the first signal, and ends the process on the second. */
export function stopOnSignals(stop: () => void): void {
  const wish = wishes();
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => {
      const wished = wish(nowMs());
      if (wished === "stop") stop();
      else if (wished === "exit") Deno.exit(EXIT_CODE_BASE + number);
    });
  }
}

/** Returns a function from the time of each signal to the user's wish. */
export function wishes(): (nowMs: number) => "stop" | "exit" | undefined {
  let firstMs: number | undefined;
  return (nowMs) => {
    if (firstMs !== undefined) {
      return nowMs - firstMs > SAME_PRESS_MS ? "exit" : undefined;
    }
    firstMs = nowMs;
    return "stop";
  };
}
