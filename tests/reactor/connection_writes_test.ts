/** Writes of several parts, and the parts that the system does not take. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Readiness } from "../../src/poll/events.ts";
import { EngineConnection } from "../../src/reactor/connection/engine.ts";
import { setupOf } from "../../src/reactor/connection/record.ts";
import {
  DEFAULT_LIMITS,
  HIGH_WATER_BYTES,
} from "../../src/reactor/connection_options.ts";
import type { AnyListener } from "../../src/reactor/listener.ts";
import { FakeHost } from "../util/fake_host.ts";
import { MemoryStream, MemorySystem } from "../../src/system/memory.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { concat } from "../util/http_bytes.ts";

/** A stream that keeps the bytes of each call. */
class KeepingStream extends MemoryStream {
  readonly calls: string[] = [];

  override tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const count = super.tryWrite(bytes, start, end);
    if (count > 0) this.calls.push(decoded(bytes, start, start + count));
    return count;
  }

  override tryWriteVectored(
    buffers: readonly Uint8Array<ArrayBuffer>[],
  ): number {
    const bytes = concat(buffers);
    return this.tryWrite(bytes, 0, bytes.byteLength);
  }
}

/** A connection on a reactor that does nothing by itself. */
function fakeConnection(): {
  connection: EngineConnection;
  stream: KeepingStream;
  host: FakeHost;
} {
  const host = new FakeHost();
  const stream = new KeepingStream(new MemorySystem());
  const protocol = { data() {} };
  const listener = { isRefed: true } as unknown as AnyListener;
  const connection = new EngineConnection(
    host,
    stream,
    setupOf(protocol, DEFAULT_LIMITS, listener),
  );
  return { connection, stream, host };
}

/** Reserves room for a text, and writes it there. */
function put(connection: EngineConnection, text: string): void {
  const room = connection.reserve(text.length)!;
  room.bytes.set(encoded(text), room.length);
  room.length += text.length;
}

Deno.test("Connection.write() sends in one call with the bytes in the shared buffer", () => {
  const { connection, stream, host } = fakeConnection();
  put(connection, "head:");
  connection.write(encoded("-body-"), 1, 5);
  assertEquals(stream.calls, ["head:body"]);
  host.output.flush();
  assertEquals(stream.calls, ["head:body"]);
});

Deno.test("Connection.write() throws RangeError, when bytes wait and the range lies outside", () => {
  const { connection, stream } = fakeConnection();
  put(connection, "head:");
  for (const [start, end] of [[-1, 2], [0, 4], [2, 1]] as const) {
    assertThrows(
      () => connection.write(encoded("abc"), start, end),
      RangeError,
    );
  }
  assertEquals(stream.calls, []);
});

Deno.test("Connection.writeVectored() keeps the bytes that the system does not take, wherever it stops", () => {
  const parts = ["ab", "", "cde", "f"];
  for (let room = 0; room <= 9; room++) {
    for (const head of ["", "xyz"]) {
      const { connection, stream, host } = fakeConnection();
      stream.room = room;
      if (head !== "") put(connection, head);
      const all = head + parts.join("");
      const isFlowing = connection.writeVectored(parts.map(encoded));
      assertEquals(isFlowing, true);
      const unsent = Math.max(0, all.length - room);
      assertEquals(connection.bufferedBytes, unsent);
      assertEquals(host.memoryBytes > 0, unsent > 0);
      stream.room = Infinity;
      connection.onReady(Readiness.WRITABLE);
      assertEquals(stream.calls.join(""), all);
      assertEquals(host.memoryBytes, 0);
    }
  }
});

Deno.test("Connection.writeOwned() leaves in one call, and keeps the rest without a copy", () => {
  for (const head of ["", "xyz"]) {
    const { connection, stream, host } = fakeConnection();
    stream.room = head.length + 1;
    if (head !== "") put(connection, head);
    const bytes = encoded("abc".repeat(1_000));
    assertEquals(connection.writeOwned(bytes), true);
    assertEquals(stream.calls, [`${head}a`]);
    assertEquals(connection.bufferedBytes, 2_999);
    assert(host.memoryBytes >= 3_000);
    // A change after the write shows that the bytes were not copied.
    bytes[2] = 67;
    stream.room = Infinity;
    connection.onReady(Readiness.WRITABLE);
    assertEquals(stream.calls[1]!.slice(0, 4), "bCab");
    assertEquals(host.memoryBytes, 0);
  }
});

Deno.test("Connection.writeVectored() sends behind waiting bytes, and returns false at the high-water mark", () => {
  const { connection, stream } = fakeConnection();
  stream.room = 1;
  assertEquals(connection.write(encoded("ab")), true);
  assertEquals(connection.writeVectored([encoded("c"), encoded("d")]), true);
  const large = new Uint8Array(HIGH_WATER_BYTES).fill(101);
  assertEquals(connection.writeVectored([large]), false);
  stream.room = Infinity;
  connection.onReady(Readiness.WRITABLE);
  assertEquals(stream.calls.join("").slice(0, 5), "abcde");
});

Deno.test("Connection.writeVectored() sends nothing, when the connection is closed", () => {
  const { connection, stream } = fakeConnection();
  connection.close();
  connection.writeVectored([encoded("ab")]);
  assertEquals(stream.calls, []);
});

Deno.test("Connection.writeVectored() takes its own runs of the shared buffer alone, in order", () => {
  const { connection, stream, host } = fakeConnection();
  const other = new KeepingStream(new MemorySystem());
  const protocol = { data() {} };
  const listener = { isRefed: true } as unknown as AnyListener;
  const neighbour = new EngineConnection(
    host,
    other,
    setupOf(protocol, DEFAULT_LIMITS, listener),
  );
  for (const text of ["a", "b", "c"]) {
    put(connection, text);
    put(neighbour, text.toUpperCase());
  }
  connection.writeVectored([encoded("d"), encoded("e")]);
  assertEquals(stream.calls, ["abcde"]);
  assertEquals(other.calls, []);
  put(connection, "f");
  host.output.flush();
  assertEquals(stream.calls, ["abcde", "f"]);
  assertEquals(other.calls, ["ABC"]);
});

Deno.test("Connection.writeVectored() throws before it takes bytes out of the shared buffer", () => {
  const { connection, stream, host } = fakeConnection();
  put(connection, "head:");
  const tooMany = Array.from({ length: 8 }, () => encoded("x"));
  const strange = "body" as unknown as Uint8Array<ArrayBuffer>;
  assertThrows(() => connection.writeVectored(tooMany), RangeError, '"8"');
  assertThrows(() => connection.writeVectored([strange]), TypeError, "body");
  assertThrows(() => connection.writeOwned(strange), TypeError, "body");
  assertThrows(() => connection.write(strange), RangeError);
  const shared = new Uint8Array(new SharedArrayBuffer(3_000));
  const bytes = shared as unknown as Uint8Array<ArrayBuffer>;
  assertThrows(() => connection.writeVectored([bytes]), TypeError, "Shared");
  assertThrows(() => connection.writeOwned(bytes), TypeError, "Shared");
  assertThrows(() => connection.write(bytes), TypeError, "Shared");
  assertEquals(stream.calls, []);
  connection.writeVectored(tooMany.slice(1));
  assertEquals(stream.calls, ["head:xxxxxxx"]);
  host.output.flush();
  assertEquals(stream.calls.length, 1);
});

Deno.test("Connection.writeVectored() refuses eight parts, also when nothing waits", () => {
  const { connection, stream } = fakeConnection();
  const parts = Array.from({ length: 8 }, () => encoded("x"));
  assertThrows(() => connection.writeVectored(parts), RangeError, '"8"');
  assertEquals(stream.calls, []);
});

Deno.test("Connection.writeInto() sends in the order of the writes before and after it", () => {
  const { connection, stream, host } = fakeConnection();
  host.isFresh = true;
  connection.write(encoded("before "));
  const isFlowing = connection.writeInto(10, (bytes) => {
    bytes.set(encoded("inside "));
    return 7;
  });
  assertEquals(isFlowing, true);
  connection.write(encoded("after"));
  host.output.flush();
  assertEquals(stream.calls, ["before inside after"]);
});

Deno.test("Connection.writeInto() sends nothing, when fill returns more than size", () => {
  const { connection, stream, host } = fakeConnection();
  host.isFresh = true;
  const other = new KeepingStream(new MemorySystem());
  const neighbour = new EngineConnection(
    host,
    other,
    setupOf({ data() {} }, DEFAULT_LIMITS, { isRefed: true }),
  );
  neighbour.write(encoded("the neighbour's"));
  for (const length of [6, -1, 0.5, NaN, Infinity]) {
    assertThrows(
      () => connection.writeInto(5, (bytes) => (bytes.fill(120), length)),
      RangeError,
      `Cannot write "${length}" bytes`,
    );
  }
  for (const size of [-1, 0.5, NaN]) {
    assertThrows(() => connection.writeInto(size, () => 0), RangeError);
  }
  neighbour.write(encoded(" bytes"));
  host.output.flush();
  assertEquals(stream.calls, []);
  assertEquals(other.calls, ["the neighbour's bytes"]);
});

Deno.test("Connection.writeInto() lends each call its own array, when fill writes to another connection", () => {
  const { connection, stream, host } = fakeConnection();
  host.isFresh = true;
  connection.writeInto(100, (bytes) => {
    bytes.set(encoded("outer"));
    connection.writeInto(100, (inner) => {
      assert(inner !== bytes);
      inner.set(encoded("inner "));
      return 6;
    });
    return 5;
  });
  host.output.flush();
  assertEquals(stream.calls, ["inner outer"]);
});

Deno.test("Connection.writeInto() holds as much as it is asked for, and lends again after an error", () => {
  const { connection, stream } = fakeConnection();
  const size = 3 * HIGH_WATER_BYTES;
  connection.writeInto(size, (bytes) => {
    assert(bytes.byteLength >= size);
    bytes.fill(120, 0, size);
    return size;
  });
  assertEquals(stream.calls.join("").length, size);
  let first: Uint8Array | undefined;
  assertThrows(() =>
    connection.writeInto(1, (bytes) => {
      first = bytes;
      throw new Error("on purpose");
    })
  );
  connection.writeInto(1, (bytes) => {
    assert(bytes === first);
    return 0;
  });
});

Deno.test("Connection.write() makes no system call, when there is nothing to send", () => {
  const { connection, stream } = fakeConnection();
  assertEquals(connection.write(new Uint8Array(0)), true);
  assertEquals(connection.write(encoded("abc"), 1, 1), true);
  assertEquals(stream.calls, []);
});
