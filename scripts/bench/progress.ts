/**
 * Says how far a run is: on a terminal in one line that changes, elsewhere in a
 * line for each step.
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

  /** Says what takes long before anything is measured. */
  say(line: string): void {
    this.#write(line);
  }

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
    const left = this.#done === 0 ? "" : `, ${timeText(leftMs)} left`;
    const place = `[${this.#done + 1} of ${this.#total}${left}]`;
    this.#write(`${place} ${this.#title}: ${line}`);
  }

  /** Leaves a terminal as if nothing had been there. */
  clear(): void {
    if (this.#isTerminal) write(CLEAR_LINE);
  }

  #write(line: string): void {
    if (!this.#isTerminal) return write(`${line}\n`);
    // A line that wraps could not be written over.
    write(CLEAR_LINE + line.slice(0, Deno.consoleSize().columns - 1));
  }
}

function timeText(ms: number): string {
  const wholeMs = Math.ceil(ms / MS_PER_SECOND) * MS_PER_SECOND;
  return formatDuration(wholeMs, { ignoreZero: true });
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
