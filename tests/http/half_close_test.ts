/** A peer that sends its end while a handler works. */

import { assertEquals } from "@std/assert";
import { BUSY_BYTES } from "../../src/http/transport.ts";
import { Source, streamOf } from "../util/http_bodies.ts";
import { Peer } from "../util/http_transport.ts";
import { GET } from "../util/requests.ts";

const GET_1_0 = "GET / HTTP/1.0\r\n\r\n";
/** Milliseconds for which a stream may give nothing after the peer's end. */
const SILENCE_MS = 1_000;

/** A peer whose requests the handler keeps, with the aborts that they saw. */
function watched(
  answer: (request: Request) => Response | Promise<Response>,
): { peer: Peer; requests: Request[]; aborts: unknown[] } {
  const requests: Request[] = [];
  const aborts: unknown[] = [];
  const peer = new Peer((request) => {
    requests.push(request);
    const { signal } = request;
    signal.addEventListener("abort", () => aborts.push(signal.reason));
    return answer(request);
  });
  return { peer, requests, aborts };
}

Deno.test("signal aborts once, when the end and then a reset come while the handler is pending", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const { peer, aborts } = watched(() => promise);
  peer.send(GET);
  assertEquals(aborts, []);
  peer.end();
  assertEquals(aborts.map((reason) => (reason as Error).name), ["AbortError"]);
  peer.reset();
  resolve(new Response("too late"));
  await peer.settle();
  assertEquals(aborts.length, 1);
});

Deno.test("connection still answers, when the end comes while the handler is pending", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const { peer } = watched(() => promise);
  peer.send(GET).end();
  resolve(new Response("static"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["static"]);
  assertEquals(peer.transport.closing, "close");
});

Deno.test("signal stays as it is, when the end comes after a whole answer", async () => {
  for (const stream of [false, true]) {
    const { peer, requests } = watched(() =>
      new Response(stream ? streamOf("abc").stream : "abc")
    );
    await peer.send(GET).settle();
    await peer.end().settle();
    assertEquals(requests.map(({ signal }) => signal.aborted), [false]);
  }
});

Deno.test("signal of each request is aborted, when the end came before the request was handled", async () => {
  const { peer, requests } = watched(() => Promise.resolve(new Response()));
  const answers = await peer.send(GET + GET + GET).end().answers();
  assertEquals(answers.length, 3);
  assertEquals(requests.slice(1).map(({ signal }) => signal.aborted), [
    true,
    true,
  ]);
});

Deno.test("signal aborts, when the end is behind an unread body", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const { peer, requests, aborts } = watched(() => promise);
  const length = 3 * BUSY_BYTES;
  const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}`;
  peer.send(`${head}\r\n\r\n`, new Uint8Array(length));
  assertEquals(peer.transport.isPaused, true);
  peer.end();
  assertEquals(aborts.length, 1);
  // The received bytes can still be read.
  const bytes = requests[0]!.bytes();
  await peer.settle();
  assertEquals((await bytes).byteLength, length);
  resolve(new Response("static"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["static"]);
  assertEquals(aborts.length, 1);
});

Deno.test("signal aborts, when the end comes while the peer does not read", async () => {
  const source = new Source().give(new Uint8Array(BUSY_BYTES));
  const { peer, aborts } = watched(() => new Response(source.stream));
  peer.transport.isStuck = true;
  await peer.send(GET).settle();
  peer.end();
  assertEquals(aborts.length, 1);
  // The peer may take any time.
  assertEquals(peer.transport.deadlines, []);
  await peer.read().settle();
  source.give("more");
  await peer.settle();
  assertEquals(peer.transport.deadlines.at(-1), SILENCE_MS);
  source.close();
  const [answer] = await peer.answers();
  assertEquals(answer?.body.byteLength, BUSY_BYTES + 4);
});

Deno.test("a stream goes on after the end as long as it gives something", async () => {
  const source = new Source();
  const { peer, aborts } = watched(() => new Response(source.stream));
  await peer.send(GET).settle();
  await peer.end().settle();
  assertEquals(aborts.length, 1);
  assertEquals(peer.transport.deadlines, [SILENCE_MS]);
  for (const text of ["a", "bc"]) {
    source.give(text);
    await peer.settle();
  }
  assertEquals(peer.transport.deadlines, Array(3).fill(SILENCE_MS));
  source.close();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["abc"]);
  assertEquals(peer.transport.deadlines.at(-1), Infinity);
  assertEquals(source.cancelled, []);
  assertEquals(peer.transport.isClosed, true);
});

Deno.test("a stream is not watched after the end, while the peer does not read", async () => {
  const source = new Source();
  const { peer } = watched(() => new Response(source.stream));
  await peer.send(GET).settle();
  await peer.end().settle();
  peer.transport.isStuck = true;
  source.give(new Uint8Array(BUSY_BYTES));
  await peer.settle();
  assertEquals(peer.transport.deadlines.at(-1), Infinity);
  await peer.read().settle();
  assertEquals(peer.transport.deadlines.at(-1), SILENCE_MS);
  source.close();
  await peer.settle();
  assertEquals(peer.transport.deadlines.at(-1), Infinity);
});

Deno.test("a stream's empty chunks do not count, after the end", async () => {
  const source = new Source();
  const { peer } = watched(() => new Response(source.stream));
  await peer.send(GET).settle();
  await peer.end().settle();
  source.give("");
  await peer.settle();
  assertEquals(peer.transport.deadlines, [SILENCE_MS]);
  await peer.reset().settle();
});

Deno.test("a stream is cancelled, when it gives nothing for too long after the end", async () => {
  const source = new Source().give("first");
  const { peer, aborts } = watched(() => new Response(source.stream));
  await peer.send(GET).settle();
  await peer.end().settle();
  peer.connection.timeout("deadline");
  await peer.settle();
  assertEquals(source.cancelled, ["resource closed"]);
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals(peer.output.endsWith("5\r\nfirst\r\n"), true);
  peer.transport.closed();
  assertEquals(aborts.length, 1);
  assertEquals(source.cancelled.length, 1);
  assertEquals([peer.errors, peer.reports], [[], []]);
});

Deno.test("completed rejects before the stream is cancelled, when the stream is silent for too long", async () => {
  const seen: string[] = [];
  const peer = new Peer((_request, info) => {
    info.completed.catch(() => seen.push("completed"));
    const stream = new ReadableStream({
      cancel: () => void Promise.resolve().then(() => seen.push("cancelled")),
    });
    return new Response(stream);
  });
  await peer.send(GET).settle();
  await peer.end().settle();
  peer.connection.timeout("deadline");
  await peer.settle();
  assertEquals(seen, ["completed", "cancelled"]);
});

Deno.test("connection resets, when a stream ends with the connection and gives nothing for too long", async () => {
  const source = new Source().give("first");
  const { peer } = watched(() => new Response(source.stream));
  await peer.send(GET_1_0).settle();
  await peer.end().settle();
  peer.connection.timeout("deadline");
  await peer.settle();
  assertEquals(source.cancelled, ["resource closed"]);
  assertEquals(peer.transport.closing, "abort");
});

Deno.test("a stream is watched, when the end came before the handler gave it", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const source = new Source();
  const { peer } = watched(() => promise);
  peer.send(GET).end();
  resolve(new Response(source.stream));
  await peer.settle();
  assertEquals(peer.transport.deadlines, [SILENCE_MS]);
  peer.connection.timeout("deadline");
  await peer.settle();
  assertEquals(source.cancelled, ["resource closed"]);
});

Deno.test("a body's reader has an error, when the end comes before that of the body", async () => {
  const failures: unknown[] = [];
  const { peer } = watched(async (request) => {
    await request.text().catch((error) => failures.push(error));
    return new Response();
  });
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
  await peer.end().settle();
  assertEquals(failures.length, 1);
});
