/**
 * Pipes: bytes one way, within the process or to another.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native, nativeOthers } from "../native/library.ts";
import { adopt, DescriptorKind } from "./descriptor.ts";
import { Endpoint } from "./endpoint.ts";
import { CALL_BYTES_MAX, checkRange, partOf, vector } from "./transfer.ts";

/** The two ends of one pipe. */
export interface Pipe {
  /** Where its bytes come out. */
  reader: PipeReader;
  /** Where they are put in. */
  writer: PipeWriter;
}

/**
 * Opens a pipe, whose ends never block: `pipe(7)`. It leads nowhere else, so no
 * permission is asked for.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { pipe } from "./pipe.ts";
 *
 * const { reader, writer } = pipe();
 * using _reader = reader;
 * writer.write(new TextEncoder().encode("hello"));
 * writer.close();
 * const buffer = new Uint8Array(16);
 * assertEquals(reader.read(buffer), 5);
 * assertEquals(reader.read(buffer), 0);
 * ```
 */
export function pipe(): Pipe {
  const out = new Float64Array(2);
  unwrap(nativeOthers().denio_pipe_new(out), "open a pipe");
  return { reader: new PipeReader(out[0]!), writer: new PipeWriter(out[1]!) };
}

/**
 * The end of a pipe that is read; a readable event tells when. `READ_CLOSED`
 * tells that all writers are closed.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { pipe } from "./pipe.ts";
 * import { WOULD_BLOCK } from "../native/errors.ts";
 *
 * const { reader, writer } = pipe();
 * using _reader = reader;
 * using _writer = writer;
 * assertEquals(reader.read(new Uint8Array(16)), WOULD_BLOCK);
 * ```
 */
export class PipeReader extends Endpoint {
  /** What it is called in messages. */
  protected get noun(): string {
    return "pipe reader";
  }

  /**
   * Takes over an inherited descriptor of the reading end of a pipe, as
   * standard input often is. Closing the reader closes the descriptor.
   *
   * Makes the pipe non-blocking for every process that shares this end. A pipe
   * has no name, and only who started the process can have handed it over: no
   * permission is asked for, as Deno asks for none for its standard streams.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): PipeReader {
    return new PipeReader(adopt(fd, DescriptorKind.PIPE_READER));
  }

  /**
   * Reads what has come into `length` bytes of `buffer` from `offset`.
   *
   * @returns A count; 0 when all writers are closed; {@linkcode WOULD_BLOCK}
   * when nothing has come.
   * @throws {RangeError} when the range lies outside `buffer`.
   */
  read(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = buffer.byteLength - offset,
  ): number {
    return this.countOf(this.tryRead(buffer, offset, length), "read from");
  }

  /** Reads like `read`, but answers `-errno` for an error. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    checkRange(buffer, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      const part = partOf(buffer, offset, length);
      return this.tryRead(part, 0, part.byteLength);
    }
    return native().denio_stream_read(this.handle, buffer, offset, length);
  }

  /**
   * Reads what has come into one buffer after the other, in one call:
   * `readv(2)`.
   *
   * @param buffers Up to eight; take a `subarray` of one for a part of it.
   * @returns As `read`, over all buffers.
   * @throws {RangeError} when there are more than eight.
   * @throws {TypeError} when two of them overlap.
   */
  readVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    const count = nativeOthers().denio_stream_read_vectored(
      this.handle,
      ...vector(buffers),
    );
    return this.countOf(count, "read from");
  }
}

/**
 * The end of a pipe that is written; a writable event tells when there is room.
 * `WRITE_CLOSED` tells that all readers are closed.
 *
 * @example Nobody reads any more
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { pipe } from "./pipe.ts";
 *
 * const { reader, writer } = pipe();
 * using _writer = writer;
 * reader.close();
 * assertThrows(() => writer.write(new Uint8Array(1)), Deno.errors.BrokenPipe);
 * ```
 */
export class PipeWriter extends Endpoint {
  /** What it is called in messages. */
  protected get noun(): string {
    return "pipe writer";
  }

  /**
   * Takes over an inherited descriptor of the writing end of a pipe, as
   * standard output often is. Closing the writer closes the descriptor.
   *
   * Makes the pipe non-blocking for every process that shares this end, and
   * asks for no permission, as `PipeReader.fromFd` tells.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of something else.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when it has been taken over already.
   */
  static fromFd(fd: number): PipeWriter {
    return new PipeWriter(adopt(fd, DescriptorKind.PIPE_WRITER));
  }

  /**
   * Writes what there is room for of `length` bytes of `bytes` from `offset`.
   * Up to `PIPE_BUF` bytes, 4096 on Linux and at least 512 elsewhere, are
   * written together or not at all: `pipe(7)`.
   *
   * @returns A count, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when the range lies outside `bytes`.
   * @throws {Deno.errors.BrokenPipe} when all readers are closed.
   */
  write(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number = 0,
    length: number = bytes.byteLength - offset,
  ): number {
    return this.countOf(this.tryWrite(bytes, offset, length), "write to");
  }

  /** Writes like `write`, but answers `-errno` for an error. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    checkRange(bytes, offset, length);
    if (offset + length > CALL_BYTES_MAX) {
      const part = partOf(bytes, offset, length);
      return this.tryWrite(part, 0, part.byteLength);
    }
    return native().denio_stream_write(this.handle, bytes, offset, length);
  }

  /**
   * Writes what there is room for of one buffer after the other, in one call:
   * `writev(2)`.
   *
   * @param buffers Up to eight; take a `subarray` of one for a part of it.
   * @returns As `write`, over all buffers.
   * @throws {RangeError} when there are more than eight.
   */
  writeVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    const count = native().denio_stream_write_vectored(
      this.handle,
      ...vector(buffers),
    );
    return this.countOf(count, "write to");
  }
}
