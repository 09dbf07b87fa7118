/**
 * Where an exchange's answer goes: in HTTP/1.1 to a connection, in HTTP/2 to a
 * stream of a connection.
 *
 * @module
 */

import type { AnswerPlan } from "./answer_plan.ts";
import type { ResponseParts } from "./response.ts";
import type { Service } from "./service.ts";
import type { Handover } from "./takeover.ts";
import type { ServeAddress } from "./transport.ts";

/** An exchange without a whole answer, as its sink sees it. */
export interface PendingExchange {
  /** Whether a stream is being written. */
  readonly isStreaming: boolean;
  /** Whether the peer takes the end of the connection for the body's end. */
  readonly endsByClosing: boolean;
  /** The peer sends no more and may be gone: the request's signal aborts. */
  peerEnded(): void;
  /** The peer has read: the stream goes on. */
  drain(): void;
  /**
   * Cancels the stream: the peer is gone, or the stream was silent too long.
   */
  cancelStream(): void;
  /**
   * The connection is gone.
   *
   * @param cause Why, when this side has ended the connection.
   */
  lose(cause: unknown): void;
}

/** Where the answer of one exchange goes. */
export interface AnswerSink {
  /** The handler, limits and heads that all exchanges of a server share. */
  readonly service: Service;
  /** The authority for a request that has none. */
  readonly authority: string;
  /** The peer's address, also after the peer has gone. */
  readonly peerAddress: ServeAddress;
  /** Whether nothing can be sent any more. */
  readonly isClosed: boolean;
  /** Whether the peer has sent its end: the peer may be gone. */
  readonly peerHasEnded: boolean;
  /** Received bytes of the request's body. */
  readonly receivedBytes: number;
  /**
   * Keeps the exchange until it is answered, to notify it when the peer ends or
   * is gone.
   */
  hold(exchange: PendingExchange): void;
  /** An answer begins: the sink decides whether to read the body to its end. */
  prepare(parts: ResponseParts): void;
  /**
   * Writes a 200 of text with no field but its type: the common answer.
   *
   * @returns Whether the answer was written; nothing is written otherwise.
   */
  plain(type: string | undefined, text: string): boolean;
  /**
   * Writes an answer with a whole body or without a body.
   *
   * @returns The length of the body in bytes.
   * @throws {TypeError} when a field cannot be sent; nothing is written then.
   */
  whole(plan: AnswerPlan): number;
  /**
   * Writes the head of an answer with a streamed body.
   *
   * @throws {TypeError} as {@linkcode AnswerSink.whole} does.
   */
  head(plan: AnswerPlan): BodySink;
  /**
   * Writes a 101, the last answer of its connection, which another protocol
   * takes over then.
   *
   * @throws {TypeError} when the request does not allow that, or as
   * {@linkcode AnswerSink.whole} does; nothing is written then.
   */
  handOver(plan: AnswerPlan, handover: Handover): void;
  /** The whole answer was handed over: the next request may begin. */
  finished(): void;
  /**
   * Refuses the request with a status, and takes no further request.
   *
   * @returns The status that was sent.
   */
  refuse(status: number): number;
  /**
   * Ends an answer that is not whole, so that the peer notices.
   *
   * @param body The sink that the answer's body was written to.
   */
  breakOff(body: BodySink): void;
  /** Ends the connection at once. */
  abort(): void;
  /** Acts on the requests that waited for an answer, after it came late. */
  proceed(): void;
}

/** Where the streamed body of one answer goes. */
export interface BodySink {
  /** Whether no byte was sent: the head waits for the first chunk. */
  readonly isUnsent: boolean;
  /** Whether the end of the connection ends the body. */
  readonly endsByClosing: boolean;
  /** Whether too many bytes wait for the peer to write more. */
  readonly isBusy: boolean;
  /** Sends the head, if it still waits. */
  flush(): void;
  /** Copies a chunk, so that several chunks are sent in one call. */
  data(chunk: Uint8Array<ArrayBuffer>): void;
  /** Begins a chunk that is written in pieces, which are not copied. */
  beginPieces(byteLength: number): void;
  /**
   * Writes a piece.
   *
   * @param isLast Whether the piece ends its chunk.
   * @param endsBody Whether the piece ends the body.
   */
  piece(
    piece: Uint8Array<ArrayBuffer>,
    isLast: boolean,
    endsBody: boolean,
  ): void;
  /** Ends the body, unless the last piece did, and sends a waiting head. */
  end(): void;
  /**
   * Sets when the connection's `timeout` is called, `delayMs` from now;
   * `Infinity` clears that.
   */
  setDeadline(delayMs: number): void;
}
