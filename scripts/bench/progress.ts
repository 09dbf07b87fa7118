/**
 * Says how far a measurement is: on a terminal in one line that changes,
 * elsewhere in a line for each step.
 *
 * @module
 */

import { formatDuration } from "../packages/std.ts";

const CLEAR_LINE = "\r\x1b[K";
const MS_PER_SECOND = 1_000;

/** Which of the scenarios is being measured, and what of it. */
export class Progress {
  readonly #isTerminal = Deno.stderr.isTerminal();
  readonly #startMs = performance.now();
  #done = -1;
  #total = 0;
  #title = "";

  /** Says which scenario begins, of how many. */
  begin(title: string, total: number): void {
    this.#done++;
    this.#total = total;
    this.#title = title;
  }

  /** Says which step of the scenario begins. */
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

  /** Says something; on a terminal over what stands there. */
  say(line: string): void {
    if (!this.#isTerminal) return write(`${line}\n`);
    // A line that wraps could not be written over.
    write(CLEAR_LINE + line.slice(0, Deno.consoleSize().columns - 1));
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
