/**
 * The state of a connection of HTTP/1.1: what all the files here work on.
 *
 * @module
 */

import type { ByteQueue } from "../../bytes/byte_queue.ts";
import type { AnswerSink, PendingExchange } from "../answer_sink.ts";
import { BUSY_BYTES } from "../transport.ts";
import type { BodyIntake, IntakeOwner } from "./body_intake.ts";
import type { RequestHead } from "./head.ts";

/** What the next bytes are. */
export const Reading = {
  /** A request head. */
  HEAD: 0,
  /** The body of the current request. */
  BODY: 1,
  /** Of no interest: the connection is being closed. */
  NOTHING: 2,
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
/** All that waits was looked at: it is a head that is not whole. */
export const PARTIAL = 1 << 5;
/** Where in the state the two bits of `Reading` begin. */
export const READING_SHIFT = 6;
/** The two bits, where they begin. */
export const READING_MASK = 3;

/** Bytes that have come and were not acted on. */
export interface Pending {
  readonly queue: ByteQueue;
  /** How many of its first bytes are known to be empty lines before a head. */
  emptyBytes: number;
}

/** A connection as the files of this folder see it. */
export interface Http1 extends AnswerSink, IntakeOwner {
  /** Whether it waits for a request, and owes nobody anything. */
  readonly isIdle: boolean;
  /** The bits that are named above. */
  state: number;
  /** One of {@linkcode Reading}, which is part of the state. */
  reading: number;
  /** Bytes that wait; `undefined` when there are none. */
  pending: Pending | undefined;
  /** Requests that have begun. */
  requests: number;
  /** The current head's bits of `HeadFlag` and `RequestFlag`. */
  flags: number;
  /**
   * The current exchange, once its handler has returned without an answer.
   * Writing this field for every request would cost a GC write barrier.
   */
  exchange: PendingExchange | undefined;
  /** The body of the current request. */
  intake: BodyIntake | undefined;
  /**
   * Answers a request that cannot be served and that no handler has seen.
   *
   * @param head The request's head, when it is valid.
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

/** Whether the next request must wait for memory that other peers take. */
function awaitsRoom(connection: Http1): boolean {
  const { transport } = connection;
  const { heldBytes } = transport;
  // Memory that is held for this peer is freed only by going on.
  if (heldBytes > 0) transport.heldBytes = 0;
  const { isOverfull } = transport;
  if (heldBytes > 0) transport.heldBytes = heldBytes;
  if (isOverfull) transport.awaitRoom();
  return isOverfull;
}

/** Has the rest of a head come in its time. */
export function beginPartial(connection: Http1): void {
  if (connection.state & PARTIAL) return;
  connection.state |= PARTIAL;
  const { headMs } = connection.service.limits;
  if (headMs !== Infinity) connection.transport.setDeadline(headMs);
}
