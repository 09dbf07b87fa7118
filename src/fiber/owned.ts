/**
 * What a fiber owns ends with the fiber.
 *
 * @module
 */

/** A fiber, as the things that it owns see it. */
export interface Owner {
  /** Counts a wait for the reactor that begins. */
  beginWait(): void;
  /**
   * Counts a wait that is over. An owner that waits for two things counts as
   * two from then on: while one wait is for the reactor, the other may be for
   * Deno.
   */
  endWait(): void;
  /** Releases `owned` when this ends. */
  keep(owned: Owned): void;
  /** Does not release `owned` any more. */
  lose(owned: Owned): void;
  /** Ends this; promises that wait for what it owns reject with `reason`. */
  cancel(reason?: unknown): void;
}

/** Work that ends when its reactor closes. */
export interface Running {
  /** Ends it; promises that wait for it reject with `reason`. */
  cancel(reason: unknown): void;
  /**
   * Settles its promises, although a wait for something of Deno's goes on and
   * ignores the cancel. Called some time after `cancel`.
   */
  abandon?(): void;
}

/** Something that is released when its owner ends. */
export abstract class Owned {
  /** The fiber that releases it; `undefined` outside of fibers. */
  owner: Owner | undefined = undefined;

  /** Ends it, because its owner has ended. */
  abstract release(): void;

  /** Ends it at once; promises that wait for it reject with `reason`. */
  abstract cancel(reason: unknown): void;

  /** Gives it to another owner; to none when `owner` is `undefined`. */
  moveTo(owner: Owner | undefined): void {
    this.owner?.lose(this);
    this.owner = owner;
    owner?.keep(this);
  }
}

/** What one fiber owns: most fibers own one thing. */
export class OwnedSet {
  #first: Owned | undefined = undefined;
  #others: Set<Owned> | undefined = undefined;

  /** Adds `owned`, which is not in the set. */
  add(owned: Owned): void {
    if (this.#first === undefined) this.#first = owned;
    else (this.#others ??= new Set()).add(owned);
  }

  /** Removes `owned`, if it is in the set. */
  delete(owned: Owned): void {
    if (this.#first === owned) this.#first = undefined;
    else this.#others?.delete(owned);
  }

  /**
   * Empties the set and calls `end` for each member, the newest first. Calls
   * `report` with what `end` throws, and goes on.
   */
  drain(end: (owned: Owned) => void, report: (error: unknown) => void): void {
    const all = [...this.#others ?? []].reverse();
    if (this.#first !== undefined) all.push(this.#first);
    this.#first = undefined;
    this.#others = undefined;
    for (const owned of all) {
      try {
        end(owned);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** Returns `thing`, as something that a fiber can own. */
export function ownedOf(thing: Disposable): Owned {
  return thing instanceof Owned ? thing : new OwnedDisposable(thing);
}

/** Anything that can be disposed of. */
class OwnedDisposable extends Owned {
  readonly #thing: Disposable;

  constructor(thing: Disposable) {
    super();
    this.#thing = thing;
  }

  release(): void {
    this.#thing[Symbol.dispose]();
  }

  cancel(): void {
    this.#thing[Symbol.dispose]();
  }
}
