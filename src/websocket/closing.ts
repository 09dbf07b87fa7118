/**
 * How a WebSocket ends: by a close frame of either side, a breach of the
 * protocol, a lost connection, a time limit, or the end of the server.
 *
 * @module
 */

import { soon } from "../base/own.ts";
import type { CloseReason, TimeoutReason } from "../stream/close_reason.ts";
import { checkCode, checkReason, CloseCode } from "./close_codes.ts";
import { failureReason } from "./frames.ts";
import { countHeld } from "./holding.ts";
import { leaveTopics, sendClose, sendPing } from "./sending.ts";
import {
  CLOSE_RECEIVED,
  CLOSE_SENT,
  DEAF,
  extrasOf,
  HELD,
  Phase,
  phaseOf,
  PINGED,
  setPhase,
  type SocketRecord,
} from "./state.ts";

/** Sends a close frame, and waits for the peer's: see `ServerWebSocket.close`. */
export function close(
  socket: SocketRecord,
  code: number,
  reason: string,
): void {
  checkCode(code);
  checkReason(reason);
  beginClosing(socket, code, reason);
}

/** Closes by a frame without a code, as a `WebSocket` does by default. */
export function closeWithoutCode(socket: SocketRecord): void {
  beginClosing(socket, CloseCode.NONE, "");
}

/** Closes because the server ends. */
export function shutdown(socket: SocketRecord): void {
  beginClosing(socket, CloseCode.GOING_AWAY, "");
}

/** Closes because a handler has failed; its error is reported. */
export function closeFailed(socket: SocketRecord, error: unknown): void {
  socket.service.host.report(error);
  beginClosing(socket, CloseCode.INTERNAL, "");
}

function beginClosing(
  socket: SocketRecord,
  code: number,
  reason: string,
): void {
  if (phaseOf(socket) !== Phase.OPEN) return;
  setPhase(socket, Phase.CLOSING);
  sendClose(socket, code, reason);
  const { closeMs } = socket.service.limits;
  socket.transport.setDeadline(closeMs);
  // The peer's close frame is behind messages that nobody waits for any more.
  if (socket.extras !== undefined) {
    socket.extras.inflation?.end();
    socket.extras.partial = socket.extras.inflation = undefined;
    countHeld(socket);
  }
  socket.state &= ~HELD;
  socket.goOn();
}

/** The peer's close frame has come: RFC 6455 section 5.5.1. */
export function peerCloses(
  socket: SocketRecord,
  code: number,
  reason: string,
): void {
  socket.state |= CLOSE_RECEIVED;
  noteEnd(socket, code, reason);
  sendClose(socket, code, reason);
  const { transport } = socket;
  finish(socket);
  // Later, since the bytes that are acted on lie in the read buffer. The peer
  // sends no more, so nothing has to linger.
  soon(() => {
    if (!transport.isClosed) transport.closeIdle();
  });
}

/**
 * Ends a WebSocket whose peer has broken the protocol: RFC 6455 section 7.1.7.
 *
 * @param code 1002, 1007, 1008 or 1009.
 * @param reason A number of `frames.ts`.
 */
export function fail(socket: SocketRecord, code: number, reason: number): void {
  const text = failureReason(reason);
  noteEnd(socket, code, text);
  socket.service.hub.leave(socket);
  // First: sending may close the connection.
  notifyError(socket, new Deno.errors.InvalidData(`${text} (${code})`));
  sendClose(socket, code, text);
  finish(socket);
  socket.transport.close();
}

/** Notes what `close` gets. Nothing more is read, and nothing sent but a reply. */
function noteEnd(socket: SocketRecord, code: number, reason: string): void {
  const extras = extrasOf(socket);
  extras.closeCode = code;
  extras.closeReason = reason;
  socket.state |= DEAF;
  setPhase(socket, Phase.CLOSING);
}

/** The peer's end has come without a close frame. */
export function peerEnded(socket: SocketRecord): void {
  socket.state |= DEAF;
  if (phaseOf(socket) === Phase.OPEN) setPhase(socket, Phase.CLOSING);
  leaveTopics(socket);
  socket.transport.close();
}

/** A time limit has passed. */
export function timeout(socket: SocketRecord, reason: TimeoutReason): void {
  if (reason !== "idle") return abort(socket, reason);
  // The peer's answers are not read: only the program can go on.
  if (socket.state & HELD) return;
  const isOpen = phaseOf(socket) === Phase.OPEN;
  // The peer has this time for its close frame.
  if (!isOpen && socket.service.limits.closeMs !== Infinity) return;
  if (socket.state & PINGED || !isOpen) return abort(socket, reason);
  socket.state |= PINGED;
  sendPing(socket);
}

function abort(socket: SocketRecord, reason: TimeoutReason): void {
  socket.transport.abort(reason);
}

/** The transport is closed. */
export function gone(socket: SocketRecord, why: CloseReason): void {
  if (phaseOf(socket) === Phase.CLOSED) return;
  // Nothing can be sent any more, and what was held is too late.
  setPhase(socket, Phase.CLOSING);
  socket.state = socket.state & ~HELD | DEAF;
  socket.service.hub.leave(socket);
  const lost = socket.extras?.closeCode ? undefined : LOST[why];
  if (lost !== undefined) {
    notifyError(socket, new Deno.errors.ConnectionReset(lost));
  }
  finish(socket);
}

/** Nothing is sent or received any more: the program is notified, once. */
function finish(socket: SocketRecord): void {
  if (phaseOf(socket) === Phase.CLOSED) return;
  setPhase(socket, Phase.CLOSED);
  socket.state = socket.state & ~HELD | DEAF;
  const { extras, service, transport } = socket;
  service.counts.open--;
  const { closeCode = 0, closeReason = "" } = extras ?? {};
  const code = closeCode === 0 ? CloseCode.ABNORMAL : closeCode;
  const wasClean = (socket.state & CLOSE_SENT) !== 0 &&
    (socket.state & CLOSE_RECEIVED) !== 0;
  extras?.inflation?.end();
  socket.codec?.free();
  socket.extras = undefined;
  if (!transport.isClosed) {
    transport.setDeadline(Infinity);
    transport.heldBytes = 0;
  }
  callLast(socket, () => {
    extras?.reader?.end(code, wasClean);
    return service.receiver.close(socket, code, closeReason, wasClean);
  });
}

/** The errors of connections that end without the program's doing. */
const LOST: Readonly<Record<string, string | undefined>> = {
  idle: "The peer has given no sign of life",
  write: "The peer has taken no byte in time",
  deadline: "The peer has not answered the close frame in time",
  shed: "Connections took all memory they may",
  error: "The connection has failed",
};

function notifyError(socket: SocketRecord, error: Error): void {
  // Never behind `close`: what came before may have written.
  if (phaseOf(socket) === Phase.CLOSED) return;
  callLast(socket, () => socket.service.receiver.error(socket, error));
}

/**
 * Calls a handler of a WebSocket that ends. Nothing waits for a promise that it
 * returns, but its error must not end the process.
 */
function callLast({ service }: SocketRecord, handler: () => unknown): void {
  const { host } = service;
  const report = (error: unknown) => host.report(error);
  try {
    const result = handler();
    if (typeof result !== "object" || result === null) return;
    host.beginWork();
    Promise.resolve(result).catch(report).finally(() => host.endWork());
  } catch (error) {
    report(error);
  }
}
