/**
 * Stops a server on SIGINT and SIGTERM.
 *
 * @module
 */

import { nowMs } from "../base/own.ts";

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
  const wish = wishes();
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => {
      const wished = wish(nowMs());
      if (wished === "stop") stop();
      else if (wished === "exit") Deno.exit(EXIT_CODE_BASE + number);
    });
  }
}

/** Returns what tells by the time of each signal what the user wishes. */
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
