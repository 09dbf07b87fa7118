/** A fiber's connection: the behaviour of `Deno.Conn`, and its additions. */

import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { Reactor, TcpAddress } from "../../mod.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  readExactly,
  readToEnd,
  writeAll,
  writeText,
} from "../util/deno_client.ts";
import {
  type FiberPair,
  fiberPair,
  onReactor,
  withPair,
} from "../util/fibers.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import { LOOPBACK } from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { eventually, within } from "../util/waiting.ts";
import { Fibers } from "../../mod.ts";

const MIB = 1024 * 1024;

/** Writes until a peer that reads nothing has no more room. */
async function fill(
  { conn }: FiberPair,
): Promise<{ writing: Promise<number> }> {
  for (;;) {
    const writing = conn.write(new Uint8Array(MIB));
    // Below the high-water mark a write resolves at once.
    if (conn.bufferedBytes >= HIGH_WATER_BYTES) return { writing };
    await writing;
  }
}

cleanTest(
  "read() fills its array, keeps the rest, and returns null at the end",
  withPair(async ({ conn, peer }) => {
    await writeText(peer, "hello world");
    const target = new Uint8Array(5);
    assertEquals(await conn.read(target), 5);
    assertEquals(decoded(target), "hello");
    assertEquals(await conn.read(new Uint8Array(0)), 0);
    const rest = new Uint8Array(20);
    assertEquals(await conn.read(rest), 6);
    assertEquals(decoded(rest, 0, 6), " world");
    await peer.closeWrite();
    assertEquals(await conn.read(rest), null);
    assertEquals(await conn.read(rest), null);
  }),
);

cleanTest(
  "read() throws Busy while another read waits, and that read goes on",
  withPair(async ({ conn, peer }) => {
    const target = new Uint8Array(1);
    const reading = conn.read(target);
    await assertRejects(() => conn.read(target), Deno.errors.Busy);
    await assertRejects(() => conn.readChunk(), Deno.errors.Busy);
    await writeText(peer, "x");
    assertEquals(await reading, 1);
  }),
);

cleanTest(
  "bytes that no fiber reads stay in the system, so the peer has to wait",
  withPair(async ({ conn, peer }, { fibers, reactor }) => {
    let written = 0;
    const writing = (async () => {
      while (written < 64 * MIB) {
        written += await peer.write(new Uint8Array(MIB));
      }
    })().catch(() => {});
    await eventually("bytes to be sent", () => written > 0);
    // Timers run in turns, and each turn acts on readable sockets before.
    for (let turn = 0; turn < 3; turn++) await fibers.sleep(0);
    assertEquals(reactor.stats().bytesIn, 0);
    conn.abort();
    await writing;
    assertLess(written, 64 * MIB);
  }),
);

cleanTest(
  "readExactly() fills its buffer over several pieces",
  withPair(async ({ conn, peer }) => {
    const sent = randomBytes(300_000, 1);
    const writing = writeAll(peer, sent).then(() => peer.closeWrite());
    const target = new Uint8Array(299_000);
    assert(
      sameBytes((await conn.readExactly(target))!, sent.subarray(0, 299_000)),
    );
    await assertRejects(
      () => conn.readExactly(new Uint8Array(1_001)),
      Deno.errors.UnexpectedEof,
      "the stream ended after 1000",
    );
    assertEquals(await conn.readExactly(new Uint8Array(1)), null);
    await writing;
  }),
);

cleanTest(
  "readUntil() returns a line at a time, wherever the pieces end",
  withPair(async ({ conn, peer }) => {
    const text = "a\r\n\r\nlong line\r\r\nrest";
    const lines = ["a\r\n", "\r\n", "long line\r\r\n"];
    const writing = (async () => {
      for (const letter of text) {
        await writeText(peer, letter);
        await new Promise((resolve) => setTimeout(resolve));
      }
      await peer.closeWrite();
    })();
    for (const line of lines) {
      assertEquals(decoded((await conn.readUntil("\r\n", 12))!), line);
    }
    await writing;
    await assertRejects(
      () => conn.readUntil("\r\n", 100),
      Deno.errors.UnexpectedEof,
    );
    assertEquals(decoded((await conn.readChunk())!), "rest");
    assertEquals(await conn.readUntil(encoded("\n"), 100), null);
    await assertRejects(() => conn.readUntil("", 1), TypeError);
  }),
);

cleanTest(
  "readUntil() throws InvalidData, when there is more than allowed",
  withPair(async ({ conn, peer }) => {
    await writeText(peer, "0123456789\n");
    await assertRejects(
      () => conn.readUntil("\n", 10),
      Deno.errors.InvalidData,
    );
    assertEquals(decoded((await conn.readUntil("\n", 11))!), "0123456789\n");
    await writeText(peer, "x".repeat(1_000));
    await assertRejects(
      () => conn.readUntil("\n", 10),
      Deno.errors.InvalidData,
    );
  }),
);

cleanTest(
  "for await yields chunks to keep, and leaving it closes nothing",
  withPair(async ({ conn, peer }) => {
    const sent = randomBytes(2 * MIB, 2);
    const writing = writeAll(peer, sent).then(() => peer.closeWrite());
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of conn) {
      chunks.push(chunk);
      if (chunks.length === 1) break;
    }
    for await (const chunk of conn) chunks.push(chunk);
    await writing;
    const received = new Uint8Array(await new Blob(chunks).arrayBuffer());
    assert(sameBytes(received, sent));
  }),
);

cleanTest(
  "write() takes all, at once or when the peer has read",
  withPair(async ({ conn, peer }, { fibers }) => {
    assertEquals(await conn.write(encoded("small")), 5);
    assertEquals(await conn.writev([encoded("a"), encoded("bc")]), 3);
    assertEquals(decoded(await readExactly(peer, 8)), "smallabc");
    const sent = randomBytes(16 * MIB, 3);
    let isWritten = false;
    const writing = conn.write(sent).then((count) => {
      isWritten = true;
      return count;
    });
    sent.fill(0, 15 * MIB);
    // In these turns every byte leaves that the system has room for.
    for (let turn = 0; turn < 3; turn++) await fibers.sleep(0);
    assertEquals(isWritten, false);
    const received = await readExactly(peer, sent.byteLength);
    assertEquals(await writing, sent.byteLength);
    assert(sameBytes(received, randomBytes(16 * MIB, 3)));
  }),
);

cleanTest(
  "a fiber that only writes to a fast reader lets other fibers run",
  withPair(async ({ conn, peer }, { fibers }) => {
    let isOver = false;
    const reading = (async () => {
      const target = new Uint8Array(MIB);
      while (await peer.read(target) !== null);
    })();
    const writing = (async () => {
      while (!isOver) await conn.write(new Uint8Array(1_000));
      await conn.closeWrite();
    })();
    for (let round = 0; round < 10; round++) await fibers.sleep(1);
    isOver = true;
    await writing;
    await reading;
  }),
);

cleanTest(
  "closeWrite() ends the stream and goes on reading",
  withPair(async ({ conn, peer }) => {
    await conn.write(encoded("question"));
    await conn.closeWrite();
    await conn.closeWrite();
    assertEquals(decoded(await readToEnd(peer)), "question");
    await assertRejects(() => conn.write(encoded("x")), Deno.errors.BrokenPipe);
    await writeText(peer, "answer");
    await peer.closeWrite();
    assertEquals(decoded((await conn.readChunk())!), "answer");
    assertEquals(await conn.readChunk(), null);
    conn.close();
  }),
);

cleanTest(
  "close() interrupts reads and writes that wait, and later ones are BadResource",
  withPair(async (pair) => {
    const { conn } = pair;
    const reading = conn.read(new Uint8Array(1));
    const { writing } = await fill(pair);
    conn.close();
    await assertRejects(() => reading, Deno.errors.Interrupted);
    await assertRejects(() => writing, Deno.errors.Interrupted);
    assertThrows(() => conn.close(), Deno.errors.BadResource);
    await assertRejects(
      () => conn.read(new Uint8Array(1)),
      Deno.errors.BadResource,
    );
    await assertRejects(
      () => conn.write(new Uint8Array(1)),
      Deno.errors.BadResource,
    );
    await assertRejects(() => conn.closeWrite(), Deno.errors.BadResource);
    conn[Symbol.dispose]();
  }),
);

cleanTest(
  "a reset ends reads and writes with ConnectionReset, after what came before",
  () =>
    onReactor(async ({ fibers }) => {
      using listener = fibers.listen(LOOPBACK);
      using peer = await fibers.connect(listener.addr);
      using conn = await listener.accept();
      await peer.write(encoded("last words"));
      const first = new Uint8Array(4);
      assertEquals(await conn.read(first), 4);
      peer.abort();
      await eventually("the reset", () => conn.isClosed);
      assertEquals(decoded((await conn.readChunk())!), " words");
      await assertRejects(() => conn.readChunk(), Deno.errors.ConnectionReset);
      await assertRejects(() => conn.write(first), Deno.errors.ConnectionReset);
    }),
);

cleanTest(
  "addresses are known, also after the end",
  withPair(async ({ conn, peer }) => {
    const { localAddr, remoteAddr } = peer;
    peer.close();
    assertEquals(await conn.read(new Uint8Array(1)), null);
    conn.close();
    assertEquals(conn.localAddr.port, (remoteAddr as Deno.NetAddr).port);
    assertEquals(conn.remoteAddr.port, (localAddr as Deno.NetAddr).port);
  }),
);

cleanTest(
  "a signal ends a read, a write's wait and an accept, and nothing else",
  withPair(async (pair, { fibers }) => {
    const { conn, peer } = pair;
    const aborted = () => {
      const controller = new AbortController();
      queueMicrotask(() => controller.abort(new RangeError("stop")));
      return { signal: controller.signal };
    };
    await assertRejects(
      () => conn.read(new Uint8Array(9), aborted()),
      RangeError,
    );
    await assertRejects(() => conn.readUntil("\n", 9, aborted()), RangeError);
    await writeText(peer, "still\n");
    assertEquals(decoded((await conn.readUntil("\n", 9))!), "still\n");
    await assertRejects(async () => {
      for (;;) await conn.write(new Uint8Array(MIB), aborted());
    }, RangeError);
    using listener = fibers.listen(LOOPBACK);
    await assertRejects(() => listener.accept(aborted()), RangeError);
    await assertRejects(
      () => conn.read(new Uint8Array(1), { signal: AbortSignal.abort() }),
      DOMException,
    );
    conn.abort();
  }),
);

cleanTest(
  "readable and writable carry all bytes, with backpressure",
  withPair(async ({ conn, peer }) => {
    const echoing = conn.readable.pipeTo(conn.writable);
    const sent = randomBytes(8 * MIB, 4);
    const writing = writeAll(peer, sent).then(() => peer.closeWrite());
    assert(sameBytes(await readToEnd(peer), sent));
    await writing;
    await echoing;
    assertEquals(conn.readable, conn.readable);
  }),
);

cleanTest(
  "a stream that is cancelled or aborted closes the connection",
  () =>
    onReactor(async ({ fibers }) => {
      using cancelled = await fiberPair(fibers);
      await cancelled.conn.readable.cancel();
      assert(cancelled.conn.isClosed);
      using aborted = await fiberPair(fibers);
      await aborted.conn.writable.abort();
      await assertRejects(
        () => aborted.peer.read(new Uint8Array(1)),
        Deno.errors.ConnectionReset,
      );
    }),
);

cleanTest(
  "the two halves are read and written by different fibers",
  () =>
    onReactor(async ({ fibers }) => {
      using pair = await fiberPair(fibers);
      const { conn, peer } = pair;
      const { writing } = await fill(pair);
      // The fiber reads although its peer reads nothing.
      await writeText(peer, "urgent");
      assertEquals(
        decoded((await within(conn.readChunk(), "a chunk"))!),
        "urgent",
      );
      conn.abort();
      await assertRejects(() => writing);
    }),
);

cleanTest(
  "Reactor.close() ends the waits of fibers",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      using pair = await fiberPair(fibers);
      const listener = fibers.listen(LOOPBACK);
      const reading = pair.conn.read(new Uint8Array(1));
      const accepting = listener.accept();
      reactor.close();
      await assertRejects(() => reading, Deno.errors.ConnectionAborted);
      listener.close();
      await assertRejects(() => accepting, Deno.errors.BadResource);
    }),
);

cleanTest(
  "a FiberListener is a Deno.Listener",
  () =>
    onReactor(async ({ fibers }) => {
      const listener: Deno.Listener = fibers.listen(LOOPBACK);
      const addr = listener.addr as TcpAddress;
      const serving = (async () => {
        for await (const conn of listener) {
          conn.readable.pipeTo(conn.writable).catch(() => {});
        }
      })();
      using client = await Deno.connect(addr);
      await writeText(client, "hi");
      assertEquals(decoded(await readExactly(client, 2)), "hi");
      listener.close();
      await within(serving, "the loop");
      assertThrows(() => listener.close(), Deno.errors.BadResource);
      await assertRejects(() => listener.accept(), Deno.errors.BadResource);
      await client.closeWrite();
      await readToEnd(client);
    }),
);

cleanTest(
  "connections stay in the backlog, when the program does not accept",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      using listener = fibers.listen(LOOPBACK);
      const COUNT = 200;
      const clients = await Promise.all(
        Array.from({ length: COUNT }, () => Deno.connect(listener.addr)),
      );
      // All clients are connected, so a turn that accepts one could accept all.
      await eventually("some to be accepted", () => reactor.size > 1);
      for (let turn = 0; turn < 3; turn++) await fibers.sleep(0);
      assertLess(reactor.size, COUNT);
      for (let index = 0; index < COUNT; index++) {
        (await within(listener.accept(), `connection ${index}`)).close();
      }
      for (const client of clients) client.close();
    }),
);

cleanTest(
  "Fibers.serve() closes with the fiber, reports its error and goes on",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      await using server = fibers.serve(
        { ...LOOPBACK, name: "lines" },
        async (conn) => {
          const line = await conn.readUntil("\n", 100);
          if (decoded(line!) === "fail\n") throw new Error("on request");
          await conn.write(line!);
        },
      );
      using failing = await Deno.connect(server.addr);
      await writeText(failing, "fail\n");
      await assertRejects(
        () => failing.read(new Uint8Array(1)),
        Deno.errors.ConnectionReset,
      );
      assertEquals(reactor.reported.map(({ message }) => message), [
        'Fiber "lines/conn-1" failed: on request',
      ]);
      using client = await Deno.connect(server.addr);
      await writeText(client, "hello\n");
      assertEquals(decoded(await readToEnd(client)), "hello\n");
    }),
);

cleanTest(
  "Fibers.serve() does not report a peer's reset",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      await using server = fibers.serve(LOOPBACK, async (conn) => {
        await conn.write(new Uint8Array(10));
        for await (const _chunk of conn);
      });
      const client = await Deno.connect(server.addr);
      await eventually("the fiber", () => server.size === 1);
      client.close();
      await eventually("its end", () => server.size === 0);
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "shutdown() lets fibers finish their work, and ends idle ones",
  () =>
    onReactor(async ({ fibers }) => {
      const begun = Promise.withResolvers<void>();
      const mayEnd = Promise.withResolvers<void>();
      const server = fibers.serve(LOOPBACK, async (conn) => {
        for await (const chunk of conn) {
          begun.resolve();
          await mayEnd.promise;
          await conn.write(chunk);
        }
      });
      using idle = await Deno.connect(server.addr);
      using busy = await Deno.connect(server.addr);
      await writeText(busy, "last");
      await eventually("both", () => server.size === 2);
      await within(begun.promise, "the fiber to be busy");
      const finished = server.shutdown();
      assertEquals((await readToEnd(idle)).byteLength, 0);
      mayEnd.resolve();
      assertEquals(decoded(await readToEnd(busy)), "last");
      await within(finished, "the shutdown");
      await server.shutdown();
    }),
);

cleanTest(
  "a server's signal cancels its fibers",
  () =>
    onReactor(async ({ fibers, reactor }) => {
      const controller = new AbortController();
      const { signal } = controller;
      const server = fibers.serve(
        { ...LOOPBACK, signal },
        (conn) => conn.read(new Uint8Array(1)),
      );
      using client = await Deno.connect(server.addr);
      await eventually("the fiber", () => server.size === 1);
      controller.abort();
      await within(server.finished, "the end");
      await assertRejects(
        () => client.read(new Uint8Array(1)),
        Deno.errors.ConnectionReset,
      );
      assertEquals(reactor.reported, []);
    }),
);

for (const isServed of [true, false]) {
  const how = isServed ? "serve" : "listen and connect";
  cleanTest(
    `fibers ${how} on a Unix socket, and remove its path in the end`,
    () =>
      onReactor(async ({ fibers, reactor }) => {
        using folder = new SocketFolder();
        const path = folder.path();
        await using server = isServed
          ? fibers.serve({ path }, echoChunks)
          : echoingListener(reactor, path);
        assertEquals(server.addr, { transport: "unix", path });
        const conn = await fibers.connect({ path });
        assertEquals(conn.remoteAddr, { transport: "unix", path });
        conn.setNoDelay(false);
        await conn.write(encoded("hello"));
        const reply = await conn.readExactly(new Uint8Array(5));
        assertEquals(new TextDecoder().decode(reply!), "hello");
        conn.close();
        await server[Symbol.asyncDispose]();
        await assertRejects(
          () => fibers.connect({ path }),
          Deno.errors.NotFound,
        );
        assertEquals(reactor.reported, []);
      }),
  );
}

cleanTest(
  "fiber.connect() to a Unix socket ends with its fiber, and when it is aborted",
  () =>
    onReactor(async ({ fibers }) => {
      using folder = new SocketFolder();
      const path = folder.path();
      await using _server = fibers.serve({ path }, echoChunks);
      const owned = await fibers.spawn((fiber) => fiber.connect({ path }))
        .finished;
      assert(owned.isClosed);
      const signal = AbortSignal.abort(new Error("enough"));
      await assertRejects(
        () => fibers.connect({ path, signal }),
        Error,
        "enough",
      );
    }),
);

async function echoChunks(
  conn: AsyncIterable<Uint8Array<ArrayBuffer>> & {
    write(bytes: Uint8Array): Promise<number>;
  },
): Promise<void> {
  for await (const chunk of conn) await conn.write(chunk);
}

function echoingListener(reactor: Reactor, path: string) {
  const fibers = new Fibers(reactor);
  const listener = fibers.listen({ path });
  const fiber = fibers.spawn(async (fiber) => {
    fiber.own(listener);
    for await (const conn of listener) await echoChunks(conn);
  });
  return {
    addr: listener.addr,
    async [Symbol.asyncDispose]() {
      listener[Symbol.dispose]();
      await fiber.finished;
    },
  };
}
