/** WebSockets of programs that ask for what cannot be, or fail at the end. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  serve,
  type ServeModuleOptions,
  webSocket,
  type WebSocketHandlers,
} from "../../mod.ts";
import { RawClient } from "../util/http_client.ts";
import { ConsoleWatch } from "../util/console.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

const HANDSHAKE = "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

Deno.test("webSocket() throws for origins that are no list: a string has parts", () => {
  for (const origins of ["https://example.com", 7, null, {}]) {
    assertThrows(
      () => webSocket({ origins: origins as never }),
      TypeError,
      "it must be an array or a function",
    );
  }
});

Deno.test("webSocket() and serve() throw for limits that are no times, when they are Infinity", () => {
  const sizes = [
    "messageBytesMax",
    "fragmentsMax",
    "backpressureBytesMax",
    "topicsMax",
  ] as const;
  for (const name of sizes) {
    const limit = { [name]: Infinity };
    assertThrows(() => webSocket(limit), RangeError, `${name} "Infinity"`);
    assertThrows(() => serve({ ...limit, fetch: answer }), RangeError, name);
  }
  webSocket({ webSocketIdleMs: Infinity, closeMs: Infinity });
});

for (const decision of [false, true, null, "yes"]) {
  Deno.test(`websocket answers with 500, when upgrade returns ${decision}`, async () => {
    await using server = serveWebSockets({ upgrade: () => decision as never });
    using watch = new ConsoleWatch();
    assertEquals(await statusOf(server.addr, HANDSHAKE), 500);
    const [[error] = []] = watch.complained;
    assertEquals(
      (error as Error).message,
      `Cannot use the result of websocket.upgrade "${decision}": it must be ` +
        "a Response, an object with data, protocol or headers, or undefined",
    );
  });
}

for (
  const name of [
    "Sec-WebSocket-Protocol",
    "sec-websocket-extensions",
    "Upgrade",
  ]
) {
  Deno.test(`websocket answers with 500, when upgrade returns a field ${name} of its own`, async () => {
    await using server = serveWebSockets({
      upgrade: () => ({ headers: { [name]: "x" } }),
    });
    using watch = new ConsoleWatch();
    assertEquals(await statusOf(server.addr, HANDSHAKE), 500);
    const [[error] = []] = watch.complained;
    assertEquals(
      (error as Error).message,
      `Cannot use headers with "${name.toLowerCase()}": the handshake sends ` +
        "it, as protocol and compression say",
    );
  });
}

Deno.test("serve() answers a request that offers another protocol by its handler", async () => {
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  await using server = serve({ ...options, websocket: {}, fetch: answer });
  const fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n";
  assertEquals(await statusOf(server.addr, fields), 200);
});

Deno.test("serve() takes handlers of WebSockets at a Unix socket, and not for a module", async () => {
  using folder = new SocketFolder();
  const path = folder.path("websocket.sock");
  const server = serve({ path, onListen() {}, websocket: {}, fetch: answer });
  await server.shutdown();
  const module = { module: import.meta.url, websocket: {} };
  await assertRejects(
    async () => await serve(module as ServeModuleOptions),
    TypeError,
    'option "websocket": export it from the module',
  );
});

const fail = () => Promise.reject(new Error("planned"));

for (const name of ["error", "close"] as const) {
  Deno.test(`websocket prints the error of a promise that ${name} returns`, async () => {
    const handlers: WebSocketHandlers = { [name]: fail };
    await using server = serveWebSockets(handlers);
    using watch = new ConsoleWatch();
    const peer = await Peer.connect(server.addr);
    // A frame that is not masked breaks the protocol.
    await peer.send(Uint8Array.of(0x81, 0));
    assertEquals((await peer.closing())[0], 1002);
    peer[Symbol.dispose]();
    await server.shutdown();
    // An unhandled rejection is known after the microtasks of this round.
    await new Promise((resolve) => setImmediate(resolve));
    const [[error] = []] = watch.complained;
    assertEquals((error as Error).message, "planned");
  });
}

function answer(): Response {
  return new Response("answer");
}

/** Returns the status of the answer to a request with these fields. */
async function statusOf(addr: Deno.NetAddr, fields: string): Promise<number> {
  using client = await RawClient.connect(addr);
  await client.send(`GET / HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
  return (await client.answer()).status;
}
