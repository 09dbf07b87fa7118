import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { cleanTest } from "../util/clean_tests.ts";
import { STREAMS_OF_ABC } from "../util/http_bodies.ts";
import { type RawClient, ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { randomBytes } from "../util/random.ts";
import { eventually, within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

const MEBIBYTE = 1_048_576;
const LARGE_BYTES = 64 * MEBIBYTE;
/** More than the system buffers for a connection, either way. */
const SYSTEM_BYTES = 24 * MEBIBYTE;
/** More than the server holds of a body, either way. */
const HELD_BYTES = MEBIBYTE;
/** More bytes than fit anywhere without backpressure. */
const HUGE_BYTES = 256 * MEBIBYTE;

/** A stream of `length` bytes, the same block again and again. */
function stream(
  length: number,
  block: Uint8Array<ArrayBuffer> = randomBytes(100_003, 7),
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  return new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      const size = Math.min(left, block.byteLength);
      left -= size;
      controller.enqueue(block.slice(0, size));
    },
  }, { highWaterMark: 0 });
}

/** Returns the hash and the length of all bytes of a stream. */
async function digest(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ sum: string; length: number }> {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    length += chunk.byteLength;
  }
  return { sum: hash.digest("hex"), length };
}

cleanTest(
  "server reads 64 MiB whole, when they are uploaded in chunks",
  async () => {
    await using test = new TestServer(async (request) =>
      Response.json(await digest(request.body!))
    );
    const body = stream(LARGE_BYTES);
    const response = await test.fetch("/", { method: "POST", body });
    assertEquals(await response.json(), await digest(stream(LARGE_BYTES)));
  },
);

cleanTest(
  "server reads 64 MiB whole, when they are uploaded with a length",
  async () => {
    await using test = new TestServer(async (request) =>
      Response.json(await digest(request.body!))
    );
    const body = randomBytes(LARGE_BYTES, 3);
    const response = await test.fetch("/", { method: "POST", body });
    const whole = new Blob([body]).stream();
    assertEquals(await response.json(), await digest(whole));
  },
);

cleanTest(
  "server reads 64 MiB whole, when bytes() is asked for them",
  async () => {
    await using test = new TestServer(async (request) => {
      const bytes = await request.bytes();
      return Response.json(await digest(new Blob([bytes]).stream()));
    });
    const body = stream(LARGE_BYTES);
    const response = await test.fetch("/", { method: "POST", body });
    assertEquals(await response.json(), await digest(stream(LARGE_BYTES)));
  },
);

cleanTest("client gets 64 MiB whole, when they are a stream", async () => {
  await using test = new TestServer(() => new Response(stream(LARGE_BYTES)));
  const response = await test.fetch();
  assertEquals(
    await digest(response.body!),
    await digest(stream(LARGE_BYTES)),
  );
});

cleanTest("client gets 64 MiB whole, when they are one array", async () => {
  const bytes = randomBytes(LARGE_BYTES, 5);
  await using test = new TestServer(() => new Response(bytes));
  const response = await test.fetch();
  assertEquals(
    await digest(response.body!),
    await digest(new Blob([bytes]).stream()),
  );
});

cleanTest(
  "client gets its bytes back, when the server echoes the stream",
  async () => {
    await using test = new TestServer((request) => new Response(request.body));
    const length = 16 * MEBIBYTE;
    const response = await test.fetch("/", {
      method: "POST",
      body: stream(length),
    });
    assertEquals(await digest(response.body!), await digest(stream(length)));
  },
);

cleanTest(
  "client gets the first chunk, when the second is not there yet",
  async () => {
    const { readable, writable } = new TransformStream<
      Uint8Array,
      Uint8Array
    >();
    await using test = new TestServer(() => new Response(readable));
    const response = await test.fetch();
    const writer = writable.getWriter();
    const reader = response.body!.getReader();
    for (const text of ["first", "second"]) {
      const bytes = new TextEncoder().encode(text);
      const [{ value }] = await within(
        Promise.all([reader.read(), writer.write(bytes)]),
        text,
      );
      assertEquals(new TextDecoder().decode(value), text);
    }
    await Promise.all([reader.read(), writer.close()]);
  },
);

cleanTest(
  "server answers no more and its memory stays flat, when a client sends and never reads",
  async () => {
    let calls = 0;
    const body = new Uint8Array(65_536);
    await using test = new TestServer((request) => {
      if (request.method === "GET") calls++;
      return new Response(request.method === "GET" ? body : null);
    });
    const client = await test.connect();
    const count = 4 * LARGE_BYTES / body.byteLength;
    const { rss } = Deno.memoryUsage();
    await client.send(GET.repeat(count));
    await test.exercise(100);
    const before = calls;
    assertLess(before * body.byteLength, SYSTEM_BYTES);
    await test.exercise(100);
    assertEquals(calls, before);
    assertLess(Deno.memoryUsage().rss - rss, 2 * LARGE_BYTES);
    for (let read = 0; read < count; read++) {
      assertEquals((await client.answer()).body.byteLength, body.byteLength);
    }
    assertEquals(calls, count);
  },
);

cleanTest(
  "server takes no more of a stream, when a client never reads",
  async () => {
    let bytes = 0;
    const cancelled = Promise.withResolvers<void>();
    const block = new Uint8Array(65_536);
    const endless = new ReadableStream({
      pull(controller) {
        bytes += block.byteLength;
        controller.enqueue(block.slice());
      },
      cancel: () => cancelled.resolve(),
    }, { highWaterMark: 0 });
    await using test = new TestServer((request) =>
      new Response(request.method === "GET" ? endless : null)
    );
    using client = new ResettingClient(test.server.addr);
    client.pause();
    await client.send(GET);
    await test.exercise(100);
    const before = bytes;
    assertLess(0, before);
    await test.exercise(100);
    assertEquals(bytes, before);
    assertLess(bytes, SYSTEM_BYTES);
    client.reset();
    await within(cancelled.promise, "the stream to be cancelled");
  },
);

cleanTest(
  "server reads no more of a body, when the handler never reads",
  async () => {
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    await using test = new TestServer(async (request) => {
      if (request.method === "HEAD") return new Response();
      begun.resolve();
      await go.promise;
      return Response.json(await digest(request.body!));
    });
    const client = await test.connect();
    await client.send(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE_BYTES}\r\n\r\n`,
    );
    await within(begun.promise, "the handler");
    const block = randomBytes(MEBIBYTE, 9);
    let sent = 0;
    const sending = (async () => {
      for (; sent < LARGE_BYTES; sent += MEBIBYTE) await client.send(block);
    })();
    await test.exercise(100);
    assertLess(sent, SYSTEM_BYTES);
    go.resolve();
    await within(sending, "the body to be sent");
    assertEquals(
      JSON.parse((await client.answer()).text),
      await digest(stream(LARGE_BYTES, block)),
    );
  },
);

/** A stream of `length` bytes that counts the bytes taken. */
function counted(
  length: number,
): { stream: ReadableStream<Uint8Array<ArrayBuffer>>; taken: () => number } {
  let taken = 0;
  const block = new Uint8Array(65_536);
  const stream = new ReadableStream({
    pull(controller) {
      taken += block.byteLength;
      controller.enqueue(block.slice());
      if (taken === length) controller.close();
    },
  }, { highWaterMark: 0 });
  return { stream, taken: () => taken };
}

/** Reads so many bytes, or to the end; returns the number of bytes. */
async function skip(client: RawClient, length: number): Promise<number> {
  let read = 0;
  while (read < length) {
    const bytes = await client.read();
    if (bytes === undefined) break;
    read += bytes.byteLength;
  }
  return read;
}

cleanTest(
  "server holds little of 256 MiB, when a client stops to read them again and again",
  async () => {
    const { stream, taken } = counted(HUGE_BYTES);
    await using test = new TestServer((request) =>
      new Response(request.method === "GET" ? stream : null)
    );
    const { reactor } = test;
    const client = await test.connect();
    await client.send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    let read = 0;
    for (let stop = 0; stop < 8; stop++) {
      read += await skip(client, 8 * MEBIBYTE);
      await eventually("bytes to wait", () => reactor.stats().memoryBytes > 0);
      await test.exercise(10);
      assertLess(taken() - read, SYSTEM_BYTES);
      assertLess(reactor.stats().memoryBytes, HELD_BYTES);
    }
    read += await skip(client, Infinity);
    assertEquals(taken(), HUGE_BYTES);
    assertLess(HUGE_BYTES, read);
  },
);

cleanTest(
  "server holds little of 256 MiB, when a handler stops to read them again and again",
  async () => {
    let sent = 0;
    let read = 0;
    const { rss } = Deno.memoryUsage();
    await using test = new TestServer(async (request) => {
      if (request.method === "HEAD") return new Response();
      let stopAt = 8 * MEBIBYTE;
      for await (const chunk of request.body!) {
        read += chunk.byteLength;
        if (read < stopAt || read > HUGE_BYTES / 4) continue;
        stopAt += 8 * MEBIBYTE;
        await test.exercise(50);
        assertLess(sent - read, SYSTEM_BYTES);
      }
      return new Response(String(read));
    }, { bodyBytesMax: Infinity });
    const client = await test.connect();
    await client.send(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${HUGE_BYTES}\r\n\r\n`,
    );
    const block = randomBytes(MEBIBYTE, 9);
    for (; sent < HUGE_BYTES; sent += MEBIBYTE) await client.send(block);
    assertEquals((await client.answer()).text, String(HUGE_BYTES));
    assertLess(Deno.memoryUsage().rss - rss, HUGE_BYTES / 2);
    assertEquals(test.errors, []);
  },
);

cleanTest(
  "server holds little of 256 MiB, when it echoes them to a client that stops to read",
  async () => {
    await using test = new TestServer(
      (request) =>
        new Response(request.method === "POST" ? request.body : null),
      { bodyBytesMax: Infinity },
    );
    const { reactor } = test;
    const client = await test.connect();
    await client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" +
        `Content-Length: ${HUGE_BYTES}\r\n\r\n`,
    );
    let sent = 0;
    const sending = (async () => {
      const block = randomBytes(MEBIBYTE, 9);
      for (; sent < HUGE_BYTES; sent += MEBIBYTE) await client.send(block);
    })();
    let read = 0;
    for (let stop = 0; stop < 8; stop++) {
      await eventually("bytes to wait", () => reactor.stats().memoryBytes > 0);
      await test.exercise(50);
      assertLess(sent - read, 2 * SYSTEM_BYTES);
      assertLess(reactor.stats().memoryBytes, HELD_BYTES);
      read += await skip(client, 8 * MEBIBYTE);
    }
    read += await skip(client, Infinity);
    await sending;
    assertLess(HUGE_BYTES, read);
  },
);

for (const [name, make] of STREAMS_OF_ABC) {
  cleanTest(
    `client gets the body whole and in one write, when it is ${name}`,
    async () => {
      await using test = new TestServer(() => new Response(make()));
      const client = await test.connect();
      const { writes } = test.reactor.stats();
      for (let count = 0; count < 2; count++) {
        await client.send(GET);
        assertEquals((await client.answer()).text, "abc");
      }
      assertEquals(test.reactor.stats().writes - writes, 2);
    },
  );
}

cleanTest("client gets a file whole, when it is the body", async () => {
  const path = await Deno.makeTempFile();
  try {
    const bytes = randomBytes(3 * MEBIBYTE + 5, 3);
    await Deno.writeFile(path, bytes);
    await using test = new TestServer(async () =>
      new Response((await Deno.open(path)).readable)
    );
    const response = await test.fetch();
    assertEquals(
      await digest(response.body!),
      await digest(new Blob([bytes]).stream()),
    );
  } finally {
    await Deno.remove(path);
  }
});

cleanTest(
  "client gets large chunks whole, when their buffers are shared or may grow",
  async () => {
    const LENGTH = 100_000;
    const options = { maxByteLength: 2 * LENGTH };
    const chunks = [
      new Uint8Array(new SharedArrayBuffer(LENGTH)),
      new Uint8Array(new ArrayBuffer(LENGTH, options)),
      new Uint8Array(new ArrayBuffer(3 * LENGTH), LENGTH, LENGTH),
    ];
    chunks.forEach((chunk, index) => chunk.fill(index + 1));
    await using test = new TestServer(() =>
      new Response(ReadableStream.from(chunks.map((chunk) => chunk)))
    );
    const bytes = await (await test.fetch()).bytes();
    assertEquals(bytes.byteLength, chunks.length * LENGTH);
    assert(bytes.every((byte, at) => byte === Math.floor(at / LENGTH) + 1));
    assertEquals(test.errors, []);
  },
);

for (const count of [0, 1, 3]) {
  cleanTest(
    `client has a head and then an error, when the stream fails after ${count} chunks`,
    async () => {
      const { readable, writable } = new TransformStream<string, string>();
      await using test = new TestServer(() =>
        new Response(readable.pipeThrough(new TextEncoderStream()))
      );
      const response = await test.fetch();
      assertEquals(response.status, 200);
      const writer = writable.getWriter();
      for (let sent = 0; sent < count; sent++) await writer.write("chunk");
      const failing = writer.abort(new Error("midway"));
      await assertRejects(() => response.text());
      await failing;
      assertEquals(String(test.errors), "Error: midway");
      await test.exercise(1);
    },
  );
}

cleanTest(
  "client gets all that was written and then the end, when the stream fails midway",
  async () => {
    const LENGTH = 100_000;
    async function* failing() {
      yield new Uint8Array(LENGTH);
      yield await Promise.reject(new Error("midway"));
    }
    await using test = new TestServer((request) =>
      new Response(
        request.method === "GET" ? ReadableStream.from(failing()) : null,
      )
    );
    const client = await test.connect();
    await client.send(GET);
    await eventually("the error", () => test.errors.length > 0);
    // A reset would throw away unread bytes, and throw here.
    const bytes = await client.restBytes();
    assertLess(LENGTH, bytes.byteLength);
    assertEquals([...bytes.slice(-3)], [0, 13, 10]);
  },
);

cleanTest(
  "server stays up, when clients reset in the middle of anything",
  async () => {
    const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    const prefixes = ["", "GET", GET, GET.repeat(100), head, `${head}body`];
    await using test = new TestServer(async (request) => {
      if (request.method === "HEAD") return new Response();
      if (request.method === "POST") return new Response(await request.text());
      return new Response(stream(MEBIBYTE));
    });
    for (let round = 0; round < 5; round++) {
      for (const prefix of prefixes) {
        using client = new ResettingClient(test.server.addr);
        await client.send(prefix);
        await test.exercise(round);
        client.reset();
      }
    }
    await test.exercise(10);
    await eventually(
      "all connections to be gone",
      () => test.reactor.size <= 1,
    );
  },
);
