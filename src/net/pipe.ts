/**
 * Pipes: bytes in one direction, within the process or to another.
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
  /** The end to read from. */
  reader: PipeReader;
  /** The end to write to. */
  writer: PipeWriter;
}

/**
 * Opens a pipe; its two ends never block: `pipe(7)`. A new pipe leads nowhere
 * outside the process, so it requires no permission.
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
 * The reading end of a pipe. A `READABLE` event says that it has bytes,
 * `READ_CLOSED` that all writers are closed.
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
  /** Its name in messages. */
  protected get noun(): string {
    return "pipe reader";
  }

  /**
   * Takes over an inherited descriptor of the reading end of a pipe; standard
   * input often is one. Closing the reader closes the descriptor.
   *
   * Makes the pipe non-blocking for every process that shares this end. It
   * requires no permission, as Deno requires none for standard streams: a pipe
   * has no name, and only the program that started this process can have passed
   * it on.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): PipeReader {
    return new PipeReader(adopt(fd, DescriptorKind.PIPE_READER));
  }

  /**
   * Reads into `buffer` from `start` to `end`, exclusive: the bytes that wait.
   *
   * @returns A count; 0 when all writers are closed; {@linkcode WOULD_BLOCK}
   * when the pipe is empty.
   * @throws {RangeError} when the range lies outside `buffer`.
   */
  read(
    buffer: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = buffer.byteLength,
  ): number {
    return this.countOf(this.tryRead(buffer, start, end), "read from");
  }

  /** Reads like `read`, but returns `-errno` for an error. */
  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    checkRange(buffer, start, end);
    if (end > CALL_BYTES_MAX) {
      const part = partOf(buffer, start, end);
      return this.tryRead(part, 0, part.byteLength);
    }
    return native().denio_stream_read(this.handle, buffer, start, end - start);
  }

  /**
   * Reads into one buffer after the other, in one call: `readv(2)`.
   *
   * @param buffers Up to eight; pass a `subarray` to use a part of one.
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
 * The writing end of a pipe. A `WRITABLE` event says that it has room,
 * `WRITE_CLOSED` that all readers are closed.
 *
 * @example All readers are closed
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
  /** Its name in messages. */
  protected get noun(): string {
    return "pipe writer";
  }

  /**
   * Takes over an inherited descriptor of the writing end of a pipe; standard
   * output often is one. Closing the writer closes the descriptor.
   *
   * Makes the pipe non-blocking for every process that shares this end, and
   * requires no permission, as `PipeReader.fromFd` explains.
   *
   * @param fd From 0 to 2147483647.
   * @throws {TypeError} when the descriptor is of another kind.
   * @throws {Deno.errors.BadResource} when there is no such descriptor.
   * @throws {Deno.errors.Busy} when another object owns it already.
   */
  static fromFd(fd: number): PipeWriter {
    return new PipeWriter(adopt(fd, DescriptorKind.PIPE_WRITER));
  }

  /**
   * Writes `bytes` from `start` to `end`, exclusive, as far as there is room.
   * The system writes up to `PIPE_BUF` bytes (4096 on Linux, at least 512 elsewhere) together or
   * not at all: `pipe(7)`.
   *
   * @returns A count, or {@linkcode WOULD_BLOCK} when there is no room.
   * @throws {RangeError} when the range lies outside `bytes`.
   * @throws {Deno.errors.BrokenPipe} when all readers are closed.
   */
  write(
    bytes: Uint8Array<ArrayBuffer>,
    start: number = 0,
    end: number = bytes.byteLength,
  ): number {
    return this.countOf(this.tryWrite(bytes, start, end), "write to");
  }

  /** Writes like `write`, but returns `-errno` for an error. */
  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    checkRange(bytes, start, end);
    if (end > CALL_BYTES_MAX) {
      const part = partOf(bytes, start, end);
      return this.tryWrite(part, 0, part.byteLength);
    }
    return native().denio_stream_write(this.handle, bytes, start, end - start);
  }

  /**
   * Writes one buffer after the other, in one call, as far as there is room:
   * `writev(2)`.
   *
   * @param buffers Up to eight; pass a `subarray` to use a part of one.
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
