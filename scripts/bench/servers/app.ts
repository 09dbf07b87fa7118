/**
 * The handlers of the benchmark's servers on denio, Deno and Bun: the same for
 * all three, so that only servers are compared.
 *
 * Web standards only. The route is read off the URL as text, as routers do;
 * only the route for which it is measured makes a `URL`.
 *
 * @module
 */

/** The service of all three. */
export type Handler = (request: Request) => Response | Promise<Response>;

import { BIG_BYTES, BIG_PERIOD, HELLO, LOGIN } from "../payloads.ts";

/** The topic of all WebSockets. */
export const TOPIC = "all";
const EVENT_MS = 100;
/** So many that 64 logins take a core for about a second. */
const HASHES = 50_000;
const SALT = new Uint8Array(16);

const BYTES = { "content-type": "application/octet-stream" };
const JSON_TYPE = { "content-type": "application/json" };
const EVENT_STREAM = { "content-type": "text/event-stream" };

/** The body of POST /json. */
interface Order {
  readonly items: readonly { readonly id: number }[];
}

/** Returns the handler that the server's command line names. */
export function handlerFor(service: string | undefined): Handler {
  return service === "hello" ? hello : handler;
}

/** The least that a handler can do: the rest is the server's own time. */
export function hello(): Response {
  return new Response(HELLO);
}

/** Answers every route of the benchmark. */
export function handler(request: Request): Response | Promise<Response> {
  switch (pathOf(request.url)) {
    case "/":
      return hello();
    case "/app":
      return app(request);
    case "/json":
      return order(request);
    case "/echo":
      return echo(request);
    case "/big":
      return bigAnswer();
    case "/events":
      return events();
    case "/login":
      return login(request);
    default:
      return new Response("Not found", { status: 404 });
  }
}

function pathOf(url: string): string {
  const start = url.indexOf("/", "https://".length);
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

function app({ url, headers }: Request): Response {
  const { pathname, searchParams } = new URL(url);
  const user = searchParams.get("user") ?? "";
  const body = JSON.stringify({
    path: pathname,
    user,
    sort: searchParams.get("sort") ?? "",
    language: headers.get("accept-language") ?? "",
    agent: headers.get("user-agent") ?? "",
  });
  return new Response(body, {
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-request-id": user,
    },
  });
}

async function order(request: Request): Promise<Response> {
  const { items }: Order = await request.json();
  let total = 0;
  for (const { id } of items) total += id;
  const body = JSON.stringify({ count: items.length, total });
  return new Response(body, { headers: JSON_TYPE });
}

async function echo(request: Request): Promise<Response> {
  return new Response(await request.bytes(), { headers: BYTES });
}

/** Hashes a password, on a thread of the runtime's pool. */
async function login(request: Request): Promise<Response> {
  const password = await request.bytes();
  const { subtle } = crypto;
  const key = await subtle.importKey("raw", password, "PBKDF2", false, [
    "deriveBits",
  ]);
  const method = { name: "PBKDF2", hash: "SHA-256", salt: SALT };
  await subtle.deriveBits({ ...method, iterations: HASHES }, key, 256);
  return new Response(LOGIN.answer);
}

/** Made when it is first asked for: the start of servers is measured, too. */
let big: Uint8Array<ArrayBuffer> | undefined;

function bigAnswer(): Response {
  big ??= Uint8Array.from({ length: BIG_BYTES }, (_, at) => at % BIG_PERIOD);
  return new Response(big, { headers: BYTES });
}

type Client = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

const encoder = new TextEncoder();
const clients = new Set<Client>();
let eventCount = 0;
let beat: ReturnType<typeof setInterval> | undefined;

/** One timer for all clients, and none when there is no client. */
function events(): Response {
  let client: Client;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      client = controller;
      clients.add(client);
      beat ??= setInterval(tellAll, EVENT_MS);
    },
    cancel() {
      clients.delete(client);
      if (clients.size > 0) return;
      clearInterval(beat);
      beat = undefined;
    },
  });
  return new Response(stream, { headers: EVENT_STREAM });
}

function tellAll(): void {
  const event = encoder.encode(`data: ${eventCount++}\n\n`);
  for (const client of clients) client.enqueue(event);
}
