/**
 * A connection, as the reactor runs it: one object with two faces. Protocols
 * call the methods of `Connection`; the poll, the write buffer, the sweep and
 * the reactor's memory call the others.
 *
 * Only types keep programs from the others, which can mix up the bytes of
 * different peers. A symbol or a `#private` field would hide them from plain
 * JavaScript too, but each access then takes twice as long as a field's.
 *
 * @module
 */

import type { Outbox } from "../../bytes/outbox.ts";
import type { StreamAddress } from "../../net/address.ts";
import { Readiness } from "../../poll/events.ts";
import type { TimeoutReason } from "../../stream/close_reason.ts";
import type {
  Output,
  Part,
  Receiver,
  SharedTransport,
  Work,
} from "../../stream/shared.ts";
import type { Timeouts } from "../../stream/timeouts.ts";
import { limitUnacked } from "../../system/stream_options.ts";
import type { StreamSocket } from "../../system/system.ts";
import type { Protocol } from "../../stream/transport.ts";
import type { Connection } from "../connection.ts";
import type { TimeoutSet } from "../connection_options.ts";
import { auditRecord } from "./audit.ts";
import { broadcast } from "./broadcast.ts";
import {
  abort,
  close,
  closeIdle,
  closeLingering,
  closeWrite,
  endWriting,
  shutdown,
  terminate,
} from "./closing.ts";
import { breakNative, breakSocket, failWith } from "./failing.ts";
import {
  CLOSED,
  CONNECTING,
  END_FLAGS,
  ENDED,
  HEARD,
  MARKED,
  PAUSED,
  QUEUED,
  READ_CLOSED,
  READABLE,
  READS_ALONE,
  SPOKEN,
  UNMARKED,
  UNREAD,
  UNREFED,
  UNWRITABLE,
  WAITING,
  WANTS_WRITABLE,
  WRITE_ENDING,
} from "./flags.ts";
import {
  evict,
  expire,
  type Look,
  look,
  setDeadline,
  setHeldBytes,
  setTimeouts,
  takeMoved,
} from "./limits.ts";
import { notifyEnding, postponeOfBatch, read, takeOfBatch } from "./reading.ts";
import {
  type ConnectionExtras,
  type ConnectionHost,
  type ConnectionRecord,
  type ConnectionSetup,
  type ReadTarget,
  resume,
} from "./record.ts";
import { keepForLater, unreadLength } from "./unread.ts";
import { upgrade } from "./upgrade.ts";
import {
  flushOutbox,
  noteSent,
  send,
  write,
  writeInto,
  writeOwned,
  writeVectored,
} from "./writing.ts";

/** A connection on a reactor: see `Connection`. */
export class EngineConnection<Data = unknown>
  implements ConnectionRecord, SharedTransport<Data> {
  data: Data = undefined as Data;
  token = 0;
  target: ReadTarget | undefined = undefined;
  runs = 0;
  readonly host: ConnectionHost;
  readonly stream: StreamSocket;
  setup: ConnectionSetup;
  outbox: Outbox | undefined = undefined;
  extras: ConnectionExtras | undefined = undefined;
  flags: number;

  /** Made by the reactor's `listen` and `connect`. */
  constructor(
    host: ConnectionHost,
    stream: StreamSocket,
    setup: ConnectionSetup<Data>,
  ) {
    this.host = host;
    this.stream = stream;
    this.setup = setup as ConnectionSetup;
    const { listener } = setup;
    const isRefed = listener === undefined || listener.isRefed;
    this.flags = (listener === undefined ? CONNECTING : 0) |
      (isRefed ? 0 : UNREFED) | (host.lacksPriority ? UNMARKED : 0);
  }

  // What protocols call: see `Transport`, `SharedTransport` and `Connection`.

  get isClosed(): boolean {
    return (this.flags & CLOSED) !== 0;
  }

  get isRefed(): boolean {
    return (this.flags & UNREFED) === 0;
  }

  get peerHasEnded(): boolean {
    return (this.flags & (READ_CLOSED | ENDED)) !== 0;
  }

  get bufferedBytes(): number {
    return this.outbox === undefined ? 0 : this.outbox.byteLength;
  }

  get heldBytes(): number {
    return this.extras === undefined ? 0 : this.extras.heldBytes;
  }

  set heldBytes(bytes: number) {
    setHeldBytes(this, bytes);
  }

  get isOverfull(): boolean {
    return this.host.isOverfull;
  }

  get nowMs(): number {
    return this.host.nowMs;
  }

  get timeouts(): TimeoutSet | undefined {
    return this.setup.limits.timeouts;
  }

  get peerAddress(): StreamAddress {
    return this.stream.peerAddress;
  }

  get localAddress(): StreamAddress {
    return this.stream.localAddress;
  }

  get peerKey(): number {
    return this.stream.peerKey;
  }

  get quietSinceMs(): number {
    if (this.flags & (HEARD | SPOKEN)) return this.host.nowMs;
    return this.host.quietSinceMs(this);
  }

  write(
    bytes: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = bytes.byteLength,
  ): boolean {
    return write(this, bytes, start, end);
  }

  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean {
    return writeVectored(this, parts);
  }

  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean {
    return writeOwned(this, bytes);
  }

  writeInto(
    size: number,
    fill: (bytes: Uint8Array<ArrayBuffer>) => number,
  ): boolean {
    return writeInto(this, size, fill);
  }

  reserve(size: number): Output | undefined {
    const { output } = this.host;
    const fits = output.reserve(this, size);
    this.host.flushSoon();
    return fits ? output : undefined;
  }

  retain(end: number): void {
    this.host.input.retain(end);
  }

  get callsLeft(): number {
    return this.host.callsLeft;
  }

  postpone(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    calls: number = 1,
  ): boolean {
    const isOver = this.host.countCalls(calls);
    const takes = isOver && start < end && !(this.flags & CLOSED);
    if (takes) keepForLater(this, bytes.subarray(start, end));
    return takes;
  }

  later(work: Work): void {
    this.host.requeue(work);
  }

  broadcast(receivers: readonly Receiver[], part: Part): readonly number[] {
    return broadcast(this.host, receivers, part);
  }

  pause(): void {
    this.flags |= PAUSED;
  }

  resume(): void {
    resume(this);
  }

  readNow(): number {
    const before = this.host.bytesIn - unreadLength(this);
    this.flags &= ~QUEUED;
    try {
      this.onReady(Readiness.READABLE);
    } catch (error) {
      this.fail(error);
    }
    return this.host.bytesIn - unreadLength(this) - before;
  }

  awaitRoom(): void {
    if (!(this.flags & CLOSED)) this.host.awaitMemory(this);
  }

  setTimeouts(timeouts: Timeouts | undefined): void {
    setTimeouts(this, timeouts);
  }

  setDeadline(delayMs: number): void {
    setDeadline(this, delayMs);
  }

  upgrade<Next>(
    protocol: Protocol<Next, Connection<Next>>,
    data: Next,
    leftover?: Uint8Array<ArrayBuffer>,
  ): Connection<Next> {
    upgrade(this, protocol as Protocol<unknown, Connection>, data, leftover);
    return this as Connection<unknown> as Connection<Next>;
  }

  closeWrite(): void {
    closeWrite(this);
  }

  close(): void {
    close(this);
  }

  closeLingering(): void {
    closeLingering(this);
  }

  closeIdle(): void {
    closeIdle(this);
  }

  abort(reason: TimeoutReason | "aborted" = "aborted"): void {
    abort(this, reason);
  }

  get isIdle(): boolean {
    // Bytes that wait here may be a request.
    if (this.flags & UNREAD) return false;
    return this.setup.protocol.isIdle?.(this) ?? false;
  }

  shutdown(): void {
    shutdown(this);
  }

  terminate(): void {
    terminate(this);
  }

  unref(): void {
    if (this.flags & (UNREFED | CLOSED)) return;
    this.flags |= UNREFED;
    this.host.countRef(-1);
  }

  ref(): void {
    if (!(this.flags & UNREFED) || this.flags & CLOSED) return;
    this.flags &= ~UNREFED;
    this.host.countRef(1);
  }

  // What the reactor calls.

  /** The listener that accepted this connection. */
  get listener(): ConnectionSetup["listener"] {
    return this.setup.listener;
  }

  /** Calls the protocol's `open`. */
  opened(): void {
    this.setup.protocol.open?.(this);
  }

  /** Asks the protocol to finish, if it has `shutdown`: the reactor drains. */
  finish(): void {
    const { protocol } = this.setup;
    if (protocol.shutdown === undefined || this.flags & CONNECTING) return;
    try {
      protocol.shutdown(this);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Calls the protocol's `drain`: connections hold less memory. */
  relieve(): void {
    this.setup.protocol.drain?.(this);
  }

  /** Acts on the bits of `Readiness`; a requeued connection has none. */
  onReady(readiness: number): void {
    // A queued connection reads when its place in the queue has come: with an
    // event of a flood it would get another share, before those that wait.
    const waits = readiness !== 0 && (this.flags & QUEUED) !== 0;
    if (!waits) this.flags &= ~QUEUED;
    if (this.flags & CONNECTING && !finishConnect(this, readiness)) return;
    if (readiness & Readiness.ERROR) breakSocket(this);
    else if (readiness & Readiness.WRITABLE) flushOutbox(this);
    if (readiness & ~Readiness.WRITABLE) this.flags |= READABLE;
    if (readiness & Readiness.READ_CLOSED) this.flags |= READ_CLOSED;
    if (readiness & Readiness.PRIORITY) this.flags |= MARKED;
    if (this.flags & CLOSED) return;
    if (this.flags & WAITING && !waits) read(this);
    if ((this.flags & END_FLAGS) === READ_CLOSED) notifyEnding(this);
  }

  /** Whether `readiness` asks for one read and nothing else: for `Dispatch`. */
  readsOnly(readiness: number): boolean {
    if (readiness & Readiness.WRITABLE && this.outbox !== undefined) {
      return false;
    }
    return (readiness & ~Readiness.WRITABLE) === Readiness.READABLE &&
      (this.flags & READS_ALONE) === 0 && this.target === undefined;
  }

  /**
   * Acts on what a batch has read for this connection: see `Dispatch`.
   *
   * @param room How many bytes could have been read.
   * @returns Whether there may be more to read.
   */
  onRead(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    count: number,
    room: number,
  ): boolean {
    return takeOfBatch(this, bytes, start, count, room);
  }

  /** Keeps what a batch has read for the next turn: see {@linkcode onRead}. */
  onReadLate(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    count: number,
    room: number,
  ): void {
    postponeOfBatch(this, bytes, start, count, room);
  }

  /** Ends the connection because its protocol threw `error`. */
  fail(error: unknown): void {
    const isHandled = !(this.flags & CLOSED) && this.setup.protocol.error;
    if (!isHandled) this.host.report(error);
    try {
      failWith(this, error);
    } catch (second) {
      this.host.report(second);
    }
  }

  /** Fails with `error`; aborts when there is none. */
  endBecauseOf(error: unknown): void {
    if (error === undefined) this.abort();
    else failWith(this, error);
  }

  /** Closes because a limit has passed, or memory is short. */
  evict(reason: TimeoutReason | "shed"): void {
    evict(this, reason);
  }

  /** Looks whether bytes have moved: for `Memory`. */
  look(): Look {
    return look(this);
  }

  /** Checks what must hold: for tests and the simulator. */
  audit(): void {
    auditRecord(this);
  }

  // What the write buffer calls: see `WriteTarget`.

  get handle(): number {
    return this.stream.handle;
  }

  get sendsAtOnce(): boolean {
    return this.outbox === undefined && (this.flags & UNWRITABLE) === 0;
  }

  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    send(this, bytes, start, end);
  }

  sent(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    count: number,
  ): boolean {
    return noteSent(this, bytes, start, end, count);
  }

  failSending(code: number): void {
    breakNative(this, code);
  }

  // What the sweep calls: see `Swept`.

  get unsentSinceMs(): number {
    return this.outbox === undefined ? Infinity : this.outbox.sinceMs;
  }

  takeMoved(): number {
    return takeMoved(this);
  }

  expire(reason: TimeoutReason): void {
    expire(this, reason);
  }
}

/** Acts on the first readiness of a connect; returns whether it is open. */
function finishConnect(
  connection: EngineConnection,
  readiness: number,
): boolean {
  if (!(readiness & ~Readiness.READABLE)) {
    // The connect has its own event; this one is not repeated.
    if (readiness !== 0) connection.flags |= READABLE;
    return false;
  }
  const { stream } = connection;
  const error = stream.takeError();
  connection.flags &= ~CONNECTING;
  // A peer that connected, sent bytes and then reset: these bytes are read.
  if (error !== undefined && !(stream.unreadBytes! > 0)) {
    failWith(connection, error);
    return false;
  }
  connection.flags |= WANTS_WRITABLE;
  const writeMs = connection.timeouts?.writeMs ?? Infinity;
  // Not earlier: this limit would bound the connect as well.
  if (writeMs !== Infinity) limitUnacked(stream, writeMs);
  connection.opened();
  if (connection.flags & CLOSED) return false;
  if (connection.flags & WRITE_ENDING && connection.outbox === undefined) {
    endWriting(connection);
  }
  return !connection.isClosed;
}
