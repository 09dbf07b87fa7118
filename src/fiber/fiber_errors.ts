/**
 * Errors that end fibers, and which fiber each came from.
 *
 * @module
 */

/** Names of the fibers that errors came from: scopes pass errors on. */
const NAMES = new WeakMap<Error, string>();

/** Notes that `error` came from fiber `name`, unless it has an origin. */
export function noteOrigin(error: unknown, name: string): void {
  if (error instanceof Error && !NAMES.has(error)) NAMES.set(error, name);
}

/** Returns the error to report when fiber `name` has failed with `error`. */
export function fiberFailed(error: unknown, name: string): Error {
  const isError = error instanceof Error;
  const origin = isError ? NAMES.get(error) ?? name : name;
  const text = isError ? error.message : String(error);
  return new Error(`Fiber "${origin}" failed: ${text}`, { cause: error });
}
