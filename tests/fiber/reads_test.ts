/** Reads of fibers that end early, and the memory of bytes that wait. */

import {
  assert,
  assertEquals,
  assertLess,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import { type FiberConnection, Fibers, Reactor } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { writeText } from "../util/deno_client.ts";
import {
  MEMORY_ADDRESS,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { withPair } from "../util/fibers.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { eventually, within } from "../util/waiting.ts";

const KIB = 1024;

/** After so many bytes the system reads into the program's own array. */
const DIRECT_BYTES = 64 * KIB;
const FEW_BYTES = 100;

interface Fake {
  readonly conn: FiberConnection;
  readonly stream: MemoryStream;
  readonly system: MemorySystem;
  readonly reactor: Reactor;
}

/** Runs `body` with a connection to the test. */
async function withFake(body: (fake: Fake) => Promise<void>): Promise<void> {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const fibers = new Fibers(reactor);
  const listener = fibers.listen(MEMORY_ADDRESS);
  const stream = system.arrive();
  await system.settle();
  await body({ conn: await listener.accept(), stream, system, reactor });
}

/** Returns how many bytes are copied by `set` while `body` runs. */
async function copiedBy(body: () => Promise<void>): Promise<number> {
  const { prototype } = Object.getPrototypeOf(Uint8Array);
  const { set } = prototype;
  let copied = 0;
  prototype.set = function (from: Uint8Array, at?: number) {
    copied += from.byteLength;
    return set.call(this, from, at);
  };
  try {
    await body();
  } finally {
    prototype.set = set;
  }
  return copied;
}

/** Reads many bytes, when the next read is to be direct. */
async function readMany(
  conn: FiberConnection,
  peer: Deno.Conn,
  size: number,
): Promise<void> {
  if (size === FEW_BYTES) return;
  await writeText(peer, "-".repeat(size));
  await conn.readExactly(new Uint8Array(size));
}

/** Returns a signal that aborts after the code that runs now. */
function soon(): AbortSignal {
  const controller = new AbortController();
  queueMicrotask(() => controller.abort(new Error("enough")));
  return controller.signal;
}

Deno.test("readUntil() takes bounded memory and linear time, when bytes come one at a time", () =>
  withFake(async ({ conn, stream, system, reactor }) => {
    const BYTES = 20_000;
    const reading = conn.readUntil("\n", BYTES);
    const ending = assertRejects(() => reading, Deno.errors.InvalidData);
    let most = 0;
    const copied = await copiedBy(async () => {
      for (let sent = 0; sent < BYTES; sent++) {
        stream.receive("x");
        await system.settle();
        most = Math.max(most, reactor.stats().memoryBytes);
      }
    });
    await ending;
    assertLessOrEqual(BYTES, most);
    assertLess(most, 4 * BYTES);
    // One copy into the inbox, and as much again when that has grown. The
    // stream copies each byte, too.
    assertLess(copied, 8 * BYTES);
    assertEquals((await conn.readChunk())!.byteLength, BYTES);
    assertEquals(reactor.stats().memoryBytes, 0);
  }));

Deno.test("bytes that a fiber's reads leave count as memory, until they are read or the connection ends", () =>
  withFake(async ({ conn, stream, system, reactor }) => {
    const memory = () => reactor.stats().memoryBytes;
    stream.receive(10_000);
    assertEquals(await conn.read(new Uint8Array(1)), 1);
    assertLess(9_999, memory());
    assertEquals(await conn.read(new Uint8Array(9_998)), 9_998);
    // The whole block stays while one byte of it waits.
    assertLess(9_999, memory());
    assertEquals((await conn.readChunk())!.byteLength, 1);
    assertEquals(memory(), 0);
    stream.receive("a line\nand more");
    await conn.readUntil("\n", 100);
    assertLess(0, memory());
    conn.close();
    await system.settle();
    assertEquals(memory(), 0);
  }));

Deno.test("a fiber's connection is shed, when bytes that wait are beyond memoryBytesMax", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system, memoryBytesMax: 15_000 });
  const fibers = new Fibers(reactor);
  const listener = fibers.listen(MEMORY_ADDRESS);
  const stream = system.arrive();
  await system.settle();
  const conn = await listener.accept();
  stream.receive(20_000);
  await conn.read(new Uint8Array(1));
  await system.pass(11_000);
  await assertRejects(
    () => conn.write(encoded("x")),
    Deno.errors.ConnectionAborted,
    "memoryBytesMax",
  );
  assertEquals(reactor.stats().closed.shed, 1);
});

Deno.test("the system reads into a fiber's array, after a read of many bytes alone", () =>
  withFake(async ({ conn, stream }) => {
    const target = new Uint8Array(DIRECT_BYTES);
    const isDirect: boolean[] = [];
    const tryRead = stream.tryRead.bind(stream);
    stream.tryRead = (buffer, start, end) => {
      isDirect.push(buffer === target);
      return tryRead(buffer, start, end);
    };
    // Few bytes are copied: one call can then read several connections.
    for (const size of [9, 4_096, 5_000, 9, 9]) {
      const reading = conn.read(target);
      stream.receive(size);
      assertEquals(await reading, size);
    }
    assertEquals(isDirect, [false, false, true, true, false]);
  }));

for (const size of [FEW_BYTES, DIRECT_BYTES]) {
  cleanTest(
    `read() rejects and the next has the bytes, when its buffer of ${size} bytes was transferred`,
    withPair(async ({ conn, peer }) => {
      for (const isResized of [false, true]) {
        await readMany(conn, peer, size);
        const buffer = new ArrayBuffer(size, { maxByteLength: size });
        const target = isResized
          ? new Uint8Array(buffer, 0, size)
          : new Uint8Array(size);
        const reading = conn.read(target);
        if (isResized) buffer.resize(0);
        else structuredClone(target, { transfer: [target.buffer] });
        await writeText(peer, "hello");
        await assertRejects(() => reading, TypeError, "transferred or resized");
        const rest = new Uint8Array(size);
        assertEquals(await conn.read(rest), 5);
        assertEquals(decoded(rest, 0, 5), "hello");
      }
      const gone = new Uint8Array(size);
      gone.buffer.transfer();
      await assertRejects(() => conn.read(gone), TypeError, "transferred");
      await assertRejects(() => conn.readExactly(gone), TypeError);
      await assertRejects(() => conn.write(gone), TypeError, "transferred");
      assertEquals(conn.isClosed, false);
    }),
  );

  cleanTest(
    `read() fills ${size} bytes of shared memory`,
    withPair(async ({ conn, peer }) => {
      await readMany(conn, peer, size);
      const target = new Uint8Array(new SharedArrayBuffer(size));
      await writeText(peer, "hello");
      assertEquals(await conn.read(target), 5);
      assertEquals(decoded(target.slice(), 0, 5), "hello");
    }),
  );

  cleanTest(
    `readExactly() keeps what it has read of ${size} bytes, when it is aborted`,
    withPair(async ({ conn, peer }) => {
      await readMany(conn, peer, size);
      const controller = new AbortController();
      const { signal } = controller;
      const target = new Uint8Array(size);
      const reading = conn.readExactly(target, { signal });
      await writeText(peer, "hello");
      await eventually("the bytes", () => target[4] !== 0);
      controller.abort(new RangeError("stop"));
      await assertRejects(() => reading, RangeError);
      // New bytes come behind those that were kept twice.
      await assertRejects(() => conn.readExactly(target, { signal: soon() }));
      await writeText(peer, " world");
      assertEquals(decoded((await conn.readUntil("w", 100))!), "hello w");
      assertEquals(
        decoded((await conn.readExactly(new Uint8Array(4)))!),
        "orld",
      );
    }),
  );
}

cleanTest(
  "readExactly() keeps what it has read, when its buffer shrinks in between",
  withPair(async ({ conn, peer }) => {
    const buffer = new ArrayBuffer(100, { maxByteLength: 100 });
    const target = new Uint8Array(buffer);
    const reading = conn.readExactly(target);
    await writeText(peer, "hello");
    await eventually("the bytes", () => target[4] !== 0);
    buffer.resize(5);
    await writeText(peer, " world");
    await assertRejects(() => within(reading, "its end"), TypeError);
    const text = new Uint8Array(11);
    assertEquals(decoded((await conn.readExactly(text))!), "hello world");
  }),
);

Deno.test("readExactly() leaves what it has read to a read that came between", () =>
  withFake(async ({ conn, stream, system, reactor }) => {
    const reading = conn.readExactly(new Uint8Array(8));
    const refused = assertRejects(() => reading, Deno.errors.Busy);
    let between: Promise<Uint8Array | null> | undefined;
    // Timers run in the turn that brings the bytes, before promises settle.
    reactor.setTimer(0, () => between = conn.readChunk());
    stream.receive("abc");
    await system.settle();
    await refused;
    assertEquals(decoded((await between!)!), "abc");
  }));

cleanTest(
  "writev() writes nothing, when one of its chunks cannot be written",
  withPair(async ({ conn, peer }) => {
    const gone = new Uint8Array(9);
    gone.buffer.transfer();
    const strange = "text" as unknown as Uint8Array;
    for (const last of [gone, strange]) {
      const chunks = [encoded("first"), new Uint8Array(0), last];
      await assertRejects(() => conn.writev(chunks), TypeError);
    }
    await assertRejects(() => conn.write(strange), TypeError, '"text"');
    await assertRejects(
      () =>
        Promise.resolve().then(() =>
          conn.writev(function* () {
            yield encoded("first");
            throw new TypeError("no more");
          }())
        ),
      TypeError,
    );
    assertEquals(await conn.writev([encoded("a"), encoded("b")]), 2);
    await conn.closeWrite();
    const { value } = await peer.readable.getReader().read();
    assertEquals(decoded(value!), "ab");
  }),
);

Deno.test("readUntil() throws RangeError, when bytesMax is out of range", () =>
  withFake(async ({ conn }) => {
    for (const bytesMax of [-1, NaN]) {
      await assertRejects(
        () => conn.readUntil("\n", bytesMax),
        RangeError,
        `"${bytesMax}"`,
      );
    }
    assert(!conn.isClosed);
  }));
