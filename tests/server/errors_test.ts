/**
 * The answers for failed handlers: the same as those of `Deno.serve`, which
 * each row is compared with.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import { useSymbols } from "../../src/http/response.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ConsoleWatch } from "../util/console.ts";
import { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { GET } from "../util/requests.ts";

const LAST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/** The answer when `onError` has failed too: bytes without a type. */
const PLAIN = "500 undefined Internal Server Error";

/** Results that only programs without types return. */
type Anything = () => unknown;

/** The answers and errors of one server for two requests on a connection. */
interface Outcome {
  /** Status, type and body of each answer. */
  readonly answers: string[];
  /** Class and message of each error that `onError` got. */
  readonly errors: string[];
}

/** Sends two requests; the second ends the connection. */
async function outcomeOf(
  addr: Deno.NetAddr,
  errors: unknown[],
): Promise<Outcome> {
  using client = await RawClient.connect(addr);
  await client.send(GET);
  const answers = [await client.answer()];
  await client.send(LAST);
  answers.push(...await client.rest());
  return {
    answers: answers.map((answer) =>
      `${answer.status} ${answer.get("content-type")} ${answer.text}`
    ),
    errors: errors.map((error) =>
      error instanceof Error
        ? `${error.constructor.name}: ${error.message}`
        : Deno.inspect(error)
    ),
  };
}

/** Returns the answers and errors of both servers. */
async function compare(
  handler: Anything,
  onError: (error: unknown) => unknown = explain,
): Promise<{ own: Outcome; denos: Outcome }> {
  const seen: [unknown[], unknown[]] = [[], []];
  const options = seen.map((errors) => ({
    onError(error: unknown) {
      errors.push(error);
      return onError(error) as Response;
    },
  }));
  await using test = new TestServer(handler as () => Response, options[0]);
  const own = await outcomeOf(test.server.addr, seen[0]);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, ...options[1] },
    handler as () => Response,
  );
  const denos = await outcomeOf(server.addr as Deno.NetAddr, seen[1]);
  await server.shutdown();
  return { own, denos };
}

function explain(): Response {
  return new Response("explained", { status: 502 });
}

/** Only the prototype of a `Response`. */
function responseLike(): object {
  const like = Object.create(Response.prototype);
  Object.defineProperty(like, "type", { value: "default" });
  return Object.defineProperty(like, "bodyUsed", { value: false });
}

async function usedResponse(): Promise<Response> {
  const response = new Response("used");
  await response.text();
  return response;
}

async function usedStream(): Promise<Response> {
  const response = new Response(new Blob(["used"]).stream());
  await response.text();
  return response;
}

function throws(error: unknown): never {
  throw error;
}

const MISTAKES: [name: string, handler: Anything][] = [
  ["throws an error", () => throws(new RangeError("at once"))],
  ["throws text", () => throws("text")],
  ["throws undefined", () => throws(undefined)],
  ["throws null", () => throws(null)],
  ["throws a frozen object", () => throws(Object.freeze({ a: 1 }))],
  ["throws a Response", () => throws(new Response("thrown"))],
  ["rejects with an error", () => Promise.reject(new RangeError("later"))],
  ["rejects with undefined", () => Promise.reject(undefined)],
  ["returns undefined", () => undefined],
  ["returns null", () => null],
  ["returns text", () => "text"],
  ["returns a number", () => 200],
  ["returns a symbol", () => Symbol("a")],
  ["returns an object", () => ({ status: 200 })],
  ["returns an object without prototype", () => Object.create(null)],
  ["returns a Request", () => new Request("http://localhost/")],
  ["returns the class", () => Response],
  ["resolves to undefined", () => Promise.resolve()],
  ["resolves to an object", () => Promise.resolve({})],
  ["returns what looks like a Response", () => responseLike()],
  ["resolves to what looks like one", () => Promise.resolve(responseLike())],
  ["returns Response.error()", () => Response.error()],
  ["resolves to Response.error()", () => Promise.resolve(Response.error())],
  ["returns a used Response", usedResponse],
  ["returns a used stream", usedStream],
  ["returns a thenable that rejects", () => ({
    then: (_: unknown, reject: (error: Error) => void) =>
      reject(new RangeError("then")),
  })],
];

for (const [name, handler] of MISTAKES) {
  cleanTest(
    `serve() calls onError as Deno does, when a handler ${name}`,
    async () => {
      const { own, denos } = await compare(handler);
      assertEquals(own, denos);
      assertEquals(own.answers.length, 2);
      assertEquals(own.errors.length, 2);
    },
  );
}

const MESSAGES: [handler: Anything, message: string][] = [
  [
    () => undefined,
    "Return value from serve handler must be a response or a promise " +
    "resolving to a response",
  ],
  [
    responseLike,
    "Return value from serve handler must be a Response constructed via the " +
    "Response constructor in this realm",
  ],
  [
    () => Response.error(),
    "Return value from serve handler must not be an error response (like " +
    "Response.error())",
  ],
  [
    usedResponse,
    "The body of the Response returned from the serve handler has already " +
    "been consumed",
  ],
];

for (const symbols of [true, false]) {
  for (const [handler, message] of MESSAGES) {
    cleanTest(
      `onError gets "${message}", by ${
        symbols ? "symbols" : "the public interface"
      }`,
      async () => {
        useSymbols(symbols);
        try {
          await using test = new TestServer(handler as () => Response);
          const client = await test.connect();
          await client.send(GET);
          assertEquals((await client.answer()).text, "failed");
          const [error] = test.errors;
          assertInstanceOf(error, TypeError);
          assertEquals(error.message, message);
        } finally {
          useSymbols(true);
        }
      },
    );
  }
}

cleanTest(
  "onError gets an error, when the body of a Response is locked",
  async () => {
    await using test = new TestServer(() => {
      const response = new Response("locked");
      response.body?.getReader();
      return response;
    });
    const client = await test.connect();
    await client.send(GET + GET);
    const answers = await client.answers(2);
    assertEquals(answers.map(({ status }) => status), [500, 500]);
    assertInstanceOf(test.errors[0], TypeError);
  },
);

cleanTest("onError gets an error, when the status is 101", async () => {
  await using test = new TestServer(() => new Response(null, { status: 101 }));
  const client = await test.connect();
  await client.send(GET + GET);
  const answers = await client.answers(2);
  assertEquals(answers.map(({ status }) => status), [500, 500]);
  assertInstanceOf(test.errors[0], TypeError);
});

const FAILURES: [name: string, onError: Anything][] = [
  ["throws", () => throws(new Error("again"))],
  ["throws undefined", () => throws(undefined)],
  ["rejects", () => Promise.reject(new Error("again"))],
  ["returns undefined", () => undefined],
  ["resolves to null", () => Promise.resolve(null)],
  ["returns what looks like a Response", () => responseLike()],
  ["resolves to what looks like one", () => Promise.resolve(responseLike())],
  ["returns Response.error()", () => Response.error()],
  ["returns a used Response", usedResponse],
];

for (const [name, onError] of FAILURES) {
  cleanTest(
    `serve() answers a plain 500 as Deno does, when onError ${name}`,
    async () => {
      using watch = new ConsoleWatch();
      const errors: unknown[] = [];
      await using test = new TestServer(() => throws("failed"), {
        onError(error) {
          errors.push(error);
          return onError() as Response;
        },
      });
      // The same errors as those of Deno.serve, which prints a trace for each.
      assertEquals(await outcomeOf(test.server.addr, errors), {
        answers: [PLAIN, PLAIN],
        errors: ['"failed"', '"failed"'],
      });
      assertEquals(watch.complained.map(([when]) => when), [
        "Exception in onError while handling exception",
        "Exception in onError while handling exception",
      ]);
    },
  );
}

const ANSWERS: [name: string, onError: Anything][] = [
  ["a Response", () => new Response("fine")],
  ["a promise of one", () => Promise.resolve(new Response("fine"))],
  ["a stream", () => new Response(new Blob(["fine"]).stream())],
  ["a thenable", () => ({
    then: (resolve: (response: Response) => void) =>
      resolve(new Response("fine")),
  })],
];

for (const [name, onError] of ANSWERS) {
  cleanTest(
    `serve() answers as Deno does, when onError returns ${name}`,
    async () => {
      const { own, denos } = await compare(() => throws("failed"), onError);
      assertEquals(own, denos);
      assert(own.answers[0]?.endsWith("fine"));
    },
  );
}

cleanTest(
  "serve() prints and answers a plain 500 as Deno does, when there is no onError",
  async () => {
    using watch = new ConsoleWatch();
    const error = new Error("handler failed");
    const handler = () => throws(error);
    await using test = new TestServer(handler, { onError: undefined as never });
    const own = await outcomeOf(test.server.addr, []);
    assertEquals(watch.complained, [[error], [error]]);
    assertStrictEquals(watch.complained[0]?.[0], error);
    assertEquals(own.answers, [PLAIN, PLAIN]);
  },
);
