/**
 * What a protocol does with one peer: it is called when something has happened
 * on a transport.
 *
 * One object serves all peers: what a protocol remembers of one peer is
 * `transport.data`. So an idle peer costs no object here.
 *
 * @module
 */

import type { CloseReason, TimeoutReason } from "../stream/close_reason.ts";
import type { Transport } from "./transport.ts";

/**
 * A protocol: HTTP, an echo, a layer between a connection and another protocol.
 *
 * What one of these throws ends the connection that it was called for, and no
 * other. None may wait.
 *
 * @typeParam Data What it keeps for each peer.
 * @typeParam Way The kind of transport that it needs.
 */
export interface Protocol<
  Data = unknown,
  Way extends Transport<Data> = Transport<Data>,
> {
  /**
   * Whether reading goes on above the high-water mark. For protocols that stop
   * writing by themselves there, and that must read to go on.
   */
  readonly keepsReading?: boolean;
  /** The transport is there: accepted, or connected. */
  open?(transport: Way): void;
  /**
   * Bytes have come: those of `bytes` from `start` to `end`. They are valid
   * until this returns, and `bytes` around them belongs to other peers: copy
   * what must stay, by `slice`, and write nothing there.
   */
  data(
    transport: Way,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void;
  /**
   * The peer sends no more, and all that it sent was read. A protocol without
   * this has its transport closed.
   */
  end?(transport: Way): void;
  /**
   * The peer sends no more, and may have gone, while reading is stopped before
   * its end. It is called once; `end` follows when all was read. An end behind
   * bytes for which the system has no room is not seen yet.
   */
  ending?(transport: Way): void;
  /**
   * Unsent bytes have fallen to the low-water mark, or connections hold less
   * memory, which {@linkcode Transport.awaitRoom} asked for.
   */
  drain?(transport: Way): void;
  /**
   * Sending has failed, or the peer has reset the connection. Bytes that came
   * before that are still read, and then `error` is called. What is written from
   * now on is dropped. A paused transport gets `ending` as well, and reads on
   * when it is resumed.
   */
  broken?(transport: Way, error: Error): void;
  /** Something failed; `close` follows. */
  error?(transport: Way, error: Error): void;
  /**
   * One of the connection's `Timeouts`, or the deadline, has passed. A protocol
   * without this has its transport closed for that reason. A protocol with this
   * decides: a transport that stays open gets the same time again, but no new
   * deadline.
   */
  timeout?(transport: Way, reason: TimeoutReason): void;
  /**
   * The transport is closed, for `reason`; nothing follows. The addresses can be
   * asked for until this returns.
   */
  close?(transport: Way, reason: CloseReason): void;
}
