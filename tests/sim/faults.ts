/**
 * The faults of one world, and how often they happen. Each world has only some
 * of them: where all happen at once, they hide each other.
 *
 * @module
 */

/** A source of chance: a world. */
interface Lots {
  /** Returns true with this probability. */
  chance(probability: number): boolean;
  /** Returns one of the items. */
  pick<T>(items: readonly T[]): T;
}

/** How often faults happen: probabilities, unless a comment says otherwise. */
export interface Faults {
  /** A read returns only a part; the next read returns the rest. */
  readonly shortRead: number;
  /** A read after its event returns nothing yet. */
  readonly lateRead: number;
  /** A write takes fewer bytes than there is room for. */
  readonly shortWrite: number;
  /** A write takes nothing for a while. */
  readonly lateWrite: number;
  /** A write fails because memory is short; this ends the connection. */
  readonly noBuffers: number;
  /** An event is false. */
  readonly spurious: number;
  /** An event comes in two halves, as with kqueue. */
  readonly splitEvents: boolean;
  /** A peer's end comes just after the event that reports its bytes. */
  readonly lateEnd: number;
  /** Events that one poll returns at the most. */
  readonly eventsMax: number;
  /** Connections that one accept call returns at the most. */
  readonly acceptMax: number;
  /** Sockets that may be open; `EMFILE` beyond that. */
  readonly socketsMax: number;
  /** The whole system is out of descriptors for a while: `ENFILE`. */
  readonly noDescriptors: number;
  /** Accepting fails with an error that is no shortage. */
  readonly oddAccept: number;
  /** There is no room to register an accepted connection: `ENOSPC`. */
  readonly noWatches: number;
  /** The address of a peer that is gone is unknown. */
  readonly noAddress: number;
  /** How long a system call takes, in milliseconds. */
  readonly callMs: number;
  /** How long the program computes in a handler at the most, in milliseconds. */
  readonly handlerMs: number;
  /** A wait ends without an event. */
  readonly earlyWake: number;
  /** Milliseconds between two moments at which the network moves all bytes. */
  readonly tickMs: number;
  /** A byte is urgent: a read stops at it although more bytes wait. */
  readonly urgent: number;
  /** The poll cannot report urgent bytes, as kqueue cannot. */
  readonly lacksPriority: boolean;
  /** Whether several streams can be read, and written to, in one call. */
  readonly batches: boolean;
  /** The most bytes that such a call reads from a stream. */
  readonly batchRoomMax: number;
}

const HARDLY = 0.02;
const OFTEN = 0.4;
/** One world in this many has urgent bytes. */
const URGENT_WORLDS = 5;

/** As on Linux without a ring, with one, and so few that most reads go on. */
const BATCH_ROOMS = [Infinity, 2_048, 16];
/** Most programs are fast; a turn lasts ten milliseconds at the most. */
const HANDLERS_MS = [0, 0, 0, 25];

/** Returns a world's faults: none, few or many of each kind. */
export function faultsOf(world: Lots, seed: number): Faults {
  const rate = (): number => world.pick([0, 0, HARDLY, OFTEN]);
  const seldom = (): number => world.pick([0, 0, 0, HARDLY]);
  // Connections that may have urgent bytes are not read in batches. So only
  // some worlds have them, and the others make no draw for it.
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
    handlerMs: HANDLERS_MS[seed % HANDLERS_MS.length]!,
    callMs: world.pick([0, 0.02, 0.5]),
    earlyWake: rate(),
    tickMs: world.pick([0, 0, 0.5, 2]),
    lateEnd: rate(),
    batches: world.chance(0.6),
    batchRoomMax: BATCH_ROOMS[seed % BATCH_ROOMS.length]!,
    urgent: isUrgent ? world.pick([HARDLY, OFTEN]) : 0,
    lacksPriority: isUrgent && world.chance(0.4),
  };
}
