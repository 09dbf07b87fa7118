/**
 * Rejections of body reads that the program does not handle.
 *
 * A client can make any read of its request's body fail. A handler may have
 * dropped the promise of the read, as of `request.body.pipeTo(file.writable)`,
 * and Deno ends the process for an unhandled rejection: a client could end the
 * server. So such a rejection is reported instead.
 *
 * @module
 */

/** The function to call with an error that was not reported yet. */
const reports = new WeakMap<WeakKey, (error: unknown) => void>();
let isListening = false;

/**
 * From now on, an unhandled rejection with `error` calls `report` and does not
 * end the process.
 */
export function forgive(
  error: Error,
  report: (error: unknown) => void,
): void {
  if (!reports.has(error)) reports.set(error, report);
  if (isListening) return;
  isListening = true;
  globalThis.addEventListener("unhandledrejection", prevent);
}

function prevent(event: PromiseRejectionEvent): void {
  const { reason } = event;
  const report = reports.get(reason);
  if (report === undefined || event.defaultPrevented) return;
  event.preventDefault();
  // Several promises may be rejected with one error.
  reports.set(reason, ignore);
  report(reason);
}

function ignore(): void {}
