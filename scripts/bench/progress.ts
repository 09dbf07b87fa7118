/**
 * Prints how far a measurement is: on a terminal in one line that changes,
 * elsewhere in a line for each step.
 *
 * @module
 */

import { formatDuration } from "../packages/std.ts";

const CLEAR_LINE = "\r\x1b[K";
const MS_PER_SECOND = 1_000;

/** The scenario that is being measured, and its step. */
export class Progress {
  readonly #isTerminal = Deno.stderr.isTerminal();
  readonly #startMs = performance.now();
  #done = -1;
  #total = 0;
  #title = "";

  /** Prints which scenario begins, and their number. */
  begin(title: string, total: number): void {
    this.#done++;
    this.#total = total;
    this.#title = title;
  }

  /** Prints which step of the scenario begins. */
  step(line: string): void {
    const passedMs = performance.now() - this.#startMs;
    const leftMs = passedMs / this.#done * (this.#total - this.#done);
    const wholeMs = Math.ceil(leftMs / MS_PER_SECOND) * MS_PER_SECOND;
    const left = this.#done === 0
      ? ""
      : `, ${formatDuration(wholeMs, { ignoreZero: true })} left`;
    const place = `[${this.#done + 1} of ${this.#total}${left}]`;
    this.say(`${place} ${this.#title}: ${line}`);
  }

  /** Prints a line; on a terminal over the line of the progress. */
  say(line: string): void {
    if (!this.#isTerminal) return write(`${line}\n`);
    // A line that wraps could not be written over.
    write(CLEAR_LINE + line.slice(0, Deno.consoleSize().columns - 1));
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
