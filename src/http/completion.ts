/**
 * Whether an answer was handed over: known for those requests only that
 * somebody has asked it of, so that it costs others nothing.
 *
 * @module
 */

/** How far the answer to a request is. */
export type Outcome = "pending" | "whole" | "lost";

/** What was promised, by the request that it was promised for. */
const completions = new WeakMap<object, PromiseWithResolvers<void>>();

/**
 * Returns the promise for a request, the same each time: it resolves when the
 * answer was handed over in whole, and rejects with `Deno.errors.Interrupted`
 * when it could not be.
 *
 * @param outcome What is known when it is asked for first.
 */
export function completionOf(request: object, outcome: Outcome): Promise<void> {
  const made = completions.get(request);
  if (made !== undefined) return made.promise;
  const completion = Promise.withResolvers<void>();
  // Who asks need not listen: a client that goes must not end the process.
  completion.promise.catch(() => {});
  completions.set(request, completion);
  if (outcome === "whole") completion.resolve();
  if (outcome === "lost") completion.reject(interrupted(undefined));
  return completion.promise;
}

/** The answer was handed over in whole. */
export function complete(request: object): void {
  completions.get(request)?.resolve();
}

/**
 * The answer will never be whole.
 *
 * @param cause What went wrong; `undefined` when the connection is gone.
 */
export function interrupt(request: object, cause: unknown): void {
  completions.get(request)?.reject(interrupted(cause));
}

function interrupted(cause: unknown): Error {
  const error = new Deno.errors.Interrupted(
    "HTTP response was not sent successfully",
  );
  if (cause !== undefined) error.cause = cause;
  return error;
}
