/**
 * What goes wrong in one world, and how often. Each world has some faults and
 * not others: where all of them happen at once, none is seen by itself.
 *
 * @module
 */

/** What draws by lot: a world. */
interface Lots {
  /** Whether something of this probability happens. */
  chance(probability: number): boolean;
  /** Returns one of several items. */
  pick<T>(items: readonly T[]): T;
}

/** How often things go wrong: probabilities, unless they say otherwise. */
export interface Faults {
  /** A read brings less than there is, and the rest at once after it. */
  readonly shortRead: number;
  /** A read that was told of brings nothing yet. */
  readonly lateRead: number;
  /** A write takes less than there is room for. */
  readonly shortWrite: number;
  /** A write takes nothing for a while. */
  readonly lateWrite: number;
  /** A write fails for want of memory, which ends the connection. */
  readonly noBuffers: number;
  /** An event tells of what is not so. */
  readonly spurious: number;
  /** An event comes in two halves, as kqueue has it. */
  readonly splitEvents: boolean;
  /** A peer's end comes just behind the event that tells of its bytes. */
  readonly lateEnd: number;
  /** Events that one poll brings, at the most. */
  readonly eventsMax: number;
  /** Connections that one accept call brings, at the most. */
  readonly acceptMax: number;
  /** Sockets that may be open: then `EMFILE`. */
  readonly socketsMax: number;
  /** The system itself is out of descriptors, for a while: `ENFILE`. */
  readonly noDescriptors: number;
  /** Accepting fails in a way that nobody expects. */
  readonly oddAccept: number;
  /** There is no room to register an accepted connection: `ENOSPC`. */
  readonly noWatches: number;
  /** A peer that is gone has no address any more. */
  readonly noAddress: number;
  /** How long a system call takes, in milliseconds. */
  readonly callMs: number;
  /** A wait ends although nothing has happened. */
  readonly earlyWake: number;
  /** How often the network moves, in milliseconds: then all comes at once. */
  readonly tickMs: number;
  /** A byte that comes is urgent: a read ends at it, although more waits. */
  readonly urgent: number;
  /** The poll cannot tell of that, as kqueue cannot. */
  readonly lacksPriority: boolean;
  /** Whether several streams can be read, and written to, in one call. */
  readonly batches: boolean;
}

const HARDLY = 0.02;
const OFTEN = 0.4;
/** One world of so many has urgent bytes. */
const URGENT_WORLDS = 5;

/** Returns a world's faults: of each kind none, few or many. */
export function faultsOf(world: Lots, seed: number): Faults {
  const rate = (): number => world.pick([0, 0, HARDLY, OFTEN]);
  const seldom = (): number => world.pick([0, 0, 0, HARDLY]);
  // Where all is read to its end, nothing is read in batches: only some worlds
  // are so, and the others cost no draw for it.
  const isUrgent = seed % URGENT_WORLDS === 0;
  return {
    shortRead: rate(),
    lateRead: rate(),
    shortWrite: rate(),
    lateWrite: rate(),
    noBuffers: seldom() / 4,
    spurious: rate(),
    splitEvents: world.chance(0.3),
    eventsMax: world.pick([1, 3, 256, 256]),
    acceptMax: world.pick([1, 2, 64, 64]),
    socketsMax: world.pick([2, 4, 1_000, 1_000, 1_000]),
    noDescriptors: seldom(),
    oddAccept: seldom(),
    noWatches: world.pick([0, 0, 0, 0.2]),
    noAddress: world.pick([0, 0, 0, OFTEN]),
    callMs: world.pick([0, 0.02, 0.5]),
    earlyWake: rate(),
    tickMs: world.pick([0, 0, 0.5, 2]),
    lateEnd: rate(),
    batches: world.chance(0.6),
    urgent: isUrgent ? world.pick([HARDLY, OFTEN]) : 0,
    lacksPriority: isUrgent && world.chance(0.4),
  };
}
