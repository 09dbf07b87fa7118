/**
 * The benchmark's HTTP server on uWebSockets.js: routes of its own router, and
 * what a handler writes corked, so that it leaves in one system call.
 *
 * It closes what is idle for ten seconds, and cannot be told not to.
 *
 * `node uws_http.mjs PACKAGE SERVICE`: where the package is installed, and
 * which service is asked for.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createRequire } from "node:module";
import process from "node:process";

const BIG_BYTES = 1_048_576;
const BIG_PERIOD = 251;
const EVENT_MS = 100;

const BIG = Uint8Array.from(
  { length: BIG_BYTES },
  (_, index) => index % BIG_PERIOD,
);

function hello(response) {
  response.writeHeader("content-type", "text/plain;charset=UTF-8");
  response.end("Hello, World!");
}

function app(response, request) {
  const user = request.getQuery("user") ?? "";
  const body = JSON.stringify({
    path: request.getUrl(),
    user,
    sort: request.getQuery("sort") ?? "",
    language: request.getHeader("accept-language"),
    agent: request.getHeader("user-agent"),
  });
  response.writeHeader("content-type", "application/json");
  response.writeHeader("cache-control", "no-store");
  response.writeHeader("x-request-id", user);
  response.end(body);
}

/** Has `answer` called with the whole body. */
function withBody(answer) {
  return (response) => {
    const chunks = [];
    // Required of who does not answer at once; nothing comes after it.
    response.onAborted(() => {});
    response.onData((chunk, isLast) => {
      // What it hands out is valid only until this returns.
      chunks.push(Buffer.from(isLast ? chunk : chunk.slice()));
      if (!isLast) return;
      const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      response.cork(() => answer(body, response));
    });
  };
}

const order = withBody((bytes, response) => {
  const { items } = JSON.parse(bytes.toString());
  let total = 0;
  for (const { id } of items) total += id;
  response.writeHeader("content-type", "application/json");
  response.end(JSON.stringify({ count: items.length, total }));
});

const echo = withBody(sendBytes);

function sendBytes(bytes, response) {
  response.writeHeader("content-type", "application/octet-stream");
  response.end(bytes);
}

const clients = new Set();
let eventCount = 0;
let beat;

/** One timer for all clients, and none when there is no client. */
function events(response) {
  response.writeHeader("content-type", "text/event-stream");
  // Its head leaves with the first event.
  clients.add(response);
  beat ??= setInterval(tellAll, EVENT_MS);
  response.onAborted(() => {
    clients.delete(response);
    if (clients.size > 0) return;
    clearInterval(beat);
    beat = undefined;
  });
}

function tellAll() {
  const event = `data: ${eventCount++}\n\n`;
  for (const response of clients) response.cork(() => response.write(event));
}

function addRoutes(server) {
  server.get("/", hello).get("/app", app);
  server.post("/json", order).post("/echo", echo);
  server.get("/big", (response) => sendBytes(BIG, response));
  server.get("/events", events);
  server.any("/*", (response) => response.writeStatus("404 Not Found").end());
}

const [, , path, service] = process.argv;
const uws = createRequire(import.meta.url)(path);
const server = uws.App();
if (service === "hello") server.any("/*", hello);
else addRoutes(server);
server.listen("127.0.0.1", 0, (socket) => {
  const port = uws.us_socket_local_port(socket);
  // deno-lint-ignore no-console -- the benchmark reads it
  console.log(`listening on 127.0.0.1:${port}`);
});
