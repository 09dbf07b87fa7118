/**
 * The requests of the scenarios, and the handlers that answer them.
 *
 * @module
 */

import {
  APP_ANSWER,
  APP_PATH,
  BROWSER_FIELDS,
  HELLO,
  JSON_ANSWER,
  JSON_BODY,
} from "../bench/payloads.ts";
import { type Handler, handler, hello } from "../bench/servers/app.ts";
import type { Exchange } from "./closed_loop.ts";

/** An exchange over HTTP. */
export interface HttpExchange extends Exchange {
  /** Answers each request. */
  readonly handler: Handler;
  /**
   * Stands in for a request when the handler is called without a server: the
   * parts that the handler reads are there already, and cost nothing.
   */
  readonly request: Request;
}

const CONNECTIONS = 64;
const DEPTH = 16;
const ORIGIN = "127.0.0.1:8000";

/** Returns the text of a request. */
function requestOf(line: string, ...rest: string[]): string {
  return [`${line} HTTP/1.1`, `Host: ${ORIGIN}`, ...rest].join("\r\n");
}

/** Returns an object with the parts of a request that a handler reads. */
function standIn(path: string, parts: object): Request {
  return { url: `http://${ORIGIN}${path}`, ...parts } as Request;
}

const GET = requestOf("GET /", "\r\n");
const FIELDS = BROWSER_FIELDS.map((field): [string, string] => {
  const [name, value] = field.split(": ", 2);
  return [name!.toLowerCase(), value!];
});

/** The smallest request there is, with the smallest handler. */
export const PLAIN: HttpExchange = {
  connections: CONNECTIONS,
  question: GET,
  depth: 1,
  ending: HELLO,
  handler: hello,
  request: standIn("/", {}),
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
  question: requestOf(`GET ${APP_PATH}`, ...BROWSER_FIELDS, "\r\n"),
  ending: APP_ANSWER,
  handler,
  request: standIn(APP_PATH, { headers: new Map(FIELDS) }),
};

/** The client sends a kilobyte of JSON, the answer is short. */
export const JSON_POST: HttpExchange = {
  ...PLAIN,
  question: requestOf(
    "POST /json",
    "Content-Type: application/json",
    `Content-Length: ${JSON_BODY.length}`,
    `\r\n${JSON_BODY}`,
  ),
  ending: JSON_ANSWER,
  handler,
  request: standIn("/json", {
    json: () => Promise.resolve(JSON.parse(JSON_BODY)),
  }),
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
