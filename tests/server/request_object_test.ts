import {
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { BothServers } from "../util/deno_server.ts";
import { latin1 } from "../util/http_bytes.ts";
import type { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { randomBytes, randomPieces, sameBytes } from "../util/random.ts";
import { within } from "../util/waiting.ts";
import { GET, get, HOST, post } from "../util/requests.ts";

const MEBIBYTE = 1_048_576;

/** The outcome of a call: its value, or the class of its error. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return `threw ${(error as Error).constructor.name}`;
  }
}

/** The outcome of each way to read a body. */
async function readAllWays(request: Request): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  for (
    const read of [
      () => request.text(),
      () => request.json(),
      () => request.bytes(),
      () => request.arrayBuffer(),
      () => request.blob(),
      () => request.formData(),
      () => request.clone(),
      () => new Request(request),
      () => new Request("http://elsewhere/", request),
    ]
  ) {
    outcomes.push(await outcome(read));
  }
  return outcomes;
}

function fieldsOf(headers: Headers): unknown {
  const each: [string, string][] = [];
  headers.forEach((value, name) => each.push([name, value]));
  return [
    [...headers],
    [...headers.entries()],
    [...headers.keys()],
    [...headers.values()],
    each,
    headers.getSetCookie(),
    Object.fromEntries(headers),
    [...new Headers(headers)],
    [...new Request("http://a/", { headers }).headers],
  ];
}

async function fileOf(form: FormData, name: string): Promise<unknown> {
  const file = form.get(name);
  if (!(file instanceof File)) return file;
  return [file.name, file.type, file.size, await file.text()];
}

const FIELDS = [
  "X-B: 1",
  "Accept: a",
  "x-b: 2",
  "Cookie: a=1",
  "ACCEPT: b",
  "cookie: b=2; c=3",
  "Set-Cookie: s=1",
  "set-cookie: t=2",
  "X-Empty:",
  "X-Latin: \xe9\xff",
  "X-Utf: \xc3\xa9",
  "X-Tab: a\tb",
];

const PARTS = [
  "--x",
  'Content-Disposition: form-data; name="a"',
  "",
  "one",
  "--x",
  'Content-Disposition: form-data; name="f"; filename="n.txt"',
  "Content-Type: text/x",
  "",
  "inside",
  "--x--",
  "",
].join("\r\n");

type Look = (request: Request) => unknown;

/** A look at a request, and the request. */
const LOOKS: [when: string, text: string, look: Look][] = [
  ["its plain properties are read", GET, (request) =>
    [
      "method",
      "url",
      "cache",
      "credentials",
      "destination",
      "duplex",
      "integrity",
      "isHistoryNavigation",
      "isReloadNavigation",
      "keepalive",
      "mode",
      "referrer",
      "referrerPolicy",
      "bodyUsed",
    ].map((name) => [name, `${Reflect.get(request, name)}`])],
  ["its class is asked for", GET, (request) => [
    request instanceof Request,
    request.headers instanceof Headers,
    Object.prototype.toString.call(request),
    `${request.headers}`,
    request.constructor === Request,
    request.headers.constructor === Headers,
  ]],
  ["it is listed", GET, (request) => {
    const names: string[] = [];
    for (const name in request) names.push(name);
    const spread = Object.keys({ ...request });
    return [names.sort(), Object.keys(request), spread];
  }],
  ["it is made JSON", GET, (request) => JSON.stringify(request)],
  [
    "it is cloned by structure",
    GET,
    (request) => outcome(() => structuredClone(request)),
  ],
  [
    "its headers are cloned by structure",
    GET,
    ({ headers }) => outcome(() => structuredClone(headers)),
  ],
  ["it gets a property", GET, (request) => {
    Object.assign(request, { user: "me" });
    Object.defineProperty(request, "url", { value: "http://b/" });
    return [Reflect.get(request, "user"), request.url];
  }],
  [
    "it is written to",
    GET,
    (request) => outcome(() => Object.assign(request, { method: "PUT" })),
  ],
  [
    "its headers are shown",
    get("/path?a=b", "X-A: 1"),
    (request) => Deno.inspect(request.headers),
  ],
  [
    "its headers are listed",
    get("/path?a=b", ...FIELDS),
    ({ headers }) => fieldsOf(headers),
  ],
  [
    "its headers are asked for",
    get("/path?a=b", ...FIELDS),
    ({ headers }) =>
      ["Cookie", "accept", "x-b", "set-cookie", "x-empty", "x-latin", "x-utf"]
        .map((name) => [headers.get(name), headers.has(name)]),
  ],
  [
    "its headers are changed",
    get("/path?a=b", "X-A: 1"),
    async ({ headers }) => [
      await outcome(() => headers.set("x-a", "2")),
      await outcome(() => headers.append("x-a", "2")),
      await outcome(() => headers.delete("x-a")),
      await outcome(() => headers.delete("x-none")),
      await outcome(() => headers.set("no name", "2")),
      headers.get("x-a"),
    ],
  ],
  ["its body is read", post("a\xc3\xa9"), async (request) => {
    const before = [request.bodyUsed, request.body?.locked];
    const reading = request.text();
    const during = [request.bodyUsed, request.body?.locked];
    const text = await reading;
    return [before, during, text, request.bodyUsed, request.body?.locked];
  }],
  ["its body is read twice", post("{}"), async (request) => [
    await request.json(),
    await readAllWays(request),
  ]],
  [
    "its body is read twice at once",
    post("abc"),
    (request) => Promise.all([request.text(), outcome(() => request.text())]),
  ],
  ["its body is locked", post("abc"), async (request) => {
    const reader = request.body!.getReader();
    const { bodyUsed } = request;
    const outcomes = await readAllWays(request);
    reader.releaseLock();
    return [bodyUsed, outcomes, await request.text()];
  }],
  ["its body is read in part", post("abc"), async (request) => {
    const reader = request.body!.getReader();
    const reading = reader.read();
    const { bodyUsed } = request;
    await reading;
    reader.releaseLock();
    return [bodyUsed, request.bodyUsed, await readAllWays(request)];
  }],
  ["its body is cancelled", post("abc"), async (request) => {
    await request.body!.cancel();
    return [request.bodyUsed, await readAllWays(request)];
  }],
  ["its body is used elsewhere after it was read", post("abc"), async (
    request,
  ) => {
    const { body } = request;
    await request.text();
    return [
      body?.locked,
      await outcome(() => new Response(body)),
      await outcome(() => body?.getReader()),
      await outcome(() => body?.cancel()),
    ];
  }],
  ["its body goes through pipes", post("abc"), async (request) => {
    const text = request.body!.pipeThrough(new TextDecoderStream());
    const bytes = text.pipeThrough(new TextEncoderStream());
    return [await new Response(bytes).text(), request.bodyUsed];
  }],
  ["its body is a stream of text", post("a\xc3\xa9"), async (request) => {
    // A property of Deno 2.9 that TypeScript does not know.
    const make = Reflect.get(request, "textStream");
    if (typeof make !== "function") return "none";
    let text = "";
    for await (const part of make.call(request)) text += part;
    return [text, request.bodyUsed, await outcome(() => request.text())];
  }],
  ["the methods of Request are called on it", post("abc"), async (
    request,
  ) => [
    await Request.prototype.text.call(request),
    request.bodyUsed,
    await outcome(() => request.text()),
  ]],
  ["a GET comes with a body", post("abc").replace("POST", "GET"), async (
    request,
  ) => [request.body, await request.text(), request.bodyUsed]],
  ["a POST comes without a body", GET.replace("GET", "POST"), async (
    request,
  ) => [
    request.body === null,
    await request.text(),
    request.bodyUsed,
    await outcome(() => request.text()),
  ]],
  ["a POST comes with an empty body", post(""), async (request) => [
    request.body === null,
    await outcome(() => request.json()),
    request.bodyUsed,
  ]],
  ["a DELETE comes without a body", GET.replace("GET", "DELETE"), (
    request,
  ) => [request.body === null, request.bodyUsed]],
  ["JSON is none", post("{"), async (request) => [
    await outcome(() => request.json()),
    request.bodyUsed,
  ]],
  ["a form is of another type", post("a=1", "Content-Type: text/plain"), async (
    request,
  ) => [await outcome(() => request.formData()), request.bodyUsed]],
  [
    "a form has no type",
    post("a=1"),
    (request) => outcome(() => request.formData()),
  ],
  ["a form has no boundary", post("", "Content-Type: multipart/form-data"), (
    request,
  ) => outcome(() => request.formData())],
  [
    "a form's parts are none",
    post("abc", "Content-Type: multipart/form-data; boundary=x"),
    (request) => outcome(() => request.formData()),
  ],
  [
    "a form is a query",
    post(
      "a=1&b=%20+&a=2",
      "Content-Type: application/x-www-form-urlencoded;charset=UTF-8",
    ),
    async (request) => [...await request.formData()],
  ],
  [
    "a form has a file",
    post(PARTS, "Content-Type: multipart/form-data; boundary=x"),
    async (request) => {
      const form = await request.formData();
      return [await fileOf(form, "a"), await fileOf(form, "f")];
    },
  ],
  [
    "a Blob has a type",
    post("abc", "Content-Type: Text/Plain; Charset=UTF-8"),
    async (request) => {
      const { type, size } = await request.blob();
      return [type, size];
    },
  ],
  [
    "a Blob has no type",
    post("abc"),
    async (request) => (await request.blob()).type,
  ],
  ["it is cloned", post("[1]", "X-A: 1"), async (request) => {
    const clone = request.clone();
    const other = clone.clone();
    const same = [clone.method, clone.url, [...clone.headers]];
    const read = [await other.json(), request.bodyUsed, await clone.text()];
    return [same, read, await request.bytes().then(({ length }) => length), [
      request.bodyUsed,
      clone.bodyUsed,
      await outcome(() => clone.text()),
      await outcome(() => other.clone()),
    ]];
  }],
  ["it is cloned without a body", GET, async (request) => {
    const clone = request.clone();
    return [clone.body, request.body, await clone.text()];
  }],
  [
    "its clone's headers are changed",
    get("/path?a=b", "X-A: 1"),
    (request) => outcome(() => request.clone().headers.set("x-a", "2")),
  ],
  ["it is copied", post("abc", "X-A: 1"), async (request) => {
    const copy = new Request(request);
    const { method, url, headers } = copy;
    headers.set("x-a", "2");
    return [method, url, [...headers], await copy.text(), request.bodyUsed, [
      request.headers.get("x-a"),
      await outcome(() => request.text()),
    ]];
  }],
  ["it is copied with headers", post("abc", "X-A: 1"), async (request) => {
    const copy = new Request(request, { headers: { "x-b": "2" } });
    return [[...copy.headers], await copy.text()];
  }],
  ["it is copied with a body", post("abc"), async (request) => {
    const copy = new Request(request, { body: "other" });
    return [await copy.text(), request.bodyUsed, await request.text()];
  }],
  ["it is copied to another URL", post("abc", "X-A: 1"), async (request) => {
    const copy = new Request("http://elsewhere/", request);
    return [copy.method, copy.url, [...copy.headers], await copy.text()];
  }],
];

for (const method of ["TRACE", "TRACK", "get", "head", "patch", "PuRGe"]) {
  const text = post("abc").replace("POST", method);
  LOOKS.push([`its method is ${method}`, text, async (request) => {
    const clone = request.clone();
    const copy = new Request(request);
    return [
      request.method,
      [clone.method, await clone.text()],
      [copy.method, await copy.text()],
    ];
  }]);
}

/** The last answer: `100 Continue` may come before it. */
async function answerTo(client: RawClient, text: string): Promise<string> {
  await client.send(text);
  return (await client.answer()).text;
}

for (const [when, text, look] of LOOKS) {
  cleanTest(`request is as Deno.serve has it, when ${when}`, async () => {
    await using servers = new BothServers(async (request) =>
      new Response(JSON.stringify([await look(request)]))
    );
    const [ours, deno] = await servers.ask((client) => answerTo(client, text));
    assertEquals(servers.ours.errors, []);
    assertEquals(servers.denoErrors, []);
    assertEquals(JSON.parse(ours), JSON.parse(deno));
  });
}

const READERS: [name: string, read: (request: Request) => Promise<unknown>][] =
  [
    ["text()", (request) => request.text()],
    ["formData()", (request) => request.formData()],
    ["a reader", async (request) => {
      const reader = request.body!.getReader();
      while (!(await reader.read()).done);
    }],
    ["a loop", async (request) => {
      for await (const _ of request.body!);
    }],
    ["a clone", (request) => request.clone().text()],
    ["a copy", (request) => new Request(request).text()],
  ];

for (const [name, read] of READERS) {
  for (const framing of ["Content-Length: 9", "Transfer-Encoding: chunked"]) {
    cleanTest(
      `request fails ${name} as with Deno.serve, when the client goes in a body of ${framing}`,
      async () => {
        let seen = Promise.withResolvers<unknown>();
        await using servers = new BothServers(async (request) => {
          seen.resolve(await outcome(() => read(request)));
          return new Response();
        });
        const [ours, deno] = await servers.ask(async (client) => {
          seen = Promise.withResolvers();
          await client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
          await client.send("5\r\nhe");
          await client.end();
          return await within(seen.promise, "the handler");
        });
        assertEquals([ours, deno], ["threw BadResource", "threw BadResource"]);
      },
    );
  }
}

/** Returns what `look` resolves to while a handler waits for it. */
async function seen<T>(
  text: string,
  look: (request: Request) => T | Promise<T>,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  await using test = new TestServer(async (request) => {
    await Promise.resolve(request).then(look).then(resolve, reject);
    return new Response();
  });
  const client = await test.connect();
  await client.send(text);
  return await within(promise, "the handler");
}

const SHOWN = `Request {
  bodyUsed: USED,
  headers: Headers { "content-length": "3", host: "a" },
  method: "POST",
  redirect: "follow",
  url: "http://a/"
}`;

cleanTest(
  "request is shown the same, when its body is used and its answer sent",
  async () => {
    const kept: Request[] = [];
    await seen(post("abc"), async (request) => {
      kept.push(request);
      assertEquals(Deno.inspect(request), SHOWN.replace("USED", "false"));
      const reader = request.body!.getReader();
      assertEquals(Deno.inspect(request), SHOWN.replace("USED", "false"));
      await reader.read();
      assertEquals(Deno.inspect(request), SHOWN.replace("USED", "true"));
    });
    assertEquals(Deno.inspect(kept[0]), SHOWN.replace("USED", "true"));
  },
);

cleanTest(
  "request's clone equals it, when they are compared deeply",
  async () => {
    await seen(post("{}", ...FIELDS), async (request) => {
      const clone = request.clone();
      assertNotStrictEquals(clone.headers, request.headers);
      assertEquals(clone.headers, request.headers);
      assertEquals([...clone.headers], [...request.headers]);
      assertEquals(clone.headers, request.headers);
      for (
        const name of [
          "url",
          "method",
          "cache",
          "destination",
          "integrity",
          "isHistoryNavigation",
          "keepalive",
          "mode",
          "redirect",
          "referrer",
          "referrerPolicy",
        ]
      ) {
        assertEquals(
          Reflect.get(clone, name),
          Reflect.get(request, name),
          name,
        );
      }
      assertEquals([await request.text(), await clone.json()], ["{}", {}]);
    });
  },
);

cleanTest(
  "request says that its body is unusable, when it is cloned too late",
  async () => {
    await seen(post("abc"), async (request) => {
      const reader = request.body!.getReader();
      const refuses = () =>
        assertThrows(() => request.clone(), TypeError, "Body is unusable");
      refuses();
      reader.releaseLock();
      const clone = request.clone();
      await clone.text();
      await request.text();
      refuses();
      assertThrows(() => clone.clone(), TypeError, "Body is unusable");
    });
  },
);

cleanTest(
  "request has all properties as before, when its answer was sent",
  async () => {
    const kept: Request[] = [];
    const gets = get("/path?a=b", "X-A: 1", "Cookie: a=1");
    await using test = new TestServer((request) => {
      kept.push(request);
      return new Response("ok");
    });
    const client = await test.connect();
    await client.send(gets);
    await client.answer();
    await client.send(post("hello"));
    await client.answer();
    // The next bytes are read into the same buffer.
    await client.send(get("/path?a=b", "X-A: 2").repeat(500));
    await client.answers(500);
    const [first, second] = kept as [Request, Request];
    assertEquals(first.url, "http://a/path?a=b");
    assertEquals(first.headers.get("x-a"), "1");
    assertEquals(first.headers.get("cookie"), "a=1");
    assertEquals(await first.text(), "");
    assertEquals(first.clone().url, first.url);
    assertStrictEquals(first.headers, first.headers);
    assertEquals([...second.headers.keys()], ["content-length", "host"]);
    assertEquals(await second.text(), "hello");
    assertEquals(second.bodyUsed, true);
  },
);

cleanTest(
  "request has one signal, when it is asked for before and after its answer",
  async () => {
    const kept: Request[] = [];
    const signals: AbortSignal[] = [];
    await seen(GET, (request) => {
      kept.push(request);
      signals.push(request.signal);
      assertEquals(request.signal.aborted, false);
    });
    assertStrictEquals(kept[0]!.signal, signals[0]!);
  },
);

cleanTest(
  "request is sent on, when its method is one that fetch() refuses to make",
  async () => {
    await using upstream = new TestServer(async (request) =>
      new Response(`${request.method} ${await request.text()}`)
    );
    const client = Deno.createHttpClient({});
    await using test = new TestServer((request) => fetch(request, { client }), {
      reactor: upstream.reactor,
    });
    const { port } = upstream.server.addr;
    const raw = await test.connect();
    for (const method of ["PuRGe", "patch", "OPTIONS"]) {
      await raw.send(
        post("abc").replace("POST", method)
          .replace(HOST, `Host: 127.0.0.1:${port}`),
      );
      assertEquals((await raw.answer()).text, `${method} abc`);
    }
    client.close();
  },
);

const CHUNK_SIZES = [1_000, 16_384, 100_000];

/** Returns `bytes` as a body in chunks of any size. */
function* chunksOf(
  bytes: Uint8Array<ArrayBuffer>,
  sizeMax: number,
): Generator<Uint8Array> {
  for (const piece of randomPieces(bytes, sizeMax, 3)) {
    yield latin1(`${piece.byteLength.toString(16)}\r\n`);
    yield piece;
    yield latin1("\r\n");
  }
  yield latin1("0\r\n\r\n");
}

for (const sizeMax of CHUNK_SIZES) {
  for (const isChunked of [true, false]) {
    const framed = isChunked ? "chunked" : "with a length";
    cleanTest(
      `request's JSON of 1 MiB is whole, when it comes ${framed} in pieces up to ${sizeMax}`,
      async () => {
        const value = Array.from({ length: MEBIBYTE / 8 }, (_, index) => index);
        const bytes = new TextEncoder().encode(JSON.stringify(value));
        await using test = new TestServer(async (request) => {
          const read: number[] = await request.json();
          return Response.json(
            read.every((item, index) => item === index) &&
              read.length === value.length,
          );
        });
        const client = await test.connect();
        const framing = isChunked
          ? "Transfer-Encoding: chunked"
          : `Content-Length: ${bytes.byteLength}`;
        await client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
        const pieces = isChunked
          ? chunksOf(bytes, sizeMax)
          : randomPieces(bytes, sizeMax, 5);
        for (const piece of pieces) await client.send(piece);
        assertEquals((await client.answer()).text, "true");
      },
    );
  }
}

cleanTest("request's form of 10 MiB is whole, when it has files", async () => {
  const files = [randomBytes(6 * MEBIBYTE, 1), randomBytes(4 * MEBIBYTE, 2)];
  await using test = new TestServer(async (request) => {
    const form = await request.formData();
    const found = form.getAll("file") as File[];
    const same = await Promise.all(
      found.map(async (file, index) =>
        sameBytes(await file.bytes(), files[index]!)
      ),
    );
    const names = found.map(({ name, type }) => `${name} ${type}`);
    return Response.json([form.get("title"), names, same]);
  });
  const body = new FormData();
  body.append("title", "gr\u00fc\u00df");
  for (const [index, bytes] of files.entries()) {
    body.append("file", new File([bytes], `${index}.x`, { type: "a/b" }));
  }
  const response = await test.fetch("/", { method: "POST", body });
  assertEquals(await response.json(), [
    "gr\u00fc\u00df",
    ["0.x a/b", "1.x a/b"],
    [true, true],
  ]);
});

cleanTest(
  "request's body goes to a file behind the answer, when the handler does not wait for that",
  async () => {
    const bytes = randomBytes(MEBIBYTE, 7);
    const path = await Deno.makeTempFile();
    const { promise, resolve } = Promise.withResolvers<void>();
    try {
      await using test = new TestServer((request) => {
        const file = Deno.openSync(path, { write: true });
        request.body!.pipeTo(file.writable).then(resolve);
        return new Response("taken", { status: 202 });
      });
      const client = await test.connect();
      await client.send(
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes.byteLength}\r\n\r\n`,
      );
      assertEquals((await client.answer()).status, 202);
      await client.send(bytes);
      await within(promise, "the file to be written");
      assertEquals(sameBytes(await Deno.readFile(path), bytes), true);
    } finally {
      await Deno.remove(path);
    }
  },
);
