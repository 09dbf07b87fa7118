/**
 * The difference between the events' clock and the program's clock.
 *
 * Neither clock goes back; they begin at different times. On Linux they run
 * equally. On macOS the program's clock stops while the machine sleeps, and the
 * events' clock goes on: with a difference measured only at the start, the
 * reactor would then set timers in the past.
 *
 * @module
 */

/** A longer time between two waits may be a sleep, in milliseconds. */
const JUMP_MS = 1_000;
/** A smaller change may come from measuring late on a busy machine. */
const PARTED_MS = 500;

/** The events' clock minus the program's, measured again after a jump. */
export class Skew {
  /** In milliseconds. */
  ms: number;
  #lastMs: number;

  /**
   * @param eventsMs The time at the end of a wait, on the events' clock.
   * @param ownMs The program's time before that wait, so that no timer is
   * early.
   */
  constructor(eventsMs: number, ownMs: number) {
    this.ms = eventsMs - ownMs;
    this.#lastMs = eventsMs;
  }

  /**
   * Measures the difference again after a jump of the events' clock.
   *
   * @param eventsMs The time at the end of a wait.
   * @param ownMs Returns the program's time; called only after a jump.
   */
  note(eventsMs: number, ownMs: () => number): void {
    const jumpedMs = eventsMs - this.#lastMs;
    this.#lastMs = eventsMs;
    if (jumpedMs < JUMP_MS) return;
    const ms = eventsMs - ownMs();
    if (Math.abs(ms - this.ms) >= PARTED_MS) this.ms = ms;
  }
}
