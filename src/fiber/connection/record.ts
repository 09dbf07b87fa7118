/**
 * What is kept of a fiber's connection, and how many of its reads and writes
 * wait.
 *
 * A connection is paused unless a fiber reads, so it needs no buffer.
 *
 * @module
 */

import type { ByteQueue } from "../../bytes/byte_queue.ts";
import type { StreamAddress } from "../../net/address.ts";
import type { Connection } from "../../reactor/connection.ts";
import type { EngineConnection } from "../../reactor/connection/engine.ts";
import type { GuestLoop } from "../../reactor/guest.ts";
import type { Scheduler } from "../../reactor/timers.ts";
import { Owned, type Owner } from "../owned.ts";

/** No read waits. */
export const NOTHING = 0;
/** `read` waits for bytes in the program's array. */
export const INTO_TARGET = 1;
/** `readChunk` waits for bytes to keep. */
export const CHUNK = 2;
/** `readUntil` waits for more bytes in the inbox. */
export const MORE = 3;
/** `for await` waits for its next chunk. */
export const NEXT = 4;

/** What `for await` receives. */
export type Next = IteratorResult<Uint8Array<ArrayBuffer>, undefined>;

/**
 * What a read resolves with: a count, a chunk, `true` when the inbox has more,
 * `null` at the end of the stream.
 */
export type ReadAnswer = number | Uint8Array<ArrayBuffer> | true | null | Next;

/** A write that waits until the peer has taken enough. */
export interface Writer {
  /** How many bytes it has written. */
  readonly length: number;
  /** Resolves its promise. */
  readonly resolve: (length: number) => void;
  /** Rejects its promise. */
  readonly reject: (reason: unknown) => void;
}

/** What a connect calls when it has ended. */
export interface Opening {
  /** The connection is open. */
  open(): void;
  /** The connection could not be opened. */
  fail(error: unknown): void;
}

/** Why an operation is refused; an object, since any value can be thrown. */
export interface Fault {
  /** What the operation rejects with. */
  readonly error: unknown;
}

/** What a connection needs of the reactor: timers and the count of fibers. */
export interface FiberScheduler extends Scheduler {
  /** Where running fibers are counted. */
  readonly loop: GuestLoop;
}

/** What is kept of one connection. */
export abstract class FiberConnectionRecord extends Owned {
  /** Timers, and the count of fibers that run. */
  readonly scheduler: FiberScheduler;
  /** The reactor's connection. */
  readonly connection: EngineConnection<FiberConnectionRecord>;
  /** The connect that waits for this connection, while it does. */
  opening: Opening | undefined;
  /** Bytes that came and that no fiber has read, while there are some. */
  inbox: ByteQueue | undefined = undefined;
  /** What the read that waits wants. */
  wants = NOTHING;
  /** The program's array that `read` fills. */
  target: Uint8Array | undefined = undefined;
  /** Whether the last read has brought many bytes. */
  isBulk = false;
  /** Resolves the read that waits. */
  resolve: ((answer: ReadAnswer) => void) | undefined = undefined;
  /** Rejects the read that waits. */
  reject: ((reason: unknown) => void) | undefined = undefined;
  /** Writes that wait, in order. */
  writers: Set<Writer> | undefined = undefined;
  /** Bytes written since a read or a write of this connection last waited. */
  burst = 0;
  /** Its part of `GuestLoop.running`, while no fiber owns it. */
  running = 0;
  /** Why nothing can be read or written any more. */
  fault: Fault | undefined = undefined;
  /** Why nothing can be written any more, while reads go on. */
  writeFault: Fault | undefined = undefined;
  /** Whether the stream from the peer has ended. */
  isEnded = false;
  /** Whether the program has ended its own stream. */
  isWriteEnded = false;
  /** Whether the program has closed the connection. */
  isReleased = false;
  /** Whether the reactor has closed its connection, for whatever reason. */
  isGone = false;
  /** The peer's address, once it was read. */
  peerAddress: StreamAddress | undefined = undefined;
  /** Our address, once it was read. */
  localAddress: StreamAddress | undefined = undefined;

  /** Made by the fibers' guest, for a connection that is accepted or opened. */
  constructor(
    scheduler: FiberScheduler,
    connection: Connection<FiberConnectionRecord>,
    opening?: Opening,
  ) {
    super();
    this.opening = opening;
    this.scheduler = scheduler;
    // Every connection of a reactor is one of the engine's.
    this.connection = connection as EngineConnection<FiberConnectionRecord>;
    connection.data = this;
    connection.pause();
  }

  /** Whether either side has closed it. */
  get isClosed(): boolean {
    return this.isReleased || this.isGone;
  }

  override moveTo(owner: Owner | undefined): void {
    if (this.isClosed) return;
    const waits = countWaits(this);
    for (let left = waits; left > 0; left--) endWait(this);
    stopRunning(this);
    super.moveTo(owner);
    // A connection without an owner counts as a fiber: a program runs for it.
    if (owner === undefined) addRunning(this, 1);
    for (let left = waits; left > 0; left--) beginWait(this);
  }

  /** Leaves its owner: the program has closed it, and nothing waits. */
  leaveOwner(): void {
    super.moveTo(undefined);
    stopRunning(this);
  }
}

/** Returns how many reads and writes wait. */
function countWaits({ wants, writers }: FiberConnectionRecord): number {
  return (wants === NOTHING ? 0 : 1) + (writers?.size ?? 0);
}

/** Counts a read or a write that begins to wait for the reactor. */
export function beginWait(record: FiberConnectionRecord): void {
  if (record.owner !== undefined) record.owner.beginWait();
  else if (record.running > 0) addRunning(record, -1);
}

/** Counts a read or a write whose wait is over. */
export function endWait(record: FiberConnectionRecord): void {
  if (record.owner !== undefined) record.owner.endWait();
  else if (!record.isClosed) addRunning(record, 1);
}

function addRunning(record: FiberConnectionRecord, delta: number): void {
  record.running += delta;
  record.scheduler.loop.running += delta;
}

/** Stops counting a connection that no fiber owns. */
export function stopRunning(record: FiberConnectionRecord): void {
  // Not for zero: -0 would turn an integer field into a floating-point one.
  if (record.running > 0) addRunning(record, -record.running);
}

/** Reads both addresses, which the system may forget later. */
export function noteAddresses(record: FiberConnectionRecord): void {
  record.peerAddress ??= record.connection.peerAddress;
  record.localAddress ??= record.connection.localAddress;
}

/** Returns the error of a call that needs an open connection. */
export function closedError(verb: string): Error {
  return new Deno.errors.BadResource(
    `Cannot ${verb} the connection: it is closed`,
  );
}
