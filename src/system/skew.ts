/**
 * How far the clock of events is from the program's own.
 *
 * Both are monotonic, from different starts. On Linux they run alike. On macOS
 * the program's clock rests while the machine sleeps, and that of events goes
 * on: who goes by what was measured at the start would set timers in the past.
 *
 * @module
 */

/** A jump between two waits that a sleep may have made, in milliseconds. */
const JUMP_MS = 1_000;
/** A difference that no measuring makes: a busy machine is late by less. */
const PARTED_MS = 500;

/** The events' clock less the program's, measured again after a jump. */
export class Skew {
  /** In milliseconds. */
  ms: number;
  #lastMs: number;

  /**
   * @param eventsMs The time that a wait told.
   * @param ownMs The program's time before that wait: what is set by it is then
   * never early.
   */
  constructor(eventsMs: number, ownMs: number) {
    this.ms = eventsMs - ownMs;
    this.#lastMs = eventsMs;
  }

  /**
   * Takes note of the time that a wait told.
   *
   * @param ownMs Returns the program's time, when it is needed.
   */
  note(eventsMs: number, ownMs: () => number): void {
    const jumpedMs = eventsMs - this.#lastMs;
    this.#lastMs = eventsMs;
    if (jumpedMs < JUMP_MS) return;
    const ms = eventsMs - ownMs();
    if (Math.abs(ms - this.ms) >= PARTED_MS) this.ms = ms;
  }
}
