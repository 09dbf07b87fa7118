/**
 * How often a registration gets an event.
 *
 * @module
 */

/**
 * When a source gets another event:
 *
 * - `edge`: when it changes; drain the source before the next wait;
 * - `level`: at each poll for as long as it is ready;
 * - `one-shot`: only after the source is reregistered.
 */
export type Mode = "edge" | "level" | "one-shot";

/** How a source is registered. */
export interface RegisterOptions {
  /** When the source gets another event; `edge` when left out. */
  mode?: Mode;
  /**
   * Whether only one of several polls that share the source gets an event
   * (`EPOLLEXCLUSIVE` of `epoll_ctl(2)`): for listeners from which several
   * Workers accept. Such a source can be deregistered, but not reregistered.
   */
  exclusive?: boolean;
}

/** Numbers of `native/poll/src/mode.rs`. */
const MODES: Readonly<Record<Mode, number>> = {
  "edge": 0,
  "level": 1,
  "one-shot": 2,
};

/** The bit of `exclusive`, beside a mode's number. */
export const EXCLUSIVE = 4;

/** The number of edges of a stream that is read ahead. */
export const AHEAD = 8;

/**
 * Returns native code's number for the options.
 *
 * @throws {TypeError} when there is no such mode.
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

/** Returns the options as text, for messages. */
export function describeMode(options: RegisterOptions = {}): string {
  const { mode = "edge", exclusive } = options;
  return exclusive ? `${mode}, exclusive` : mode;
}
