/** WebSockets of programs that ask for what cannot be, or fail at the end. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  serve,
  type ServeModuleOptions,
  type ServerWebSocket,
  upgradeWebSocket,
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

Deno.test("webSocket() throws for an origin that no page has", () => {
  const wrong = [
    "https://example.com/",
    "https://example.com:443",
    "https://Example.com",
    "example.com",
    "*",
    "",
    7,
  ];
  for (const origin of wrong) {
    assertThrows(
      () => webSocket({ origins: ["https://a.b", origin as never] }),
      TypeError,
      `websocket.origins[1] "${origin}": it must be an origin`,
    );
  }
  webSocket({
    origins: [
      "https://example.com",
      "http://localhost:8000",
      "http://[::1]:8000",
      "chrome-extension://abcdef",
      "null",
    ],
  });
});

Deno.test("webSocket() says what an option of another server is called here", () => {
  const options = { maxPayloadLength: 1024 };
  assertThrows(
    () => webSocket(options as WebSocketHandlers),
    TypeError,
    'Cannot use websocket.maxPayloadLength "1024": it must be called ' +
      "messageBytesMax here",
  );
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

Deno.test("webSocket() throws a TypeError, when a limit is no number", () => {
  for (const limit of ["5", null, {}, Object.create(null)]) {
    assertThrows(
      () => webSocket({ messageBytesMax: limit as never }),
      TypeError,
      "it must be a number",
    );
  }
});

Deno.test("upgrade() and upgradeWebSocket() throw a TypeError, when they get no request", () => {
  const route = webSocket({});
  for (const request of [undefined, null, "GET /"]) {
    const says = `Cannot use request "${request}": it must be a Request`;
    const given = request as unknown as Request;
    assertThrows(() => route.upgrade(given), TypeError, says);
    assertThrows(() => upgradeWebSocket(given), TypeError, says);
  }
});

/** Calls with what has no text, or is of another type than it looks. */
const CALLS: [
  says: string,
  call: (socket: ServerWebSocket<never>, none: never) => void,
][] = [
  ['send "object"', (socket, none) => socket.send(none)],
  ['send "object"', (socket, none) => socket.publish("topic", none)],
  ['topic "object"', (socket, none) => void socket.subscribe(none)],
  ['code "object"', (socket, none) => socket.close(none)],
  ['code "1000"', (socket) => socket.close("1000" as never)],
  ['code "Symbol(1000)"', (socket) => socket.close(Symbol("1000") as never)],
  ['reason "object"', (socket, none) => socket.close(1000, none)],
];

Deno.test("socket throws a TypeError that shows the value, when an argument is of a wrong type", async () => {
  const tested = Promise.withResolvers<void>();
  await using server = serveWebSockets({
    open(socket) {
      try {
        for (const [says, call] of CALLS) {
          const none = Object.create(null) as never;
          assertThrows(() => call(socket as never, none), TypeError, says);
        }
        tested.resolve();
      } catch (error) {
        tested.reject(error);
      }
    },
  });
  using _peer = await Peer.connect(server.addr);
  await tested.promise;
});

Deno.test("socket shows what programs know of it, and no more, when it is inspected", async () => {
  const shown = Promise.withResolvers<string>();
  await using server = serveWebSockets({
    upgrade: () => ({ data: { name: "Ada" } }),
    open: (socket) => {
      socket.subscribe("room");
      const wide = { compact: true, breakLength: Infinity };
      shown.resolve(Deno.inspect(socket, wide));
    },
  });
  using _peer = await Peer.connect(server.addr);
  assertEquals(
    await shown.promise,
    'ServerWebSocket { data: { name: "Ada" }, readyState: 1, protocol: "", ' +
      'extensions: "", bufferedBytes: 0, isPaused: false, topics: [ "room" ] }',
  );
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
