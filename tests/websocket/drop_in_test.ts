/** `upgradeWebSocket` in the shape of Deno's. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  BINARY,
  CONTINUATION,
  FIN,
  PING,
  PONG,
  TEXT,
} from "../../src/websocket/frames.ts";
import type { HttpServer, ServeOptions } from "../../src/server/http_server.ts";
import { serve } from "../../src/server/serve.ts";
import { upgradeWebSocket } from "../../src/websocket/drop_in.ts";
import { EventSocket } from "../../src/websocket/event_socket.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import { RawClient, ResettingClient } from "../util/http_client.ts";
import { get } from "../util/requests.ts";
import { runScript } from "../util/scripts.ts";
import { within } from "../util/waiting.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { Peer } from "../util/websocket_peer.ts";

/** The fields of a handshake, without a version. */
const ASKS = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const ASK = get("/", ...ASKS, "Sec-WebSocket-Version: 13");

/** A server with one socket, and what has happened to the socket. */
class Scene implements AsyncDisposable {
  readonly server: HttpServer;
  /** The socket, once a client has asked. */
  socket!: WebSocket;
  /** Its events. */
  readonly log: unknown[] = [];
  /** What the handler threw. */
  error: unknown;
  readonly #closed = Promise.withResolvers<void>();

  /**
   * @param prepare Called with the socket, before the handler returns its
   * response.
   */
  constructor(
    prepare: (socket: WebSocket) => void = () => {},
    options: Deno.UpgradeWebSocketOptions = {},
    serveOptions: ServeOptions = {},
  ) {
    const where = { hostname: "127.0.0.1", port: 0, onListen() {} };
    const onError = (error: unknown) => {
      this.error = error;
      return new Response("failed", { status: 500 });
    };
    this.server = serve({ ...where, onError, ...serveOptions }, (request) => {
      const { socket, response } = upgradeWebSocket(request, options);
      this.socket = socket;
      this.#watch(socket);
      prepare(socket);
      return response;
    });
  }

  /** Resolves when the socket has closed. */
  get closed(): Promise<void> {
    return within(this.#closed.promise, "the socket to close");
  }

  /** Connects a client. */
  connect(behind?: Uint8Array<ArrayBuffer>): Promise<Peer> {
    return Peer.connect(this.server.addr, behind && { behind });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(this.server.shutdown(), "the server to shut down");
  }

  #watch(socket: WebSocket): void {
    const { log } = this;
    socket.addEventListener("open", () => log.push("open"));
    socket.addEventListener("message", ({ data }) => log.push(data));
    socket.addEventListener("error", (event) => {
      assertInstanceOf(event, ErrorEvent);
      assertInstanceOf(event.error, Error);
      log.push("error", socket.readyState);
    });
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      log.push("close", code, reason, wasClean, socket.readyState);
      this.#closed.resolve();
    });
  }
}

/** Returns what a loop over an object's members shows. */
function membersOf(socket: WebSocket): string[] {
  const names: string[] = [];
  for (const name in socket) names.push(name);
  return names.sort();
}

Deno.test("upgradeWebSocket() gives a WebSocket of Deno's class, which opens when it was returned", async () => {
  const shown: string[] = [];
  const opened = Promise.withResolvers<void>();
  await using scene = new Scene((socket) => {
    shown.push(Deno.inspect(socket, { compact: true, breakLength: Infinity }));
    assertThrows(() => socket.send("early"), DOMException, "not OPEN");
    socket.onopen = () => opened.resolve();
  });
  using peer = await scene.connect();
  await opened.promise;
  const { socket } = scene;
  assertInstanceOf(socket, WebSocket);
  assertInstanceOf(socket, EventTarget);
  assertStrictEquals(socket.constructor, WebSocket);
  assertEquals(String(socket), "[object WebSocket]");
  assertEquals(Object.keys(socket), []);
  assertEquals(membersOf(socket), membersOf(WebSocket.prototype));
  const { CONNECTING, OPEN, CLOSING, CLOSED, readyState } = socket;
  assertEquals([CONNECTING, OPEN, CLOSING, CLOSED], [0, 1, 2, 3]);
  assertEquals(readyState, OPEN);
  const { url, protocol, extensions, binaryType, bufferedAmount } = socket;
  assertEquals([url, protocol, extensions], ["", "", ""]);
  assertEquals([binaryType, bufferedAmount], ["arraybuffer", 0]);
  assertEquals(shown, [
    'WebSocket { url: "", readyState: 0, extensions: "", protocol: "", ' +
    'binaryType: "arraybuffer", bufferedAmount: 0, onmessage: null, ' +
    "onerror: null, onclose: null, onopen: null }",
  ]);
  await peer.send(maskedClose(4001, "done"));
  await scene.closed;
  assertEquals(scene.log, ["open", "close", 4001, "done", true, 3]);
  assertEquals(await peer.closing(), [4001, "done"]);
});

Deno.test("socket hears of its opening and of messages behind the request, when listeners are added a round later", async () => {
  const heard = Promise.withResolvers<unknown>();
  const order: string[] = [];
  await using scene = new Scene(async (socket) => {
    // Deno's socket opens after all microtasks of its handler.
    for (let hops = 0; hops < 16; hops++) await undefined;
    socket.onopen = () => order.push("open");
    socket.onmessage = ({ data }) => heard.resolve(data);
  });
  using _peer = await scene.connect(maskedFrame(FIN | TEXT, "early"));
  assertEquals(await heard.promise, "early");
  assertEquals(order, ["open"]);
});

Deno.test("socket calls listeners and its handler attribute in the order in which they were added", async () => {
  const done = Promise.withResolvers<void>();
  const order: number[] = [];
  await using scene = new Scene((socket) => {
    socket.addEventListener("message", () => order.push(1));
    socket.onmessage = () => order.push(0);
    socket.addEventListener("message", () => {
      order.push(3);
      done.resolve();
    });
    socket.onmessage = () => order.push(2);
  });
  using peer = await scene.connect();
  await peer.sendTexts("x");
  await done.promise;
  assertEquals(order, [1, 2, 3]);
});

Deno.test("socket gives bytes as its binaryType says, and in a buffer of their length", async () => {
  const three = Promise.withResolvers<void>();
  const data: unknown[] = [];
  await using scene = new Scene((socket) => {
    socket.onmessage = (event) => {
      data.push(event.data);
      // As Deno's are; its other events are not.
      assert(event.isTrusted);
      socket.binaryType = "strange" as BinaryType;
      if (data.length === 2) socket.binaryType = "blob";
      if (data.length === 3) three.resolve();
    };
  });
  using peer = await scene.connect();
  const bytes = new Uint8Array(700).map((_, index) => index);
  await peer.send(
    maskedFrame(FIN | BINARY, bytes),
    // The array of a message in fragments grows with it, beyond its length.
    maskedFrame(BINARY, bytes),
    maskedFrame(FIN | CONTINUATION, bytes),
    maskedFrame(FIN | BINARY, bytes),
  );
  await three.promise;
  const [first, second, third] = data;
  assertEquals(first, bytes.buffer);
  assertEquals(second, Uint8Array.of(...bytes, ...bytes).buffer);
  assertInstanceOf(third, Blob);
  assertEquals(await third.arrayBuffer(), bytes.buffer);
});

Deno.test("socket sends texts, bytes and blobs in order, and closes behind them", async () => {
  await using scene = new Scene((socket) => {
    socket.onopen = () => {
      const view = new DataView(Uint8Array.of(0, 2, 3, 0).buffer, 1, 2);
      socket.send("text");
      socket.send(Uint8Array.of(1).buffer);
      socket.send(view);
      socket.send(new Blob(["a blob"]));
      socket.send("behind");
      socket.send(view);
      socket.send(null as unknown as string);
      socket.send(new Blob(["another"]));
      assertEquals(socket.bufferedAmount, 6 + 6 + 2 + 4 + 7);
      // What waits for a blob is the socket's own.
      view.setUint8(0, 9);
      socket.close(1011, "all");
      assertEquals(socket.readyState, WebSocket.CLOSING);
      socket.send("too late");
    };
  });
  using peer = await scene.connect();
  const got: unknown[] = [];
  for (let count = 0; count < 8; count++) {
    const { first, payload } = (await peer.frame())!;
    got.push(first === (FIN | TEXT) ? "text" : "bytes", [...payload]);
  }
  const codes = (text: string) => [...new TextEncoder().encode(text)];
  assertEquals(got, [
    ...["text", codes("text"), "bytes", [1], "bytes", [2, 3]],
    ...["bytes", codes("a blob"), "text", codes("behind"), "bytes", [2, 3]],
    ...["text", codes("null"), "bytes", codes("another")],
  ]);
  assertEquals(await peer.closing(), [1011, "all"]);
  await peer.send(maskedClose(1000, ""));
  await scene.closed;
  assertEquals(scene.log, ["open", "close", 1000, "", true, 3]);
});

/** A blob that is read when the test lets it. */
class SlowBlob extends Blob {
  readonly gate = Promise.withResolvers<void>();

  override async arrayBuffer(): Promise<ArrayBuffer> {
    await this.gate.promise;
    return super.arrayBuffer();
  }
}

Deno.test("socket gets no message behind its close(), while a blob before the close frame is read", async () => {
  const blob = new SlowBlob(["slow"]);
  await using scene = new Scene((socket) => {
    socket.onopen = () => {
      socket.send(blob);
      socket.close(4000);
    };
  });
  using peer = await scene.connect();
  await peer.sendTexts("late");
  await peer.send(maskedFrame(FIN | PING, ""));
  assertEquals((await peer.frame())?.first, FIN | PONG);
  assertEquals([scene.log, scene.socket.bufferedAmount], [["open"], 0]);
  blob.gate.resolve();
  assertEquals((await peer.frame())?.first, FIN | BINARY);
  assertEquals(await peer.closing(), [4000, ""]);
  await peer.send(maskedClose(4000, ""));
  await scene.closed;
  assertEquals(scene.log, ["open", "close", 4000, "", true, 3]);
});

Deno.test("socket is closed at once, and dispatches close a round of Deno's loop later", async () => {
  const socket = new EventSocket("");
  let isHeard = false;
  const closed = new Promise<void>((resolve) => {
    socket.addEventListener("close", () => {
      isHeard = true;
      resolve();
    });
  });
  const connection = { data: socket } as unknown as ServerWebSocket;
  EventSocket.receiver.close(connection, 1000, "", true);
  assertEquals(socket.readyState, WebSocket.CLOSED);
  for (let hops = 0; hops < 16; hops++) await undefined;
  assertEquals(isHeard, false);
  await closed;
});

Deno.test("socket.send() throws a TypeError, when it gets nothing or shared memory", async () => {
  await using scene = new Scene((socket) => {
    socket.onopen = () => {
      const send = socket.send as unknown as (shared?: unknown) => void;
      assertThrows(() => send.call(socket), TypeError, "1 argument required");
      const shared = new SharedArrayBuffer(2);
      assertThrows(() => send.call(socket, shared), TypeError, "Argument 1 is");
      socket.close();
    };
  });
  using peer = await scene.connect();
  assertEquals(await peer.closing(), [1005, ""]);
});

/** What `close` is called with, and what the peer gets. */
const CLOSINGS: [
  args: [code?: number | undefined, reason?: string],
  code: number,
  reason: string,
][] = [
  [[], 1005, ""],
  [[undefined, ""], 1005, ""],
  // A close frame has no reason without a code.
  [[undefined, "why"], 1000, "why"],
  [[1000], 1000, ""],
  [[1001, "going"], 1001, "going"],
  [[4999, "é".repeat(61)], 4999, "é".repeat(61)],
  [[3000.5, "\ud800"], 3000, "\ufffd"],
];

for (const isEarly of [true, false]) {
  const when = isEarly ? "before the socket opens" : "when it is open";
  Deno.test(`socket.close() sends its code and its reason, ${when}`, async () => {
    for (const [args, code, reason] of CLOSINGS) {
      await using scene = new Scene((socket) => {
        if (isEarly) socket.close(...args);
        else socket.onopen = () => socket.close(...args);
      });
      using peer = await scene.connect();
      assertEquals(await peer.closing(), [code, reason]);
      assertEquals(scene.socket.readyState, WebSocket.CLOSING);
      // Messages of a peer that has not read the close frame yet.
      await peer.sendTexts("crossing");
      await peer.send(maskedClose(4000, "answer"));
      await scene.closed;
      const end = ["close", 4000, "answer", true, 3];
      assertEquals(scene.log, isEarly ? end : ["open", ...end]);
      scene.socket.close();
    }
  });
}

Deno.test("socket.close() throws a DOMException, when a close frame may not have its arguments", async () => {
  await using scene = new Scene((socket) => {
    socket.onopen = () => {
      const thrown = (code: number, reason?: string) => {
        const call = () => socket.close(code, reason);
        return assertThrows(call, DOMException).name;
      };
      for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, NaN]) {
        assertEquals(thrown(code), "InvalidAccessError");
      }
      assertEquals(thrown(1000, "é".repeat(62)), "SyntaxError");
      assertEquals(socket.readyState, WebSocket.OPEN);
      socket.close();
    };
  });
  using peer = await scene.connect();
  assertEquals(await peer.closing(), [1005, ""]);
});

/** How a peer ends without a closing handshake, and the code of the event. */
const FAULTS: [what: string, end: (peer: Peer) => unknown, code: number][] = [
  ["has ended", (peer) => peer.end(), 1006],
  ["has gone", (peer) => peer[Symbol.dispose](), 1006],
  ["masks no frame", (peer) => peer.send(Uint8Array.of(0x81, 0)), 1002],
];

for (const [what, end, code] of FAULTS) {
  Deno.test(`socket gets an error and closes, when its peer ${what}`, async () => {
    await using scene = new Scene();
    const peer = await scene.connect();
    await end(peer);
    await scene.closed;
    const [open, ...error] = scene.log.toSpliced(5, 1);
    assertEquals(open, "open");
    assertEquals(error, ["error", 3, "close", code, false, 3]);
    if (what !== "has gone") peer[Symbol.dispose]();
  });
}

Deno.test("socket closes without an error, when its peer does not answer the close frame", async () => {
  await using scene = new Scene(
    (socket) => socket.onopen = () => socket.close(),
    {},
    { closeMs: 1 },
  );
  using _peer = await scene.connect();
  await scene.closed;
  assertEquals(scene.log, ["open", "close", 1006, "", false, 3]);
});

Deno.test("socket gets an error and closes, when its peer gives no sign of life for idleTimeout", async () => {
  await using scene = new Scene(undefined, { idleTimeout: 0.01 });
  using _peer = await scene.connect();
  await scene.closed;
  assertEquals(scene.log, ["open", "error", 3, "close", 1006, "", false, 3]);
});

Deno.test("upgradeWebSocket() agrees on the subprotocol, when the client offers it", async () => {
  await using scene = new Scene(undefined, { protocol: "b" });
  const { port } = scene.server.addr;
  const client = new WebSocket(`ws://127.0.0.1:${port}`, ["a", "b"]);
  const opened = Promise.withResolvers<void>();
  client.onopen = () => opened.resolve();
  await within(opened.promise, "the client to open");
  assertEquals([client.protocol, scene.socket.protocol], ["b", "b"]);
  client.close();
  await scene.closed;
});

/** Requests that Deno's own function throws for. */
const THROWN: [
  message: string,
  request: string,
  options?: Deno.UpgradeWebSocketOptions,
][] = [
  ["'upgrade' header must contain 'websocket'", get("/", ASKS[1]!, ASKS[2]!)],
  [
    "'connection' header must contain 'Upgrade'",
    get("/", ASKS[0]!, "Connection: close", ASKS[2]!),
  ],
  [
    "'sec-websocket-key' header must be set",
    get("/", "Connection: keep-alive, upgrade", "Upgrade: h2c,WebSocket"),
  ],
  ["Protocol 'x' not in the request's protocol list", ASK, { protocol: "x" }],
];

for (const [message, request, options] of THROWN) {
  Deno.test(`upgradeWebSocket() throws as Deno's does: ${message}`, async () => {
    await using scene = new Scene(undefined, options);
    using client = await RawClient.connect(scene.server.addr);
    await client.send(request);
    assertEquals((await client.answer()).status, 500);
    assertInstanceOf(scene.error, TypeError);
    assert(scene.error.message.includes(message), scene.error.message);
  });
}

Deno.test("upgradeWebSocket() refuses what Deno's takes and RFC 6455 does not, and the socket closes", async () => {
  const refused: [status: number, request: string][] = [
    [426, get("/", ...ASKS)],
    [426, get("/", ...ASKS, "Sec-WebSocket-Version: 8")],
    [400, get("/", ...ASKS.slice(0, 2), "Sec-WebSocket-Key: short")],
    [405, ASK.replace("GET", "PUT")],
  ];
  for (const [status, request] of refused) {
    const key = "Sec-WebSocket-Version";
    const whole = request.includes(key) || status === 426
      ? request
      : request.replace("\r\n\r\n", `\r\n${key}: 13\r\n\r\n`);
    let message = "";
    await using scene = new Scene((socket) => {
      socket.onerror = (event) => message = (event as ErrorEvent).message;
    });
    using client = await RawClient.connect(scene.server.addr);
    await client.send(whole);
    assertEquals((await client.answer()).status, status);
    await scene.closed;
    assertEquals(message, `Handshake refused with ${status}`);
    assertEquals(scene.log, ["error", 3, "close", 1006, "", false, 3]);
  }
});

Deno.test("socket closes, when its client has gone before the handler answers", async () => {
  const closed = Promise.withResolvers<CloseEvent>();
  await using server = serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { socket, response } = upgradeWebSocket(request);
      socket.onopen = () => closed.reject(new Error("The socket has opened"));
      socket.onclose = closed.resolve;
      client.reset();
      await new Promise((resolve) => request.signal.onabort = resolve);
      return response;
    },
  );
  using client = new ResettingClient(server.addr);
  await client.send(ASK);
  assertEquals((await within(closed.promise, "the close")).code, 1006);
});

Deno.test("socket closes, when its handler answers after handlerMs", async () => {
  const closed = Promise.withResolvers<CloseEvent>();
  await using server = serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, handlerMs: 1 },
    async (request) => {
      const { socket, response } = upgradeWebSocket(request);
      socket.onclose = closed.resolve;
      await new Promise((resolve) => request.signal.onabort = resolve);
      return response;
    },
  );
  using client = await RawClient.connect(server.addr);
  await client.send(ASK);
  assertEquals((await client.answer()).status, 503);
  assertEquals((await within(closed.promise, "the close")).code, 1006);
});

for (const isAsync of [false, true]) {
  const what = isAsync ? "an async handler" : "a handler";
  Deno.test(`socket gets an error and closes, when ${what} returns another response`, async () => {
    const events: unknown[] = [];
    const closed = Promise.withResolvers<void>();
    const answer = (request: Request) => {
      const { socket } = upgradeWebSocket(request);
      socket.onerror = (event) => events.push((event as ErrorEvent).message);
      socket.onclose = ({ code }) => {
        events.push(code, socket.readyState);
        closed.resolve();
      };
      return new Response("no", { status: 403 });
    };
    await using server = serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      isAsync ? (request) => Promise.resolve(answer(request)) : answer,
    );
    using client = await RawClient.connect(server.addr);
    await client.send(ASK);
    assertEquals((await client.answer()).status, 403);
    await within(closed.promise, "the close");
    const message = "The request was answered by another response";
    assertEquals(events, [message, 1006, 3]);
  });
}

Deno.test("upgradeWebSocket() throws Deno.errors.Http, when the request was upgraded before", async () => {
  await using server = serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { response } = upgradeWebSocket(request);
      assertThrows(
        () => upgradeWebSocket(request),
        Deno.errors.Http,
        "Already upgraded",
      );
      return response;
    },
  );
  using _peer = await Peer.connect(server.addr);
});

Deno.test("upgradeWebSocket() throws, when idleTimeout is no time", () => {
  const request = new Request("http://localhost/");
  assertThrows(() => upgradeWebSocket(request), TypeError, "Invalid Header");
  return withRequest((request) => {
    for (const idleTimeout of [-1, 0.001, 1e10, NaN]) {
      assertThrows(
        () => upgradeWebSocket(request, { idleTimeout }),
        RangeError,
      );
    }
    const idleTimeout = "5" as unknown as number;
    assertThrows(() => upgradeWebSocket(request, { idleTimeout }), TypeError);
    upgradeWebSocket(request, { idleTimeout: 0 });
  });
});

/** Calls `act` with a request of a server. */
async function withRequest(act: (request: Request) => void): Promise<void> {
  let error: unknown;
  const options = {
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    onError: (thrown: unknown) => {
      error = thrown;
      return new Response("failed");
    },
  };
  await using server = serve(options, (request) => {
    act(request);
    return new Response("fine");
  });
  using client = await RawClient.connect(server.addr);
  await client.send(ASK);
  assertEquals((await client.answer()).text, "fine", String(error));
}

Deno.test("socket closes with 1001 at both ends, when its server shuts down", async () => {
  const opened = Promise.withResolvers<void>();
  await using scene = new Scene((socket) => {
    socket.onopen = () => opened.resolve();
  });
  using peer = await scene.connect();
  await opened.promise;
  const finished = scene.server.shutdown();
  assertEquals(await peer.closing(), [1001, ""]);
  assertEquals(scene.socket.readyState, WebSocket.CLOSING);
  await peer.send(maskedClose(1001, ""));
  await Promise.all([finished, scene.closed]);
  assertEquals(scene.log, ["open", "close", 1001, "", true, 3]);
});

Deno.test("peer gets the whole closing handshake, when the program ends its server at the close event", async () => {
  const abort = new AbortController();
  await using scene = new Scene(
    (socket) => socket.onclose = () => abort.abort(),
    {},
    { signal: abort.signal },
  );
  using peer = await scene.connect();
  await peer.send(maskedClose(4000, "bye"));
  assertEquals(await peer.closing(), [4000, "bye"]);
  assertEquals(await peer.frame(), undefined);
  await scene.server.finished;
});

Deno.test("socket of a peer that takes nothing loses no message, whatever its server's backpressureBytesMax", async () => {
  const count = 64;
  const piece = "x".repeat(65_536);
  await using scene = new Scene(
    (socket) => {
      socket.onopen = () => {
        for (let sent = 0; sent < count; sent++) socket.send(piece);
        assert(socket.bufferedAmount > 65_536);
        socket.close(1000);
      };
    },
    {},
    { backpressureBytesMax: 65_536 },
  );
  using peer = await scene.connect();
  for (let got = 0; got < count; got++) {
    assertEquals((await peer.text()).length, piece.length);
  }
  assertEquals(await peer.closing(), [1000, ""]);
});

for (const isPrevented of [false, true]) {
  const what = isPrevented ? "goes on" : "ends";
  Deno.test(
    `program ${what} as with Deno's own sockets, when a listener throws${
      isPrevented ? " and the global error is prevented" : ""
    }`,
    async () => {
      const args = isPrevented ? ["prevented"] : [];
      const [own, denos] = await Promise.all([
        runScript("throws_in_listener.ts", { args: ["denio", ...args] }),
        runScript("throws_in_listener.ts", { args: ["deno", ...args] }),
      ]);
      assertEquals([own.code, own.stdout], [denos.code, denos.stdout]);
      assertEquals(own.code, isPrevented ? 0 : 1);
      const uncaught = /Uncaught Error: planned/;
      assertEquals(uncaught.test(own.stderr), uncaught.test(denos.stderr));
    },
  );
}
