import {
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { HttpLimits } from "../../src/http/http_limits.ts";
import { latin1, toLatin1 } from "../util/http_bytes.ts";
import { Peer } from "../util/http_transport.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import { CHUNKED_HEAD, GET, postHead } from "../util/requests.ts";

/** More bytes than the server reads of an unread body. */
const TOO_MUCH = 300_000;
const PIECE = 10_000;

const { BadResource } = Deno.errors;

/** A client of a server that answers a POST while `read` goes on. */
class EarlyAnswered {
  readonly peer: Peer;
  /** What `read` resolves to. */
  readonly result: Promise<unknown>;

  constructor(read: (request: Request) => Promise<unknown>) {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.result = promise;
    this.peer = new Peer((request) => {
      if (request.method === "GET") return new Response("next");
      read(request).then(resolve, reject);
      return new Response("early");
    });
  }
}

async function joined(stream: ReadableStream<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const { byteLength } of stream) length += byteLength;
  return length;
}

async function piped(stream: ReadableStream<Uint8Array>): Promise<number> {
  let length = 0;
  await stream.pipeTo(
    new WritableStream({
      async write({ byteLength }) {
        await undefined;
        length += byteLength;
      },
    }),
  );
  return length;
}

const READERS: [
  name: string,
  read: (request: Request) => Promise<unknown>,
][] = [
  ["text()", async (request) => (await request.text()).length],
  ["bytes()", async (request) => (await request.bytes()).byteLength],
  ["its stream", (request) => joined(request.body!)],
  ["a pipe", (request) => piped(request.body!)],
  ["a copy", async (request) => (await new Request(request).text()).length],
];

for (const [name, read] of READERS) {
  Deno.test(`body is read whole by ${name}, when the answer was sent before it came`, async () => {
    const { peer, result } = new EarlyAnswered(read);
    await peer.send(postHead(TOO_MUCH), "he").settle();
    assertEquals((await peer.answers()).map(({ text }) => text), ["early"]);
    const rest = "a".repeat(TOO_MUCH - 2) + GET;
    for (let at = 0; at < rest.length; at += PIECE) {
      peer.send(rest.slice(at, at + PIECE));
    }
    const answers = await peer.answers();
    assertEquals(answers.map(({ text }) => text), ["early", "next"]);
    assertEquals(await result, TOO_MUCH);
    assertEquals(peer.transport.closing, undefined);
  });

  Deno.test(`reading by ${name} rejects, when the client goes behind the answer`, async () => {
    const { peer, result } = new EarlyAnswered(read);
    await peer.send(postHead(5), "he").settle();
    peer.reset();
    await assertRejects(() => result, BadResource);
  });
}

Deno.test("body is read whole and then the connection closes, when the answer was the last", async () => {
  const { peer, result } = new EarlyAnswered((request) => request.text());
  await peer.send(postHead(5, "Connection: close"), "he").settle();
  assertEquals(peer.transport.closing, undefined);
  await peer.send("llo").settle();
  assertEquals(await result, "hello");
  assertEquals(peer.transport.closing, "closeLingering");
  assertEquals((await peer.answers())[0]?.get("connection"), "close");
});

Deno.test("next request waits, when the body of the one before is read slowly", async () => {
  const go = Promise.withResolvers<void>();
  const { peer, result } = new EarlyAnswered(async (request) => {
    let length = 0;
    for await (const { byteLength } of request.body!) {
      length += byteLength;
      await go.promise;
    }
    return length;
  });
  const bytes = latin1(postHead(TOO_MUCH) + "a".repeat(TOO_MUCH) + GET);
  for (let at = 0; at < bytes.byteLength; at += PIECE) {
    peer.send(bytes.slice(at, at + PIECE));
  }
  assertEquals((await peer.answers()).map(({ text }) => text), ["early"]);
  assertEquals(peer.transport.isPaused, true);
  assertLess(TOO_MUCH / 2, peer.unread);
  go.resolve();
  assertEquals(await Promise.all([result, peer.settle()]), [TOO_MUCH, peer]);
  assertEquals((await peer.answers()).length, 2);
});

/** Ways to read a body chunk by chunk; each calls `onChunk` first. */
const SLOW_READERS: [
  name: string,
  read: (
    request: Request,
    onChunk: () => Promise<void>,
  ) => Promise<string | string[]>,
][] = [
  ["an async loop", (request, onChunk) => looped(request.body!, onChunk)],
  ["a reader", async (request, onChunk) => {
    const reader = request.body!.getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return text;
      text += toLatin1(value);
      await onChunk();
    }
  }],
  ["a pipe", async (request, onChunk) => {
    let text = "";
    await request.body!.pipeTo(
      new WritableStream({
        write(chunk) {
          text += toLatin1(chunk);
          return onChunk();
        },
      }),
    );
    return text;
  }],
  ["a pipe through another", (request, onChunk) => {
    const { body } = request;
    return looped(body!.pipeThrough(new TransformStream()), onChunk);
  }],
  ["a clone", (request, onChunk) => looped(request.clone().body!, onChunk)],
  ["two clones at once", (request, onChunk) => {
    const streams = [request.clone().body!, request.clone().body!];
    return Promise.all(streams.map((stream) => looped(stream, onChunk)));
  }],
  ["a clone and the request", (request, onChunk) => {
    const text = request.clone().text();
    return Promise.all([looped(request.body!, onChunk), text]);
  }],
  ["a clone's clone", (request, onChunk) => {
    return looped(request.clone().clone().body!, onChunk);
  }],
  ["both branches of tee()", (request, onChunk) => {
    const branches = request.body!.tee();
    return Promise.all(branches.map((branch) => looped(branch, onChunk)));
  }],
];

async function looped(
  stream: ReadableStream<Uint8Array>,
  onChunk: () => Promise<void>,
): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += toLatin1(chunk);
    await onChunk();
  }
  return text;
}

const FRAMINGS: [name: string, first: string, rest: string][] = [
  ["counted", `${postHead(10)}12345`, "67890"],
  [
    "chunked",
    `${CHUNKED_HEAD}5\r\n12345\r\n`,
    "5\r\n67890\r\n0\r\n\r\n",
  ],
];

for (const [name, read] of SLOW_READERS) {
  for (const [framing, first, rest] of FRAMINGS) {
    Deno.test(`${framing} body is read whole by ${name}, when that is at work on a chunk as the answer is given`, async () => {
      const atWork = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      let reading: Promise<string | string[]> | undefined;
      const peer = new Peer(async (request) => {
        if (request.method === "GET") return new Response("next");
        reading = read(request, () => {
          atWork.resolve();
          return go.promise;
        });
        await atWork.promise;
        return new Response("early", { status: 201 });
      });
      await peer.send(first).settle();
      assertEquals((await peer.answers()).map(({ text }) => text), ["early"]);
      await peer.send(rest + GET).settle();
      go.resolve();
      const answers = await peer.answers();
      assertEquals(answers.map(({ text }) => text), ["early", "next"]);
      for (const text of [await reading!].flat()) {
        assertEquals(text, "1234567890");
      }
    });
  }
}

const FORGETFUL: [
  name: string,
  read: (request: Request) => Promise<unknown>,
][] = [
  ["reader", (request) => request.body!.getReader().read()],
  ["clone's reader", (request) => request.clone().body!.getReader().read()],
];

/** Bodies that are small enough to be discarded. */
const SHORT: [framing: string, text: string][] = [
  ["counted", postHead(200_000) + "a".repeat(200_000)],
  [
    "chunked",
    `${CHUNKED_HEAD}${`2710\r\n${"a".repeat(PIECE)}\r\n`.repeat(20)}0\r\n\r\n`,
  ],
];

/** A server that drops its reader of a POST, and its client. */
function forgetful(
  read: (request: Request) => Promise<unknown>,
  limits: Partial<HttpLimits> = {},
): Peer {
  return new Peer(async (request) => {
    if (request.method === "GET") return new Response("next");
    await read(request);
    return new Response("early");
  }, { limits });
}

async function sendInPieces(peer: Peer, text: string): Promise<void> {
  for (let at = 0; at < text.length; at += PIECE) {
    await peer.send(text.slice(at, at + PIECE)).settle();
  }
}

for (const [name, read] of FORGETFUL) {
  for (const [framing, text] of SHORT) {
    Deno.test(`connection goes on, when a handler forgot a ${name} over 200,000 ${framing} bytes`, async () => {
      const peer = forgetful(read);
      await sendInPieces(peer, text + GET);
      assertEquals((await peer.answers()).length, 2);
      assertEquals(peer.transport.heldBytes, 0);
    });
  }

  Deno.test(`connection waits and closes when idle for too long, when a handler forgot a ${name}`, async () => {
    const peer = forgetful(read);
    await sendInPieces(peer, postHead(TOO_MUCH) + "a".repeat(TOO_MUCH) + GET);
    assertEquals((await peer.answers()).length, 1);
    assertEquals(peer.transport.isPaused, true);
    assertEquals(peer.transport.closing, undefined);
    peer.connection.timeout("idle");
    assertEquals(peer.transport.closing, "closeLingering");
    assertEquals(peer.transport.heldBytes, 0);
  });

  Deno.test(`connection does not keep a closing server, when a handler forgot a ${name}`, async () => {
    const peer = forgetful(read, { bodyBytesPerSecondMin: 0 });
    await sendInPieces(peer, postHead(TOO_MUCH) + "a".repeat(TOO_MUCH));
    peer.service.isClosing = true;
    peer.connection.shutdown();
    assertEquals(peer.transport.closing, undefined);
    peer.connection.timeout("deadline");
    assertEquals(peer.transport.closing, "closeLingering");
  });
}

for (const [length, count] of [[200_000, 2], [TOO_MUCH, 1]] as const) {
  Deno.test(`connection goes on or closes, when a handler forgot an unread clone over ${length} bytes`, async () => {
    const peer = forgetful((request) => Promise.resolve(request.clone()));
    await sendInPieces(peer, postHead(length) + "a".repeat(length) + GET);
    assertEquals((await peer.answers()).length, count);
    const closing = count === 1 ? "closeLingering" : undefined;
    assertEquals(peer.transport.closing, closing);
  });
}

Deno.test("rest of a body is thrown away, when its reader stops behind the answer", async () => {
  const { peer, result } = new EarlyAnswered(async (request) => {
    for await (const chunk of request.body!) return chunk.byteLength;
  });
  await peer.send(postHead(5), "he").settle();
  assertEquals(await result, 2);
  const answers = await peer.send(`llo${GET}`).answers();
  assertEquals(answers.map(({ text }) => text), ["early", "next"]);
});

Deno.test("rest of a body is thrown away, when its reader lets go behind the answer", async () => {
  const { peer, result } = new EarlyAnswered(async (request) => {
    const reader = request.body!.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    return value?.byteLength;
  });
  await peer.send(postHead(5), "he").settle();
  assertEquals(await result, 2);
  const answers = await peer.send("ll", `o${GET}`).answers();
  assertEquals(answers.map(({ text }) => text), ["early", "next"]);
});

Deno.test("reading is refused, when it begins behind the answer and the body has not come", async () => {
  const go = Promise.withResolvers<void>();
  const { peer, result } = new EarlyAnswered(async (request) => {
    await go.promise;
    return await request.text();
  });
  await peer.send(postHead(5), "he").settle();
  go.resolve();
  await assertRejects(() => result, TypeError);
  const answers = await peer.send(`llo${GET}`).answers();
  assertEquals(answers.map(({ text }) => text), ["early"]);
});

Deno.test("body is read, when it came before the answer and is asked for later", async () => {
  const go = Promise.withResolvers<void>();
  const { peer, result } = new EarlyAnswered(async (request) => {
    await go.promise;
    return await request.text();
  });
  await peer.send(`${postHead(5)}hello`, GET).settle();
  go.resolve();
  assertEquals(await result, "hello");
});

Deno.test("body is thrown away, when only clones were made of it", async () => {
  const { peer } = new EarlyAnswered((request) => {
    request.clone();
    return Promise.resolve();
  });
  const bytes = latin1(postHead(TOO_MUCH / 2) + "a".repeat(TOO_MUCH / 2) + GET);
  for (let at = 0; at < bytes.byteLength; at += PIECE) {
    peer.send(bytes.slice(at, at + PIECE));
  }
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), ["early", "next"]);
});

const UNAWAITED: [name: string, read: (request: Request) => unknown][] = [
  ["text()", (request) => request.text()],
  ["json()", (request) => request.json()],
  ["bytes()", (request) => request.bytes()],
  ["arrayBuffer()", (request) => request.arrayBuffer()],
  ["blob()", (request) => request.blob()],
  ["formData()", (request) => request.formData()],
  ["text() of a clone", (request) => request.clone().text()],
];

for (const [name, read] of UNAWAITED) {
  // An unhandled rejection would fail these tests, and end a server.
  Deno.test(`process goes on, when the handler drops ${name} and the client goes`, async () => {
    const peer = new Peer((request) => {
      read(request);
      return new Response("early");
    });
    await peer.send(postHead(5), "he").settle();
    await peer.reset().settle();
    assertEquals((await peer.answers()).length, 1);
  });
}

const DROPPED: [name: string, read: (request: Request) => unknown][] = [
  ["pipeTo()", ({ body }) => body!.pipeTo(new WritableStream())],
  ["pipeTo() of a pipe", ({ body }) => {
    const through = body!.pipeThrough(new TransformStream());
    through.pipeTo(new WritableStream());
  }],
  ["an async loop", (request) => joined(request.body!)],
  ["a loop over a clone", (request) => joined(request.clone().body!)],
  ["tee()", (request) => request.body!.tee().map(joined)],
];

/** Why an unhandled read fails. */
const FAILURES: [name: string, fail: (peer: Peer) => void][] = [
  ["the client goes", (peer) => peer.reset()],
  ["the client ends its half", (peer) => peer.end()],
  ["its time is over", (peer) => peer.connection.timeout("idle")],
];

for (const [name, read] of DROPPED) {
  for (const [failure, fail] of FAILURES) {
    // An unhandled rejection would fail these tests, and end a server.
    Deno.test(`process goes on and the error is reported, when the handler drops ${name} and ${failure}`, async () => {
      const peer = new Peer((request) => {
        read(request);
        return new Response("early");
      });
      await peer.send(postHead(5), "he").settle();
      fail(peer);
      const isTold = () => peer.reports.length > 0;
      await peer.until(isTold, "a report");
      await peer.settle();
      assertEquals(peer.reports.length, 1);
      assertInstanceOf(peer.reports[0], Error);
      assertEquals(peer.errors, []);
    });
  }
}

for (
  const [reason, message] of [
    ["write", "it has not read its answer"],
    ["shed", "connections took all memory"],
    ["ended", "The client has gone"],
  ] as const
) {
  Deno.test(`cause of a reading's error says why the client went, when that is ${reason}`, async () => {
    const { peer, result } = new EarlyAnswered((request) => request.text());
    await peer.send(postHead(5), "he").settle();
    peer.connection.closed(reason);
    const { cause } = await assertRejects(() => result, BadResource);
    assertStringIncludes(String(cause), message);
    assertEquals(peer.reports, reason === "write" ? [cause] : []);
  });
}

Deno.test("handler's error is its own, when it waits for a pipe and the client goes", async () => {
  const peer = new Peer(async (request) => {
    await request.body!.pipeTo(new WritableStream());
    return new Response();
  });
  await peer.send(postHead(5), "he").settle();
  await peer.reset().settle();
  assertInstanceOf(peer.errors[0], BadResource);
  assertEquals(peer.reports, []);
});

Deno.test("process goes on, when the handler drops formData() and the body is no form", async () => {
  const peer = new Peer((request) => {
    request.formData();
    return new Response("early");
  });
  await peer.send(`${postHead(1)}x`).settle();
  assertEquals((await peer.answers()).length, 1);
});

Deno.test("process goes on, when the handler drops json() and the body is no JSON", async () => {
  const peer = new Peer((request) => {
    request.json();
    return new Response("early");
  });
  await peer.send(`${postHead(1)}{`).settle();
  assertEquals((await peer.answers()).length, 1);
});

for (const [name, read] of READERS) {
  Deno.test(`body is read whole by ${name}, when the server shuts down behind the answer`, async () => {
    const { peer, result } = new EarlyAnswered(read);
    await peer.send(postHead(5), "he").settle();
    peer.service.isClosing = true;
    peer.connection.shutdown();
    assertEquals(peer.transport.closing, undefined);
    await peer.send("llo").settle();
    assertEquals(await result, 5);
    assertEquals(peer.transport.closing, "closeLingering");
  });
}

Deno.test("body is read whole, when its reader is slow and the server shuts down", async () => {
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  let chunk = 0;
  const { peer, result } = new EarlyAnswered(async (request) => {
    let length = 0;
    for await (const { byteLength } of request.body!) {
      length += byteLength;
      await gates[Math.min(chunk++, 2)]!.promise;
    }
    return length;
  });
  const text = postHead(TOO_MUCH) + "a".repeat(TOO_MUCH);
  for (let at = 0; at < text.length; at += PIECE) {
    peer.send(text.slice(at, at + PIECE));
  }
  await peer.settle();
  peer.service.isClosing = true;
  peer.connection.shutdown();
  for (const { resolve } of gates) {
    assertEquals(peer.transport.isPaused, true);
    resolve();
    await peer.settle();
    // The reader took bytes in that time, so it gets more time.
    peer.connection.timeout("deadline");
  }
  assertEquals(await result, TOO_MUCH);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("connection closes, when a body that is read behind the answer is malformed", async () => {
  const { peer, result } = new EarlyAnswered((request) => request.text());
  await peer.send(CHUNKED_HEAD, "2\r\nhe\r\n").settle();
  peer.send("x");
  await assertRejects(() => result, Error);
  assertEquals((await peer.answers()).map(({ text }) => text), ["early"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("client gets 100 Continue, when its answered request reads the body", async () => {
  const { peer, result } = new EarlyAnswered((request) =>
    joined(request.body!)
  );
  const answers = await peer.send(postHead(5, "Expect: 100-continue"))
    .answers();
  assertEquals(answers.map(({ status }) => status), [100, 200]);
  await peer.send("hello").settle();
  assertEquals(await result, 5);
});

Deno.test("body is the same, when it is read behind the answer in any pieces", async () => {
  const bytes = randomBytes(200_000, 11);
  for (const piece of [1_000, 16_384, 60_000]) {
    const { peer, result } = new EarlyAnswered((request) => request.bytes());
    await peer.send(postHead(bytes.byteLength)).settle();
    for (let at = 0; at < bytes.byteLength; at += piece) {
      peer.send(bytes.slice(at, at + piece));
    }
    await peer.settle();
    assertEquals(sameBytes(await result as Uint8Array, bytes), true);
  }
});
