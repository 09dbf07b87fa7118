/** The events of an observer, on sockets. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Handler,
  HttpError,
  type Observer,
  type RequestAnswered,
  type RequestBegan,
  type RequestEnded,
  type RequestFailed,
  type RequestRefused,
  serve,
  type ServeModuleOptions,
  type ServeOptions,
} from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ConsoleWatch } from "../util/console.ts";
import { ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { eventually, within } from "../util/waiting.ts";

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

/** Bytes of a body in chunks, as they are sent. */
function chunked(...lines: string[]): string {
  const head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked";
  return [head, "", ...lines, ""].join("\r\n");
}

/** An observer that records its events. */
class Log implements Observer {
  readonly lines: string[] = [];
  readonly errors: unknown[] = [];
  readonly addresses: Deno.NetAddr[] = [];

  began({ request, remoteAddr }: RequestBegan): void {
    this.lines.push(`began ${request.method} ${new URL(request.url).pathname}`);
    this.addresses.push(remoteAddr as Deno.NetAddr);
  }

  answered(event: RequestAnswered): void {
    this.#end("answered", event, event.request, event.status);
    if (event.error !== undefined) this.errors.push(event.error);
  }

  refused(event: RequestRefused): void {
    this.#end("refused", event, event.request, event.status);
  }

  failed(event: RequestFailed): void {
    this.#end("failed", event, event.request, event.status);
    this.errors.push(event.error);
  }

  #end(
    what: string,
    event: Omit<RequestEnded, "request">,
    request: Request | undefined,
    status: number | undefined,
  ): void {
    const { receivedBytes, sentBytes, durationMs } = event;
    assert(durationMs >= 0);
    this.addresses.push(event.remoteAddr as Deno.NetAddr);
    const path = request === undefined ? "?" : new URL(request.url).pathname;
    this.lines.push(
      `${what} ${path}: ${status}, ${receivedBytes} in, ${sentBytes} out`,
    );
  }
}

const ANSWERS: [
  name: string,
  sent: string,
  handler: Handler,
  lines: string[],
][] = [
  ["is a plain text", GET, () => new Response("hello"), [
    "began GET /a",
    "answered /a: 200, 0 in, 5 out",
  ]],
  ["is a text that is not ASCII", GET, () => new Response("h\u00e4"), [
    "began GET /a",
    "answered /a: 200, 0 in, 3 out",
  ]],
  ["has fields", GET, () => Response.json({ a: 1 }), [
    "began GET /a",
    "answered /a: 200, 0 in, 7 out",
  ]],
  ["has no body", GET, () => new Response(null, { status: 204 }), [
    "began GET /a",
    "answered /a: 204, 0 in, 0 out",
  ]],
  [
    "is for HEAD",
    "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
    () => new Response("hello"),
    ["began HEAD /a", "answered /a: 200, 0 in, 0 out"],
  ],
  ["is long", GET, () => new Response(new Uint8Array(100_000)), [
    "began GET /a",
    "answered /a: 200, 0 in, 100000 out",
  ]],
  ["comes later", GET, async () => {
    await Promise.resolve();
    return new Response("later");
  }, ["began GET /a", "answered /a: 200, 0 in, 5 out"]],
  ["is a stream", GET, () => new Response(ReadableStream.from([bytes(3)])), [
    "began GET /a",
    "answered /a: 200, 0 in, 3 out",
  ]],
  [
    "is made of a body",
    chunked("3", "abc", "0", ""),
    async (request) => new Response((await request.text()).repeat(2)),
    ["began POST /a", "answered /a: 200, 3 in, 6 out"],
  ],
];

function bytes(count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(count);
}

for (const [name, sent, handler, lines] of ANSWERS) {
  cleanTest(`an observer hears of an answer, when it ${name}`, async () => {
    const log = new Log();
    await using test = new TestServer(handler, { observer: log });
    const client = await test.connect();
    await client.send(sent);
    await client.answer(sent.startsWith("HEAD") ? "HEAD" : "GET");
    assertEquals(log.lines, lines);
    assertEquals(log.addresses, [client.address, client.address]);
  });
}

const REFUSALS: [
  name: string,
  sent: string,
  lines: string[],
  options?: ServeOptions,
][] = [
  ["400 for a malformed head", "GET / HTTP/1.1\r\nHost a\r\n\r\n", [
    "refused ?: 400, 0 in, 0 out",
  ]],
  ["408 for a head that does not come", "GET / HT", [
    "refused ?: 408, 0 in, 0 out",
  ], { headMs: 1 }],
  [
    "413 for a body that is said to be large",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    ["refused /a: 413, 0 in, 0 out"],
    { bodyBytesMax: 4 },
  ],
  ["414 for a long target", GET, ["refused /a: 414, 0 in, 0 out"], {
    urlBytesMax: 1,
  }],
  [
    "417 for an expectation",
    "GET /a HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n",
    ["refused /a: 417, 0 in, 0 out"],
  ],
  ["431 for a long head", GET, ["refused /a: 431, 0 in, 0 out"], {
    headBytesMax: 10,
  }],
  ["501 for CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", [
    "refused ?: 501, 0 in, 0 out",
  ]],
  [
    "413 for chunks that the handler reads",
    chunked("3", "abc", "ff", "abc"),
    ["began POST /a", "refused /a: 413, 3 in, 0 out"],
    { bodyBytesMax: 4 },
  ],
];

for (const [name, sent, lines, options] of REFUSALS) {
  cleanTest(`an observer hears of a refusal: ${name}`, async () => {
    const log = new Log();
    const handler: Handler = async (request) =>
      new Response(await request.text());
    const how = { ...options, observer: log };
    await using test = new TestServer(handler, how);
    const client = await test.connect();
    // In two parts: the handler is called before the body has arrived.
    const at = sent.indexOf("ff\r\n");
    if (at > 0) {
      await client.send(sent.slice(0, at));
      await eventually("the handler", () => log.lines.length === 1);
    }
    await client.send(at > 0 ? sent.slice(at) : sent);
    const [answer] = await client.rest();
    assertEquals(log.lines, lines);
    assert(lines.at(-1)!.includes(` ${answer?.status},`));
  });
}

cleanTest(
  "an observer hears of a refusal, when the handler throws a status",
  async () => {
    const log = new Log();
    await using test = new TestServer(() => {
      throw new HttpError(415, "no such type");
    }, { observer: log });
    const client = await test.connect();
    await client.send(GET);
    await client.rest();
    assertEquals(log.lines, ["began GET /a", "refused /a: 415, 0 in, 0 out"]);
  },
);

cleanTest(
  "an observer hears what a handler throws, with the answer to that",
  async () => {
    const log = new Log();
    const error = new Error("thrown");
    await using test = new TestServer(() => {
      throw error;
    }, { observer: log });
    const client = await test.connect();
    await client.send(GET);
    await client.answer();
    assertEquals(log.lines, ["began GET /a", "answered /a: 500, 0 in, 6 out"]);
    assertEquals(log.errors, [error]);
  },
);

cleanTest(
  "an observer hears of a failure, when a client goes before its answer",
  async () => {
    const log = new Log();
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using test = new TestServer(() => promise, { observer: log });
    using client = new ResettingClient(test.server.addr);
    await client.send(GET);
    await eventually("the handler", () => log.lines.length === 1);
    client.reset();
    await eventually("the failure", () => log.lines.length === 2);
    resolve(new Response("too late"));
    assertEquals(log.lines[1], "failed /a: undefined, 0 in, 0 out");
    assertEquals(log.errors, [undefined]);
  },
);

cleanTest(
  "an observer hears of a failure, when a stream throws amid its body",
  async () => {
    const log = new Log();
    const error = new Error("amid the body");
    await using test = new TestServer(() => {
      let pulls = 0;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await new Promise((resolve) => setImmediate(resolve));
            if (pulls++ > 0) controller.error(error);
            else controller.enqueue(bytes(4));
          },
        }, { highWaterMark: 0 }),
      );
    }, { observer: log });
    const client = await test.connect();
    await client.send(GET);
    await client.restBytes();
    assertEquals(log.lines, ["began GET /a", "failed /a: 200, 0 in, 4 out"]);
    assertEquals(log.errors, [error]);
  },
);

cleanTest(
  "an observer that throws changes no answer, and is reported",
  async () => {
    const error = new Error("thrown by the observer");
    const throws = () => {
      throw error;
    };
    const observer = { began: throws, answered: throws };
    using watch = new ConsoleWatch();
    await using test = new TestServer(() => new Response("hello"), {
      observer,
    });
    const client = await test.connect();
    await client.send(GET);
    assertEquals((await client.answer()).text, "hello");
    const said = ["Exception in an observer", error];
    assertEquals(watch.complained, [said, said]);
  },
);

Deno.test("serve() throws TypeError, when observer is none", () => {
  for (const observer of ["log", { began: 1 }, { failed: null }]) {
    const options = { port: 0, observer } as unknown as ServeOptions;
    assertThrows(() => serve(options, () => new Response()), TypeError);
  }
});

Deno.test("serve() on Workers takes no observer, which cannot be posted", async () => {
  const options = { module: "app.ts", observer: {} } as ServeModuleOptions;
  await assertRejects(
    () => serve(options),
    TypeError,
    "export it from the module, beside fetch",
  );
});

Deno.test("a module's own observer hears of requests, when it serves on Workers", async () => {
  const heard = Promise.withResolvers<string>();
  using stack = new DisposableStack();
  const channel = new BroadcastChannel("observed");
  stack.defer(() => channel.close());
  channel.onmessage = ({ data }) => heard.resolve(data);
  const module = new URL("../fixtures/observed_worker.ts", import.meta.url);
  await using server = await serve({
    module,
    workers: 1,
    hostname: "127.0.0.1",
    port: 0,
  });
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${server.addr.port}/seen`;
  const response = await within(fetch(url, { client }), "an answer");
  assertEquals(await response.text(), "ok");
  assertEquals(await within(heard.promise, "an event"), "200 /seen");
});
