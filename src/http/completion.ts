/**
 * The promises of `ServeHandlerInfo.completed`. Only exchanges with a handler
 * that reads `completed` have one, so other exchanges pay nothing.
 *
 * @module
 */

/** Whether the answer was handed over: not yet, in whole, or never. */
export type Outcome = "pending" | "whole" | "lost";

/** The promises that handlers got, by exchange. */
const completions = new WeakMap<object, PromiseWithResolvers<void>>();

/**
 * Returns the promise of an exchange, the same each time. It resolves when the
 * whole answer was handed over, and rejects with `Deno.errors.Interrupted` when
 * that has become impossible.
 *
 * @param outcome What is known of the answer now.
 */
export function completionOf(
  exchange: object,
  outcome: Outcome,
): Promise<void> {
  const made = completions.get(exchange);
  if (made !== undefined) return made.promise;
  const completion = Promise.withResolvers<void>();
  // Not every handler waits for it, and a client must not end the process.
  completion.promise.catch(() => {});
  completions.set(exchange, completion);
  if (outcome === "whole") completion.resolve();
  if (outcome === "lost") completion.reject(interrupted(undefined));
  return completion.promise;
}

/** Resolves the promise, if there is one: the whole answer was handed over. */
export function complete(exchange: object): void {
  completions.get(exchange)?.resolve();
}

/**
 * Rejects the promise, if there is one: the answer will never be whole.
 *
 * @param cause The error; `undefined` when the client has gone.
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
