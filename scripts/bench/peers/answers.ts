/**
 * Asks a server once for all that it will be measured on: one that answered
 * something else would be compared unfairly.
 *
 * @module
 */

import type { Peer, Route, Service } from "./peer.ts";

/** How long one answer may take: a server that hangs must not hang the run. */
const ANSWER_MS = 10_000;
/** Events that are read of a stream. */
const EVENTS_READ = 3;

const BIG_BYTES = 1_048_576;
/** What is sent to be echoed: more than one read brings. */
const ECHO_BYTES = 200_000;
/** Bytes of a body repeat after so many. */
const PERIOD = 251;

const ITEMS = 20;
const USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) denio-bench";
const LANGUAGE = "de-CH,de;q=0.9,en;q=0.8";

/** What is sent, and what must come back. */
interface Exchange {
  readonly path: string;
  readonly init?: RequestInit;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const BYTES = { "content-type": "application/octet-stream" };

const EXCHANGES: Readonly<Record<Exclude<Route, "events">, Exchange>> = {
  hello: {
    path: "/",
    headers: { "content-type": "text/plain;charset=UTF-8" },
    body: encoded("Hello, World!"),
  },
  app: {
    path: "/app?user=42&sort=name",
    init: {
      headers: { "user-agent": USER_AGENT, "accept-language": LANGUAGE },
    },
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-request-id": "42",
    },
    body: encoded(JSON.stringify({
      path: "/app",
      user: "42",
      sort: "name",
      language: LANGUAGE,
      agent: USER_AGENT,
    })),
  },
  json: {
    path: "/json",
    init: { method: "POST", body: JSON.stringify({ items: items() }) },
    headers: { "content-type": "application/json" },
    body: encoded(`{"count":${ITEMS},"total":${ITEMS * (ITEMS - 1) / 2}}`),
  },
  echo: {
    path: "/echo",
    init: { method: "POST", body: pattern(ECHO_BYTES) },
    headers: BYTES,
    body: pattern(ECHO_BYTES),
  },
  big: { path: "/big", headers: BYTES, body: pattern(BIG_BYTES) },
};

/**
 * Asks a server that listens for each route that its peer supports.
 *
 * @throws {Error} that names the route, when an answer is not as it must be.
 */
export async function checkAnswers(
  { supports }: Pick<Peer, "supports">,
  service: Service,
  port: number,
): Promise<void> {
  if (service === "echo") return await named("echo", () => checkEcho(port));
  // A connection that stayed open would be measured too.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  for (const [route, exchange] of Object.entries(EXCHANGES)) {
    if (!supports(service, route)) continue;
    await named(route, () => check(exchange, port, client));
  }
  if (!supports(service, "events")) return;
  await named("events", () => checkEvents(port, client));
}

async function named(route: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`route "${route}": ${message}`, { cause: error });
  }
}

async function check(
  { path, init, headers, body }: Exchange,
  port: number,
  client: Deno.HttpClient,
): Promise<void> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const url = `http://127.0.0.1:${port}${path}`;
  const response = await fetch(url, { ...init, client, signal });
  const bytes = await response.bytes();
  if (response.status !== 200) {
    throw new Error(`it answered with status ${response.status}`);
  }
  for (const [name, value] of Object.entries(headers)) {
    const found = response.headers.get(name);
    if (sameValue(found ?? "", value)) continue;
    throw new Error(`its "${name}" is "${found}" and must be "${value}"`);
  }
  expectBytes(bytes, body);
}

/** Names of types and of charsets are of any case: RFC 9110 section 8.3. */
function sameValue(found: string, wanted: string): boolean {
  const plain = (text: string) => text.toLowerCase().replaceAll("; ", ";");
  return plain(found) === plain(wanted);
}

async function checkEvents(
  port: number,
  client: Deno.HttpClient,
): Promise<void> {
  const controller = new AbortController();
  const timeout = AbortSignal.timeout(ANSWER_MS);
  const signal = AbortSignal.any([controller.signal, timeout]);
  const url = `http://127.0.0.1:${port}/events`;
  const response = await fetch(url, { client, signal });
  const type = response.headers.get("content-type");
  if (type !== "text/event-stream") {
    throw new Error(`its "content-type" is "${type}"`);
  }
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("\n\n").length > EVENTS_READ) break;
  }
  controller.abort();
  expectEvents(text);
}

/** Expects whole events that count on by one. */
function expectEvents(text: string): void {
  const events = text.split("\n\n").slice(0, EVENTS_READ);
  const first = Number(/^data: (\d+)$/.exec(events[0]!)?.[1]);
  const wanted = events.map((_, index) => `data: ${first + index}`);
  if (events.length === EVENTS_READ && `${events}` === `${wanted}`) return;
  throw new Error(`its events are ${JSON.stringify(text)}`);
}

async function checkEcho(port: number): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  // A read that waits when the connection closes ends.
  const timer = setTimeout(() => conn.close(), ANSWER_MS);
  try {
    const sent = pattern(ECHO_BYTES);
    const [received] = await Promise.all([
      readExactly(conn, sent.byteLength),
      writeAll(conn, sent),
    ]);
    expectBytes(received, sent);
  } finally {
    clearTimeout(timer);
  }
}

async function readExactly(
  conn: Deno.Conn,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let start = 0; start < length;) {
    const count = await conn.read(bytes.subarray(start));
    if (count === null) {
      throw new Error(`it closed after ${start} of ${length} bytes`);
    }
    start += count;
  }
  return bytes;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.byteLength;) {
    start += await conn.write(bytes.subarray(start));
  }
}

function expectBytes(found: Uint8Array, wanted: Uint8Array): void {
  if (found.byteLength !== wanted.byteLength) {
    throw new Error(
      `it answered ${found.byteLength} bytes, ` +
        `${wanted.byteLength} must come: "${beginning(found)}"`,
    );
  }
  const at = wanted.findIndex((byte, index) => found[index] !== byte);
  if (at < 0) return;
  throw new Error(
    `byte ${at} of its answer is ${found[at]} and must be ${wanted[at]}: ` +
      `"${beginning(found)}"`,
  );
}

const SHOWN_BYTES = 80;

function beginning(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, SHOWN_BYTES));
}

function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => index % PERIOD);
}

function items(): Record<string, unknown>[] {
  return Array.from({ length: ITEMS }, (_, id) => ({
    id,
    name: `item ${id}`,
    price: 0.5,
  }));
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
