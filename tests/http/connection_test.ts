import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertStringIncludes,
} from "@std/assert";
import { HttpError } from "../../src/http/errors.ts";
import { emptyLinesEnd } from "../../src/http/h1/head.ts";
import { BUSY_BYTES } from "../../src/http/transport.ts";
import { latin1 } from "../util/http_bytes.ts";
import { Peer } from "../util/http_transport.ts";
import { get, pipeline } from "../util/requests.ts";

const PIPELINED = 16;

function pathOf(request: Request): string {
  return new URL(request.url).pathname;
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `/${index}`);
}

Deno.test("connection answers a pipeline in one write, when handlers return at once", async () => {
  const peer = new Peer((request) => new Response(pathOf(request)));
  peer.send(pipeline(PIPELINED));
  assertEquals(peer.transport.sends.length, 1);
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), numbers(PIPELINED));
});

Deno.test("connection answers a pipeline in one write, when handlers are async", async () => {
  const peer = new Peer(async (request) => {
    await undefined;
    return new Response(pathOf(request));
  });
  const answers = await peer.send(pipeline(PIPELINED)).answers();
  assertEquals(answers.map(({ text }) => text), numbers(PIPELINED));
  assertEquals(peer.transport.sends.length, 1);
});

Deno.test("connection answers in order, when the first handler is the slowest", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const begun: string[] = [];
  const peer = new Peer((request) => {
    const path = pathOf(request);
    begun.push(path);
    const response = new Response(path);
    return path === "/0" ? promise.then(() => response) : response;
  });
  await peer.send(pipeline(3)).settle();
  assertEquals(peer.output, "");
  assertEquals(begun, ["/0"]);
  resolve();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), numbers(3));
});

Deno.test("connection answers each request once, when a thenable settles at once", async () => {
  const peer = new Peer((request) => {
    const response = new Response(pathOf(request));
    const thenable: PromiseLike<Response> = {
      then(onFulfilled) {
        onFulfilled?.(response);
        return this as never;
      },
    };
    return thenable as Promise<Response>;
  });
  const text = pipeline(4);
  const answers = await peer.send(text.slice(0, 10), text.slice(10)).answers();
  assertEquals(answers.map(({ text }) => text), numbers(4));
  assertEquals(peer.work, 0);
});

Deno.test("connection answers one after the other, when requests come one by one", async () => {
  const peer = new Peer((request) => new Response(pathOf(request)));
  peer.send(get("/0"), get("/1"), get("/2"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), numbers(3));
  assertEquals(peer.transport.sends.length, 3);
});

Deno.test("connection takes empty lines, when they come before a request", async () => {
  const peer = new Peer((request) => new Response(pathOf(request)));
  peer.send("\r\n", `\r\n${get("/0")}\r\n${get("/1")}`);
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), numbers(2));
});

Deno.test("connection takes many empty lines, when they come byte by byte", async () => {
  const peer = new Peer((request) => new Response(pathOf(request)));
  const empty = "\r\n".repeat(1_000);
  peer.send(...`${empty}${get("/0")}${empty}${get("/1")}`);
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), numbers(2));
});

Deno.test("connection refuses empty lines with 431, when they are longer than a head may be", async () => {
  const limits = { headBytesMax: 1_000 };
  const empty = "\r\n".repeat(501);
  for (const parts of [[empty], [...empty], [empty.slice(0, 999), "\n\r\n"]]) {
    const peer = new Peer(() => new Response("ok"), { limits }).send(...parts);
    assertEquals((await peer.answers()).map(({ status }) => status), [431]);
    assertEquals(peer.transport.closing, "closeLingering");
    assertEquals(peer.transport.heldBytes, 0);
  }
});

Deno.test("connection refuses a head behind empty lines with 400, when one of those ends in a bare LF", async () => {
  for (const lines of ["\n", "\n\n", "\r\n\n", "\n\r\n", "\r\r\n", "\r\n\r"]) {
    const text = lines + get("/0");
    for (const parts of [[text], [...text], [lines, get("/0")]]) {
      const peer = new Peer(() => new Response("ok")).send(...parts);
      assertEquals((await peer.answers()).map(({ status }) => status), [400]);
    }
  }
});

Deno.test("empty lines end where no line end follows, wherever they are cut", () => {
  const empty = latin1("\r\n\n\r\n\r");
  const ends = [0, 0, 2, 3, 3, 5, 5];
  for (let end = 0; end <= empty.byteLength; end++) {
    assertEquals(emptyLinesEnd(empty, 0, end, false), ends[end]);
    assertEquals(emptyLinesEnd(empty, 0, end, true), Math.min(ends[end]!, 2));
  }
});

Deno.test("connection answers a long head, when it has all bytes that it may have", async () => {
  const limits = { headBytesMax: 1_000 };
  const rest = 1_000 - get("/", "X: ").length;
  const peer = new Peer(() => new Response("ok"), { limits });
  peer.send(get("/", `X: ${"a".repeat(rest)}`));
  assertEquals((await peer.answers()).map(({ status }) => status), [200]);
  assertEquals(peer.transport.closing, undefined);
});

Deno.test("connection refuses a head with 431, when it is a byte too long", async () => {
  const limits = { headBytesMax: 1_000 };
  const rest = 1_001 - get("/", "X: ").length;
  const head = get("/", `X: ${"a".repeat(rest)}`);
  for (const parts of [[head], [...head]]) {
    const peer = new Peer(() => new Response("ok"), { limits }).send(...parts);
    assertEquals((await peer.answers()).map(({ status }) => status), [431]);
    assertEquals(peer.transport.closing, "closeLingering");
  }
});

Deno.test("connection refuses a head with 431, when it has no end", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.send("GET / HTTP/1.1\r\n");
  for (let sent = 0; sent < 40; sent++) {
    peer.send(`X: ${"a".repeat(1_000)}\r\n`);
  }
  assertEquals((await peer.answers()).map(({ status }) => status), [431]);
});

Deno.test("connection reads on, when a large head is allowed and comes in parts", async () => {
  const limits = { headBytesMax: 200_000 };
  const peer = new Peer((request) => {
    return new Response(`${request.headers.get("x")?.length}`);
  }, { limits });
  peer.send(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(50_000)}`);
  peer.send("a".repeat(50_000), "\r\n\r\n");
  assertEquals((await peer.answers()).map(({ text }) => text), ["100000"]);
});

/** One request for each status; other files have all. */
const REFUSED: [status: number, name: string, request: string][] = [
  [400, "no HTTP", "hello\r\n\r\n"],
  [413, "a body over the limit", get("/", "Content-Length: 1001")],
  [417, "an unknown expectation", get("/", "Expect: miracle")],
  [
    431,
    "too many fields",
    get("/", ...Array.from({ length: 101 }, (_, index) => `X-${index}: a`)),
  ],
  [501, "an unknown coding", get("/", "Transfer-Encoding: gzip, chunked")],
  [505, "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
];

for (const [status, name, request] of REFUSED) {
  Deno.test(`connection refuses with ${status} and closes, when there is ${name}`, async () => {
    const calls: string[] = [];
    const peer = new Peer((request) => {
      calls.push(request.url);
      return new Response("ok");
    }, { limits: { bodyBytesMax: 1_000 } });
    peer.send(`${get("/first")}${request}${get("/last")}`);
    const [first, refusal, ...others] = await peer.answers();
    assertEquals(first?.status, 200);
    assertEquals(refusal?.status, status);
    assertEquals(refusal?.get("connection"), "close");
    assertEquals(others, []);
    assertEquals(calls, ["http://a/first"]);
    assertEquals(peer.transport.closing, "closeLingering");
    assertEquals(peer.errors, []);
  });
}

Deno.test("connection refuses without a body, when the method is HEAD", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.send("HEAD / HTTP/1.1\r\nHost: a\r\nExpect: miracle\r\n\r\n");
  const [answer, ...others] = await peer.answers("HEAD");
  assertEquals(answer?.status, 417);
  assertEquals(answer?.get("content-length"), "19");
  assertEquals(others, []);
});

Deno.test("connection answers what came before, when a later request is malformed", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const peer = new Peer(() => promise);
  await peer.send(`${get()}nonsense\r\n\r\n`).settle();
  assertEquals(peer.output, "");
  resolve(new Response("late"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ status }) => status), [200, 400]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection refuses with the status of an HttpError, when a handler throws one", async () => {
  const peer = new Peer(() => {
    throw new HttpError(413, "Too much");
  });
  const [answer] = await peer.send(get()).answers();
  assertEquals(answer?.status, 413);
  assertEquals(answer?.get("connection"), "close");
  assertEquals(peer.errors, []);
});

const KEPT: [name: string, request: string, field: string | undefined][] = [
  ["HTTP/1.1", get(), undefined],
  ["HTTP/1.1 that says so", get("/", "Connection: keep-alive"), undefined],
  [
    "HTTP/1.0 that asks for it",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "keep-alive",
  ],
];

for (const [name, request, field] of KEPT) {
  Deno.test(`connection is kept alive, when the request is ${name}`, async () => {
    const peer = new Peer(() => new Response("ok"));
    const answers = await peer.send(request, request).answers();
    assertEquals(answers.map((answer) => answer.get("connection")), [
      field,
      field,
    ]);
    assertEquals(peer.transport.closing, undefined);
  });
}

const CLOSED: [name: string, request: string][] = [
  ["HTTP/1.1 with close", get("/", "Connection: close")],
  ["HTTP/1.1 with close in a list", get("/", "Connection: Foo, CLOSE")],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  [
    "HTTP/1.0 with both",
    "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
  ],
];

for (const [name, request] of CLOSED) {
  Deno.test(`connection closes after one answer, when the request is ${name}`, async () => {
    let calls = 0;
    const peer = new Peer(() => new Response(`${++calls}`));
    const answers = await peer.send(request + get()).answers();
    assertEquals(answers.map((answer) => answer.get("connection")), ["close"]);
    assertEquals(calls, 1);
    assertEquals(peer.transport.closing, "closeLingering");
  });
}

for (const body of [null, "text", "stream"]) {
  Deno.test(`connection closes after the answer, when the handler says so with a body of ${body}`, async () => {
    const peer = new Peer(() =>
      new Response(
        body === "stream" ? new Blob(["text"]).stream() : body,
        { headers: { connection: "keep-alive, Close" } },
      )
    );
    const answers = await peer.send(get() + get()).answers();
    assertEquals(answers.map((answer) => answer.get("connection")), ["close"]);
    assertEquals(peer.transport.closing, "closeLingering");
  });
}

Deno.test("connection says that it closes, when more of the body is to come than is read for nothing", async () => {
  const peer = new Peer(() => new Response("enough"));
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\nx");
  const answers = await peer.answers();
  assertEquals(answers.map((answer) => answer.get("connection")), ["close"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection says the same on the wire, when the answer is plain", () => {
  const peer = new Peer(() => new Response("Hello"));
  peer.send(get());
  assertEquals(
    peer.output.replace(/^date: .*\r\n/m, ""),
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\n" +
      "content-length: 5\r\n\r\nHello",
  );
});

/** After so many equal answers the whole answer is kept. */
const REPEATED = 40;

/** Answers `count` requests by `make`; returns the answers, without dates. */
function answersOf(make: (index: number) => Response, count: number): string[] {
  let index = 0;
  const peer = new Peer(() => make(index++));
  peer.send(get().repeat(count));
  return peer.output.split(/(?=HTTP\/1\.1 )/)
    .map((answer) => answer.replace(/\r\ndate: [^\r]*/, ""));
}

function plainAnswer(text: string, type = "text/plain;charset=UTF-8"): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ` +
    `${text.length}\r\n\r\n${text}`;
}

Deno.test("connection sends date, keep-alive and length behind a response's own fields", () => {
  const limits = { keepAliveMs: 75_000 };
  const peer = new Peer((request) =>
    new Response("Hello", {
      status: 201,
      headers: pathOf(request) === "/own"
        ? { "x-a": "1", date: "yesterday" }
        : { "x-a": "1", "x-b": "2" },
    }), { limits });
  peer.send(get() + get("/own"));
  const alive = "connection: keep-alive\r\nkeep-alive: timeout=75\r\n";
  const text = "Content-Type: text/plain;charset=UTF-8\r\n";
  assertEquals(
    peer.output.replace(/^date: [^y].*$/m, "date: today"),
    `HTTP/1.1 201 Created\r\nx-a: 1\r\nx-b: 2\r\n${text}date: today\r\n` +
      `${alive}content-length: 5\r\n\r\nHello` +
      `HTTP/1.1 201 Created\r\nx-a: 1\r\ndate: yesterday\r\n${text}` +
      `${alive}content-length: 5\r\n\r\nHello`,
  );
});

Deno.test("connection sends another text, when it has repeated one for long", () => {
  const texts = Array.from({ length: 4 * REPEATED }, (_, index) => {
    if (index < REPEATED) return "Hello";
    // Equal lengths, and one that differs alone, and turns.
    if (index < 2 * REPEATED) return index % 10 === 0 ? "Other" : "Hello";
    return index < 3 * REPEATED ? "Hell" : `${"World".repeat(index % 2)}`;
  });
  assertEquals(
    answersOf((index) => new Response(texts[index]), texts.length),
    texts.map((text) => plainAnswer(text)),
  );
});

Deno.test("connection sends another type, when it has repeated a text for long", () => {
  const types = Array.from(
    { length: 3 * REPEATED },
    (_, index) => index < 2 * REPEATED ? "text/html" : "text/css",
  );
  assertEquals(
    answersOf(
      (index) =>
        new Response("a", { headers: { "content-type": types[index]! } }),
      types.length,
    ),
    types.map((type) => plainAnswer("a", type)),
  );
});

Deno.test("connection sends long texts, and texts that are not ASCII, when they repeat", () => {
  for (const text of ["a".repeat(5_000), "é", "é".repeat(600)]) {
    const bytes = new TextEncoder().encode(text);
    const answers = answersOf(() => new Response(text), REPEATED);
    const body = String.fromCharCode(...bytes);
    assertEquals(answers, new Array(REPEATED).fill(plainAnswer(body)));
  }
});

Deno.test("connection sends a Date, when the handler gives none", async () => {
  const peer = new Peer((request) =>
    new Response(null, {
      headers: pathOf(request) === "/own" ? { date: "yesterday" } : {},
    })
  );
  const before = Math.floor(Date.now() / 1_000) * 1_000;
  const [ours, own] = await peer.send(get() + get("/own")).answers();
  const date = ours?.get("date") ?? "";
  assertEquals(new Date(date).toUTCString(), date);
  assert(Date.parse(date) >= before && Date.parse(date) <= Date.now());
  assertEquals(own?.get("date"), "yesterday");
});

Deno.test("connection sends a new Date, when a second has passed", async () => {
  const peer = new Peer(() => new Response("ok"));
  const { now } = Date;
  try {
    for (
      const [wallMs, clockMs] of [[1_000_400, 50], [1_000_900, 649], [
        1_001_000,
        650,
      ]]
    ) {
      Date.now = () => wallMs!;
      peer.transport.nowMs = clockMs!;
      peer.send(get().repeat(REPEATED));
    }
  } finally {
    Date.now = now;
  }
  const dates = (await peer.answers()).map((answer) => answer.get("date"));
  const counts = Map.groupBy(dates, (date) => date).entries();
  assertEquals([...counts].map(([date, { length }]) => [date, length]), [
    ["Thu, 01 Jan 1970 00:16:40 GMT", 2 * REPEATED],
    ["Thu, 01 Jan 1970 00:16:41 GMT", REPEATED],
  ]);
});

Deno.test("connection begins no request, when the peer does not read", async () => {
  let calls = 0;
  const peer = new Peer(() => new Response(`${++calls} ${"a".repeat(9_999)}`));
  peer.transport.isStuck = true;
  await peer.send(pipeline(100)).settle();
  const begun = calls;
  assertLess(begun, 20);
  // The shared buffer may be full when the first write fails.
  assertLess(peer.transport.bufferedBytes, 2 * BUSY_BYTES + 20_000);
  await peer.send(pipeline(100)).settle();
  assertEquals(calls, begun);
  peer.read();
  const answers = await peer.answers();
  assertEquals(
    answers.map(({ text }) => parseInt(text)),
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
});

Deno.test("connection takes the rest of a head, when the peer did not read meanwhile", async () => {
  const peer = new Peer(() => new Response("a".repeat(BUSY_BYTES - 9_999)));
  peer.transport.isStuck = true;
  const [head, rest] = [get().slice(0, 10), get().slice(10)];
  // The second answer is sent at the end of the turn, after parsing the head.
  await peer.send(pipeline(2) + head).settle();
  assertLess(BUSY_BYTES, peer.transport.bufferedBytes);
  // It was read in one call with others, before its congestion was known.
  peer.connection.data(latin1(rest), 0, rest.length);
  peer.read();
  const answers = await peer.answers();
  assertEquals(answers.length, 3);
});

Deno.test("connection begins no request, when the peer reads half of it at a time", async () => {
  let calls = 0;
  const peer = new Peer(async () => {
    await undefined;
    return new Response(`${++calls} ${"a".repeat(70_000)}`);
  });
  await peer.send(pipeline(5)).settle();
  assertEquals(calls, 5);
  peer.transport.isStuck = true;
  for (let drains = 1; drains <= 5; drains++) {
    await peer.send(pipeline(1)).settle();
    assertEquals(calls, 5 + Math.min(drains, 1));
  }
  peer.read();
  await peer.settle();
  assertEquals(calls, 10);
});

Deno.test("connection answers all and closes, when the end follows a pipeline", async () => {
  const peer = new Peer(async (request) => {
    await undefined;
    return new Response(pathOf(request));
  });
  const answers = await peer.send(pipeline(5)).end().answers();
  assertEquals(answers.map(({ text }) => text), numbers(5));
  assertEquals(peer.transport.isClosed, true);
});

Deno.test("connection answers all and closes, when the end comes while it is busy", async () => {
  const peer = new Peer((request) =>
    new Response(`${pathOf(request)} ${"a".repeat(40_000)}`)
  );
  peer.transport.isStuck = true;
  await peer.send(pipeline(10)).end().settle();
  assertEquals(peer.transport.closing, undefined);
  peer.read();
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text.split(" ")[0]), numbers(10));
  assertEquals(peer.transport.closing, "close");
});

Deno.test("connection closes without a word, when the end comes first", async () => {
  for (const sent of [[], [get().slice(0, -1)], ["\r\n"]]) {
    const peer = new Peer(() => new Response("ok")).send(...sent).end();
    assertEquals(await peer.answers(), []);
    assertEquals(peer.transport.isClosed, true);
  }
});

Deno.test("connection closes at once, when it is shut down between requests", async () => {
  const peer = new Peer(() => new Response("ok")).send(get());
  peer.connection.shutdown();
  assertEquals((await peer.answers()).length, 1);
  assertEquals(peer.transport.isClosed, true);
});

Deno.test("connection answers with close, when it is shut down and a request was not read yet", async () => {
  const peer = new Peer(() => new Response("ok")).send(get());
  peer.service.isClosing = true;
  peer.sendUnnoticed(get()).connection.shutdown();
  const answers = await peer.answers();
  assertEquals(
    answers.map((answer) => answer.get("connection")),
    [undefined, "close"],
  );
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection keeps a request, when it would be closed for being idle and the request was not read yet", async () => {
  const peer = new Peer(() => new Response("ok")).send(get());
  peer.sendUnnoticed(get()).connection.timeout("idle");
  peer.sendUnnoticed(get()).connection.closeUnasked();
  assertEquals((await peer.answers()).length, 3);
  assertEquals(peer.transport.closing, undefined);
});

Deno.test("connection sends its end before it closes, when it is idle", async () => {
  for (
    const close of [
      (peer: Peer) => peer.connection.shutdown(),
      (peer: Peer) => peer.connection.timeout("idle"),
      (peer: Peer) => peer.connection.closeUnasked(),
    ]
  ) {
    const peer = new Peer(() => new Response("ok")).send(get());
    // The request crosses our end, so that the second read finds it.
    peer.transport.onWriteClosed = () => peer.sendUnnoticed(get());
    close(peer);
    assertEquals((await peer.answers()).length, 1);
    assertEquals(peer.transport.closing, "closeLingering");
  }
});

Deno.test("connection answers with close, when it is shut down meanwhile", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const peer = new Peer(() => promise).send(get() + get());
  peer.connection.shutdown();
  assertEquals(peer.transport.closing, undefined);
  resolve(new Response("late"));
  const answers = await peer.answers();
  assertEquals(answers.map((answer) => answer.get("connection")), ["close"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection answers with close, when it alone is shut down and a request was not read yet", async () => {
  const peer = new Peer(() => new Response("ok"));
  peer.sendUnnoticed(get()).connection.shutdown();
  const answers = await peer.answers();
  assertEquals(answers.map((answer) => answer.get("connection")), ["close"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection closes so that its answer arrives, when it is shut down while the peer does not read", async () => {
  const peer = new Peer(() => new Response("a".repeat(40_000)));
  peer.transport.isStuck = true;
  await peer.send(pipeline(5)).settle();
  peer.connection.shutdown();
  // A plain close would reset the connection because of unread requests.
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("signal aborts, when the client goes while the handler is pending", async () => {
  let signal: AbortSignal | undefined;
  const { promise, resolve } = Promise.withResolvers<Response>();
  const peer = new Peer((request) => {
    signal = request.signal;
    return promise;
  }).send(get());
  assertEquals(signal?.aborted, false);
  peer.reset();
  assertEquals(signal?.aborted, true);
  resolve(new Response("too late"));
  await peer.settle();
  assertEquals(peer.output, "");
  assertEquals(peer.errors, []);
  assertEquals(peer.work, 0);
});

Deno.test("signal is aborted, when it is first asked for after the client went", () => {
  let kept: Request | undefined;
  new Peer((request) => {
    kept = request;
    return new Promise(() => {});
  }).send(get()).reset();
  assertEquals(kept?.signal.aborted, true);
});

Deno.test("signal is where Deno looks for it, when the handler has read it", () => {
  const symbol = Object.getOwnPropertySymbols(new Request("http://a/"))
    .find(({ description }) => description === "signalCache")!;
  const seen: unknown[] = [];
  const kept: Request[] = [];
  const peer = new Peer((request) => {
    kept.push(request);
    seen.push(Reflect.get(request, symbol));
    if (kept.length === 1) return new Response(`${request.signal.aborted}`);
    return new Promise(() => {});
  }).send(get() + get());
  seen.push(Reflect.get(kept[0]!, symbol) === kept[0]!.signal);
  peer.reset();
  seen.push(Reflect.get(kept[1]!, symbol), kept[1]!.signal.aborted);
  seen.push(Reflect.get(kept[1]!, symbol) === kept[1]!.signal);
  // As in Deno: `false` is a signal that aborted before it was read.
  assertEquals(seen, [undefined, undefined, true, false, true, true]);
});

for (const connection of ["keep-alive", "close"]) {
  Deno.test(`signal stays as it is, when the client goes after an answer with ${connection}`, async () => {
    let signal: AbortSignal | undefined;
    const peer = new Peer((request) => {
      signal = request.signal;
      return new Response("ok");
    });
    assertEquals(
      (await peer.send(get("/", `Connection: ${connection}`)).answers()).length,
      1,
    );
    peer.end().reset();
    assertEquals(signal?.aborted, false);
  });
}

Deno.test("a client that has reset may have no address any more", () => {
  const peer = new Peer(() => new Promise<Response>(() => {}));
  peer.send(get());
  Object.defineProperty(peer.transport, "peerAddress", {
    get: () => {
      throw new Deno.errors.NotConnected("There is no peer");
    },
  });
  peer.reset();
});

Deno.test("info has the peer's address, when a handler asks", async () => {
  const peer = new Peer((_, { remoteAddr }) => Response.json(remoteAddr));
  const [answer] = await peer.send(get()).answers();
  assertEquals(JSON.parse(answer!.text), peer.transport.peerAddress);
});

const MISTAKES: [name: string, result: unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["a string", "Hello"],
  ["an object", { status: 200 }],
  ["a promise of nothing", Promise.resolve(undefined)],
  ["a promise of a string", Promise.resolve("Hello")],
  ["Response.error()", Response.error()],
];

for (const [name, result] of MISTAKES) {
  Deno.test(`connection answers through onError, when a handler returns ${name}`, async () => {
    let calls = 0;
    const peer = new Peer(() => calls++ ? new Response() : result as Response);
    const answers = await peer.send(get() + get()).answers();
    assertEquals(answers.map(({ status }) => status), [500, 200]);
    assertEquals(answers[0]?.text, "failed");
    const [error, ...others] = peer.errors;
    assertInstanceOf(error, TypeError);
    assertEquals(others, []);
    assertEquals(peer.work, 0);
  });
}

const FAILURES: [
  name: string,
  fail: (error: Error) => never | Promise<never>,
][] = [
  ["throws", (error) => {
    throw error;
  }],
  ["rejects at once", (error) => Promise.reject(error)],
  ["rejects later", async (error) => {
    await undefined;
    throw error;
  }],
];

for (const [name, fail] of FAILURES) {
  Deno.test(`connection answers through onError, when a handler ${name}`, async () => {
    const error = new Error("handler");
    let calls = 0;
    const peer = new Peer(() => calls++ ? new Response("ok") : fail(error));
    const answers = await peer.send(get() + get()).answers();
    assertEquals(answers.map(({ text }) => text), ["failed", "ok"]);
    assertEquals(peer.errors, [error]);
    assertEquals(peer.transport.closing, undefined);
  });

  Deno.test(`connection answers 500 and goes on, when onError ${name}`, async () => {
    const second = new Error("onError");
    const peer = new Peer(() => fail(new Error("handler")), {
      onError: () => fail(second),
    });
    const answers = await peer.send(get() + get()).answers();
    assertEquals(answers.map(({ status }) => status), [500, 500]);
    for (const answer of answers) {
      assertEquals(answer.text, "Internal Server Error");
      assertEquals(answer.get("content-type"), undefined);
    }
    assertEquals(peer.transport.closing, undefined);
    assertEquals(peer.reports, [second, second]);
    assertEquals(peer.work, 0);
  });
}

Deno.test("connection waits for onError, when that is async", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const peer = new Peer(() => {
    throw new Error("handler");
  }, { onError: () => promise });
  await peer.send(get() + get()).settle();
  assertEquals(peer.errors.length, 1);
  assertEquals(peer.output, "");
  resolve(new Response("explained", { status: 503 }));
  await peer.until(() => peer.errors.length === 2, "the second request");
  await peer.settle();
  assertStringIncludes(peer.output, "503 Service Unavailable");
});

Deno.test("connection answers through onError, when a Response is returned twice", async () => {
  const response = new Response("once");
  const peer = new Peer(() => response);
  const answers = await peer.send(get() + get()).answers();
  assertEquals(answers.map(({ text }) => text), ["once", "failed"]);
  assertInstanceOf(peer.errors[0], TypeError);
});

Deno.test("connection reads other requests whole, when one carries bytes of another", async () => {
  const peer = new Peer(async (request) => new Response(await request.bytes()));
  const inner = get("/inner");
  peer.send(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n` +
      inner + get("/outer"),
  );
  const answers = await peer.answers();
  assertEquals(answers.map(({ body }) => body), [
    latin1(inner),
    new Uint8Array(0),
  ]);
});
