/**
 * Says how far a run is: on a terminal in one line that changes, else in a line
 * for each step.
 *
 * @module
 */

const CLEAR_LINE = "\r\x1b[K";
const MS_PER_MINUTE = 60_000;
/** Below this a guess would jump. */
const STEPS_TO_GUESS = 3;
const COLUMNS_USUAL = 80;

/** Where progress goes, and what time it is. */
export interface ProgressOptions {
  /** Whether a line can be written over. */
  readonly isTerminal: boolean;
  /** Takes text. */
  readonly write: (text: string) => void;
  /** The time in milliseconds. */
  readonly now: () => number;
  /** How long a line may be on a terminal. */
  readonly columns: () => number;
}

/** What has been done of what is to be done. */
export class Progress {
  readonly #options: ProgressOptions;
  #startMs = 0;
  #total = 0;
  #done = 0;
  /** Where the part ends that is being done. */
  #partEnd = 0;

  /** Writes where `options` say. */
  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** Says something that is no step. */
  say(line: string): void {
    this.#write(line);
  }

  /** Begins to count, up to a number of steps. */
  begin(total: number): void {
    this.#startMs = this.#options.now();
    this.#total = total;
    this.#done = this.#partEnd = 0;
  }

  /** Begins a part of some steps; those that the last left out are over. */
  beginPart(steps: number): void {
    this.#done = this.#partEnd;
    this.#partEnd += steps;
  }

  /** Says which step begins. */
  step(line: string): void {
    const left = this.#minutesLeft();
    // Something may be done once more: never more than there is.
    this.#done = Math.min(this.#done + 1, this.#partEnd);
    const guess = left === undefined ? "" : `, ${left} left`;
    this.#write(`[${this.#done} of ${this.#total}${guess}] ${line}`);
  }

  /** Leaves a terminal as if nothing had been there. */
  clear(): void {
    if (this.#options.isTerminal) this.#options.write(CLEAR_LINE);
  }

  #minutesLeft(): string | undefined {
    if (this.#done < STEPS_TO_GUESS) return undefined;
    const passedMs = this.#options.now() - this.#startMs;
    const leftMs = passedMs / this.#done * (this.#total - this.#done);
    return leftMs < MS_PER_MINUTE
      ? "a minute"
      : `${Math.ceil(leftMs / MS_PER_MINUTE)} minutes`;
  }

  #write(line: string): void {
    const { isTerminal, write, columns } = this.#options;
    // A line that wraps could not be written over.
    const room = (columns() || COLUMNS_USUAL) - 1;
    write(isTerminal ? CLEAR_LINE + line.slice(0, room) : `${line}\n`);
  }
}

/** Returns progress on standard error. */
export function progressOnStderr(): Progress {
  const encoder = new TextEncoder();
  return new Progress({
    isTerminal: Deno.stderr.isTerminal(),
    write: (text) => Deno.stderr.writeSync(encoder.encode(text)),
    now: () => performance.now(),
    columns: () =>
      Deno.stderr.isTerminal() ? Deno.consoleSize().columns : COLUMNS_USUAL,
  });
}
