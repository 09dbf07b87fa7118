/** A server's connection goes to another protocol, on real sockets. */

import { assertEquals } from "@std/assert";
import { takeoverResponse } from "../../src/http/takeover.ts";
import type { CloseReason } from "../../src/stream/close_reason.ts";
import type { Protocol, Transport } from "../../src/stream/transport.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { decoded } from "../util/handlers.ts";
import { toLatin1 } from "../util/http_bytes.ts";
import type { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { GET, get } from "../util/requests.ts";
import { eventually } from "../util/waiting.ts";

const UPGRADE = get("/", "Connection: Upgrade", "Upgrade: echo");
/** The end of a 101. */
const SWITCHED = "\r\nconnection: Upgrade\r\n\r\n";
const MUCH = "0123456789abcdef".repeat(16_384);

/** An echo that says goodbye when its server shuts down. */
class Echo implements Protocol {
  readonly closed: CloseReason[] = [];
  /** Takes the connection of a request over. */
  readonly respond = (): Response =>
    takeoverResponse(
      (transport, _, leftover) => transport.upgrade(this, undefined, leftover),
      { Upgrade: "echo" },
    );

  data(
    transport: Transport,
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): void {
    transport.write(bytes, start, end);
  }

  close(_: Transport, reason: CloseReason): void {
    this.closed.push(reason);
  }

  shutdown(transport: Transport): void {
    transport.write(new TextEncoder().encode("goodbye"));
    transport.close();
  }
}

/** Reads until a text has come; returns all that has. */
async function readUntil(client: RawClient, text: string): Promise<string> {
  let all = "";
  while (!all.endsWith(text)) {
    const bytes = await client.read();
    if (bytes === undefined) throw new Error(`The end came behind "${all}"`);
    all += decoded(bytes, 0, bytes.byteLength);
  }
  return all;
}

for (const isLate of [false, true]) {
  cleanTest(
    `new protocol gets all bytes in order up to the peer's end, when the handler answers ${
      isLate ? "late" : "at once"
    }`,
    async () => {
      const echo = new Echo();
      const gate = Promise.withResolvers<void>();
      await using test = new TestServer(({ headers }) => {
        if (!headers.has("upgrade")) return new Response("first");
        return isLate ? gate.promise.then(echo.respond) : echo.respond();
      });
      const client = await test.connect();
      // More than HTTP keeps while its handler works.
      const sending = client.send(GET + UPGRADE + MUCH)
        .then(() => client.end());
      assertEquals((await client.answer()).text, "first");
      gate.resolve();
      const rest = toLatin1(await client.restBytes());
      await sending;
      assertEquals(rest.slice(rest.indexOf(SWITCHED)), SWITCHED + MUCH);
      assertEquals(echo.closed, ["ended"]);
      assertEquals(test.reactor.stats().memoryBytes, 0);
    },
  );
}

cleanTest(
  "shutdown() asks the new protocol to finish, and waits for its connections",
  async () => {
    const echo = new Echo();
    const test = new TestServer(echo.respond);
    const client = await test.connect();
    await client.send(UPGRADE);
    await readUntil(client, SWITCHED);
    const finished = test.server.shutdown();
    assertEquals(toLatin1(await client.restBytes()), "goodbye");
    await finished;
    assertEquals(echo.closed, ["closed"]);
    await test[Symbol.asyncDispose]();
  },
);

cleanTest(
  "connection is handed over and then asked to finish, when its handler answers during a shutdown",
  async () => {
    const echo = new Echo();
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const test = new TestServer(async () => {
      begun.resolve();
      await gate.promise;
      return echo.respond();
    });
    const client = await test.connect();
    await client.send(UPGRADE);
    await begun.promise;
    const finished = test.server.shutdown();
    // A timer of the reactor's has shut the connection down by then.
    test.reactor.setTimer(0, () => gate.resolve());
    const all = toLatin1(await client.restBytes());
    assertEquals(all.slice(all.indexOf(SWITCHED)), `${SWITCHED}goodbye`);
    await finished;
    assertEquals(echo.closed, ["closed"]);
    await test[Symbol.asyncDispose]();
  },
);

cleanTest(
  "connections that another protocol took over count until they close, and are never idle",
  async () => {
    const echo = new Echo();
    await using test = new TestServer(echo.respond, { connectionsMax: 1 });
    const client = await test.connect();
    await client.send(UPGRADE);
    await readUntil(client, SWITCHED);
    using refused = await test.connect();
    await refused.end();
    assertEquals(toLatin1(await refused.restBytes()), "");
    await client.send("still here");
    assertEquals(await readUntil(client, "here"), "still here");
    client.close();
    await eventually("room", () => test.reactor.size === 1);
    const next = await test.connect();
    await next.send(UPGRADE);
    await readUntil(next, SWITCHED);
  },
);

cleanTest(
  "abort of a server ends connections that another protocol took over",
  async () => {
    const echo = new Echo();
    const abort = new AbortController();
    await using test = new TestServer(echo.respond, { signal: abort.signal });
    const client = await test.connect();
    await client.send(UPGRADE);
    await readUntil(client, SWITCHED);
    abort.abort();
    await test.server.finished;
    assertEquals(toLatin1(await client.restBytes()), "");
    assertEquals(echo.closed, ["closed"]);
  },
);
