import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertStringIncludes,
} from "@std/assert";
import { BUSY_BYTES } from "../../src/http/transport.ts";
import { endless, streamOf } from "../util/http_bodies.ts";
import { latin1, toLatin1 } from "../util/http_bytes.ts";
import { randomBytes } from "../util/random.ts";
import { Peer } from "../util/http_transport.ts";
import { GET } from "../util/requests.ts";

const GET_1_0 = "GET / HTTP/1.0\r\n\r\n";
const HEAD = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

Deno.test("connection sends a stream in chunks, when its length is not known", async () => {
  const peer = new Peer(() =>
    new Response(streamOf("hello", "", " you").stream)
  );
  const answers = await peer.send(GET + GET).answers();
  assertEquals(answers.map(({ text }) => text), ["hello you", "hello you"]);
  assertEquals(answers[0]?.get("transfer-encoding"), "chunked");
  assertEquals(answers[0]?.get("content-length"), undefined);
  assertStringIncludes(peer.output, "5\r\nhello\r\n4\r\n you\r\n0\r\n\r\n");
});

Deno.test("connection sends a stream as it is, when it has a content-length", async () => {
  const peer = new Peer(() =>
    new Response(streamOf("hello", " you").stream, {
      headers: { "content-length": "9" },
    })
  );
  const answers = await peer.send(GET + GET).answers();
  assertEquals(answers.map(({ text }) => text), ["hello you", "hello you"]);
  assertEquals(answers[0]?.get("transfer-encoding"), undefined);
  assertEquals(answers[0]?.get("content-length"), "9");
});

Deno.test("connection sends a Blob with its length, when it is the body", async () => {
  const blob = new Blob(["hello ", "you"], { type: "text/x" });
  const peer = new Peer(() => new Response(blob));
  const [answer] = await peer.send(GET).answers();
  assertEquals(answer?.text, "hello you");
  assertEquals(answer?.get("content-type"), "text/x");
  assertEquals(answer?.get("content-length"), "9");
});

Deno.test("connection sends a stream until the close, when the client is HTTP/1.0", async () => {
  const peer = new Peer(() => new Response(streamOf("hello", " you").stream));
  const asking = GET_1_0.replace(
    "\r\n\r\n",
    "\r\nConnection: keep-alive\r\n\r\n",
  );
  const [answer, ...others] = await peer.send(asking + GET).answers();
  assertEquals(answer?.text, "hello you");
  assertEquals(answer?.get("connection"), "close");
  assertEquals(answer?.get("transfer-encoding"), undefined);
  assertEquals(others, []);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection is kept alive, when an HTTP/1.0 client gets a stream with a length", async () => {
  const peer = new Peer(() =>
    new Response(streamOf("ab").stream, { headers: { "content-length": "2" } })
  );
  const asking = GET_1_0.replace(
    "\r\n\r\n",
    "\r\nConnection: keep-alive\r\n\r\n",
  );
  const answers = await peer.send(asking + asking).answers();
  assertEquals(answers.map(({ text }) => text), ["ab", "ab"]);
});

Deno.test("connection sends large chunks whole, when they do not fit the shared buffer", async () => {
  const parts = [
    randomBytes(200_000, 3),
    randomBytes(16_384, 5),
    randomBytes(16_385, 7),
  ];
  const peer = new Peer(() => new Response(streamOf(...parts).stream));
  const [answer] = await peer.send(GET).answers();
  assertEquals(answer?.body.byteLength, 232_769);
  assertEquals(answer?.body.slice(0, 200_000), parts[0]);
  assertEquals(answer?.body.slice(216_384), parts[2]);
});

Deno.test("connection ends after what was written, when a stream fails midway", async () => {
  const error = new Error("midway");
  const peer = new Peer(() => new Response(streamOf("hello", error).stream));
  await peer.send(GET + GET).settle();
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals(peer.errors, [error]);
  assertEquals(peer.reports, []);
  assertStringIncludes(peer.output, "\r\n5\r\nhello\r\n");
  assertEquals(peer.output.includes("0\r\n\r\n"), false);
});

const FAILINGS: [name: string, stream: (error: Error) => ReadableStream][] = [
  [
    "at once",
    (error) =>
      new ReadableStream({ start: (controller) => controller.error(error) }),
  ],
  ["when it is read", (error) => streamOf(error).stream],
  ["behind chunks of nothing", (error) => streamOf("", "", error).stream],
];

for (const [name, failing] of FAILINGS) {
  Deno.test(`connection sends what onError answers, when a stream fails ${name}`, async () => {
    const error = new Error("no byte");
    for (const init of [{}, { headers: { "content-length": "5" } }]) {
      const peer = new Peer(
        (request) =>
          new Response(request.method === "GET" ? failing(error) : "x", init),
      );
      const answers = await peer.send(GET + HEAD + GET).answers("GET", "HEAD");
      assertEquals(
        answers.map(({ status, text }) => [status, text]),
        [[500, "failed"], [200, ""], [500, "failed"]],
      );
      assertEquals(peer.errors, [error, error]);
      assertEquals(peer.transport.closing, undefined);
    }
  });
}

Deno.test("connection answers 500, when a stream fails and then the stream that onError answers", async () => {
  const onError = () => new Response(streamOf(new Error("second")).stream);
  const peer = new Peer(
    () => new Response(streamOf(new Error("first")).stream),
    { onError },
  );
  const [answer] = await peer.send(GET).answers();
  assertEquals(answer?.status, 500);
  assertEquals(peer.errors.map(String), ["Error: first"]);
  assertEquals(peer.reports.map(String), ["Error: second"]);
});

Deno.test("connection refuses a body, when it is echoed and too large before its first byte", async () => {
  const peer = new Peer(
    (request) => new Response(request.body),
    { limits: { bodyBytesMax: 4 } },
  );
  const chunked = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  await peer.send(`POST / HTTP/1.1\r\n${chunked}`);
  const [answer] = await peer.send("5\r\nhello\r\n0\r\n\r\n").answers();
  assertEquals(answer?.status, 413);
});

Deno.test("connection resets, when a stream fails whose end is that of the connection", async () => {
  const error = new Error("midway");
  const peer = new Peer(() => new Response(streamOf("hello", error).stream));
  await peer.send(GET_1_0).settle();
  assertEquals(peer.transport.closing, "abort");
  assertEquals(peer.errors, [error]);
});

Deno.test("connection sends nothing of what onError answers, when a stream fails", async () => {
  const { stream, cancelled } = streamOf("another answer");
  const failing = streamOf("hello", new Error("midway")).stream;
  const onError = () => new Response(stream, { status: 500 });
  const peer = new Peer(() => new Response(failing), { onError });
  await peer.send(GET).settle();
  assertEquals(peer.output.endsWith("5\r\nhello\r\n"), true);
  assertEquals(cancelled.length, 1);
});

Deno.test("connection reports what onError throws, when a stream fails", async () => {
  const second = new Error("again");
  const failing = streamOf("hello", new Error("midway")).stream;
  const onError = () => {
    throw second;
  };
  const peer = new Peer(() => new Response(failing), { onError });
  await peer.send(GET).settle();
  assertEquals(peer.reports, [second]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("signal stays as it is, when a stream fails", async () => {
  let signal: AbortSignal | undefined;
  const peer = new Peer((request) => {
    signal = request.signal;
    return new Response(streamOf("hello", new Error("midway")).stream);
  });
  await peer.send(GET).settle();
  peer.reset();
  assertEquals(signal?.aborted, false);
});

Deno.test("connection ends, when a stream is shorter than its content-length", async () => {
  const peer = new Peer(() =>
    new Response(streamOf("hello").stream, {
      headers: { "content-length": "6" },
    })
  );
  await peer.send(GET + GET).settle();
  assertEquals(peer.transport.closing, "closeLingering");
  assertInstanceOf(peer.errors[0], TypeError);
  assertEquals(peer.output.endsWith("\r\n\r\nhello"), true);
});

const TOO_LONG: [name: string, chunks: (string | Error)[]][] = [
  ["in a chunk", ["hello you"]],
  ["in the middle of a chunk", ["hel", "lo you"]],
  ["behind a chunk", ["hello", " you"]],
  ["behind nothing", ["hello", "", " you"]],
  ["by far", ["hello", "a".repeat(100_000)]],
];

for (const [name, chunks] of TOO_LONG) {
  Deno.test(`connection sends what was declared and is kept, when a stream goes on ${name}`, async () => {
    const streams: ReturnType<typeof streamOf>[] = [];
    const peer = new Peer(() => {
      streams.push(streamOf(...chunks));
      const headers = { "content-length": "5" };
      return new Response(streams.at(-1)!.stream, { headers });
    });
    const answers = await peer.send(GET + GET).answers();
    assertEquals(answers.map(({ text }) => text), ["hello", "hello"]);
    assertEquals(peer.transport.closing, undefined);
    assertEquals(peer.errors.length, 2);
    assertInstanceOf(peer.errors[0], TypeError);
    assertEquals(streams.map(({ cancelled }) => cancelled.length), [1, 1]);
  });
}

Deno.test("connection sends what was declared of a large chunk, when that is longer", async () => {
  const chunk = randomBytes(300_000, 3);
  const headers = { "content-length": "270000" };
  const peer = new Peer(() =>
    new Response(streamOf(chunk).stream, { headers })
  );
  const answers = await peer.send(GET + GET).answers();
  assertEquals(answers.length, 2);
  assertEquals(answers[1]?.body, chunk.slice(0, 270_000));
});

Deno.test("connection calls onError and is kept, when a stream fails behind its content-length", async () => {
  const error = new Error("behind");
  const headers = { "content-length": "5" };
  const peer = new Peer(() =>
    new Response(streamOf("hello", error).stream, { headers })
  );
  const answers = await peer.send(GET + GET).answers();
  assertEquals(answers.map(({ text }) => text), ["hello", "hello"]);
  assertEquals(peer.errors, [error, error]);
  assertEquals(peer.transport.closing, undefined);
});

Deno.test("connection goes on, when a stream does not end at its content-length", async () => {
  const cancelled: unknown[] = [];
  const peer = new Peer(() =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(latin1("hello")),
        cancel: (reason) => void cancelled.push(reason),
      }),
      { headers: { "content-length": "5" } },
    )
  );
  const answers = await peer.send(GET.repeat(20)).answers();
  assertEquals(answers.map(({ text }) => text), Array(20).fill("hello"));
  // So many streams may go on, until the connection closes.
  assertEquals(cancelled, Array(4).fill("resource closed"));
  peer.reset();
  await peer.settle();
  assertEquals(cancelled, Array(20).fill("resource closed"));
  assertEquals(peer.errors, []);
});

Deno.test("connection loses no byte of a stream, when the shared buffer has no room", async () => {
  const parts = ["a", "b".repeat(16_000), "c".repeat(17_000), "d"];
  const text = parts.join("");
  for (const headers of [{}, { "content-length": `${text.length}` }]) {
    const peer = new Peer(() =>
      new Response(streamOf(...parts).stream, { headers })
    );
    peer.transport.reserve = () => undefined;
    const answers = await peer.send(GET).answers();
    assertEquals(answers.map((answer) => answer.text === text), [true]);
  }
});

Deno.test("connection loses no refusal, when the shared buffer has no room", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.transport.reserve = () => undefined;
  const answers = await peer.send("no HTTP\r\n\r\n").answers();
  assertEquals(answers.map(({ status }) => status), [400]);
});

const NO_CHUNKS: [name: string, chunk: unknown][] = [
  ["a string", "text"],
  ["a number", 42],
  ["null", null],
  ["an object", {}],
  ["an ArrayBuffer", new ArrayBuffer(3)],
  ["a DataView", new DataView(new ArrayBuffer(3))],
  ["a Uint16Array", new Uint16Array(3)],
];

for (const [name, chunk] of NO_CHUNKS) {
  Deno.test(`connection ends, when a stream yields ${name}`, async () => {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(chunk);
        controller.close();
      },
    });
    const peer = new Peer(() => new Response(stream));
    await peer.send(GET).settle();
    assertEquals(peer.transport.closing, "closeLingering");
    assertInstanceOf(peer.errors[0], TypeError);
    // The same message as Deno's.
    assertStringIncludes(`${peer.errors[0]}`, "expected typed ArrayBufferView");
    // As in Deno: the stream has begun, so its answer is broken off.
    assertEquals(peer.output.startsWith("HTTP/1.1 200 OK\r\n"), true);
    assertEquals(peer.output.includes("0\r\n\r\n"), false);
  });
}

const BODILESS: [name: string, request: string, init: ResponseInit][] = [
  ["the method is HEAD", HEAD, {}],
  ["the status is 204", GET, { status: 204 }],
  ["the status is 304", GET, { status: 304 }],
];

for (const [name, request, init] of BODILESS) {
  Deno.test(`connection sends no body, when ${name}`, async () => {
    const hasBody = init.status === undefined;
    const peer = new Peer(() => new Response(hasBody ? "hello" : null, init));
    const method = request.split(" ")[0]!;
    const answers = await peer.send(request + request).answers(method, method);
    assertEquals(answers.length, 2);
    for (const answer of answers) {
      assertEquals(answer.status, init.status ?? 200);
      assertEquals(answer.get("content-length"), hasBody ? "5" : undefined);
      assertEquals(answer.get("transfer-encoding"), undefined);
    }
  });
}

Deno.test("connection cancels a stream unread, when the method is HEAD", async () => {
  const { stream, cancelled } = streamOf("hello");
  const peer = new Peer((request) =>
    new Response(request.method === "HEAD" ? stream : "next")
  );
  const answers = await peer.send(HEAD + GET).answers("HEAD");
  assertEquals(answers.map(({ text }) => text), ["", "next"]);
  assertEquals(answers[0]?.get("transfer-encoding"), "chunked");
  assertEquals(cancelled.length, 1);
});

Deno.test("connection sends a length without a body, when the handler answers HEAD so", async () => {
  const lengths = ["1234", undefined, "0", undefined];
  const peer = new Peer(() => {
    const length = lengths.shift();
    return new Response(null, {
      headers: length === undefined ? {} : { "content-length": length },
    });
  });
  const answers = await peer.send(HEAD.repeat(3) + GET)
    .answers("HEAD", "HEAD", "HEAD");
  // RFC 9110 section 8.6: the length for GET, which only the handler knows.
  assertEquals(
    answers.map((answer) => answer.get("content-length")),
    ["1234", undefined, "0", "0"],
  );
});

Deno.test("connection sends no length, when the handler gives a 304 or 204 one", async () => {
  for (const status of [204, 304]) {
    for (const request of [GET, HEAD]) {
      const headers = { "content-length": "5", etag: "x" };
      const peer = new Peer(() => new Response(null, { status, headers }));
      const [answer] = await peer.send(request).answers(request.slice(0, 4));
      // RFC 9110 section 8.6: a 304 may have a length; Deno's has none.
      assertEquals(answer?.get("content-length"), undefined);
      assertEquals(answer?.get("etag"), "x");
    }
  }
});

Deno.test("connection sends the true length, when the handler gives another", async () => {
  const peer = new Peer(() =>
    new Response("hello", {
      headers: { "content-length": "99", "transfer-encoding": "chunked" },
    })
  );
  const answers = await peer.send(GET + GET).answers();
  assertEquals(answers.map((answer) => answer.get("content-length")), [
    "5",
    "5",
  ]);
});

Deno.test("connection takes no more of a stream, when the peer does not read", async () => {
  const { stream, pulled } = endless(new Uint8Array(10_000));
  const peer = new Peer(() => new Response(stream));
  peer.transport.isStuck = true;
  await peer.send(GET).settle();
  const before = pulled();
  assertLess(before, 25);
  await peer.settle();
  assertEquals(pulled(), before);
  peer.read();
  peer.transport.isStuck = true;
  await peer.settle();
  assert(pulled() > before);
  assertLess(peer.transport.bufferedBytes, 2 * BUSY_BYTES + 40_000);
  peer.reset();
  await peer.settle();
});

Deno.test("connection lets Deno's loop go on, when a stream has no end", async () => {
  const { stream, cancelled } = endless(new Uint8Array(1_000));
  const peer = new Peer(() => new Response(stream));
  peer.send(GET);
  await peer.until(() => peer.transport.sends.length > 5, "many writes");
  peer.reset();
  await peer.settle();
  assertEquals(cancelled.length, 1);
});

Deno.test("connection cancels a stream, when the client goes", async () => {
  const { stream, cancelled } = endless(new Uint8Array(10_000));
  let signal: AbortSignal | undefined;
  const peer = new Peer((request) => {
    signal = request.signal;
    return new Response(stream);
  });
  peer.transport.isStuck = true;
  await peer.send(GET).settle();
  peer.reset();
  await peer.settle();
  assertEquals(cancelled, ["resource closed"]);
  assertEquals([peer.errors, peer.reports], [[], []]);
  assertEquals(signal?.aborted, true);
});

Deno.test("connection cancels a stream, when the client goes while it has nothing to give", async () => {
  const cancelled: unknown[] = [];
  const stream = new ReadableStream({
    cancel: (reason) => void cancelled.push(reason),
  });
  const peer = new Peer(() => new Response(stream));
  await peer.send(GET).settle();
  peer.reset();
  await peer.settle();
  assertEquals(cancelled, ["resource closed"]);
  assertEquals([peer.errors, peer.reports], [[], []]);
});

Deno.test("connection cancels a stream, when the client went before the handler gave it", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const { stream, cancelled, pulled } = endless(new Uint8Array(10));
  const peer = new Peer(() => promise).send(GET).reset();
  resolve(new Response(stream));
  await peer.settle();
  assertEquals(pulled(), 0);
  assertEquals(cancelled, ["resource closed"]);
  assertEquals([peer.errors, peer.reports], [[], []]);
});

Deno.test("connection reports nothing, when a stream fails because the client went", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  const stream = new ReadableStream({
    pull: () => promise,
    cancel: () => reject(new Error("upstream is gone too")),
  });
  const peer = new Peer(() => new Response(stream));
  await peer.send(GET).settle();
  peer.reset();
  await peer.settle();
  assertEquals([peer.errors, peer.reports], [[], []]);
});

Deno.test("connection answers the next request, when a stream has ended", async () => {
  let calls = 0;
  const peer = new Peer(() =>
    ++calls === 2 ? new Response("plain") : new Response(streamOf("a").stream)
  );
  const answers = await peer.send(GET + GET + GET).answers();
  assertEquals(answers.map(({ text }) => text), ["a", "plain", "a"]);
});

Deno.test("connection answers all and closes, when the end comes during a stream", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  let calls = 0;
  const peer = new Peer(() => new Response(calls++ ? "last" : readable));
  await peer.send(GET + GET).end().settle();
  const writer = writable.getWriter();
  await writer.write(latin1("first"));
  await writer.close();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["first", "last"]);
  assertEquals(peer.transport.isClosed, true);
});

Deno.test("connection ends a stream whole, when it is shut down meanwhile", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const peer = new Peer(() => new Response(readable));
  await peer.send(GET + GET).settle();
  peer.connection.shutdown();
  const writer = writable.getWriter();
  await writer.write(latin1("whole"));
  await writer.close();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["whole"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection echoes a body as it comes, when its stream is the answer", async () => {
  const peer = new Peer((request) => new Response(request.body));
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  await peer.send("5\r\nhello\r\n").settle();
  assertStringIncludes(peer.output, "5\r\nhello\r\n");
  peer.send("4\r\n you\r\n0\r\n\r\n", GET);
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["hello you", ""]);
});

Deno.test("connection ends, when the echoed body is malformed", async () => {
  const peer = new Peer((request) => new Response(request.body));
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  await peer.send("5\r\nhello\r\n").settle();
  await peer.send("nonsense").settle();
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals(peer.output.includes("0\r\n\r\n"), false);
});

Deno.test("connection sends a stream whole, when it is a transformed body", async () => {
  const peer = new Peer((request) =>
    new Response(
      request.body!.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (chunk, controller) =>
            controller.enqueue(chunk.map((byte) => byte ^ 32)),
        }),
      ),
    )
  );
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "hel");
  const [answer] = await peer.send("lo").answers();
  assertEquals(toLatin1(answer!.body), "HELLO");
});
