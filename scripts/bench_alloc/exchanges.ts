/**
 * The requests of the scenarios, and the handlers that answer them.
 *
 * @module
 */

import type { Exchange } from "./closed_loop.ts";

/** An exchange over HTTP. */
export interface HttpExchange extends Exchange {
  /** Answers each request. */
  readonly handler: (request: Request) => Response | Promise<Response>;
  /**
   * Stands in for a request when the handler is called without a server: the
   * parts that the handler reads are there already, and cost nothing.
   */
  readonly request: Request;
}

const CONNECTIONS = 64;
const DEPTH = 16;
const ORIGIN = "127.0.0.1:8000";
const HELLO = "Hello, World!";
const NOTHING_READ = {} as Request;

const GET = `GET / HTTP/1.1\r\nHost: ${ORIGIN}\r\n\r\n`;

const TARGET = "/app?user=42&sort=name";
const LANGUAGE = "en-US,en;q=0.5";
const AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 " +
  "Firefox/133.0";
/** As a browser sends it. */
const APP_GET = [
  `GET ${TARGET} HTTP/1.1`,
  `Host: ${ORIGIN}`,
  `User-Agent: ${AGENT}`,
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  `Accept-Language: ${LANGUAGE}`,
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Connection: keep-alive",
  "Cookie: session=0123456789abcdef",
  "Upgrade-Insecure-Requests: 1",
  "Sec-Fetch-Dest: document",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-Site: none",
  "\r\n",
].join("\r\n");

/** Makes a kilobyte of JSON. */
const ITEMS = 24;
const ORDER = JSON.stringify({
  items: Array.from(
    { length: ITEMS },
    (_, id) => ({ id, name: `item ${id}`, price: id + 0.5 }),
  ),
});
const POST = [
  "POST /json HTTP/1.1",
  `Host: ${ORIGIN}`,
  "Content-Type: application/json",
  `Content-Length: ${ORDER.length}`,
  `\r\n${ORDER}`,
].join("\r\n");

function hello(): Response {
  return new Response(HELLO);
}

function answerApp(request: Request): Response {
  const { pathname, searchParams } = new URL(request.url);
  const body = JSON.stringify({
    path: pathname,
    user: searchParams.get("user"),
    sort: searchParams.get("sort"),
    language: request.headers.get("accept-language"),
    agent: request.headers.get("user-agent"),
  });
  return new Response(body, {
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-request-id": "42",
    },
  });
}

async function answerOrder(request: Request): Promise<Response> {
  const { items } = await request.json() as { items: { id: number }[] };
  let total = 0;
  for (const { id } of items) total += id;
  const body = JSON.stringify({ count: items.length, total });
  const headers = { "content-type": "application/json" };
  return new Response(body, { headers });
}

const APP_REQUEST = {
  url: `http://${ORIGIN}${TARGET}`,
  headers: new Map([["accept-language", LANGUAGE], ["user-agent", AGENT]]),
} as unknown as Request;

const ORDER_REQUEST = {
  json: () => Promise.resolve(JSON.parse(ORDER)),
} as unknown as Request;

/** The smallest request there is, with the smallest handler. */
export const PLAIN: HttpExchange = {
  connections: CONNECTIONS,
  question: GET,
  depth: 1,
  ending: HELLO,
  handler: hello,
  request: NOTHING_READ,
};

/** The same on one connection: each request has a turn to itself. */
export const ALONE: HttpExchange = { ...PLAIN, connections: 1 };

/** The same, sixteen in one write. */
export const PIPELINED: HttpExchange = {
  ...PLAIN,
  question: GET.repeat(DEPTH),
  depth: DEPTH,
};

/** The same, but no head repeats the one before it: each is parsed. */
export const DIFFERENT: HttpExchange = {
  ...PIPELINED,
  question: (GET + GET.replace("/", "/other")).repeat(DEPTH / 2),
};

/** The same, of a handler that is an async function. */
export const ASYNC: HttpExchange = {
  ...PLAIN,
  // deno-lint-ignore require-await -- many handlers are async without need
  handler: async () => hello(),
};

/** A page's request: the URL and two fields are read, JSON is answered. */
export const APP: HttpExchange = {
  ...PLAIN,
  question: APP_GET,
  ending: `"agent":"${AGENT}"}`,
  handler: answerApp,
  request: APP_REQUEST,
};

/** The client sends a kilobyte of JSON, the answer is short. */
export const JSON_POST: HttpExchange = {
  ...PLAIN,
  question: POST,
  ending: `,"total":${ITEMS * (ITEMS - 1) / 2}}`,
  handler: answerOrder,
  request: ORDER_REQUEST,
};

/** Sixty-four bytes, which the server sends back. */
const MESSAGE = `${"-".repeat(63)}\n`;

/** A message, which the server sends back. */
export const ECHOED: Exchange = {
  connections: CONNECTIONS,
  question: MESSAGE,
  depth: 1,
  ending: MESSAGE,
};
