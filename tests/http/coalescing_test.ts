/** The number of writes of a streamed answer. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { BUSY_BYTES } from "../../src/http/transport.ts";
import {
  endless,
  Source,
  streamOf,
  STREAMS_OF_ABC,
} from "../util/http_bodies.ts";
import { latin1, toLatin1 } from "../util/http_bytes.ts";
import { Peer } from "../util/http_transport.ts";
import { randomBytes } from "../util/random.ts";
import { GET } from "../util/requests.ts";

/** Too large to be copied. */
const LARGE_BYTES = 20_000;
/** The most bytes that are copied when the system takes a part of a write. */
const PIECE_BYTES = 262_144;

function textOf(bytes: Uint8Array): string {
  return toLatin1(bytes);
}

for (const [name, make] of STREAMS_OF_ABC) {
  Deno.test(`connection sends an answer in one write, when its body is ${name}`, async () => {
    const peer = new Peer(() => new Response(make()));
    const answers = await peer.send(GET).answers();
    assertEquals(answers.map(({ text }) => text), ["abc"]);
    assertEquals(peer.transport.sends.length, 1);
  });
}

Deno.test("connection sends an answer in one write, when its stream is empty", async () => {
  for (const stream of [new Source().close().stream, streamOf("").stream]) {
    const peer = new Peer(() => new Response(stream));
    const answers = await peer.send(GET).answers();
    assertEquals(answers.map(({ text }) => text), [""]);
    assertEquals(peer.transport.sends.length, 1);
  }
});

Deno.test("connection sends an answer in one write, when the handler was waited for", async () => {
  const peer = new Peer(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return new Response(streamOf("a", "bc").stream);
  });
  await peer.send(GET).answers();
  assertEquals(peer.transport.sends.length, 1);
});

Deno.test("connection sends an answer in one write, when its one chunk is large", async () => {
  const chunk = randomBytes(LARGE_BYTES, 3);
  const peer = new Peer(() =>
    new Response(new Source().give(chunk).close().stream)
  );
  const [answer] = await peer.send(GET).answers();
  assertEquals(answer?.body, chunk);
  assertEquals(peer.transport.sends.length, 1);
});

Deno.test("connection sends a large chunk and the end in one write, when they are given together", async () => {
  const chunk = randomBytes(LARGE_BYTES, 3);
  const go = Promise.withResolvers<void>();
  const stream = new ReadableStream({
    async pull(controller) {
      await go.promise;
      controller.enqueue(chunk);
      controller.close();
    },
  }, { highWaterMark: 0 });
  const peer = new Peer(() => new Response(stream));
  await peer.send(GET).settle();
  assertEquals(peer.transport.sends.length, 1);
  go.resolve();
  const [answer] = await peer.answers();
  assertEquals(answer?.body, chunk);
  assertEquals(peer.transport.sends.length, 2);
});

Deno.test("connection sends each large chunk in one write", async () => {
  const chunks = Array.from(
    { length: 5 },
    (_, index) => randomBytes(LARGE_BYTES, index),
  );
  const peer = new Peer(() => new Response(streamOf(...chunks).stream));
  const [answer] = await peer.send(GET).answers();
  assertEquals(answer?.body.byteLength, 5 * LARGE_BYTES);
  // The last read is the end, which a stream shows only when it is read.
  assertEquals(peer.transport.sends.length, 6);
});

Deno.test("connection sends its head, when the first chunk is not there", async () => {
  const source = new Source();
  const peer = new Peer(() => new Response(source.stream));
  await peer.send(GET).settle();
  assert(peer.output.endsWith("\r\n\r\n"));
  for (const text of ["a", "bc"]) {
    source.give(text);
    await peer.settle();
    assert(peer.output.endsWith(`\r\n${text}\r\n`));
  }
  source.close();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["abc"]);
  assertEquals(peer.transport.sends.length, 4);
});

Deno.test("connection sends what was given before, when the next chunk is not there", async () => {
  const source = new Source().give("a").give("b");
  const peer = new Peer(() => new Response(source.stream));
  await peer.send(GET).settle();
  assert(peer.output.endsWith("\r\n1\r\na\r\n1\r\nb\r\n"));
  assertEquals(peer.transport.sends.length, 1);
  source.close();
  await peer.answers();
});

Deno.test("connection sends many chunks in few writes, when they are there at once", async () => {
  const chunks = Array.from({ length: 1_000 }, () => randomBytes(100, 3));
  const peer = new Peer(() => new Response(streamOf(...chunks).stream));
  const [answer] = await peer.send(GET).answers();
  assertEquals(answer?.body.byteLength, 100_000);
  assertLess(peer.transport.sends.length, 5);
});

Deno.test("connection sends a pipeline of streams in one write, when they are there at once", async () => {
  const peer = new Peer(() => new Response(streamOf("a", "bc").stream));
  const answers = await peer.send(GET.repeat(5)).answers();
  assertEquals(answers.map(({ text }) => text), Array(5).fill("abc"));
  assertEquals(peer.transport.sends.length, 1);
});

Deno.test("connection sends a head before its chunk, when both are larger than the shared buffer", async () => {
  const large = "x".repeat(70_000);
  const peer = new Peer(() =>
    new Response(streamOf(latin1(large)).stream, { headers: { large } })
  );
  const answers = await peer.send(GET).answers();
  assertEquals(answers.map(({ text }) => text === large), [true]);
  assertEquals(answers[0]?.get("large"), large);
});

for (const size of [10, LARGE_BYTES]) {
  Deno.test(`connection sends each chunk as it was, when one buffer of ${size} bytes is filled again and again`, async () => {
    const buffer = new Uint8Array(size);
    async function* fill() {
      for (const letter of "abcdef") {
        yield buffer.fill(letter.charCodeAt(0));
        await undefined;
      }
    }
    const peer = new Peer(() => new Response(ReadableStream.from(fill())));
    const [answer] = await peer.send(GET).answers();
    const expected = [..."abcdef"].map((letter) => letter.repeat(size));
    assertEquals(textOf(answer!.body) === expected.join(""), true);
  });
}

Deno.test("connection sends a chunk in pieces, when the peer does not read", async () => {
  const chunk = randomBytes(10 * PIECE_BYTES + 7, 3);
  const peer = new Peer(() => new Response(streamOf(chunk, "end").stream));
  peer.transport.isStuck = true;
  peer.send(GET);
  let rounds = 0;
  for (; !peer.output.endsWith("0\r\n\r\n"); rounds++) {
    await peer.settle();
    assertLess(peer.transport.bufferedBytes, PIECE_BYTES + BUSY_BYTES);
    peer.read();
    peer.transport.isStuck = true;
  }
  assertLess(10, rounds);
  const [answer] = await peer.answers();
  assertEquals(answer!.body.slice(0, -3), chunk);
});

Deno.test("connection ends, when a chunk shrinks while it is sent", async () => {
  const buffer = new ArrayBuffer(4 * PIECE_BYTES, {
    maxByteLength: 4 * PIECE_BYTES,
  });
  const peer = new Peer(() =>
    new Response(streamOf(new Uint8Array(buffer)).stream)
  );
  peer.transport.isStuck = true;
  await peer.send(GET).settle();
  buffer.resize(PIECE_BYTES);
  await peer.read().settle();
  assertEquals(peer.errors.length, 1);
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals(peer.output.endsWith("0\r\n\r\n"), false);
});

Deno.test("connection sends nothing for a chunk whose buffer was given away", async () => {
  const given = latin1("given");
  structuredClone(given, { transfer: [given.buffer] });
  const peer = new Peer(() => new Response(streamOf(given, "kept").stream));
  const answers = await peer.send(GET).answers();
  assertEquals(answers.map(({ text }) => text), ["kept"]);
});

Deno.test("connection lets Deno's loop go on, when chunks of nothing have no end", async () => {
  const { stream, cancelled } = endless(new Uint8Array(0));
  const peer = new Peer(() => new Response(stream));
  peer.send(GET);
  // A timer runs after all work that is due at once.
  await new Promise((resolve) => setTimeout(resolve, 0));
  peer.reset();
  await peer.settle();
  assertEquals(cancelled, ["resource closed"]);
});

Deno.test("a stream is work of Deno's, but not while the peer does not read", async () => {
  const source = new Source();
  const peer = new Peer(() => new Response(source.stream));
  await peer.send(GET).settle();
  assertEquals(peer.work, 1);
  peer.transport.isStuck = true;
  source.give(new Uint8Array(BUSY_BYTES));
  await peer.settle();
  assertEquals(peer.work, 0);
  await peer.read().settle();
  assertEquals(peer.work, 1);
  source.close();
  await peer.settle();
  assertEquals(peer.work, 0);
});
