/**
 * Whether an answer was handed over. It is kept only for exchanges whose handler
 * has asked for it, so that other exchanges pay nothing.
 *
 * @module
 */

/** How far the answer to a request is. */
export type Outcome = "pending" | "whole" | "lost";

/** The promises that were handed out, by exchange. */
const completions = new WeakMap<object, PromiseWithResolvers<void>>();

/**
 * Returns the promise for an exchange, the same each time: it resolves when the
 * answer was handed over in whole, and rejects with `Deno.errors.Interrupted`
 * when it could not be.
 *
 * @param outcome What is known when it is asked for first.
 */
export function completionOf(
  exchange: object,
  outcome: Outcome,
): Promise<void> {
  const made = completions.get(exchange);
  if (made !== undefined) return made.promise;
  const completion = Promise.withResolvers<void>();
  // A handler that asks need not wait: a client must not end the process.
  completion.promise.catch(() => {});
  completions.set(exchange, completion);
  if (outcome === "whole") completion.resolve();
  if (outcome === "lost") completion.reject(interrupted(undefined));
  return completion.promise;
}

/** The answer was handed over in whole. */
export function complete(exchange: object): void {
  completions.get(exchange)?.resolve();
}

/**
 * The answer will never be whole.
 *
 * @param cause What went wrong; `undefined` when the connection is gone.
 */
export function interrupt(exchange: object, cause: unknown): void {
  completions.get(exchange)?.reject(interrupted(cause));
}

function interrupted(cause: unknown): Error {
  const error = new Deno.errors.Interrupted(
    "HTTP response was not sent successfully",
  );
  if (cause !== undefined) error.cause = cause;
  return error;
}
