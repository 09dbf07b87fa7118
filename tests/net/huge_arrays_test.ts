/** Arrays beyond what 32 bits count: a call takes a part of them. */

import { assertEquals, assertThrows } from "@std/assert";
import { pipe, UdpSocket, UnixStream } from "../../src/poll.ts";
import type { Stream } from "../../src/net/stream.ts";
import { ReadBatch, WriteBatch } from "../../src/net/batches.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { lacks } from "../util/machine.ts";
import {
  LOOPBACK,
  readAvailable,
  whenReadable,
  write,
} from "../util/streams.ts";

const GIB = 2 ** 30;
/** Pages that the program does not touch take no memory. */
const HUGE_BYTES = 4 * GIB + 64;
const NO_HUGE_ARRAYS = lacks("arrays of 4 GiB", () => {
  try {
    return new Uint8Array(HUGE_BYTES).byteLength === HUGE_BYTES;
  } catch {
    return false;
  }
});

/** Ranges of such an array: start and end. */
const RANGES = [
  [0, HUGE_BYTES],
  [4 * GIB, 4 * GIB + 4],
  [4 * GIB - 2, 4 * GIB + 2],
  [2 * GIB, 2 * GIB + 4],
  [GIB - 2, 4 * GIB - 2],
] as const;

let array: Uint8Array<ArrayBuffer> | undefined;

/** The same for all tests, so that there is only one. */
function hugeArray(): Uint8Array<ArrayBuffer> {
  return array ??= new Uint8Array(HUGE_BYTES);
}

function hugeTest(name: string, run: () => void): void {
  cleanTest(name, run, { ignore: NO_HUGE_ARRAYS });
}

function unixPair(): [UnixStream, UnixStream] & Disposable {
  const pair = UnixStream.pair();
  return Object.assign(pair, {
    [Symbol.dispose]: () => pair.forEach((stream) => stream.close()),
  });
}

/** Puts a text into the array. */
function put(start: number, text: string): void {
  new TextEncoder().encodeInto(text, hugeArray().subarray(start));
}

/** Takes a text out of the array. */
function take(start: number, length: number): string {
  const part = hugeArray().subarray(start, start + length);
  const text = new TextDecoder().decode(part);
  part.fill(0);
  return text;
}

hugeTest("a stream reads and peeks into any range of 4 GiB and more", () => {
  using pair = unixPair();
  for (const [start, end] of RANGES) {
    write(pair[0], "abcd");
    assertEquals(pair[1].peek(hugeArray(), start, end), 4);
    assertEquals(take(start, 4), "abcd");
    assertEquals(pair[1].read(hugeArray(), start, end), 4);
    assertEquals(take(start, 4), "abcd");
  }
});

hugeTest("a stream writes of any range of 4 GiB and more", () => {
  for (const [start, end] of RANGES) {
    using pair = unixPair();
    put(start, "abcd");
    const count = pair[0].write(hugeArray(), start, end);
    const length = end - start;
    assertEquals(count === length, length === 4, `${count} of ${length}`);
    assertEquals(readText(pair[1], 4), "abcd");
    take(start, 4);
  }
});

hugeTest("a stream writes and reads vectors of 4 GiB and more", () => {
  for (const before of [0, 1, 4]) {
    using pair = unixPair();
    const small = Array.from({ length: before }, () => new Uint8Array(1));
    put(0, "abcd");
    const written = pair[0].writeVectored([...small, hugeArray(), hugeArray()]);
    assertEquals(written > 4 + before && written < HUGE_BYTES, true);
    const count = pair[1].readVectored([...small, hugeArray()]);
    assertEquals(count, written);
    assertEquals(take(0, 4), "abcd");
  }
});

hugeTest("a pipe's ends take ranges and vectors of 4 GiB and more", () => {
  for (const [start, end] of RANGES) {
    const { reader, writer } = pipe();
    using _reader = reader;
    using _writer = writer;
    put(start, "abcd");
    writer.write(hugeArray(), start, end);
    assertEquals(readText(reader, 4), "abcd");
    take(start, 4);
    writer.writeVectored([hugeArray()]);
    reader.read(hugeArray(), start, end);
    reader.readVectored([hugeArray()]);
  }
});

hugeTest("a UDP socket takes ranges of 4 GiB and more", () => {
  using from = UdpSocket.bind(LOOPBACK);
  using to = UdpSocket.bind(LOOPBACK);
  from.connect(to.localAddress);
  const bytes = hugeArray();
  for (const [start, end] of RANGES) {
    if (end - start === 4) {
      put(start, "abcd");
      assertEquals(from.send(bytes, start, end), 4);
      from.sendTo(bytes, to.localAddress, start, end);
      take(start, 4);
    } else {
      // Not a part of it: a datagram is sent whole or not at all.
      const error = assertThrows(() => from.send(bytes, start, end), Error);
      assertEquals("code" in error && error.code, "EMSGSIZE");
      from.send(new TextEncoder().encode("abcd"));
      from.send(new TextEncoder().encode("abcd"));
    }
    whenReadable(to);
    assertEquals(to.peek(bytes, start, end), 4);
    assertEquals(take(start, 4), "abcd");
    assertEquals(to.peekFrom(bytes, start, end), 4);
    assertEquals(to.receive(bytes, start, end), 4);
    whenReadable(to);
    assertEquals(to.receiveFrom(bytes, start, end), 4);
    assertEquals(take(start, 4), "abcd");
  }
});

hugeTest(
  "a batch reads into 4 GiB and more, and refuses to write of it",
  () => {
    using pair = unixPair();
    const reads = new ReadBatch(1);
    for (const start of [0, GIB, 4 * GIB]) {
      write(pair[0], "abcd");
      reads.length = 0;
      reads.add(pair[1].handle);
      assertEquals(reads.read(hugeArray(), start, 1), 1);
      assertEquals(reads.count(0), 4);
      assertEquals(take(start, 4), "abcd");
    }
    const writes = new WriteBatch(1);
    writes.add(pair[0].handle, 0, 1);
    assertThrows(
      () => writes.write(hugeArray()),
      RangeError,
      `"${HUGE_BYTES}"`,
    );
    assertEquals(readAvailable(pair[1]), "");
  },
);

function readText(from: Pick<Stream<unknown>, "read">, length: number): string {
  const bytes = new Uint8Array(length);
  assertEquals(from.read(bytes), length);
  return new TextDecoder().decode(bytes);
}
