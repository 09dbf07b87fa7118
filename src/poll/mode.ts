/**
 * How often a registration tells of what it sees.
 *
 * @module
 */

/**
 * When an event comes again:
 *
 * - `edge`: when something has changed; drain the source before you wait again;
 * - `level`: as long as it is so;
 * - `one-shot`: never, before the source is reregistered.
 */
export type Mode = "edge" | "level" | "one-shot";

/** How a source is registered. */
export interface RegisterOptions {
  /** When an event comes again; `edge` when left out. */
  mode?: Mode;
  /**
   * Of several polls that share the source, one is told and not each of them
   * (`EPOLLEXCLUSIVE` of `epoll_ctl(2)`): for listeners that several Workers
   * accept from. It cannot be reregistered, only deregistered.
   */
  exclusive?: boolean;
}

/** Numbers of `native/poll/src/mode.rs`. */
const MODES: Readonly<Record<Mode, number>> = {
  "edge": 0,
  "level": 1,
  "one-shot": 2,
};

/** The bit that goes with a mode's number. */
export const EXCLUSIVE = 4;

/**
 * Returns the number by which native code knows the options.
 *
 * @throws {TypeError} when the mode is none.
 */
export function modeBits(options: RegisterOptions | undefined): number {
  if (options === undefined) return MODES.edge;
  const { mode = "edge", exclusive = false } = options;
  const bits = Object.hasOwn(MODES, mode) ? MODES[mode] : undefined;
  if (bits === undefined) {
    throw new TypeError(
      `Cannot use mode "${mode}": it must be ${
        Object.keys(MODES).map((name) => `"${name}"`).join(", ")
      }`,
    );
  }
  return exclusive ? bits | EXCLUSIVE : bits;
}

/** Returns the options as one would say them. */
export function describeMode(options: RegisterOptions = {}): string {
  const { mode = "edge", exclusive } = options;
  return exclusive ? `${mode}, exclusive` : mode;
}
