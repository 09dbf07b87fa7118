/**
 * Shows what is watched: drawn again and again on a terminal, elsewhere printed
 * line by line.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { bold } from "../../packages/std.ts";
import type { Told } from "./story.ts";

const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
/** More than a terminal shows. */
const KEPT_MAX = 200;

/** Prints, or draws. */
export class Screen {
  readonly #isTerminal = Deno.stdout.isTerminal();
  readonly #head: readonly string[];
  #told: Told[] = [];
  #state: readonly string[] = [];

  /** Begins with lines that stay. */
  constructor(head: readonly string[]) {
    this.#head = head;
    if (this.#isTerminal) write(`${HOME}${CLEAR_BELOW}`);
    else for (const line of head) console.log(line);
  }

  /** Takes lines of the story. */
  tell(lines: readonly Told[]): void {
    if (!this.#isTerminal) {
      for (const { isHeading, text } of lines) {
        console.log(isHeading ? `\n${text}` : text);
      }
      return;
    }
    this.#told = [...this.#told, ...lines].slice(-KEPT_MAX);
  }

  /**
   * Takes the state of the server. `now` is what changes all the time: it is
   * drawn, and printed only together with a change of the state.
   */
  show(state: readonly string[], now: readonly string[]): void {
    if (this.#isTerminal) return this.#draw([...now, ...state]);
    if (`${state}` === `${this.#state}`) return;
    this.#state = state;
    console.log(["", ...now, ...state].join("\n"));
  }

  #draw(state: readonly string[]): void {
    const { rows, columns } = Deno.consoleSize();
    const top = [...this.#head, ...state, ""];
    const room = Math.max(rows - 1 - top.length, 0);
    const story = room === 0
      ? []
      : this.#told.slice(-room).map((told) =>
        told.isHeading ? bold(told.text) : told.text.slice(0, columns - 1)
      );
    const lines = [
      ...top.slice(0, rows - 1).map((line) => line.slice(0, columns - 1)),
      ...story,
    ];
    const text = lines.map((line) => `${line}${CLEAR_LINE}\n`).join("");
    write(`${HOME}${text}${CLEAR_BELOW}`);
  }
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
