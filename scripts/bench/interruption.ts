/**
 * Keeps an interrupted benchmark from starting anything more, which nobody
 * would stop.
 *
 * @module
 */

let isInterrupted = false;

/**
 * Within this a second signal is the first again: of Ctrl-C the terminal tells
 * everybody, and `deno task` passes it on to those who have been told.
 */
const SAME_MS = 1_000;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Notices signals from here on; `interrupt.ts` answers them. */
export function noticeInterrupts(): Disposable {
  const forget = () => {
    for (const name of SIGNALS) Deno.removeSignalListener(name, notice);
  };
  const notice = () => {
    if (isInterrupted) return;
    isInterrupted = true;
    // A second signal, in a while, must find the default action.
    setTimeout(forget, SAME_MS);
  };
  for (const name of SIGNALS) Deno.addSignalListener(name, notice);
  return { [Symbol.dispose]: forget };
}

/**
 * Resolves at once, or never when the benchmark has been interrupted: it ends
 * as soon as all that it had started has.
 */
export function stillWanted(): Promise<void> {
  return isInterrupted ? new Promise(() => {}) : Promise.resolve();
}
