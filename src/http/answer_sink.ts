/**
 * The way that an exchange's answer takes: what HTTP/1.1 does by a connection,
 * and HTTP/2 by a stream of one.
 *
 * @module
 */

import type { AnswerPlan } from "./answer_plan.ts";
import type { ResponseParts } from "./response.ts";
import type { Service } from "./service.ts";
import type { ServeAddress } from "./transport.ts";

/** An exchange that is not answered, as its sink sees it. */
export interface PendingExchange {
  /** Whether a stream is being written. */
  readonly isStreaming: boolean;
  /** Whether the peer would take the end of the connection for the body's. */
  readonly endsByClosing: boolean;
  /** The peer sends no more: it may have gone, and the handler is notified. */
  peerEnded(): void;
  /** The peer has read: a stream goes on. */
  drain(): void;
  /** Nothing more of a stream can be sent, or has come for too long. */
  cancelStream(): void;
  /**
   * The connection is gone.
   *
   * @param cause Why, if this side has ended it.
   */
  lose(cause: unknown): void;
}

/** Where the answer of one exchange goes. */
export interface AnswerSink {
  /** What all exchanges of one server share. */
  readonly service: Service;
  /** The authority for a request that names none. */
  readonly authority: string;
  /** The peer's address, also when the peer has gone. */
  readonly peerAddress: ServeAddress;
  /** Whether nothing can be sent any more. */
  readonly isClosed: boolean;
  /** Whether the peer sends no more than what has come, and may have gone. */
  readonly peerHasEnded: boolean;
  /** Bytes of the request's body that have come. */
  readonly receivedBytes: number;
  /**
   * Keeps the exchange, which is not answered yet: it is notified when the peer
   * ends or has gone.
   */
  hold(exchange: PendingExchange): void;
  /** An answer begins: decides what becomes of a body that has not come. */
  prepare(parts: ResponseParts): void;
  /**
   * Writes a 200 of text with no field but its type: the common answer.
   *
   * @returns Whether that was possible; if not, nothing is written.
   */
  plain(type: string | undefined, text: string): boolean;
  /**
   * Writes an answer whose body is whole, or that has none.
   *
   * @returns The bytes of its body.
   * @throws {TypeError} when a field cannot be sent; nothing is written then.
   */
  whole(plan: AnswerPlan): number;
  /**
   * Writes the head of an answer whose body is a stream.
   *
   * @throws {TypeError} as {@linkcode AnswerSink.whole} does.
   */
  head(plan: AnswerPlan): BodySink;
  /** The answer is handed over in whole: the next request may begin. */
  finished(): void;
  /**
   * Answers with a status alone, and takes no further request.
   *
   * @returns The status that was said.
   */
  refuse(status: number): number;
  /**
   * Ends an answer that is not whole, so that the peer can tell.
   *
   * @param body What was written to, if anything was.
   */
  breakOff(body: BodySink): void;
  /** Ends the connection at once. */
  abort(): void;
  /** Goes on with what waited for an answer that came later. */
  proceed(): void;
}

/** Where the body of one answer goes, piece by piece. */
export interface BodySink {
  /** Whether nothing has left: the head waits for the first bytes. */
  readonly isUnsent: boolean;
  /** Whether the end of the connection is that of the body. */
  readonly endsByClosing: boolean;
  /** Whether so many bytes wait for the peer that no more should be written. */
  readonly isBusy: boolean;
  /** Sends the head, if it still waits. */
  flush(): void;
  /** Writes a chunk: copies it, so that several leave together. */
  data(chunk: Uint8Array<ArrayBuffer>): void;
  /** A chunk follows in pieces, none of which is copied. */
  beginPieces(byteLength: number): void;
  /**
   * Writes a piece.
   *
   * @param isLast Whether it is the last one of its chunk.
   * @param endsBody Whether the body ends with it.
   */
  piece(
    piece: Uint8Array<ArrayBuffer>,
    isLast: boolean,
    endsBody: boolean,
  ): void;
  /** Ends the body, unless the last piece did, and sends what waits. */
  end(): void;
  /**
   * Has the connection's `timeout` be called `delayMs` from now; `Infinity`
   * clears that.
   */
  setDeadline(delayMs: number): void;
}
