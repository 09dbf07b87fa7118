/**
 * What is printed while something runs.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- what is printed is what is tested

/** Keeps what goes to the console, instead of printing it, until disposed of. */
export class ConsoleWatch implements Disposable {
  /** The arguments of each `console.log`. */
  readonly logged: unknown[][] = [];
  /** The arguments of each `console.error`. */
  readonly complained: unknown[][] = [];
  readonly #log = console.log;
  readonly #error = console.error;

  constructor() {
    console.log = (...values) => void this.logged.push(values);
    console.error = (...values) => void this.complained.push(values);
  }

  [Symbol.dispose](): void {
    console.log = this.#log;
    console.error = this.#error;
  }
}
