import { assertEquals } from "@std/assert";
import { Peer } from "../util/http_transport.ts";
import { GET, postHead } from "../util/requests.ts";

/** The least bytes of a window at the default rate. */
const ENOUGH = 2_400;

async function statuses(peer: Peer): Promise<number[]> {
  return (await peer.answers()).map(({ status }) => status);
}

function ok(): Response {
  return new Response("ok");
}

async function echo(request: Request): Promise<Response> {
  return new Response(await request.text());
}

/** Lets the deadline pass, which must have been set. */
function pass(peer: Peer): void {
  assertEquals(peer.transport.deadlineMs < Infinity, true, "a deadline");
  peer.transport.deadlineMs = Infinity;
  peer.connection.timeout("deadline");
}

Deno.test("connection is closed without a word, when no first byte comes in time", async () => {
  const peer = new Peer(ok);
  peer.connection.timeout("idle");
  assertEquals(await statuses(peer), []);
  assertEquals(peer.transport.closing, "close");
});

Deno.test("connection answers 408, when a head is not whole in time", async () => {
  const peer = new Peer(ok, { limits: { headMs: 30 } });
  peer.send("GET / HTTP/1.1\r\nHo", "st: a\r\n");
  pass(peer);
  assertEquals(await statuses(peer), [408]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection does not blame the client for the rest of a head or a body that has come and was not read", async () => {
  const peer = new Peer(echo, { limits: { headMs: 30 } });
  peer.send(GET.slice(0, 5)).sendUnnoticed(GET.slice(5) + GET.slice(0, 5));
  pass(peer);
  assertEquals(await statuses(peer), [200]);
  peer.sendUnnoticed("\r\n");
  pass(peer);
  assertEquals(await statuses(peer), [200, 408]);
  const other = new Peer(echo);
  other.send(postHead(5)).sendUnnoticed("hello");
  pass(other);
  assertEquals(await statuses(other), [200]);
});

Deno.test("connection gives each head its time, from its first byte", async () => {
  const peer = new Peer(ok, { limits: { headMs: 30 } });
  peer.send("GET / HTTP/1.1\r\n");
  peer.transport.deadlineMs = Infinity;
  peer.send("Host: a\r\n");
  assertEquals(peer.transport.deadlineMs, Infinity, "the first part's counts");
  peer.send("\r\n");
  peer.send("GET / HT");
  assertEquals(peer.transport.deadlineMs, 30);
  pass(peer);
  assertEquals(await statuses(peer), [200, 408]);
});

Deno.test("connection does not mind the time of a head that has come", async () => {
  const peer = new Peer(ok, { limits: { headMs: 30 } });
  peer.send(GET.slice(0, 5), GET.slice(5));
  pass(peer);
  assertEquals(peer.transport.closing, undefined);
  peer.send(GET);
  assertEquals(await statuses(peer), [200, 200]);
});

Deno.test("connection sets no deadline, when heads may take all the time", () => {
  const peer = new Peer(ok, { limits: { headMs: Infinity } });
  peer.send("GET / HT");
  assertEquals(peer.transport.deadlineMs, Infinity);
});

Deno.test("connection is closed, when it was idle for too long", async () => {
  const peer = new Peer(ok);
  peer.send(GET);
  peer.connection.timeout("idle");
  assertEquals(await statuses(peer), [200]);
  assertEquals(peer.transport.closing, "close");
});

Deno.test("connection is not idle, while a handler works", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const peer = new Peer(() => promise);
  peer.send(GET);
  peer.connection.timeout("idle");
  peer.connection.timeout("deadline");
  assertEquals(peer.transport.closing, undefined);
  resolve(new Response("late"));
  assertEquals(await statuses(peer), [200]);
});

Deno.test("connection is not idle, while a stream is silent", async () => {
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
  const peer = new Peer(() => new Response(readable));
  await peer.send(GET).settle();
  peer.connection.timeout("idle");
  assertEquals(peer.transport.closing, undefined);
  await writable.close();
  assertEquals(await statuses(peer), [200]);
});

Deno.test("connection is closed, when it is idle behind the peer's end and its handler never answers", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  let isAborted = false;
  const peer = new Peer(({ signal }) => {
    signal.addEventListener("abort", () => isAborted = true);
    return promise;
  });
  await peer.send(GET).end().settle();
  assertEquals([isAborted, peer.transport.closing], [true, undefined]);
  peer.connection.timeout("idle");
  assertEquals(peer.transport.closing, "close");
  resolve(new Response("too late"));
  assertEquals(await statuses(peer), []);
});

Deno.test("connection closes behind its answer, when the body has no reader any more and the client is idle", async () => {
  const peer = new Peer((request) => {
    // The peer is alive, but never reads again.
    request.body!.getReader().read();
    return ok();
  });
  const length = 200_000;
  await peer.send(postHead(length), "a".repeat(length - 1)).settle();
  assertEquals(peer.transport.isPaused, true);
  peer.connection.timeout("idle");
  assertEquals(await statuses(peer), [200]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection is reset, when its peer takes nothing for too long", () => {
  const peer = new Peer(ok);
  peer.transport.isStuck = true;
  peer.send(GET);
  peer.connection.timeout("write");
  assertEquals(peer.transport.closing, "abort");
});

Deno.test("connection answers 408, when a body comes too slowly", async () => {
  const peer = new Peer(echo);
  await peer.send(postHead(10 * ENOUGH), "a".repeat(ENOUGH - 1)).settle();
  pass(peer);
  const [answer] = await peer.answers();
  assertEquals(answer?.status, 408);
  assertEquals(answer?.get("connection"), "close");
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection takes a body that comes fast enough, each time it is looked at", async () => {
  const peer = new Peer(echo);
  const length = 3 * ENOUGH + 1;
  await peer.send(postHead(length)).settle();
  for (let part = 0; part < 3; part++) {
    await peer.send("a".repeat(ENOUGH)).settle();
    pass(peer);
  }
  await peer.send("a").settle();
  const [answer] = await peer.answers();
  assertEquals(answer?.text.length, length);
});

Deno.test("connection does not blame the client for a body that it did not take", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    await promise;
    return await echo(request);
  });
  const length = 200_000;
  await peer.send(postHead(length), "a".repeat(length - 1)).settle();
  assertEquals(peer.transport.isPaused, true);
  pass(peer);
  resolve();
  // Its window begins anew when the server reads again.
  await peer.until(() => !peer.transport.isPaused, "reading");
  assertEquals(peer.transport.deadlineMs < Infinity, true);
  await peer.send("a").settle();
  const [answer] = await peer.answers();
  assertEquals(answer?.text.length, length);
});

Deno.test("connection does not time out a client that waits for 100 Continue", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    await promise;
    return await echo(request);
  });
  await peer.send(postHead(2, "Expect: 100-continue")).settle();
  peer.connection.timeout("deadline");
  resolve();
  await peer.until(() => peer.output.includes("100 Continue"), "the word");
  assertEquals(peer.transport.deadlineMs < Infinity, true);
  await peer.send("ab").settle();
  assertEquals(peer.output.endsWith("\r\n\r\nab"), true);
});

Deno.test("connection lets a body take all the time, when no rate is asked", async () => {
  const peer = new Peer(echo, {
    limits: { bodyBytesPerSecondMin: 0, headMs: Infinity },
  });
  await peer.send(postHead(2), "a").settle();
  assertEquals(peer.transport.deadlineMs, Infinity);
  await peer.send("b").settle();
  assertEquals(await statuses(peer), [200]);
});

Deno.test("connection closes, when the rest of an answered body comes too slowly", async () => {
  const peer = new Peer(ok);
  await peer.send(postHead(10), "a").settle();
  pass(peer);
  assertEquals(await statuses(peer), [200]);
  assertEquals(peer.transport.closing, "closeLingering");
});
