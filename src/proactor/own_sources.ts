/**
 * Streams and files that a proactor has opened: closing one ends its
 * operations. Otherwise a receive that waits would go on until the peer sends or
 * closes, since the kernel keeps the connection for it.
 *
 * @module
 */

import type { Abortable } from "../base/abortable.ts";
import { native } from "../native/library.ts";
import { TcpStream } from "../net/tcp_stream.ts";
import { UnixStream } from "../net/unix_stream.ts";
import type { PositionOptions, ProactorFile } from "./proactor_file.ts";

/** Ends the operations on the source with that handle. */
export type EndOperations = (handle: number) => void;

/** The part of a proactor that a file needs. */
export interface FileOperations {
  readonly isClosed: boolean;
  read(
    file: OwnFile,
    buffer: Uint8Array,
    options?: PositionOptions,
  ): Promise<number | null>;
  write(
    file: OwnFile,
    bytes: Uint8Array,
    options?: PositionOptions,
  ): Promise<number>;
  sync(file: OwnFile, options?: Abortable): Promise<void>;
  syncData(file: OwnFile, options?: Abortable): Promise<void>;
  stat(file: OwnFile, options?: Abortable): Promise<Deno.FileInfo>;
  closeSource(file: OwnFile): Promise<void>;
}

/** Returns a TCP stream that ends its operations when it is closed. */
export function ownTcpStream(handle: number, end: EndOperations): TcpStream {
  return new OwnTcpStream(handle, end);
}

/** Returns a Unix stream that ends its operations when it is closed. */
export function ownUnixStream(handle: number, end: EndOperations): UnixStream {
  return new OwnUnixStream(handle, end);
}

class OwnTcpStream extends TcpStream {
  readonly #endOperations: EndOperations;

  constructor(handle: number, end: EndOperations) {
    super(handle);
    this.#endOperations = end;
  }

  override close(): void {
    this.#endOperations(this.handle);
    super.close();
  }

  override [Symbol.dispose](): void {
    this.#endOperations(this.handle);
    super[Symbol.dispose]();
  }
}

class OwnUnixStream extends UnixStream {
  readonly #endOperations: EndOperations;

  constructor(handle: number, end: EndOperations) {
    super(handle);
    this.#endOperations = end;
  }

  override close(): void {
    this.#endOperations(this.handle);
    super.close();
  }

  override [Symbol.dispose](): void {
    this.#endOperations(this.handle);
    super[Symbol.dispose]();
  }
}

/** A file whose operations are those of its proactor. */
export class OwnFile implements ProactorFile {
  readonly path: string | URL;
  readonly #operations: FileOperations;
  readonly #endOperations: EndOperations;
  #handle: number;

  /** @param end Ends the operations on a source. */
  constructor(
    operations: FileOperations,
    { path, handle, end }: {
      path: string | URL;
      handle: number;
      end: EndOperations;
    },
  ) {
    this.#operations = operations;
    this.path = path;
    this.#handle = handle;
    this.#endOperations = end;
  }

  get handle(): number {
    return this.#handle;
  }

  read(buffer: Uint8Array, options?: PositionOptions): Promise<number | null> {
    return this.#operations.read(this, buffer, options);
  }

  write(bytes: Uint8Array, options?: PositionOptions): Promise<number> {
    return this.#operations.write(this, bytes, options);
  }

  sync(options?: Abortable): Promise<void> {
    return this.#operations.sync(this, options);
  }

  syncData(options?: Abortable): Promise<void> {
    return this.#operations.syncData(this, options);
  }

  stat(options?: Abortable): Promise<Deno.FileInfo> {
    return this.#operations.stat(this, options);
  }

  close(): Promise<void> {
    const closing = this.#operations.closeSource(this);
    this.#handle = 0;
    return closing;
  }

  [Symbol.dispose](): void {
    const handle = this.#handle;
    this.#handle = 0;
    if (handle === 0) return;
    this.#endOperations(handle);
    native().denio_source_close(handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#handle === 0) return;
    if (this.#operations.isClosed) return this[Symbol.dispose]();
    await this.close();
  }
}
