/**
 * A fiber's connection, as fibers run it: the record with its two faces.
 * Programs call the methods of `FiberConnection`; the reactor calls
 * `FIBER_HANDLERS`.
 *
 * @module
 */

import type { Abortable } from "../../base/abortable.ts";
import type { StreamAddress } from "../../net/address.ts";
import { TcpStream } from "../../net/tcp_stream.ts";
import type { ConnectionHandlers } from "../../reactor/connection.ts";
import type { FiberConnection } from "../fiber_connection.ts";
import { readableOf, writableOf } from "../fiber_streams.ts";
import { cancel, close, closed, fail, opened } from "./closing.ts";
import { readExactly, readUntil } from "./framing.ts";
import {
  chunksOf,
  endReading,
  read,
  readChunk,
  receive,
  receiveEnd,
} from "./reading.ts";
import { closedError, FiberConnectionRecord } from "./record.ts";
import { closeWrite, drain, failWriting, write, writev } from "./writing.ts";

/** What the reactor calls for a fiber's connection. */
export const FIBER_HANDLERS: ConnectionHandlers<FiberConnectionRecord> = {
  keepsReading: true,
  open: ({ data }) => data && opened(data),
  data: ({ data }, bytes, start, end) => receive(data, bytes, start, end),
  end: ({ data }) => receiveEnd(data),
  drain: ({ data }) => drain(data),
  broken: ({ data }, error) => data && failWriting(data, error),
  error: ({ data }, error) => data && fail(data, error),
  close: ({ data }, reason) => data && closed(data, reason),
};

/** A connection for fibers. */
export class EngineFiberConnection extends FiberConnectionRecord
  implements FiberConnection<StreamAddress> {
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined = undefined;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | undefined =
    undefined;

  get remoteAddr(): StreamAddress {
    return this.peerAddress ??= this.connection.peerAddress;
  }

  get localAddr(): StreamAddress {
    return this.localAddress ??= this.connection.localAddress;
  }

  failedWith(error: unknown): boolean {
    if (this.isReleased) return false;
    return this.fault?.error === error || this.writeFault?.error === error;
  }

  get bufferedBytes(): number {
    return this.connection.bufferedBytes;
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= readableOf(this);
  }

  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= writableOf(this);
  }

  read(target: Uint8Array, options?: Abortable): Promise<number | null> {
    return read(this, target, options);
  }

  readChunk(options?: Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    return readChunk(this, options);
  }

  readExactly<Bytes extends Uint8Array>(
    target: Bytes,
    options?: Abortable,
  ): Promise<Bytes | null> {
    return readExactly(this, target, options);
  }

  readUntil(
    delimiter: string | Uint8Array,
    bytesMax: number,
    options?: Abortable,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    return readUntil(this, delimiter, bytesMax, options);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    return chunksOf(this);
  }

  write(bytes: Uint8Array, options?: Abortable): Promise<number> {
    return write(this, bytes, options);
  }

  writev(chunks: Iterable<Uint8Array>, options?: Abortable): Promise<number> {
    return writev(this, chunks, options);
  }

  closeWrite(): Promise<void> {
    return closeWrite(this);
  }

  endReading(): void {
    endReading(this);
  }

  close(): void {
    close(this);
  }

  abort(): void {
    cancel(this, closedError("use"));
  }

  release(): void {
    if (!this.isReleased) close(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  cancel(reason: unknown): void {
    cancel(this, reason);
  }

  ref(): void {
    this.connection.ref();
  }

  unref(): void {
    this.connection.unref();
  }

  setNoDelay(nodelay: boolean = true): void {
    if (this.isClosed) throw closedError("use");
    if ("path" in this.localAddr) return;
    new TcpStream(this.connection.handle).nodelay = nodelay;
  }
}
