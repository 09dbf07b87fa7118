import {
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { IncomingBody } from "../../src/http/body.ts";
import type { Handler } from "../../src/http/service.ts";
import { latin1, toLatin1 } from "../util/http_bytes.ts";
import { randomBytes } from "../util/random.ts";
import { Peer } from "../util/http_transport.ts";
import { CHUNKED_HEAD, GET, get, post, postHead } from "../util/requests.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const TEXT = "gr\u00fc\u00df dich, \u{1f44b}";
/** More bytes than the server reads of an unread body. */
const TOO_MUCH = 300_000;

/** A POST with a body in chunks. */
function chunked(body: string, size = 5): string {
  let text = CHUNKED_HEAD;
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.slice(at, at + size);
    text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

async function joined(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += toLatin1(chunk);
  return text;
}

const FORM =
  '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--';

const READERS: [
  name: string,
  read: (request: Request) => Promise<unknown>,
  request: string,
  expected: unknown,
][] = [
  ["text()", (request) => request.text(), post(utf8(TEXT)), TEXT],
  [
    "text() of chunks",
    (request) => request.text(),
    chunked("hello you"),
    "hello you",
  ],
  ["json()", (request) => request.json(), post('{"a":[1]}'), { a: [1] }],
  ["bytes()", (request) => request.bytes(), post("\0\xff"), latin1("\0\xff")],
  [
    "arrayBuffer()",
    (request) => request.arrayBuffer(),
    post("\0\xff"),
    latin1("\0\xff").buffer,
  ],
  [
    "blob()",
    async (request) => {
      const blob = await request.blob();
      return [blob.type, await blob.text()];
    },
    post("abc", "Content-Type: text/x-abc"),
    ["text/x-abc", "abc"],
  ],
  [
    "formData() of a query",
    async (request) => [...await request.formData()],
    post("a=1&b=%20", "Content-Type: application/x-www-form-urlencoded"),
    [["a", "1"], ["b", " "]],
  ],
  [
    "formData() of parts",
    async (request) => [...await request.formData()],
    post(FORM, "Content-Type: multipart/form-data; boundary=x"),
    [["a", "1"]],
  ],
  ["body", (request) => joined(request.body!), post("hello"), "hello"],
  [
    "body of chunks",
    (request) => joined(request.body!),
    chunked("hello you"),
    "hello you",
  ],
  [
    "clone() and both",
    async (request) => {
      const other = request.clone();
      return [await other.text(), await request.text()];
    },
    post("twice"),
    ["twice", "twice"],
  ],
  [
    "new Request()",
    (request) => new Request(request).text(),
    post("hello"),
    "hello",
  ],
  [
    "a BYOB reader",
    async (request) => {
      const reader = request.body!.getReader({ mode: "byob" });
      const first = await reader.read(new Uint8Array(3), { min: 3 });
      const second = await reader.read(new Uint8Array(2), { min: 2 });
      const third = await reader.read(new Uint8Array(3));
      return [first, second, third].map(({ value, done }) => [
        toLatin1(value ?? new Uint8Array()),
        done,
      ]);
    },
    post("hello"),
    [["hel", false], ["lo", false], ["", true]],
  ],
  [
    "text() after body was looked at",
    (request) => request.body === null ? Promise.resolve("") : request.text(),
    post("hello"),
    "hello",
  ],
  ["text() of no body", (request) => request.text(), GET, ""],
  [
    "body of no body",
    (request) => Promise.resolve(request.body),
    GET,
    null,
  ],
  ["text() of an empty body", (request) => request.text(), post(""), ""],
  ["text() of no chunks", (request) => request.text(), chunked(""), ""],
];

/** Returns what one handler read. */
async function readBy(
  read: (request: Request) => Promise<unknown>,
  ...parts: string[]
): Promise<unknown> {
  const results: unknown[] = [];
  const peer = new Peer(async (request) => {
    results.push(await read(request));
    return new Response();
  });
  await peer.send(...parts).settle();
  assertEquals(peer.errors, []);
  assertEquals(results.length, 1);
  return results[0];
}

for (const [name, read, request, expected] of READERS) {
  Deno.test(`request gives its body by ${name}, when it comes whole`, async () => {
    assertEquals(await readBy(read, request), expected);
  });

  Deno.test(`request gives its body by ${name}, when it comes byte by byte`, async () => {
    assertEquals(await readBy(read, ...request), expected);
  });
}

Deno.test("request gives bytes of its own, when others follow in the same buffer", async () => {
  const kept: Uint8Array[] = [];
  const peer = new Peer(async (request) => {
    kept.push(await request.bytes());
    return new Response();
  });
  await peer.send(post("first") + post("second"), post("third")).settle();
  assertEquals(kept.map(toLatin1), ["first", "second", "third"]);
  for (const bytes of kept) {
    assertEquals(bytes.byteLength, bytes.buffer.byteLength);
  }
});

Deno.test("request refuses a second reading, when its body is used", async () => {
  await readBy(async (request) => {
    assertEquals(request.bodyUsed, false);
    const text = request.text();
    assertEquals(request.bodyUsed, true);
    await assertRejects(() => request.text(), TypeError);
    assertEquals(await text, "hello");
    await assertRejects(() => request.json(), TypeError);
  }, post("hello"));
});

Deno.test("request refuses reading, when its stream is locked", async () => {
  await readBy(async (request) => {
    const reader = request.body!.getReader();
    await assertRejects(() => request.text(), TypeError);
    await reader.read();
    reader.releaseLock();
    await assertRejects(() => request.text(), TypeError);
    assertEquals(request.bodyUsed, true);
  }, post("hello"));
});

Deno.test("request rejects json(), when the body is none", async () => {
  await readBy(
    (request) => assertRejects(() => request.json(), SyntaxError),
    post("{"),
  );
});

Deno.test("request gives its body later, when the handler waits before it reads", async () => {
  const begin = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    await begin.promise;
    return new Response(await request.text());
  });
  const body = "abc".repeat(10);
  await peer.send(post(body) + post("next")).settle();
  begin.resolve();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), [body, "next"]);
});

Deno.test("connection refuses a body with 431, when its trailers have no end", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  peer.send(CHUNKED_HEAD, "0\r\n");
  for (let sent = 0; sent < 20; sent++) {
    peer.send(`X: ${"a".repeat(1_000)}\r\n`);
  }
  assertEquals((await peer.answers()).map(({ status }) => status), [431]);
});

Deno.test("connection refuses a body with 413, when its chunks are too large", async () => {
  const limits = { bodyBytesMax: 10 };
  const request = chunked("hello, world");
  for (const parts of [[request], [...request]]) {
    const peer = new Peer(async (request) => {
      return new Response(await request.text());
    }, { limits }).send(...parts);
    assertEquals((await peer.answers()).map(({ status }) => status), [413]);
    assertEquals(peer.transport.closing, "closeLingering");
  }
});

Deno.test("connection takes a body, when it has all bytes that it may have", async () => {
  const limits = { bodyBytesMax: 10 };
  const peer = new Peer(async (request) => new Response(await request.text()), {
    limits,
  });
  peer.send(chunked("0123456789"), post("0123456789"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["0123456789", "0123456789"]);
});

Deno.test("handler may answer by itself, when the body is malformed", async () => {
  const peer = new Peer(async (request) => {
    const error = await assertRejects(() => request.text(), Error);
    return new Response(error.name, { status: 422 });
  });
  peer.send(CHUNKED_HEAD, "x");
  const [answer, ...others] = await peer.answers();
  assertEquals([answer?.status, answer?.text], [422, "HttpError"]);
  assertEquals(answer?.get("connection"), "close");
  assertEquals(others, []);
});

Deno.test("connection says 100, when the handler reads the body", async () => {
  const begin = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    await begin.promise;
    return new Response(await request.text());
  });
  const expecting = postHead(5, "Expect: 100-continue");
  await peer.send(expecting).settle();
  assertEquals(peer.output, "");
  begin.resolve();
  await peer.settle();
  assertEquals(peer.output, CONTINUE);
  const answers = await peer.send("he", `llo${GET}`).answers();
  assertEquals(answers.map(({ status }) => status), [100, 200, 200]);
  assertEquals(answers[1]?.text, "hello");
});

Deno.test("connection says 100 once, when two requests expect it", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  const expecting = postHead(5, "Expect: 100-continue");
  await peer.send(expecting).settle();
  await peer.send("hello").settle();
  await peer.send(expecting).settle();
  const answers = await peer.send("again").answers();
  assertEquals(answers.map(({ status }) => status), [100, 200, 100, 200]);
});

Deno.test("connection says no 100, when the body has begun to come", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  const expecting = postHead(5, "Expect: 100-continue");
  const answers = await peer.send(`${expecting}h`, "ello").answers();
  assertEquals(answers.map(({ status }) => status), [200]);
});

Deno.test("connection says no 100, when the client is HTTP/1.0", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  peer.send(
    "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
  );
  const answers = await peer.send("hello").answers();
  assertEquals(answers.map(({ text }) => text), ["hello"]);
});

const EXPECTING = postHead(5, "Expect: 100-continue");

const REFUSERS: [name: string, handler: Handler][] = [
  ["answers", () => new Response("no", { status: 403 })],
  ["answers later", async () => {
    await undefined;
    return new Response("no", { status: 403 });
  }],
  ["answers with a stream that shows an error", () => {
    return new Response(new Blob(["no"]).stream(), { status: 403 });
  }],
  ["cancels the body", async (request) => {
    await request.body?.cancel();
    return new Response("no", { status: 403 });
  }],
  ["looks at the body", (request) => {
    return new Response(`${request.body?.locked}`, { status: 403 });
  }],
];

for (const [name, handler] of REFUSERS) {
  Deno.test(`connection says no 100 and closes, when the handler only ${name}`, async () => {
    const peer = new Peer(handler).send(EXPECTING);
    const answers = await peer.answers();
    assertEquals(answers.map(({ status }) => status), [403]);
    assertEquals(answers[0]?.get("connection"), "close");
    assertEquals(peer.transport.closing, "closeLingering");
  });
}

Deno.test("connection says 100, when a stream was answered that asks for the body later", async () => {
  const asked = Promise.withResolvers<void>();
  const peer = new Peer((request) =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await asked.promise;
          controller.enqueue(await request.bytes());
          controller.close();
        },
      }, { highWaterMark: 0 }),
    )
  );
  await peer.send(EXPECTING).settle();
  assertEquals(peer.output.startsWith(CONTINUE), true);
  asked.resolve();
  const answers = await peer.send("hello").answers();
  assertEquals(answers.map(({ status, text }) => [status, text]), [
    [100, ""],
    [200, "hello"],
  ]);
});

Deno.test("connection says 100, when the handler answers with the body's stream", async () => {
  const peer = new Peer((request) => new Response(request.body));
  await peer.send(EXPECTING).settle();
  assertEquals(peer.output.slice(0, CONTINUE.length), CONTINUE);
  const answers = await peer.send("hello").answers();
  assertEquals(answers[1]?.text, "hello");
});

const UNREAD: [name: string, request: string][] = [
  ["5 bytes", post("hello")],
  ["5 bytes in chunks", chunked("hello")],
  ["200,000 bytes", post("a".repeat(200_000))],
  ["200,000 bytes in chunks", chunked("a".repeat(200_000), 50_000)],
];

const IGNORING: [name: string, handler: Handler][] = [
  ["answers at once", () => new Response("ok")],
  ["answers later", async () => {
    await undefined;
    return new Response("ok");
  }],
  ["answers with a stream", () => new Response(new Blob(["ok"]).stream())],
  ["answers without a body", () => new Response(null)],
];

for (const [name, request] of UNREAD) {
  const begin = request.indexOf("\r\n\r\n") + 4;
  const parts = [request.slice(0, begin), request.slice(begin) + GET];

  Deno.test(`connection answers the next request, when ${name} are looked at and not read`, async () => {
    const peer = new Peer((request) => new Response(`${request.body?.locked}`));
    assertEquals((await peer.send(...parts).answers()).length, 2);
    assertEquals(peer.transport.closing, undefined);
  });

  for (const [how, handler] of IGNORING) {
    Deno.test(`connection closes, when a handler ${how} and ignores ${name} that come`, async () => {
      const peer = await new Peer(handler).send(parts[0]!).settle();
      const answers = await peer.send(parts[1]!).answers();
      assertEquals(answers.map((each) => each.get("connection")), ["close"]);
      assertEquals(peer.transport.closing, "closeLingering");
    });
  }
}

Deno.test("connection answers the next request, when a handler ignores a body that has come", async () => {
  for (const [, handler] of IGNORING) {
    for (const [name, request] of UNREAD.slice(0, 2)) {
      const peer = new Peer(handler).send(request + GET);
      assertEquals((await peer.answers()).length, 2, name);
    }
  }
});

Deno.test("connection answers the next request, when a GET has a body that no handler can read", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.send(get("/", "Content-Length: 5"), `hello${GET}`);
  assertEquals((await peer.answers()).length, 2);
});

Deno.test("connection answers the next request, when a stream was answered over an unread body", async () => {
  const peer = new Peer((request) =>
    new Response(request.body === null ? "next" : new Blob(["stream"]))
  );
  await peer.send(postHead(5), "he").settle();
  const answers = await peer.send(`llo${GET}`).answers();
  assertEquals(answers.map(({ text }) => text), ["stream", "next"]);
});

Deno.test("connection closes, when the client ends its half in an unread body", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.send(postHead(5), "he").end();
  assertEquals((await peer.answers()).length, 1);
  assertEquals(peer.transport.isClosed, true);
});

Deno.test("connection closes so that the answer arrives, when a huge body is not read", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.send(postHead(TOO_MUCH));
  assertEquals(peer.transport.closing, "closeLingering");
  peer.send("a".repeat(TOO_MUCH) + GET);
  assertEquals((await peer.answers()).length, 1);
});

Deno.test("connection closes so that the answer arrives, when unread chunks have no end", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.send(CHUNKED_HEAD);
  const chunk = `2710\r\n${"a".repeat(10_000)}\r\n`;
  for (let sent = 0; sent < TOO_MUCH; sent += 10_000) peer.send(chunk);
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals((await peer.answers()).length, 1);
});

Deno.test("connection closes when the unread body ends, when it is shut down meanwhile", async () => {
  const peer = new Peer(() => new Response("ok"));
  await peer.send(postHead(5), "he").settle();
  peer.connection.shutdown();
  await peer.send("llo").settle();
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection closes without a second answer, when an unread body is malformed", async () => {
  const peer = new Peer(() => new Response("early"));
  peer.send(CHUNKED_HEAD, "nonsense");
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["early"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection is kept alive, when an expectation has no body to wait for", async () => {
  const peer = new Peer(() => new Response("ok"));
  const empty = EXPECTING.replace("5", "0");
  const answers = await peer.send(empty + empty).answers();
  assertEquals(answers.map(({ status }) => status), [200, 200]);
});

Deno.test("connection stops reading, when the handler does not read the body, and goes on when it does", async () => {
  const begin = Promise.withResolvers<void>();
  const body = randomBytes(1_000_000, 1);
  const peer = new Peer(async (request) => {
    await begin.promise;
    return new Response(await request.bytes());
  });
  const bytes = latin1(post(body));
  for (let at = 0; at < bytes.length; at += 10_000) {
    peer.send(bytes.slice(at, at + 10_000));
  }
  await peer.settle();
  assertEquals(peer.transport.isPaused, true);
  assertLess(bytes.length - peer.unread, 200_000);
  begin.resolve();
  const [answer] = await peer.answers();
  assertEquals(answer?.body, body);
});

Deno.test("connection stops reading, when a stream is not read, and goes on when it is", async () => {
  const bodies: ReadableStream<Uint8Array>[] = [];
  const peer = new Peer((request) => {
    bodies.push(request.body!);
    return new Promise(() => {});
  });
  peer.send(CHUNKED_HEAD);
  const chunk = `2710\r\n${"a".repeat(10_000)}\r\n`;
  for (let sent = 0; sent < 100; sent++) peer.send(chunk);
  assertEquals(peer.transport.isPaused, true);
  assertLess(100 * chunk.length - peer.unread, 200_000);
  const reader = bodies[0]!.getReader();
  for (let total = 0; total < 1_000_000;) {
    const [{ value }] = await Promise.all([reader.read(), peer.settle()]);
    total += value!.byteLength;
    // The unread bytes are bounded.
    assertLess(100 * chunk.length - peer.unread - total, 200_000);
  }
  assertEquals(peer.unread, 0);
});

Deno.test("connection reads on, when what came of a stream was read", async () => {
  const bodies: ReadableStream<Uint8Array>[] = [];
  const peer = new Peer((request) => {
    bodies.push(request.body!);
    return new Promise(() => {});
  });
  peer.send(postHead(200000));
  const reader = bodies[0]!.getReader();
  for (let sent = 0; sent < 100_000; sent += 10_000) {
    await Promise.all([reader.read(), peer.send("a".repeat(10_000)).settle()]);
  }
  peer.send("a".repeat(10_000));
  assertEquals(peer.transport.isPaused, false);
});

Deno.test("connection reads on, when the handler answers over a paused body", async () => {
  const begin = Promise.withResolvers<void>();
  const peer = new Peer(async ({ body }) => {
    await begin.promise;
    return new Response(body === null ? "ok" : "unread");
  });
  const bytes = latin1(post(randomBytes(200_000, 1)) + GET);
  for (let at = 0; at < bytes.length; at += 10_000) {
    peer.send(bytes.slice(at, at + 10_000));
  }
  await peer.settle();
  assertEquals(peer.transport.isPaused, true);
  begin.resolve();
  assertEquals((await peer.answers()).length, 2);
});

Deno.test("connection reads on, when a handler does not read a body that had to wait", async () => {
  const gate = Promise.withResolvers<Response>();
  let calls = 0;
  const peer = new Peer(({ body }) =>
    calls++ ? new Response(body?.locked ? "read" : "ok") : gate.promise
  );
  peer.send(GET, postHead(200000));
  for (let sent = 0; sent < 200_000; sent += 10_000) {
    peer.send("a".repeat(10_000));
  }
  await peer.send(GET).settle();
  assertEquals(peer.transport.isPaused, true);
  gate.resolve(new Response("late"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["late", "ok", "ok"]);
});

Deno.test("connection stops reading, when much comes behind a pending request", async () => {
  const begin = Promise.withResolvers<void>();
  const peer = new Peer(async () => {
    await begin.promise;
    return new Response("ok");
  });
  const gets = GET.repeat(10);
  const count = 1_000;
  for (let sent = 0; sent < count; sent++) peer.send(gets);
  await peer.settle();
  assertEquals(peer.transport.isPaused, true);
  assertLess(count * gets.length - peer.unread, 200_000);
  begin.resolve();
  assertEquals((await peer.answers()).length, 10 * count);
});

type ErrorClass = new (message?: string) => Error;

/** How a client goes, and the cause of the reader's error. */
const GONE: [name: string, go: (peer: Peer) => void, cause: ErrorClass][] = [
  ["resets", (peer) => peer.reset(), Deno.errors.ConnectionReset],
  ["ends its half", (peer) => peer.end(), Deno.errors.UnexpectedEof],
];

const { BadResource } = Deno.errors;

for (const [name, go, Cause] of GONE) {
  Deno.test(`request's reading rejects, when the client ${name} in the body`, async () => {
    const results: Promise<unknown>[] = [];
    const peer = new Peer((request) => {
      results.push(request.text());
      return new Promise(() => {});
    });
    peer.send(postHead(5), "hell");
    go(peer);
    const error = await assertRejects(() => results[0]!, BadResource);
    assertInstanceOf(error.cause, Cause);
    await peer.settle();
  });

  Deno.test(`request's stream errors, when the client ${name} in the body`, async () => {
    const streams: ReadableStream<Uint8Array>[] = [];
    const peer = new Peer((request) => {
      streams.push(request.body!);
      return new Promise(() => {});
    });
    peer.send(postHead(5), "hell");
    const reader = streams[0]!.getReader();
    assertEquals((await reader.read()).value, latin1("hell"));
    const last = reader.read();
    go(peer);
    const error = await assertRejects(() => last, BadResource);
    assertInstanceOf(error.cause, Cause);
  });
}

Deno.test("connection answers and closes, when the client ends its half in the body", async () => {
  const peer = new Peer(async (request) => {
    await assertRejects(() => request.text(), BadResource);
    return new Response("partial", { status: 400 });
  });
  const answers = await peer.send(postHead(5), "hell")
    .end().answers();
  assertEquals(answers.map(({ text }) => text), ["partial"]);
  assertEquals(peer.transport.isClosed, true);
});

Deno.test("onError is called, when the client went and the handler did not catch that", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()));
  peer.send(postHead(5), "hell").reset();
  await peer.settle();
  assertInstanceOf(peer.errors[0], BadResource);
  assertEquals(peer.errors.length, 1);
  assertEquals(peer.output, "");
  assertEquals(peer.work, 0);
});

Deno.test("connection goes on, when a cancelled body comes after all", async () => {
  const reason = new Error("enough");
  const peer = new Peer(async (request) => {
    if (request.body === null) return new Response("next");
    await request.body.cancel(reason);
    return new Response("cancelled");
  });
  await peer.send(postHead(5)).settle();
  const answers = await peer.send(`hello${GET}`).answers();
  assertEquals(answers.map(({ text }) => text), ["cancelled", "next"]);
});

/** A connection that does nothing for its body. */
const IDLE_HOST = {
  wantBody() {},
  resumeBody() {},
  pauseBody() {},
  countBody() {},
  reportBody() {},
};

Deno.test("body keeps no read buffer, when small parts of it wait for more", async () => {
  const body = new IncomingBody(IDLE_HOST);
  const buffer = latin1("--hello--");
  body.push(buffer, 2, 7);
  body.settle(false, true);
  buffer.fill(0);
  buffer.set(latin1(" you!"));
  body.push(buffer, 0, 5);
  body.settle(true, true);
  assertEquals(toLatin1(await body.collect()), "hello you!");
});

Deno.test("body keeps no read buffer, when it is whole and its handler waits", async () => {
  const body = new IncomingBody(IDLE_HOST);
  const buffer = latin1("--hello--");
  body.push(buffer, 2, 7);
  body.settle(true, true);
  body.detach();
  buffer.fill(0);
  assertEquals(toLatin1(await body.collect()), "hello");
});

Deno.test("request has the same stream, when its body is asked for twice", async () => {
  await readBy((request) => {
    assertStrictEquals(request.body, request.body);
    return Promise.resolve();
  }, post("hello"));
});
