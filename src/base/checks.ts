/**
 * Checks of a program's arguments, at the call that takes them. A later check
 * would fail inside the loop, far from the call that is wrong.
 *
 * @module
 */

/**
 * Throws unless `value` is a number.
 *
 * @param name The argument's name in messages.
 * @throws {TypeError} when it is not a number.
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
 * @throws {TypeError} when it is not a function.
 */
export function requireFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw wrongType(name, value, "a function");
}

/**
 * Throws unless `value` is a function or `undefined`.
 *
 * @throws {TypeError} when it is something else.
 */
export function allowFunction(name: string, value: unknown): void {
  if (value !== undefined) requireFunction(name, value);
}

/**
 * Throws unless `value` is an `AbortSignal` or `undefined`.
 *
 * @throws {TypeError} when it is something else.
 */
export function allowSignal(value: unknown): void {
  if (value === undefined || value instanceof AbortSignal) return;
  throw wrongType("signal", value, "an AbortSignal");
}

/** The optional handlers of a callback connection; `data` is required. */
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
 * @throws {TypeError} when `data` is missing, or a handler is not a function.
 */
export function requireHandlers(value: unknown): void {
  if (typeof value !== "object" || value === null) {
    throw wrongType("handlers", value, "an object");
  }
  const handlers = value as Record<string, unknown>;
  requireFunction("handlers.data", handlers.data);
  // By index, since a program may have replaced the iterator of arrays.
  for (let index = 0; index < HANDLERS.length; index++) {
    const name = HANDLERS[index]!;
    allowFunction(`handlers.${name}`, handlers[name]);
  }
}

/** Returns the error for a value of another type than `wanted`. */
export function wrongType(
  name: string,
  value: unknown,
  wanted: string,
): TypeError {
  return new TypeError(
    `Cannot use ${name} "${shown(value)}": it must be ${wanted}`,
  );
}

/** Returns a value as text, or its type when it cannot be made a string. */
export function shown(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
