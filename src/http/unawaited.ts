/**
 * Errors of readings that nobody waits for.
 *
 * A client can have any reading of its request's body fail. A handler that has
 * answered may have dropped the promise of such a reading, as that of
 * `request.body.pipeTo(file.writable)`. Deno ends the process for a rejection
 * that nobody handles, so a client could end the server. Such a rejection is
 * reported instead.
 *
 * @module
 */

/** What to call with an error that was not reported yet. */
const reports = new WeakMap<WeakKey, (error: unknown) => void>();
let isListening = false;

/**
 * Has `report` be called, and the process go on, when a promise is rejected with
 * `error` and nobody handles that.
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
