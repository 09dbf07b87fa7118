/**
 * Collects the lines that a program prints to the console.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- what is printed is what is tested

/** Collects console lines, instead of printing them, until disposed of. */
export class ConsoleWatch implements Disposable {
  /** The arguments of each `console.log`. */
  readonly logged: unknown[][] = [];
  /** The arguments of each `console.error`. */
  readonly complained: unknown[][] = [];
  /** The arguments of each `console.warn`. */
  readonly warned: unknown[][] = [];
  readonly #log = console.log;
  readonly #error = console.error;
  readonly #warn = console.warn;

  constructor() {
    console.log = (...values) => void this.logged.push(values);
    console.error = (...values) => void this.complained.push(values);
    console.warn = (...values) => void this.warned.push(values);
  }

  [Symbol.dispose](): void {
    console.log = this.#log;
    console.error = this.#error;
    console.warn = this.#warn;
  }
}
