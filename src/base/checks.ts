/**
 * Checks of what users hand in, where it comes in: later it would be the
 * loop's error, and nobody could say whose it was.
 *
 * @module
 */

/**
 * Throws unless `value` is a number.
 *
 * @param name What the user calls it.
 * @throws {TypeError} when it is none.
 * @throws {RangeError} when it is `NaN`.
 */
export function requireNumber(name: string, value: unknown): void {
  if (typeof value !== "number") throw wrongType(name, value, "a number");
  if (value === value) return;
  throw new RangeError(`Cannot use ${name} "NaN": it must be a number`);
}

/**
 * Throws unless `value` is a function.
 *
 * @throws {TypeError} when it is none.
 */
export function requireFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw wrongType(name, value, "a function");
}

/**
 * Throws unless `value` is a function, or left out.
 *
 * @throws {TypeError} when it is something else.
 */
export function allowFunction(name: string, value: unknown): void {
  if (value !== undefined) requireFunction(name, value);
}

/**
 * Throws unless `value` is an `AbortSignal`, or left out.
 *
 * @throws {TypeError} when it is something else.
 */
export function allowSignal(value: unknown): void {
  if (value === undefined || value instanceof AbortSignal) return;
  throw wrongType("signal", value, "an AbortSignal");
}

/** What a callback connection may be told of, beside `data`. */
const HANDLERS = [
  "open",
  "end",
  "ending",
  "drain",
  "broken",
  "error",
  "timeout",
  "close",
  "shutdown",
  "terminate",
  "isIdle",
  "shortage",
  "gone",
] as const;

/**
 * Throws unless `value` has the handlers of a connection.
 *
 * @throws {TypeError} when `data` is missing, or one is no function.
 */
export function requireHandlers(value: unknown): void {
  if (typeof value !== "object" || value === null) {
    throw wrongType("handlers", value, "an object");
  }
  const handlers = value as Record<string, unknown>;
  requireFunction("handlers.data", handlers.data);
  // No iterator of the array's: a program may have broken it.
  for (let index = 0; index < HANDLERS.length; index++) {
    const name = HANDLERS[index]!;
    allowFunction(`handlers.${name}`, handlers[name]);
  }
}

/** Returns the error for a value of another type than is `wanted`. */
export function wrongType(
  name: string,
  value: unknown,
  wanted: string,
): TypeError {
  return new TypeError(
    `Cannot use ${name} "${textOf(value)}": it must be ${wanted}`,
  );
}

/** A value as text, also when it has no way to be one. */
function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
