/**
 * The state of a connection of HTTP/1.1, on which the files of this folder
 * work.
 *
 * @module
 */

import type { ByteQueue } from "../../bytes/byte_queue.ts";
import type { AnswerSink, PendingExchange } from "../answer_sink.ts";
import { BUSY_BYTES } from "../transport.ts";
import type { BodyIntake, IntakeOwner } from "./body_intake.ts";
import type { RequestHead } from "./head.ts";

/** What the next bytes belong to. */
export const Reading = {
  /** A request head. */
  HEAD: 0,
  /** The body of the current request. */
  BODY: 1,
  /** Nothing: the connection closes, and they are thrown away. */
  NOTHING: 2,
  /** Another protocol: see `handover.ts`. */
  HANDED_OVER: 3,
} as const;

/** The connection is used again after the current answer. */
export const KEEP_ALIVE = 1;
/** The connection is gone. */
export const CLOSED = 1 << 1;
/** The peer has sent its end. */
export const ENDED = 1 << 2;
/** Reading is stopped. */
export const PAUSED = 1 << 3;
/** A request is not answered yet. */
export const BUSY = 1 << 4;
/** The bytes that wait were parsed: they are a part of a head. */
export const PARTIAL = 1 << 5;
/** Where the two bits of `Reading` begin in the state. */
export const READING_SHIFT = 6;
/** The mask of the two bits of `Reading`, after the shift. */
export const READING_MASK = 3;

/** The connection closes after the answer to the next request, if one comes. */
export const SHUT_DOWN = 1 << 8;

/** A head or a body refers to the bytes that are handed over now. */
export const REFERRED = 1 << 9;

/** Received bytes that wait. */
export interface Pending {
  readonly queue: ByteQueue;
  /** The first bytes of the queue that are empty lines before a head. */
  emptyBytes: number;
}

/** A connection, as the files of this folder use it. */
export interface Http1 extends AnswerSink, IntakeOwner {
  /** Whether it waits for a request, and all answers were sent. */
  readonly isIdle: boolean;
  /** The bits above, from `KEEP_ALIVE` on. */
  state: number;
  /** One of {@linkcode Reading}, which is part of the state. */
  reading: number;
  /** Bytes that wait; `undefined` when no bytes do. */
  pending: Pending | undefined;
  /** The number of requests that have begun. */
  requests: number;
  /** The bits of `HeadFlag` and `RequestFlag` of the current head. */
  flags: number;
  /**
   * The current exchange, once its handler has returned without an answer.
   * Writing this field for every request would cost a GC write barrier.
   */
  exchange: PendingExchange | undefined;
  /** The body of the current request. */
  intake: BodyIntake | undefined;
  /**
   * Refuses a request that never reached a handler.
   *
   * @param head The request's head, if it is valid.
   */
  refuseUnseen(reason: number, head?: RequestHead): void;
}

/** Whether the next request must wait. */
export function isHeld(connection: Http1): boolean {
  return connection.reading === Reading.HEAD &&
    ((connection.state & BUSY) !== 0 ||
      connection.transport.bufferedBytes >= BUSY_BYTES ||
      connection.transport.isOverfull && awaitsRoom(connection));
}

/** Whether the next request must wait until other peers free memory. */
function awaitsRoom(connection: Http1): boolean {
  const { transport } = connection;
  const { heldBytes } = transport;
  // Only acting on the request frees the memory that is held for this peer.
  if (heldBytes > 0) transport.heldBytes = 0;
  const { isOverfull } = transport;
  if (heldBytes > 0) transport.heldBytes = heldBytes;
  if (isOverfull) transport.awaitRoom();
  return isOverfull;
}

/** Sets the deadline for the rest of a head. */
export function beginPartial(connection: Http1): void {
  if (connection.state & PARTIAL) return;
  connection.state |= PARTIAL;
  const { headMs } = connection.service.limits;
  if (headMs !== Infinity) connection.transport.setDeadline(headMs);
}
