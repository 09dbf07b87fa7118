/** Pipes: item 78. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Interest,
  pipe,
  Poll,
  Readiness,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { NO_PROC } from "../util/machine.ts";
import {
  expectEvent,
  expectQuiet,
  expectSilence,
  readAvailable,
  write,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE } = Interest;

contractTest(
  "78",
  "a pipe's ends have edges",
  (backend) => {
    using poll = new Poll({ backend });
    const { reader, writer } = pipe();
    using _reader = reader;
    using _writer = writer;
    poll.registry.register(reader, 1, READABLE);
    expectSilence(poll);
    assertEquals(reader.read(new Uint8Array(1)), WOULD_BLOCK);
    poll.registry.register(writer, 2, WRITABLE);
    assertEquals(
      expectEvent(poll, 2, Readiness.WRITABLE),
      Readiness.WRITABLE,
    );
    for (const text of ["first", "second"]) {
      write(writer, text);
      expectEvent(poll, 1, Readiness.READABLE);
      assertEquals(readAvailable(reader), text);
      expectQuiet(poll);
    }
  },
);

contractTest(
  "78",
  "a pipe's reader is read-closed, when the writer is closed, after the data",
  (backend) => {
    using poll = new Poll({ backend });
    const { reader, writer } = pipe();
    using _reader = reader;
    poll.registry.register(reader, 1, READABLE);
    write(writer, "first words");
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(readAvailable(reader), "first words");
    write(writer, "last words");
    writer.close();
    expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
    assertEquals(readAvailable(reader), "last words");
    assertEquals(reader.read(new Uint8Array(1)), 0);
    expectQuiet(poll);
  },
);

contractTest(
  "78",
  "an empty pipe's reader is read-closed, when the writer is closed",
  (backend) => {
    using poll = new Poll({ backend });
    const { reader, writer } = pipe();
    using _reader = reader;
    poll.registry.register(reader, 1, READABLE);
    expectSilence(poll);
    writer.close();
    expectEvent(poll, 1, Readiness.READ_CLOSED);
    assertEquals(reader.read(new Uint8Array(1)), 0);
  },
);

contractTest(
  "38, 78",
  "a pipe's writer is write-closed, when the reader is closed, with room or without",
  (backend) => {
    for (const isFull of [false, true]) {
      using poll = new Poll({ backend });
      const { reader, writer } = pipe();
      using _writer = writer;
      poll.registry.register(writer, 1, WRITABLE);
      const bytes = new Uint8Array(65_536);
      expectEvent(poll, 1, Readiness.WRITABLE);
      if (isFull) { while (writer.write(bytes) !== WOULD_BLOCK); }
      expectSilence(poll);
      reader.close();
      expectEvent(poll, 1, Readiness.WRITE_CLOSED | Readiness.ERROR);
      assertThrows(() => writer.write(bytes), Deno.errors.BrokenPipe);
      expectQuiet(poll);
    }
  },
);

contractTest(
  "78",
  "pipes are non-blocking and closed on exec",
  () => {
    const before = descriptors();
    const { reader, writer } = pipe();
    using _reader = reader;
    using _writer = writer;
    const opened = descriptorsSince(before);
    assertEquals(opened.length, 2);
    for (const { kind, isNonblocking, isCloseOnExec } of opened) {
      assert(isNonblocking && isCloseOnExec, kind);
    }
  },
  { ignore: NO_PROC },
);
