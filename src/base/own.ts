/**
 * The program's clock and timers as they were when denio was loaded.
 *
 * Tests replace the globals by fakes that stand still, such as those of
 * node:test's `mock.timers`, sinon and jest. A loop on such a clock or timer
 * would never go on. So no file in `src/` uses the globals.
 *
 * @module
 */

/**
 * Returns a getter of the global `name` as it is now. Deno loads some globals
 * when they are first read, which takes 2 milliseconds: the getter's first call
 * reads those.
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

/** Returns the milliseconds since the program's start, with fractions. */
export function nowMs(): number {
  // Not a bound function, for which V8 would make objects on each call.
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

/** Returns a date of Deno's own class. */
export function dateOf(ms: number): Date {
  return new OwnDate(ms);
}

/** Deno's class of immediates: its constructor schedules the callback. */
type ImmediateClass = new (callback: () => void) => unknown;

const set = own("setImmediate");
let Immediate: ImmediateClass | undefined;

/**
 * Returns Deno's class of immediates, from the first call without fakes on;
 * `undefined` before. node:test puts its fakes inside of `setImmediate`, so
 * keeping that function does not help.
 */
export function immediateClass(): ImmediateClass | undefined {
  if (Immediate !== undefined) return Immediate;
  const found = set()(() => {})?.constructor as ImmediateClass | undefined;
  return found?.name === "Immediate" ? Immediate = found : undefined;
}

/**
 * Runs `callback` in the next round of Deno's loop. When `setImmediate` is a
 * fake from the start, runs it in a microtask instead.
 */
export function defer(callback: () => void): void {
  const Class = immediateClass();
  if (Class !== undefined) new Class(callback);
  else Promise.resolve().then(callback);
}

const queued = own("queueMicrotask");

/** Runs `callback` in a microtask. */
export function soon(callback: () => void): void {
  queued()(callback);
}

/** A timer of Deno's. */
export type DenoTimer = ReturnType<typeof setTimeout>;

/** Runs `callback` after `ms`, on Deno's loop. */
export function after(ms: number, callback: () => void): DenoTimer {
  return timeout()(callback, ms);
}

/** Removes a timer of {@linkcode after}. Does nothing once it has run. */
export function cancelAfter(timer: DenoTimer | undefined): void {
  cleared()(timer);
}
