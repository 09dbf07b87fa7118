/**
 * Keeps an interrupted benchmark from starting anything more, which nobody
 * would stop.
 *
 * @module
 */

let isInterrupted = false;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Notices signals from here on; `interrupt.ts` answers them. */
export function noticeInterrupts(): Disposable {
  const forget = () => {
    for (const name of SIGNALS) Deno.removeSignalListener(name, notice);
  };
  const notice = () => {
    isInterrupted = true;
    // A second signal must find the default action.
    forget();
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
