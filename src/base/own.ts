/**
 * What the program's clock and timers were when denio was loaded.
 *
 * Tests put others in their place, such as node:test's `mock.timers`, sinon's
 * and jest's, which stand still. A loop that took its time from those, or its
 * next round, would stop for ever. So nothing in `src/` uses the globals.
 *
 * @module
 */

/**
 * Returns what `globalThis` has under `name` now. Deno loads some of it when it
 * is read, which takes 2 milliseconds: it is read on first use.
 */
function own<Name extends keyof typeof globalThis>(
  name: Name,
): () => (typeof globalThis)[Name] {
  const found = Object.getOwnPropertyDescriptor(globalThis, name);
  let value = found?.value;
  return () => value ??= found?.get?.call(globalThis) ?? globalThis[name];
}

/** Returns `process`, also where a program has removed it. */
export const ownProcess = own("process");
const timeout = own("setTimeout");
const cleared = own("clearTimeout");
const { Date: OwnDate, performance: clock } = globalThis;
const clockNow = clock.now;

/** Returns the milliseconds since the program began, with fractions. */
export function nowMs(): number {
  // Not bound: V8 would make several objects for each call.
  return clockNow.call(clock);
}

/** Returns the milliseconds since 1970. */
export function wallMs(): number {
  return OwnDate.now();
}

/** Returns a wall time as HTTP writes it: RFC 9110 section 5.6.7. */
export function utcText(ms: number): string {
  return new OwnDate(ms).toUTCString();
}

/** Deno's class of what `setImmediate` returns: making one sets it. */
type ImmediateClass = new (callback: () => void) => unknown;

const set = own("setImmediate");
let Immediate: ImmediateClass | undefined;

/**
 * Returns Deno's class of immediates, once one could be had. node:test's fakes
 * are inside of `setImmediate` itself, so that keeping the function would not
 * help. While they are in place and there was none before, there is none.
 */
export function immediateClass(): ImmediateClass | undefined {
  if (Immediate !== undefined) return Immediate;
  const found = set()(() => {})?.constructor as ImmediateClass | undefined;
  return found?.name === "Immediate" ? Immediate = found : undefined;
}

/**
 * Runs `callback` in the next round of Deno's loop; when there are no immediates
 * but faked ones, after what runs now.
 */
export function defer(callback: () => void): void {
  const Class = immediateClass();
  if (Class !== undefined) new Class(callback);
  else Promise.resolve().then(callback);
}

/** A timer of Deno's. */
export type DenoTimer = ReturnType<typeof setTimeout>;

/** Runs `callback` after `ms`, on Deno's loop. */
export function after(ms: number, callback: () => void): DenoTimer {
  return timeout()(callback, ms);
}

/** Removes a timer of {@linkcode after}; one that has run is left alone. */
export function cancelAfter(timer: DenoTimer | undefined): void {
  cleared()(timer);
}
