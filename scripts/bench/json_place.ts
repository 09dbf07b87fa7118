/**
 * Reads JSON that must have a certain shape, and says where it has not.
 *
 * @module
 */

import { Failure } from "../command_line.ts";

/** How much of a wrong value an error quotes. */
const QUOTE_LENGTH_MAX = 40;

/** A value in a JSON document, with the path that leads to it. */
export class Place {
  readonly #path: string;
  /** What is there; `undefined` when nothing is. */
  readonly value: unknown;

  /** Names a value. */
  constructor(path: string, value: unknown) {
    this.#path = path;
    this.value = value;
  }

  /** Returns a field of the object that is here. */
  get(key: string): Place {
    if (!isObject(this.value)) throw this.unlike("an object");
    const value = Object.hasOwn(this.value, key) ? this.value[key] : undefined;
    return new Place(`${this.#path}.${key}`, value);
  }

  /** Returns the elements of the array that is here. */
  elements(): Place[] {
    if (!Array.isArray(this.value)) throw this.unlike("an array");
    return this.value.map((value, index) =>
      new Place(`${this.#path}[${index}]`, value)
    );
  }

  /** Returns the fields of the object that is here, by name. */
  fields(): [key: string, place: Place][] {
    if (!isObject(this.value)) throw this.unlike("an object");
    return Object.keys(this.value).map((key) => [key, this.get(key)]);
  }

  /** Returns the text that is here. */
  text(): string {
    if (typeof this.value === "string") return this.value;
    throw this.unlike("a text");
  }

  /** Returns the number that is here. */
  number(): number {
    if (typeof this.value === "number") return this.value;
    throw this.unlike("a number");
  }

  /** Returns the truth that is here. */
  boolean(): boolean {
    if (typeof this.value === "boolean") return this.value;
    throw this.unlike("true or false");
  }

  /** Returns the text that is here, which is one of `options`. */
  oneOf<T extends string>(options: readonly T[]): T {
    const found = options.find((option) => option === this.value);
    if (found !== undefined) return found;
    throw this.unlike(`one of ${options.join(", ")}`);
  }

  /** Returns what `read` finds here, `undefined` when nothing is here. */
  optional<T>(read: (place: Place) => T): T | undefined {
    return this.value === undefined ? undefined : read(this);
  }

  /** Returns what `read` finds here, or the `null` that is here. */
  orNull<T>(read: (place: Place) => T): T | null {
    return this.value === null ? null : read(this);
  }

  /** Returns the error that says what should be here. */
  unlike(wanted: string): Failure {
    const text = JSON.stringify(this.value) ?? "missing";
    const quote = text.length > QUOTE_LENGTH_MAX
      ? `${text.slice(0, QUOTE_LENGTH_MAX)}…`
      : text;
    return new Failure(
      `Cannot read results: ${this.#path} is ${quote}, and must be ${wanted}`,
    );
  }
}

/** Returns what `read` makes of each element of the array at `place`. */
export function arrayOf<T>(place: Place, read: (entry: Place) => T): T[] {
  return place.elements().map(read);
}

/** Returns what `read` makes of each field of the object at `place`. */
export function recordOf<T>(
  place: Place,
  read: (entry: Place, key: string) => T,
): Record<string, T> {
  return Object.fromEntries(
    place.fields().map(([key, entry]) => [key, read(entry, key)]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
