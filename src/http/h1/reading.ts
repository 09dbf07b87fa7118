/**
 * Acts on the bytes of a connection: reads heads and bodies, and begins
 * exchanges.
 *
 * @module
 */

import { HttpError } from "../errors.ts";
import { Exchange } from "../exchange.ts";
import { checkRange } from "../http_limits.ts";
import { ObservedExchange } from "../observed_exchange.ts";
import { LazyRequest } from "../request.ts";
import { BodyIntake } from "./body_intake.ts";
import {
  excessOf,
  HeadFlag,
  methodFlag,
  parseHead,
  type RequestHead,
} from "./head.ts";
import {
  beginPartial,
  BUSY,
  CLOSED,
  ENDED,
  type Http1,
  isHeld,
  KEEP_ALIVE,
  PARTIAL,
  Reading,
  REFERRED,
  SHUT_DOWN,
} from "./state.ts";

/**
 * Acts on bytes, and returns where it stopped.
 *
 * @param scanned The first bytes, known to be no whole head, that need not be
 * scanned again.
 */
export function consume(
  connection: Http1,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
  scanned: number,
): number {
  let at = start;
  while (at < end && !(connection.state & CLOSED)) {
    if (connection.reading === Reading.NOTHING) return end;
    if (connection.reading === Reading.HANDED_OVER) return at;
    if (connection.reading === Reading.BODY) {
      at = feed(connection, bytes, at, end);
    } else if (isHeld(connection)) {
      return at;
    } else if (at > start && postpone(connection, bytes, at, end)) {
      return end;
    } else {
      const { requireHost } = connection.service;
      const head = parseHead(bytes, at, end, scanned, requireHost);
      if (typeof head === "number") {
        connection.flags = methodFlag(bytes, at, end);
        if (head < 0) {
          connection.refuseUnseen(-head);
          return end;
        }
        beginPartial(connection);
        return at;
      }
      scanned = 0;
      connection.state &= ~PARTIAL;
      if (!head.isRepeated) connection.state |= REFERRED;
      at = begin(connection, head, bytes, at + head.byteLength, end);
    }
  }
  return at;
}

/**
 * Gives bytes back to the transport when the turn has had its time: other peers
 * and the program's timers wait. Returns whether it did.
 */
export function postpone(
  connection: Http1,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): boolean {
  if (!connection.transport.postpone?.(bytes, start, end)) return false;
  // The end comes again, behind these bytes.
  connection.state &= ~ENDED;
  return true;
}

/**
 * Begins a request, and returns where the bytes behind it begin.
 *
 * @param start Where the head ends.
 */
function begin(
  connection: Http1,
  head: RequestHead,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): number {
  const { flags } = head;
  const { limits, isClosing } = connection.service;
  const isKept = (flags & HeadFlag.KEEP_ALIVE) !== 0 && !isClosing &&
    !(connection.state & SHUT_DOWN) &&
    ++connection.requests < limits.requestsMax;
  connection.state = isKept
    ? connection.state | KEEP_ALIVE
    : connection.state & ~KEEP_ALIVE;
  connection.flags = flags;
  const refused = excessOf(head, limits) ||
    (flags & HeadFlag.EXPECT_OTHER ? 417 : 0);
  if (refused !== 0) {
    connection.refuseUnseen(refused, head);
    return end;
  }
  let at = start;
  if (flags & (HeadFlag.CHUNKED | HeadFlag.HAS_LENGTH)) {
    at = beginBody(connection, head, bytes, start, end);
    if (connection.reading === Reading.NOTHING) return end;
  }
  const exchange = connection.service.observer === undefined
    ? new Exchange(connection, flags)
    : new ObservedExchange(connection, flags);
  const request = new LazyRequest(head, exchange, connection.intake?.body);
  connection.state |= BUSY;
  Exchange.run(exchange, request);
  return at;
}

/**
 * Takes the bytes of a body that arrived with its head, and returns where they
 * end. The request was refused if the connection reads no more.
 */
function beginBody(
  connection: Http1,
  head: RequestHead,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): number {
  const isCounted = (head.flags & HeadFlag.CHUNKED) === 0;
  const bytesMax = bodyLimit(connection, head);
  if (bytesMax === undefined) return end;
  const length = isCounted ? head.contentLength : Infinity;
  if (isCounted && length > bytesMax) {
    connection.refuseUnseen(413, head);
    return end;
  }
  if (length === 0) return start;
  const intake = connection.intake = new BodyIntake(connection, head, bytesMax);
  connection.reading = Reading.BODY;
  const at = start < end ? feed(connection, bytes, start, end) : start;
  if (connection.reading === Reading.BODY) intake.watch();
  return at;
}

/**
 * The most bytes of a body; `undefined` when the function failed (answered).
 */
function bodyLimit(connection: Http1, head: RequestHead): number | undefined {
  const { bodyBytesMax } = connection.service.limits;
  if (typeof bodyBytesMax === "number") return bodyBytesMax;
  const exchange = connection.service.observer === undefined
    ? new Exchange(connection, head.flags)
    : new ObservedExchange(connection, head.flags);
  const request = new LazyRequest(head, exchange, undefined);
  try {
    const bytesMax = bodyBytesMax(request as unknown as Request);
    checkRange("bodyBytesMax", bytesMax, 0);
    return bytesMax;
  } catch (error) {
    // The rest of the body is not read: the connection closes.
    connection.state = connection.state & ~KEEP_ALIVE | BUSY;
    connection.reading = Reading.NOTHING;
    exchange.failBefore(request, error);
    return undefined;
  }
}

function feed(
  connection: Http1,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
): number {
  connection.state |= REFERRED;
  try {
    return connection.intake!.feed(bytes, start, end);
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    connection.failBody(error);
    return end;
  }
}
