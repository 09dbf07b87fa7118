import {
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { BothServers } from "../util/deno_server.ts";
import type { Answer } from "../util/http_answers.ts";
import { latin1 } from "../util/http_bytes.ts";
import { TestServer } from "../util/http_server.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import { GET } from "../util/requests.ts";

const HEAD = GET.replace("GET", "HEAD");

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map(latin1));
}

function resizable(): ArrayBuffer {
  const buffer = new ArrayBuffer(3, { maxByteLength: 10 });
  new Uint8Array(buffer).set(latin1("abc"));
  return buffer;
}

function changed(): Response {
  const bytes = latin1("abc");
  const response = new Response(bytes);
  queueMicrotask(() => bytes.fill(0));
  return response;
}

function changedMuch(): Response {
  const bytes = new Uint8Array(1_000_000).fill(97);
  const response = new Response(bytes);
  queueMicrotask(() => bytes.fill(0));
  return response;
}

function taken(): Response {
  const { buffer } = latin1("abc");
  const response = new Response(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return response;
}

function withCookies(): Response {
  const response = new Response("x", { headers: { "x-a": "1" } });
  response.headers.append("Set-Cookie", "a=1; Path=/");
  response.headers.append("set-cookie", "b=2");
  return response;
}

function withoutType(): Response {
  const response = new Response("x");
  response.headers.delete("content-type");
  return response;
}

async function used(response: Response): Promise<Response> {
  await response.text();
  return response;
}

async function begun(response: Response): Promise<Response> {
  const reader = response.body!.getReader();
  await reader.read();
  reader.releaseLock();
  return response;
}

function locked(response: Response): Response {
  response.body!.getReader();
  return response;
}

/** Adds a field, and keeps a secret from the server. */
class Tagged extends Response {
  readonly #secret = "s";

  constructor(body: BodyInit) {
    super(body, { headers: { "x-tagged": "1" } });
  }

  get secret(): string {
    return this.#secret;
  }
}

/** Has only the prototype of a Response. */
function lookalike(): Response {
  return Object.create(Response.prototype, {
    type: { value: "default" },
    bodyUsed: { value: false },
  });
}

const original = new Response("inner", {
  status: 201,
  headers: { "x-a": "1" },
});

type Make = () => Response | Promise<Response>;

/** Responses that a handler may return, as `Deno.serve` takes them. */
const RESPONSES: [name: string, make: Make][] = [
  ["a string", () => new Response("gr\u00fc\u00df")],
  ["an empty string", () => new Response("")],
  ["null", () => new Response(null)],
  ["nothing", () => new Response(undefined)],
  ["a number", () => new Response(5 as unknown as BodyInit)],
  ["a String", () => new Response(new String("s") as string)],
  ["a URL", () => new Response(new URL("http://a/") as unknown as string)],
  ["bytes", () => new Response(latin1("a\xff"))],
  ["a view", () => new Response(latin1("abcdef").subarray(2, 4))],
  ["words", () => new Response(new Uint16Array([0x4141, 0x4242]))],
  ["clamped bytes", () => new Response(new Uint8ClampedArray([65, 66]))],
  ["numbers", () => new Response(new Float64Array([1]))],
  ["a DataView", () => new Response(new DataView(latin1("abc").buffer, 1))],
  ["an ArrayBuffer", () => new Response(latin1("abc").buffer)],
  ["an ArrayBuffer that can grow", () => new Response(resizable())],
  [
    "a SharedArrayBuffer",
    () => new Response(new Uint8Array(new SharedArrayBuffer(3)) as never),
  ],
  ["bytes that change later", changed],
  ["many bytes that change later", changedMuch],
  ["a buffer that is taken away", taken],
  ["a Blob", () => new Response(new Blob(["b"], { type: "text/x" }))],
  ["an empty Blob", () => new Response(new Blob([]))],
  ["a File", () => new Response(new File(["f"], "n", { type: "a/b" }))],
  ["URLSearchParams", () => new Response(new URLSearchParams({ a: "b c" }))],
  ["a stream", () => new Response(streamOf("a", "b"))],
  ["an empty stream", () => new Response(streamOf())],
  ["a stream with empty chunks", () => new Response(streamOf("", "a", ""))],
  ["an async generator", () => new Response(generated() as never)],
  ["a Set of bytes", () => new Response(new Set([latin1("s")]) as never)],
  ["Response.json()", () => Response.json({ a: "\u00e9" })],
  [
    "Response.json() of a type",
    () => Response.json(1, { status: 201, headers: { "content-type": "a/b" } }),
  ],
  ["Response.redirect()", () => Response.redirect("http://a/b", 308)],
  ["Response.error()", () => Response.error()],
  ["status 204", () => new Response(null, { status: 204 })],
  ["status 304", () => new Response(null, { status: 304 })],
  ["status 599", () => new Response("x", { status: 599 })],
  ["several cookies", withCookies],
  ["no type", withoutType],
  [
    "an empty type",
    () => new Response("x", { headers: { "content-type": "" } }),
  ],
  ["an empty field", () => new Response("x", { headers: { "x-a": "" } })],
  ["a Latin-1 field", () => new Response("x", { headers: { a: "\xe9" } })],
  [
    "a wrong length",
    () => new Response("abc", { headers: { "content-length": "5" } }),
  ],
  ["a subclass", () => new Tagged("tagged")],
  ["a proxy", () => new Proxy(new Response("p"), {})],
  ["an heir", () => Object.create(new Response("p"))],
  ["a lookalike", lookalike],
  ["no Response", () => "text" as unknown as Response],
  ["a clone", () => new Response("c", { headers: { a: "b" } }).clone()],
  ["a clone of a stream", () => new Response(streamOf("s")).clone()],
  ["a copy", () => {
    const { body, status, headers } = original.clone();
    return new Response(body, { status, headers });
  }],
  ["a copy of all", () => {
    const response = original.clone();
    return new Response(response.body, response);
  }],
  ["one whose body was looked at", () => {
    const response = new Response("looked");
    return response.body === null ? lookalike() : response;
  }],
  ["one that was used", () => used(new Response("x"))],
  ["one whose stream was used", () => used(new Response(streamOf("x")))],
  ["one whose stream was begun", () => begun(new Response(streamOf("x", "y")))],
  ["one whose stream is locked", () => locked(new Response(streamOf("x")))],
  ["a promise that takes its time", async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return new Response("late");
  }],
];

async function* generated(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(latin1("a"));
  yield latin1("b");
}

/** Fields that two servers may send in different ways. */
const OWN = ["date", "vary", "connection", "content-length"];
const FRAMING = "transfer-encoding";

/** The body and the fields of an answer, without its framing. */
function shown(answer: Answer): unknown {
  const { status, fields, text } = answer;
  const said = fields.filter(([name]) =>
    !OWN.includes(name) && name !== FRAMING
  );
  return { status, fields: said.sort(), text };
}

for (const [name, make] of RESPONSES) {
  cleanTest(
    `response arrives as from Deno.serve, when it is ${name}`,
    async () => {
      await using servers = new BothServers(make as Handler);
      for (const text of [GET, HEAD]) {
        const method = text.slice(0, 4).trim();
        const [ours, deno] = await servers.ask(async (client) => {
          await client.send(text);
          return shown(await client.answer(method));
        });
        assertEquals(ours, deno);
      }
      const classes = (errors: unknown[]) =>
        errors.map((error) => (error as Error).constructor.name);
      assertEquals(classes(servers.ours.errors), classes(servers.denoErrors));
    },
  );
}

cleanTest("response goes to onError, when it is returned twice", async () => {
  for (const body of ["text", latin1("bytes"), new Blob(["blob"])]) {
    const response = new Response(body);
    await using test = new TestServer(() => response);
    const client = await test.connect();
    assertEquals(response.bodyUsed, false);
    await client.send(GET);
    assertEquals((await client.answer()).status, 200);
    assertEquals(response.bodyUsed, true);
    await client.send(GET);
    const { status, text } = await client.answer();
    assertEquals([status, text], [500, "failed"]);
    assertInstanceOf(test.errors[0], TypeError);
  }
});

cleanTest(
  "server goes on, when onError returns what only looks like a Response",
  async () => {
    await using test = new TestServer(() => lookalike(), {
      onError: () => lookalike(),
    });
    for (let sent = 0; sent < 2; sent++) {
      const response = await test.fetch();
      assertEquals(response.status, 500);
      assertEquals(await response.text(), "Internal Server Error");
    }
  },
);

/** A server behind ours, which passes its answers on. */
function upstream(): TestServer {
  return new TestServer(async (request) => {
    const { pathname } = new URL(request.url);
    const text = "hello ".repeat(100);
    switch (pathname) {
      case "/gzip":
        return new Response(await packed(text), {
          headers: { "content-encoding": "gzip", "content-type": "text/x" },
        });
      case "/unknown":
        return new Response(latin1("coded"), {
          headers: { "content-encoding": "x-mine" },
        });
      case "/stream":
        return new Response(streamOf("a", "b"));
      case "/cookies":
        return withCookies();
      case "/none":
        return new Response(null, { status: 204 });
      default:
        return new Response(text, { status: 404 });
    }
  });
}

async function packed(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream();
  return await new Response(stream.pipeThrough(new CompressionStream("gzip")))
    .bytes();
}

for (const path of ["/gzip", "/unknown", "/stream", "/cookies", "/none", "/"]) {
  for (const method of ["GET", "HEAD"]) {
    cleanTest(
      `response of fetch() arrives as from Deno.serve, when it is ${method} of ${path}`,
      async () => {
        await using behind = upstream();
        const client = Deno.createHttpClient({});
        const make: Handler = () =>
          fetch(behind.url + path, { client, method });
        await using servers = new BothServers(make);
        const [ours, deno] = await servers.ask(async (client) => {
          await client.send(method === "GET" ? GET : HEAD);
          return shown(await client.answer(method));
        });
        assertEquals(ours, deno);
        assertEquals(servers.ours.errors, []);
        client.close();
      },
    );
  }
}

cleanTest(
  "response of fetch() is not said to be coded, when fetch() has decoded it",
  async () => {
    await using behind = upstream();
    const client = Deno.createHttpClient({});
    await using test = new TestServer(
      async () => (await fetch(`${behind.url}/gzip`, { client })).clone(),
      { reactor: behind.reactor },
    );
    const response = await test.fetch();
    assertEquals(response.headers.get("content-encoding"), null);
    assertEquals(response.headers.get("content-type"), "text/x");
    assertEquals(await response.text(), "hello ".repeat(100));
    client.close();
  },
);

for (const size of [0, 1, 70_000, 1_000_000]) {
  cleanTest(
    `response gives a file and closes it, when that has ${size} bytes`,
    async () => {
      const bytes = randomBytes(size, size);
      const path = await Deno.makeTempFile();
      await Deno.writeFile(path, bytes);
      try {
        const files: Deno.FsFile[] = [];
        await using test = new TestServer(async (request) => {
          const file = await Deno.open(path);
          files.push(file);
          const headers: HeadersInit = request.headers.has("x-length")
            ? { "content-length": `${size}` }
            : {};
          return new Response(file.readable, { headers });
        });
        const client = await test.connect();
        for (const field of ["", "X-Length: 1\r\n"]) {
          await client.send(`GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n`);
          const answer = await client.answer();
          assertEquals(sameBytes(answer.body, bytes), true);
          assertEquals(
            answer.get("content-length") === `${size}`,
            field !== "",
          );
        }
        // A HEAD must not leave the stream open either.
        await client.send(HEAD);
        await client.answer("HEAD");
        await client.send(GET);
        await client.answer();
        assertEquals(files.length, 4);
      } finally {
        await Deno.remove(path);
      }
    },
  );
}

cleanTest(
  "response of FormData is the same form, when the client reads it",
  async () => {
    const form = new FormData();
    form.append("a", "1");
    form.append("f", new File(["inside"], "n.txt", { type: "text/x" }));
    await using test = new TestServer(() => new Response(form));
    const response = await test.fetch();
    assertStringIncludes(
      response.headers.get("content-type")!,
      "multipart/form-data; boundary=",
    );
    const read = await response.formData();
    const file = read.get("f") as File;
    assertEquals([read.get("a"), file.name, file.type, await file.text()], [
      "1",
      "n.txt",
      "text/x",
      "inside",
    ]);
  },
);

cleanTest(
  "response of the request's body arrives, when it is sent back in any way",
  async () => {
    const ways: Handler[] = [
      (request) => new Response(request.body),
      (request) => new Response(request.clone().body),
      (request) => {
        const text = request.body!.pipeThrough(new TextDecoderStream());
        return new Response(text.pipeThrough(new TextEncoderStream()));
      },
      (request) => new Response(new Request(request).body),
      (request) => {
        const [left, right] = request.body!.tee();
        right.cancel();
        return new Response(left);
      },
      async (request) => new Response(await request.blob()),
    ];
    for (const way of ways) {
      await using test = new TestServer(way);
      const client = await test.connect();
      for (let sent = 0; sent < 2; sent++) {
        await client.send(
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n",
        );
        await client.send("abc");
        await client.send("def");
        assertEquals((await client.answer()).text, "abcdef");
      }
    }
  },
);
