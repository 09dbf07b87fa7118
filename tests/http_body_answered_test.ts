import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { latin1 } from "./util/http_bytes.ts";
import { Peer } from "./util/http_transport.ts";
import { randomBytes, sameBytes } from "./util/random.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/** More than is read of a body that nobody wants. */
const TOO_MUCH = 300_000;
const PIECE = 10_000;

const { BadResource } = Deno.errors;

function head(length: number, ...fields: string[]): string {
  const framing = `Content-Length: ${length}`;
  const lines = ["POST / HTTP/1.1", "Host: a", framing, ...fields];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

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
    await peer.send(head(TOO_MUCH), "he").settle();
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
    await peer.send(head(5), "he").settle();
    peer.reset();
    await assertRejects(() => result, BadResource);
  });
}

Deno.test("body is read whole and then the connection closes, when the answer was the last", async () => {
  const { peer, result } = new EarlyAnswered((request) => request.text());
  await peer.send(head(5, "Connection: close"), "he").settle();
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
  const bytes = latin1(head(TOO_MUCH) + "a".repeat(TOO_MUCH) + GET);
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

const FORGETFUL: [
  name: string,
  read: (request: Request) => Promise<unknown>,
][] = [
  ["reader", (request) => request.body!.getReader().read()],
  ["clone's reader", (request) => request.clone().body!.getReader().read()],
  ["unread clone", (request) => Promise.resolve(request.clone())],
];

for (const [name, read] of FORGETFUL) {
  for (const [length, count] of [[200_000, 2], [TOO_MUCH, 1]] as const) {
    Deno.test(`connection goes on or closes, when a handler forgot a ${name} over ${length} bytes`, async () => {
      const peer = new Peer(async (request) => {
        if (request.method === "GET") return new Response("next");
        await read(request);
        return new Response("early");
      });
      const bytes = latin1(head(length) + "a".repeat(length) + GET);
      for (let at = 0; at < bytes.byteLength; at += PIECE) {
        await peer.send(bytes.slice(at, at + PIECE)).settle();
      }
      assertEquals((await peer.answers()).length, count);
      const closing = count === 1 ? "closeLingering" : undefined;
      assertEquals(peer.transport.closing, closing);
    });
  }
}

Deno.test("rest of a body is thrown away, when its reader stops behind the answer", async () => {
  const { peer, result } = new EarlyAnswered(async (request) => {
    for await (const chunk of request.body!) return chunk.byteLength;
  });
  await peer.send(head(5), "he").settle();
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
  await peer.send(head(5), "he").settle();
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
  await peer.send(head(5), "he").settle();
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
  await peer.send(`${head(5)}hello`, GET).settle();
  go.resolve();
  assertEquals(await result, "hello");
});

Deno.test("body is thrown away, when only clones were made of it", async () => {
  const { peer } = new EarlyAnswered((request) => {
    request.clone();
    return Promise.resolve();
  });
  const bytes = latin1(head(TOO_MUCH / 2) + "a".repeat(TOO_MUCH / 2) + GET);
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
  // A rejection that nobody handles would fail these tests, and end a server.
  Deno.test(`process goes on, when nobody waits for ${name} and the client goes`, async () => {
    const peer = new Peer((request) => {
      read(request);
      return new Response("early");
    });
    await peer.send(head(5), "he").settle();
    await peer.reset().settle();
    assertEquals((await peer.answers()).length, 1);
  });
}

Deno.test("process goes on, when nobody waits for formData() and it is none", async () => {
  const peer = new Peer((request) => {
    request.formData();
    return new Response("early");
  });
  await peer.send(`${head(1)}x`).settle();
  assertEquals((await peer.answers()).length, 1);
});

Deno.test("process goes on, when nobody waits for json() and it is none", async () => {
  const peer = new Peer((request) => {
    request.json();
    return new Response("early");
  });
  await peer.send(`${head(1)}{`).settle();
  assertEquals((await peer.answers()).length, 1);
});

Deno.test("reading behind the answer rejects and the connection closes, when the server shuts down", async () => {
  for (const read of [READERS[0]![1], READERS[2]![1]]) {
    const { peer, result } = new EarlyAnswered(read);
    await peer.send(head(5), "he").settle();
    peer.connection.shutdown();
    await assertRejects(() => result, TypeError);
    assertEquals(peer.transport.closing, "closeLingering");
  }
});

Deno.test("connection closes, when a body that is read behind the answer is malformed", async () => {
  const { peer, result } = new EarlyAnswered((request) => request.text());
  const chunked = head(0).replace(
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
  );
  await peer.send(chunked, "2\r\nhe\r\n").settle();
  peer.send("x");
  await assertRejects(() => result, Error);
  assertEquals((await peer.answers()).map(({ text }) => text), ["early"]);
  assertEquals(peer.transport.closing, "closeLingering");
});

Deno.test("client is told to send its body, when that is read by an answered request", async () => {
  const { peer, result } = new EarlyAnswered((request) =>
    joined(request.body!)
  );
  const answers = await peer.send(head(5, "Expect: 100-continue")).answers();
  assertEquals(answers.map(({ status }) => status), [100, 200]);
  await peer.send("hello").settle();
  assertEquals(await result, 5);
});

Deno.test("body is the same, when it is read behind the answer in any pieces", async () => {
  const bytes = randomBytes(200_000, 11);
  for (const piece of [1_000, 16_384, 60_000]) {
    const { peer, result } = new EarlyAnswered((request) => request.bytes());
    await peer.send(head(bytes.byteLength)).settle();
    for (let at = 0; at < bytes.byteLength; at += piece) {
      peer.send(bytes.slice(at, at + piece));
    }
    await peer.settle();
    assertEquals(sameBytes(await result as Uint8Array, bytes), true);
  }
});
