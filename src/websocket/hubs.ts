/**
 * Which hubs there are: one for each server, and sets of them.
 *
 * @module
 */

import { Hub } from "./topics.ts";

/** Hubs, none of which it keeps in memory. */
export class HubSet {
  readonly #refs = new Set<WeakRef<Hub>>();
  /** Whether a hub was added, which may be gone. */
  #isOwn = false;

  /** Adds a hub, unless it is in the set. */
  add(hub: Hub): void {
    for (const own of this.#own()) if (own === hub) return;
    this.#refs.add(new WeakRef(hub));
    this.#isOwn = true;
  }

  /** Yields its hubs; all hubs of this thread until one is added. */
  *[Symbol.iterator](): Generator<Hub> {
    if (this.#isOwn) yield* this.#own();
    else if (this !== all) yield* all;
  }

  *#own(): Generator<Hub> {
    for (const ref of this.#refs) {
      const hub = ref.deref();
      if (hub === undefined) this.#refs.delete(ref);
      else yield hub;
    }
  }
}

/** The hubs of this thread, by what only their servers have. */
const hubs = new WeakMap<object, Hub>();
/** All of them. */
const all: HubSet = new HubSet();

/** Returns the topics of a server, by any object that only the server has. */
export function hubOf(server: object): Hub {
  let hub = hubs.get(server);
  if (hub === undefined) {
    hubs.set(server, hub = new Hub());
    all.add(hub);
  }
  return hub;
}
