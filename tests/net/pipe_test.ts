/** Bytes one way, on each backend. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  Interest,
  pipe,
  type PipeWriter,
  Poll,
  Readiness,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  expectEvent,
  expectSilence,
  readAvailable,
  write,
} from "../util/streams.ts";

const { READABLE, WRITABLE } = Interest;

for (const backend of Poll.backends()) {
  cleanTest(
    `a pipe's reader has an event for each write, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      const { reader, writer } = pipe();
      using _reader = reader;
      using _writer = writer;
      poll.registry.register(reader, 1, READABLE);
      expectSilence(poll);
      assertEquals(reader.read(new Uint8Array(1)), WOULD_BLOCK);
      for (const text of ["one", "two"]) {
        write(writer, text);
        expectEvent(poll, 1, Readiness.READABLE);
        assertEquals(readAvailable(reader), text);
        expectSilence(poll);
      }
    },
  );

  cleanTest(
    `a pipe's reader has an event, when its writer has closed, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      const { reader, writer } = pipe();
      using _reader = reader;
      poll.registry.register(reader, 1, READABLE);
      write(writer, "last words");
      writer.close();
      expectEvent(poll, 1, Readiness.READ_CLOSED);
      assertEquals(readAvailable(reader), "last words");
      assertEquals(reader.read(new Uint8Array(1)), 0);
    },
  );

  cleanTest(
    `a pipe's writer has an event while it waits for room, when its reader closes, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      const { reader, writer } = pipe();
      using _writer = writer;
      poll.registry.register(writer, 1, WRITABLE);
      expectEvent(poll, 1, Readiness.WRITABLE);
      fill(writer);
      reader.close();
      expectEvent(poll, 1, Readiness.WRITE_CLOSED);
      assertThrows(
        () => writer.write(new Uint8Array(1)),
        Deno.errors.BrokenPipe,
        `write to pipe writer ${writer.handle}`,
      );
      const answer = writer.tryWrite(new Uint8Array(1), 0, 1);
      assertEquals(answer, -errnoNumber("EPIPE"));
    },
  );

  cleanTest(
    `a pipe's writer has an event while it is idle, when its reader closes, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      const { reader, writer } = pipe();
      using _writer = writer;
      poll.registry.register(writer, 1, WRITABLE);
      expectEvent(poll, 1, Readiness.WRITABLE);
      reader.close();
      expectEvent(poll, 1, Readiness.WRITE_CLOSED);
    },
  );

  cleanTest(
    `a pipe has room again, when it was full and has been read, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      const { reader, writer } = pipe();
      using _reader = reader;
      using _writer = writer;
      poll.registry.register(writer, 1, WRITABLE);
      expectEvent(poll, 1, Readiness.WRITABLE);
      const bytes = new Uint8Array(4096);
      const written = fill(writer);
      expectSilence(poll);
      let read = 0;
      while (read < written) read += reader.read(bytes);
      assertEquals(read, written);
      expectEvent(poll, 1, Readiness.WRITABLE);
    },
  );
}

cleanTest("a pipe reads and writes several buffers in one call", () => {
  const { reader, writer } = pipe();
  using _reader = reader;
  using _writer = writer;
  const encoder = new TextEncoder();
  assertEquals(
    writer.writeVectored([encoder.encode("abc"), encoder.encode("de")]),
    5,
  );
  const first = new Uint8Array(2);
  const second = new Uint8Array(8).fill(46);
  assertEquals(reader.readVectored([first, second]), 5);
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(first), "ab");
  assertEquals(decoder.decode(second), "cde.....");
  assertEquals(reader.readVectored([first]), WOULD_BLOCK);
});

cleanTest("a pipe refuses a range that lies outside of its buffer", () => {
  const { reader, writer } = pipe();
  using _reader = reader;
  using _writer = writer;
  const bytes = new Uint8Array(8);
  for (const [start, end] of [[9, 9], [0, 9], [-1, 0], [NaN, 1]] as const) {
    assertThrows(() => reader.read(bytes, start, end), RangeError);
    assertThrows(() => writer.write(bytes, start, end), RangeError);
  }
});

cleanTest("a pipe goes one way, and each end is closed once", () => {
  const { reader, writer } = pipe();
  writer.close();
  assertThrows(
    () => writer.close(),
    Deno.errors.BadResource,
    `close pipe writer ${writer.handle}`,
  );
  reader.close();
  assertThrows(
    () => reader.read(new Uint8Array(1)),
    Deno.errors.BadResource,
    `read from pipe reader ${reader.handle}`,
  );
});

/** Writes until there is no room, and returns how much that was. */
function fill(writer: PipeWriter): number {
  const bytes = new Uint8Array(4096);
  for (let written = 0;;) {
    const count = writer.write(bytes);
    if (count === WOULD_BLOCK) return written;
    written += count;
  }
}
