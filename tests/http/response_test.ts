import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  readsSymbols,
  takeResponse,
  useSymbols,
} from "../../src/http/response.ts";
import { ConsoleWatch } from "../util/console.ts";
import type { Answer } from "../util/http_answers.ts";
import { latin1 } from "../util/http_bytes.ts";
import { Peer } from "../util/http_transport.ts";
import { GET } from "../util/requests.ts";

/** A Response that adds a field of its own. */
class Greeting extends Response {
  constructor(name: string) {
    super(`Hello, ${name}`, { headers: { "x-greeting": name } });
  }
}

function form(): FormData {
  const data = new FormData();
  data.append("a", "1");
  data.append("b", new Blob(["two"]), "b.txt");
  return data;
}

function streamOf(
  ...chunks: string[]
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(chunks.map(latin1));
}

function touched(): Response {
  const response = new Response("touched");
  response.headers.append("x-touched", "1");
  response.headers.set("content-type", "text/x");
  return response;
}

function looked(): Response {
  const response = new Response("looked");
  response.headers.get("content-type");
  return response;
}

function bare(): Response {
  const response = new Response("bare");
  response.headers.delete("content-type");
  return response;
}

function cookies(): Response {
  const headers = new Headers({ "x-a": "b" });
  headers.append("set-cookie", "a=1; Path=/");
  headers.append("Set-Cookie", "b=2");
  headers.append("x-a", "c");
  return new Response("cookies", { headers });
}

const RESPONSES: [name: string, make: () => Response][] = [
  ["nothing", () => new Response()],
  ["null", () => new Response(null)],
  ["an empty string", () => new Response("")],
  ["a string", () => new Response("Hello, World!")],
  [
    "a string that is not ASCII",
    () => new Response("gr\u00fc\u00df \u{1f44b}"),
  ],
  ["a string with a lone surrogate", () => new Response("a\ud800b")],
  ["a long string", () => new Response("\u00fc".repeat(40_000))],
  ["bytes", () => new Response(latin1("\0\x80\xff"))],
  ["a view of bytes", () => new Response(latin1("abcdef").subarray(2, 4))],
  ["a Uint16Array", () => new Response(new Uint16Array([1, 2]))],
  ["an ArrayBuffer", () => new Response(latin1("buffer").buffer)],
  ["a DataView", () => new Response(new DataView(latin1("view").buffer, 1))],
  ["a Blob", () => new Response(new Blob(["blob"], { type: "text/x" }))],
  ["an empty Blob", () => new Response(new Blob([]))],
  ["URLSearchParams", () => new Response(new URLSearchParams({ a: "\u00e9" }))],
  ["a stream", () => new Response(streamOf("a", "bc"))],
  ["an empty stream", () => new Response(streamOf())],
  ["Response.json()", () => Response.json({ a: ["\u00e9"] })],
  [
    "Response.json() with a status",
    () => Response.json(null, { status: 404, headers: { "x-a": "b" } }),
  ],
  ["Response.redirect()", () => Response.redirect("http://a/b?c", 307)],
  ["a clone", () => new Response("cloned", { headers: { a: "b" } }).clone()],
  ["a clone of a stream", () => new Response(streamOf("a", "b")).clone()],
  ["a copy", () => new Response(new Response("inner").body, { status: 201 })],
  ["a subclass", () => new Greeting("World")],
  ["a status", () => new Response("missing", { status: 404 })],
  ["a status without a phrase", () => new Response("odd", { status: 299 })],
  ["a phrase", () => new Response("ok", { statusText: "Fine, \u00e9" })],
  ["204", () => new Response(null, { status: 204 })],
  ["205", () => new Response(null, { status: 205 })],
  ["304", () => new Response(null, { status: 304, headers: { etag: "x" } })],
  [
    "headers as an object",
    () => new Response("x", { headers: { A: "b", c: "d" } }),
  ],
  [
    "headers as pairs",
    () => new Response("x", { headers: [["a", "b"], ["A", "c"]] }),
  ],
  [
    "a type alone",
    () => new Response("x", { headers: { "content-type": "a/b" } }),
  ],
  [
    "an empty type",
    () => new Response("x", { headers: { "content-type": "" } }),
  ],
  [
    "a type for bytes",
    () => new Response(latin1("x"), { headers: { "Content-Type": "a/b" } }),
  ],
  [
    "a type without a body",
    () => new Response(null, { headers: { "content-type": "a/b" } }),
  ],
  ["Headers with cookies", cookies],
  ["headers touched later", touched],
  ["headers looked at", looked],
  ["a type deleted", bare],
  [
    "a field that is not ASCII",
    () => new Response("x", { headers: { a: "\xe9\xff" } }),
  ],
  [
    "fields that the connection decides",
    () =>
      new Response("x", {
        headers: {
          "connection": "upgrade",
          "keep-alive": "timeout=5",
          "transfer-encoding": "gzip",
        },
      }),
  ],
  [
    "a large head",
    () => new Response("x", { headers: { a: "b".repeat(70_000) } }),
  ],
];

/** A response as its client sees it, without its framing. */
interface Seen {
  status: number;
  reason: string;
  fields: [string, string][];
  body: Uint8Array;
}

const FRAMING = ["date", "content-length", "transfer-encoding"];

function seen({ status, reason, fields, body }: Answer): Seen {
  const own = new Headers(fields.filter(([name]) => !FRAMING.includes(name)));
  return { status, reason, fields: [...own], body };
}

/** Runs `use` while responses are read by the public interface alone. */
async function withoutSymbols<T>(use: () => Promise<T>): Promise<T> {
  useSymbols(false);
  try {
    return await use();
  } finally {
    useSymbols(true);
  }
}

async function sent(response: Response): Promise<Answer> {
  const peer = new Peer(() => response);
  const [answer, ...others] = await peer.send(GET).answers();
  assertEquals(others, []);
  assertEquals(peer.errors, []);
  assertEquals(peer.reports, []);
  return answer!;
}

/** A response as its own properties show it. */
async function expectedOf(response: Response): Promise<Seen> {
  const decided = ["connection", "keep-alive", ...FRAMING];
  const fields = [...response.headers]
    .filter(([name]) => !decided.includes(name));
  return {
    status: response.status,
    reason: response.statusText || (PHRASES[response.status] ?? ""),
    fields,
    body: await response.bytes(),
  };
}

const PHRASES: Record<number, string> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  205: "Reset Content",
  304: "Not Modified",
  307: "Temporary Redirect",
  404: "Not Found",
};

Deno.test("responses are read by Deno's symbols, which this Deno has", () => {
  const names = Object.getOwnPropertySymbols(new Response("a"))
    .map(({ description }) => description).join(", ");
  // If this fails, Deno keeps the parts of a Response elsewhere: see NAMES.
  assert(readsSymbols(), `Deno ${Deno.version.deno} has ${names}`);
});

/** Changes Deno's symbols by `change` while `run` runs. */
async function withOtherSymbols(
  change: (own: symbol[]) => symbol[],
  run: () => Promise<void>,
): Promise<void> {
  const { getOwnPropertySymbols } = Object;
  Object.getOwnPropertySymbols = (object) =>
    change(getOwnPropertySymbols(object));
  try {
    await run();
  } finally {
    Object.getOwnPropertySymbols = getOwnPropertySymbols;
  }
}

const CHANGES: [name: string, change: (own: symbol[]) => symbol[]][] = [
  [
    "has another name",
    (own) => own.filter(({ description }) => description !== "serve fast body"),
  ],
  [
    "means something else",
    (own) => own.map((symbol) => Symbol(symbol.description)),
  ],
];

for (const [index, [name, change]] of CHANGES.entries()) {
  Deno.test(`a program is warned once, when a part of a Response ${name}`, async () => {
    await withOtherSymbols(change, async () => {
      // A module with another specifier has seen no response.
      const fresh = `../../src/http/response.ts?changed=${index}`;
      const { takeResponse } = await import(fresh);
      using watch = new ConsoleWatch();
      for (let time = 0; time < 3; time++) {
        const { body, status } = takeResponse(new Response("text"));
        assertInstanceOf(body, ReadableStream<Uint8Array<ArrayBuffer>>);
        assertEquals(await new Response(body).text(), "text");
        assertEquals(status, 200);
      }
      assertEquals(watch.warned.length, 1);
      assertStringIncludes(String(watch.warned[0]), Deno.version.deno);
    });
  });
}

for (const [name, make] of RESPONSES) {
  Deno.test(`response of ${name} arrives, when it is read by symbols`, async () => {
    const response = make();
    const hasBody = make().body !== null;
    assertEquals(seen(await sent(response)), await expectedOf(make()));
    assertEquals(response.bodyUsed, hasBody);
  });

  Deno.test(`response of ${name} arrives, when it is read by the public interface`, async () => {
    const response = make();
    const hasBody = make().body !== null;
    const answer = await withoutSymbols(() => sent(response));
    assertEquals(seen(answer), await expectedOf(make()));
    assertEquals(response.bodyUsed, hasBody);
  });
}

/** The parts of a response, to make it again. */
interface Model {
  status: number;
  statusText: string;
  fields: [string, string][];
  body: { kind: string; bytes: Uint8Array };
  isCloned: boolean;
}

const BODIES: Record<string, (bytes: Uint8Array<ArrayBuffer>) => BodyInit> = {
  text: (bytes) => new TextDecoder().decode(bytes),
  bytes: (bytes) => bytes,
  view: (bytes) => bytes.subarray(bytes.byteLength >> 1),
  buffer: (bytes) => bytes.buffer,
  blob: (bytes) => new Blob([bytes], { type: "text/x" }),
  query: (bytes) => new URLSearchParams({ a: `${bytes}` }),
  stream: (bytes) => ReadableStream.from([bytes.slice(0, 3), bytes.slice(3)]),
};

const WITHOUT_BODY = [204, 304];

function made({ status, statusText, fields, body, isCloned }: Model): Response {
  const make = BODIES[body.kind];
  const hasBody = make !== undefined && !WITHOUT_BODY.includes(status);
  const response = new Response(hasBody ? make(body.bytes.slice()) : null, {
    status,
    statusText,
    headers: fields,
  });
  return isCloned ? response.clone() : response;
}

function models(): fc.Arbitrary<Model> {
  const names = ["x-a", "X-B", "Set-Cookie", "content-type", "Connection"];
  return fc.record({
    status: fc.constantFrom(200, 201, 299, 404, 503, ...WITHOUT_BODY),
    statusText: fc.stringMatching(/^[a-zA-Z\xa1-\xff]{0,5}$/),
    fields: fc.array(fc.tuple(
      fc.constantFrom(...names, "date", "keep-alive", "trailer"),
      // Empty ones are joined to commas that some readers trim.
      fc.stringMatching(/^[!-~\xa1-\xff]([ -~\xa1-\xff]{0,9}[!-~])?$/),
    )),
    body: fc.record({
      kind: fc.constantFrom("none", ...Object.keys(BODIES)),
      bytes: fc.uint8Array({ maxLength: 700 }),
    }),
    isCloned: fc.boolean(),
  });
}

Deno.test("responses arrive alike, when they are any and read either way", async () => {
  const property = fc.asyncProperty(models(), async (model) => {
    const bySymbols = seen(await sent(made(model)));
    const byPublic = await withoutSymbols(() => sent(made(model)));
    assertEquals(bySymbols, seen(byPublic));
    assertEquals(bySymbols.body, await made(model).bytes());
  });
  await fc.assert(property, { numRuns: 150 });
});

Deno.test("response of fetch() has no content-encoding, when fetch() has decoded it", async () => {
  const packed = await new Response(
    new Blob(["hello"]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  await using upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(packed, {
        headers: { "content-encoding": "gzip", "x-a": "b" },
      }),
  );
  const client = Deno.createHttpClient({});
  const { port } = upstream.addr;
  const fetched = () => fetch(`http://127.0.0.1:${port}/`, { client });
  const bySymbols = await sent(await fetched());
  const byPublic = await withoutSymbols(async () => sent(await fetched()));
  for (const answer of [bySymbols, byPublic]) {
    assertEquals([answer.text, answer.get("x-a")], ["hello", "b"]);
    assertEquals(answer.get("content-encoding"), undefined);
    assertEquals(answer.get("content-length"), undefined);
  }
  client.close();
});

Deno.test("response keeps its coding, when the handler coded it", async () => {
  const headers = { "content-encoding": "gzip", "content-length": "5" };
  const coded = () => sent(new Response("coded", { headers }));
  for (const answer of [await coded(), await withoutSymbols(coded)]) {
    assertEquals(answer.get("content-encoding"), "gzip");
    assertEquals(answer.get("content-length"), "5");
  }
});

const STATIC = RESPONSES.filter(([name]) => !name.includes("stream"));

for (const [name, make] of STATIC.filter(([name]) => name !== "a copy")) {
  Deno.test(`response of ${name} has a content-length, when it is read by symbols`, async () => {
    const answer = await sent(make());
    const bodiless = answer.status === 204 || answer.status === 304;
    assertEquals(answer.get("transfer-encoding"), undefined);
    assertEquals(
      answer.get("content-length"),
      bodiless ? undefined : `${answer.body.byteLength}`,
    );
  });
}

Deno.test("response of FormData arrives as a form, when it is read either way", async () => {
  const arrived = async (): Promise<FormData> => {
    const answer = await sent(new Response(form()));
    const type = answer.get("content-type")!;
    return await new Response(answer.body, {
      headers: { "content-type": type },
    })
      .formData();
  };
  for (const data of [await arrived(), await withoutSymbols(arrived)]) {
    assertEquals(data.get("a"), "1");
    const file = data.get("b");
    assertInstanceOf(file, File);
    assertEquals([file.name, await file.text()], ["b.txt", "two"]);
  }
});

Deno.test("response keeps its two bodies apart, when a clone is read as well", async () => {
  const response = new Response("both");
  const clone = response.clone();
  assertEquals((await sent(response)).text, "both");
  assertEquals(await clone.text(), "both");
});

const USED: [name: string, make: () => Promise<Response> | Response][] = [
  ["was read", async () => {
    const response = new Response("used");
    await response.text();
    return response;
  }],
  ["was read as bytes", async () => {
    const response = new Response(latin1("used"));
    await response.bytes();
    return response;
  }],
  ["was read with headers", async () => {
    const response = new Response("used", { headers: { a: "b", c: "d" } });
    await response.text();
    return response;
  }],
  ["was a stream and was read", async () => {
    const response = new Response(streamOf("used"));
    await response.text();
    return response;
  }],
  ["was a stream and was cancelled", async () => {
    const response = new Response(streamOf("used"));
    await response.body?.cancel();
    return response;
  }],
  ["was read in part", async () => {
    const response = new Response(streamOf("used", "up"));
    const reader = response.body!.getReader();
    await reader.read();
    reader.releaseLock();
    return response;
  }],
  ["is being read", () => {
    const response = new Response("used");
    response.body!.getReader();
    return response;
  }],
  ["is being read with headers", () => {
    const response = new Response("used", { headers: { a: "b", c: "d" } });
    response.body!.getReader();
    return response;
  }],
];

for (const [name, make] of USED) {
  Deno.test(`response is refused, when its body ${name}`, async () => {
    const response = await make();
    assertThrows(() => takeResponse(response), TypeError);
    await withoutSymbols(() => {
      assertThrows(() => takeResponse(response), TypeError);
      return Promise.resolve();
    });
  });
}

Deno.test("response is refused, when it was taken before", () => {
  for (const body of ["text", latin1("bytes"), new URLSearchParams("a")]) {
    for (const headers of [{}, { a: "b", c: "d" }]) {
      const response = new Response(body, { headers });
      takeResponse(response);
      assertEquals(response.bodyUsed, true);
      assertThrows(() => takeResponse(response), TypeError);
    }
  }
});

Deno.test("response without a body is sent again, when it is returned twice", async () => {
  const response = new Response(null, { status: 204 });
  const peer = new Peer(() => response);
  const answers = await peer.send(GET + GET).answers();
  assertEquals(answers.map(({ status }) => status), [204, 204]);
});

Deno.test("response goes to onError, when it is Response.error()", async () => {
  for (const use of [true, false]) {
    useSymbols(use);
    try {
      const peer = new Peer(() => Response.error());
      const answers = await peer.send(GET).answers();
      assertEquals(answers.map(({ status }) => status), [500]);
      assertInstanceOf(peer.errors[0], TypeError);
    } finally {
      useSymbols(true);
    }
  }
});

Deno.test("response of status 101 goes to onError, when no upgrade is offered", async () => {
  const peer = new Peer(() => new Response(null, { status: 101 }));
  const answers = await peer.send(GET).answers();
  assertEquals(answers.map(({ status }) => status), [500]);
  assertInstanceOf(peer.errors[0], TypeError);
});

Deno.test("response of a fetch() is sent on, when a handler returns it", async () => {
  const url = `data:text/x,${encodeURIComponent("sent on")}`;
  const answer = await sent(await fetch(url));
  assertEquals([answer.text, answer.get("content-type")], [
    "sent on",
    "text/x",
  ]);
});

Deno.test("takeResponse() gives the body itself, when it is text or bytes", () => {
  const bytes = latin1("abc");
  assertStrictEquals(takeResponse(new Response("text")).body, "text");
  assertEquals(takeResponse(new Response(bytes)).body, bytes);
  assertEquals(takeResponse(new Response()).body, null);
});

Deno.test("head says a field once, when the handler set what the server sets", async () => {
  const response = new Response("x", {
    headers: { "Date": "own", "Content-Type": "a/b", "X-Twice": "1" },
  });
  const answer = await sent(response);
  for (const name of ["date", "content-type", "content-length", "x-twice"]) {
    assertEquals(answer.all(name).length, 1, name);
  }
  assertEquals(answer.get("date"), "own");
});

Deno.test("a program's first response is taken as the later ones are, of any kind", async () => {
  const kinds: [make: () => Response, body: unknown, status: number][] = [
    [() => new Response("plain"), "plain", 200],
    [() => new Response("none", { status: 404 }), "none", 404],
    [() => Response.json({ a: 1 }), '{"a":1}', 200],
    [() => new Response(null, { status: 204 }), null, 204],
  ];
  for (const [index, [make, body, status]] of kinds.entries()) {
    // A module with another specifier has seen no response.
    const { takeResponse } = await import(
      `../../src/http/response.ts?first=${index}`
    );
    for (let time = 0; time < 3; time++) {
      const response = make();
      const taken = takeResponse(response);
      assertEquals({ body: taken.body, status: taken.status }, {
        body,
        status,
      });
      assertEquals(response.bodyUsed, body !== null);
    }
  }
});

Deno.test("a program's first response is refused, when its body was used", async () => {
  const name = "../../src/http/response.ts?used";
  const { takeResponse } = await import(name);
  const response = new Response("plain");
  await response.text();
  assertThrows(
    () => takeResponse(response),
    TypeError,
    "already been consumed",
  );
});
