/**
 * The benchmark's servers on node: `node:http`, with `writeHead` that has the
 * length of the body, and one `end`, so that an answer is one write and not
 * chunked; and as `echo` `node:net`, where `data` is written back as it comes,
 * and no more is read while a write waits, which costs less than `pipe`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import process from "node:process";

const BIG_BYTES = 1_048_576;
const BIG_PERIOD = 251;
const EVENT_MS = 100;
/** As denio and nginx have it: node's own 5 s would close what is to be idle. */
const KEEP_ALIVE_MS = 75_000;

const HELLO = "Hello, World!";
const BIG = Buffer.from(
  Array.from({ length: BIG_BYTES }, (_, index) => index % BIG_PERIOD),
);

function hello(_request, response) {
  response.writeHead(200, {
    "content-type": "text/plain;charset=UTF-8",
    "content-length": HELLO.length,
  });
  response.end(HELLO);
}

function app(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const user = searchParams.get("user") ?? "";
  const body = JSON.stringify({
    path: pathname,
    user,
    sort: searchParams.get("sort") ?? "",
    language: request.headers["accept-language"] ?? "",
    agent: request.headers["user-agent"] ?? "",
  });
  response.writeHead(200, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-request-id": user,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

/** Has `answer` called with the whole body. */
function withBody(answer) {
  return (request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => answer(Buffer.concat(chunks), response));
  };
}

const order = withBody((bytes, response) => {
  const { items } = JSON.parse(bytes.toString());
  let total = 0;
  for (const { id } of items) total += id;
  const body = JSON.stringify({ count: items.length, total });
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": body.length,
  });
  response.end(body);
});

const echo = withBody(sendBytes);

function sendBytes(bytes, response) {
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    "content-length": bytes.length,
  });
  response.end(bytes);
}

const clients = new Set();
let eventCount = 0;
let beat;

/** One timer for all clients, and none when there is no client. */
function events(_request, response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  clients.add(response);
  beat ??= setInterval(tellAll, EVENT_MS);
  response.on("close", () => {
    clients.delete(response);
    if (clients.size > 0) return;
    clearInterval(beat);
    beat = undefined;
  });
}

function tellAll() {
  const event = `data: ${eventCount++}\n\n`;
  for (const response of clients) response.write(event);
}

function route(request, response) {
  const [path] = request.url.split("?", 1);
  switch (path) {
    case "/":
      return hello(request, response);
    case "/app":
      return app(request, response);
    case "/json":
      return order(request, response);
    case "/echo":
      return echo(request, response);
    case "/big":
      return sendBytes(BIG, response);
    case "/events":
      return events(request, response);
    default:
      response.writeHead(404).end();
  }
}

function echoByTcp(socket) {
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  // The peer has reset it; node destroys it.
  socket.on("error", () => {});
}

const service = process.argv[2];
const server = service === "echo"
  ? createTcpServer({ noDelay: true }, echoByTcp)
  : createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS },
    service === "hello" ? hello : route,
  );
server.listen(0, "127.0.0.1", () => {
  // deno-lint-ignore no-console -- the benchmark reads it
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
