/**
 * What a fiber owns: it never outlives the fiber.
 *
 * @module
 */

/** What can own. */
export interface Owner {
  /** Something that it owns, or has asked for, waits for the reactor. */
  beginWait(): void;
  /**
   * That wait is over. What waits for two things at once is two from then on:
   * one of them may wait for Deno while the other waits for the reactor.
   */
  endWait(): void;
  /** Takes note of what is released when this ends. */
  keep(owned: Owned): void;
  /** Forgets what needs no release any more. */
  lose(owned: Owned): void;
  /** Ends it; what waits for something that it owns is told `reason`. */
  cancel(reason?: unknown): void;
}

/** Something that is told when its reactor closes. */
export interface Running {
  /** Ends it; what waits for it is told `reason`. */
  cancel(reason: unknown): void;
  /**
   * Settles its promises, although work of Deno's that ignores the cancel goes
   * on: called some time after `cancel`.
   */
  abandon?(): void;
}

/** Something that is released when its owner ends. */
export abstract class Owned {
  /** Who releases it; nobody when it was made outside of fibers. */
  owner: Owner | undefined = undefined;

  /** Ends it, since its owner has ended. */
  abstract release(): void;

  /** Ends it at once; what waits for it is told `reason`. */
  abstract cancel(reason: unknown): void;

  /** Gives it to another owner, or to nobody. */
  moveTo(owner: Owner | undefined): void {
    this.owner?.lose(this);
    this.owner = owner;
    owner?.keep(this);
  }
}

/** A bag of what one fiber owns; most own one thing. */
export class OwnedSet {
  #first: Owned | undefined = undefined;
  #others: Set<Owned> | undefined = undefined;

  /** Adds something that is not in it. */
  add(owned: Owned): void {
    if (this.#first === undefined) this.#first = owned;
    else (this.#others ??= new Set()).add(owned);
  }

  /** Removes something, if it is there. */
  delete(owned: Owned): void {
    if (this.#first === owned) this.#first = undefined;
    else this.#others?.delete(owned);
  }

  /**
   * Calls `end` for each, the newest first, and forgets them. One that throws
   * does not keep the others: `report` is told.
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
