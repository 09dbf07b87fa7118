import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  FIN,
  PING,
  PONG,
  TEXT,
} from "../../src/websocket/frames.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import { encoded } from "../util/handlers.ts";
import { ConsoleWatch } from "../util/console.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

const MEBIBYTE = 1_048_576;

/** Echoes each message. */
const echo = {
  message: (socket: ServerWebSocket, message: string | Uint8Array) => {
    socket.send(message as string);
  },
};

Deno.test("websocket echoes texts and bytes of any length", async () => {
  await using server = serveWebSockets(echo);
  using peer = await Peer.connect(server.addr);
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 300_000]) {
    const ascii = "a".repeat(length);
    await peer.sendTexts(ascii);
    assertEquals(await peer.text(), ascii);
    const wide = "é€😀".repeat(length / 9);
    await peer.sendTexts(wide);
    assertEquals(await peer.text(), wide);
    const bytes = new Uint8Array(length).map((_, index) => index);
    await peer.send(maskedFrame(FIN | BINARY, bytes));
    assertEquals(await peer.frame(), { first: FIN | BINARY, payload: bytes });
  }
});

Deno.test("websocket lends binary messages only to handlers that want that", async () => {
  for (const binary of ["own", "lent"] as const) {
    const seen: Uint8Array[] = [];
    await using server = serveWebSockets({
      binary,
      message(socket, message) {
        seen.push(message as Uint8Array);
        socket.send(message);
      },
    });
    using peer = await Peer.connect(server.addr);
    for (const bytes of [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)]) {
      await peer.send(maskedFrame(FIN | BINARY, bytes));
      assertEquals((await peer.frame())?.payload, bytes);
    }
    // A lent message lies where the next one will.
    const first = binary === "own" ? [1, 2, 3] : [4, 5, 6];
    assertEquals([...seen[0]!], first);
    const { buffer, byteLength } = seen[0]!;
    assertEquals(buffer.byteLength === byteLength, binary === "own");
  }
  assertThrows(
    () => serveWebSockets({ binary: "copied" as never }),
    TypeError,
    'Cannot use websocket.binary "copied": it must be "own" or "lent"',
  );
});

Deno.test("websocket keeps a text's byte order mark", async () => {
  await using server = serveWebSockets(echo);
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("\uFEFFtext");
  const { payload } = (await peer.frame())!;
  assertEquals([...payload.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
});

Deno.test("websocket gets frames that came in one write with the request", async () => {
  await using server = serveWebSockets(echo);
  const behind = maskedFrame(FIN | TEXT, "early");
  using peer = await Peer.connect(server.addr, { behind });
  assertEquals(await peer.text(), "early");
});

Deno.test("websocket joins fragments, also around control frames", async () => {
  await using server = serveWebSockets(echo);
  using peer = await Peer.connect(server.addr);
  const stream = [
    maskedFrame(TEXT, "one "),
    maskedFrame(FIN | PING, "beat"),
    maskedFrame(CONTINUATION, "two "),
    maskedFrame(FIN | CONTINUATION, "three"),
  ];
  for (const frame of stream) {
    // Byte by byte: each frame is split at every place.
    for (const byte of frame) await peer.send(Uint8Array.of(byte));
  }
  const pong = await peer.frame();
  assertEquals(pong, {
    first: FIN | PONG,
    payload: new TextEncoder().encode("beat"),
  });
  assertEquals(await peer.text(), "one two three");
});

Deno.test("websocket hands over the next message when a promise has settled", async () => {
  const order: string[] = [];
  const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
  let next = 0;
  await using server = serveWebSockets({
    async message(socket, message) {
      order.push(`begin ${message}`);
      await gates[next++]!.promise;
      order.push(`end ${message}`);
      socket.send(message as string);
    },
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a", "b", "c");
  for (const [index, text] of ["a", "b", "c"].entries()) {
    gates[index]!.resolve();
    assertEquals(await peer.text(), text);
  }
  assertEquals(order.join(), "begin a,end a,begin b,end b,begin c,end c");
});

for (const isAsync of [false, true]) {
  Deno.test(
    `websocket lets timers run between messages of one read, when their ${
      isAsync ? "async handler" : "handler"
    } is slow`,
    async () => {
      const COUNT = 200;
      let handled = 0;
      let handledBefore = COUNT;
      const handle = () => {
        if (handled++ === 0) setTimeout(() => handledBefore = handled, 0);
        const untilMs = performance.now() + 1;
        while (performance.now() < untilMs);
      };
      await using server = serveWebSockets({
        message: isAsync ? () => Promise.resolve(handle()) : handle,
      });
      using peer = await Peer.connect(server.addr);
      await peer.sendTexts(...new Array<string>(COUNT).fill("message"));
      await peer.send(maskedClose(1000, ""));
      assertEquals(await peer.closing(), [1000, ""]);
      assertEquals(handled, COUNT);
      assert(handledBefore < COUNT, "no timer has run");
    },
  );
}

Deno.test("websocket reads nothing on while a handler works", async () => {
  await using reactor = new Reactor();
  const gate = Promise.withResolvers<void>();
  let received = 0;
  await using server = serveWebSockets({
    message(socket, message) {
      if (message === "ask") return void socket.send("answer");
      received += (message as Uint8Array).byteLength;
      return gate.promise;
    },
  }, { reactor });
  using fast = await Peer.connect(server.addr);
  using other = await Peer.connect(server.addr);
  const total = 64;
  const message = maskedFrame(FIN | BINARY, new Uint8Array(MEBIBYTE));
  const sending = (async () => {
    for (let count = 0; count < total; count++) await fast.send(message);
    await fast.sendTexts("ask");
  })();
  // The other is served meanwhile, more often than all would take to come.
  for (let count = 0; count < 1_000; count++) {
    await other.sendTexts("ask");
    assertEquals(await other.text(), "answer");
  }
  const { bytesIn, memoryBytes } = reactor.stats();
  assertEquals(received, MEBIBYTE);
  assert(bytesIn < 2 * MEBIBYTE, `it has read ${bytesIn} bytes`);
  assert(memoryBytes < MEBIBYTE, `it holds ${memoryBytes} bytes`);
  gate.resolve();
  await sending;
  assertEquals(await fast.text(), "answer");
  assertEquals(received, total * MEBIBYTE);
});

Deno.test("websocket hands over nothing between pause and resume", async () => {
  const seen: unknown[] = [];
  let socket: ServerWebSocket | undefined;
  const paused = Promise.withResolvers<void>();
  await using server = serveWebSockets({
    message(from, message) {
      seen.push(message);
      if (message === "pause") {
        socket = from;
        from.pause();
        paused.resolve();
      }
      from.send("got");
    },
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("pause", "later", "last");
  await paused.promise;
  assertEquals(await peer.text(), "got");
  assertEquals([seen.join(), socket!.isPaused], ["pause", true]);
  socket!.resume();
  await peer.text();
  await peer.text();
  assertEquals(seen.join(), "pause,later,last");
});

Deno.test("websocket says that a message is queued or refused, and drains", async () => {
  const results = new Set<string>();
  const drained = Promise.withResolvers<void>();
  const chunk = new Uint8Array(100_000);
  await using server = serveWebSockets({
    message(socket) {
      let result;
      do results.add(result = socket.send(chunk)); while (result !== "refused");
      assert(socket.bufferedBytes <= MEBIBYTE + chunk.length);
    },
    drain: () => drained.resolve(),
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("go");
  let count = 0;
  const reading = (async () => {
    for (; (await peer.frame())!.first !== (FIN | CLOSE); count++);
    await peer.send(maskedClose(1001, ""));
  })();
  await drained.promise;
  assertEquals([...results], ["sent", "queued", "refused"]);
  const { route } = server;
  await server.shutdown();
  await reading;
  assertEquals(route.stats().refused, 1);
  assertEquals(count, route.stats().sent);
});

/** What the handler `close` got. */
type Closed = [code: number, reason: string, wasClean: boolean];

/** Serves WebSockets, and resolves to what `close` gets. */
function servingOne(limits = {}) {
  const { promise, resolve } = Promise.withResolvers<Closed>();
  const errors: string[] = [];
  const server = serveWebSockets({
    ...limits,
    message(socket, message) {
      if (message === "close") socket.close(4000, "enough");
      else if (message === "throw") throw new Error("planned");
      else if (message === "reject") {
        return Promise.reject(new Error("planned"));
      } else if (message === "terminate") socket.terminate();
      else socket.send(message);
    },
    error: (_socket, error) => void errors.push(error.message),
    close: (_socket, ...closed) => resolve(closed),
  });
  return { server, closed: promise, errors };
}

Deno.test("websocket answers a close frame with its code and reason", async () => {
  const { server, closed } = servingOne();
  using peer = await Peer.connect(server.addr);
  await peer.send(maskedClose(3001, "bye"));
  assertEquals(await peer.closing(), [3001, "bye"]);
  assertEquals(await peer.frame(), undefined);
  assertEquals(await closed, [3001, "bye", true]);
  await server.shutdown();
});

Deno.test("websocket answers a close frame without a code by one without", async () => {
  const { server, closed } = servingOne();
  using peer = await Peer.connect(server.addr);
  await peer.send(maskedFrame(FIN | CLOSE, ""));
  assertEquals(await peer.closing(), [1005, ""]);
  assertEquals(await closed, [1005, "", true]);
  await server.shutdown();
});

Deno.test("websocket closes behind its messages, and drops what comes then", async () => {
  const { server, closed } = servingOne();
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("first", "close", "never");
  assertEquals(await peer.text(), "first");
  assertEquals(await peer.closing(), [4000, "enough"]);
  await peer.send(maskedClose(4000, "enough"));
  assertEquals(await peer.frame(), undefined);
  assertEquals(await closed, [4000, "enough", true]);
  await server.shutdown();
});

Deno.test("websocket is reset when a close frame is not answered in time", async () => {
  const { server, closed, errors } = servingOne({ closeMs: 10 });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("close");
  assertEquals(await peer.closing(), [4000, "enough"]);
  assertEquals(await closed, [1006, "", false]);
  assertEquals(errors.length, 1);
  await server.shutdown();
});

Deno.test("websocket ends with 1006 when the peer ends without a close frame", async () => {
  const { server, closed } = servingOne();
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("last");
  await peer.end();
  assertEquals(await peer.text(), "last");
  assertEquals(await peer.frame(), undefined);
  assertEquals(await closed, [1006, "", false]);
  await server.shutdown();
});

for (const how of ["throw", "reject"]) {
  Deno.test(`websocket closes with 1011 when a handler does ${how}`, async () => {
    const { server, closed } = servingOne();
    using peer = await Peer.connect(server.addr);
    using watch = new ConsoleWatch();
    await peer.sendTexts(how, "more");
    assertEquals(await peer.closing(), [1011, ""]);
    await peer.send(maskedClose(1011, ""));
    assertEquals(await closed, [1011, "", true]);
    const [[error] = []] = watch.complained;
    assertEquals((error as Error).message, "planned");
    await server.shutdown();
  });
}

Deno.test("websocket fails with the code of RFC 6455, and tells the program", async () => {
  const cases: [Uint8Array, number, string][] = [
    [maskedFrame(FIN | 3, ""), 1002, "Unknown opcode"],
    [maskedFrame(FIN | TEXT, Uint8Array.of(0xff)), 1007, "Text is not UTF-8"],
    [Uint8Array.of(FIN | TEXT, 0), 1002, "Frame not masked"],
  ];
  for (const [frame, code, reason] of cases) {
    const { server, closed, errors } = servingOne();
    const peer = await Peer.connect(server.addr);
    await peer.send(frame);
    assertEquals(await peer.closing(), [code, reason]);
    assertEquals(await peer.frame(), undefined);
    assertEquals(await closed, [code, reason, false]);
    assertEquals(errors, [`${reason} (${code})`]);
    peer[Symbol.dispose]();
    await server.shutdown();
  }
});

Deno.test("websocket refuses a message beyond its bounds at the frame's head", async () => {
  const { server, closed } = servingOne({ messageBytesMax: 10 });
  const peer = await Peer.connect(server.addr);
  // The head alone: eleven bytes follow, and never come.
  await peer.send(maskedFrame(FIN | TEXT, "eleven byte").subarray(0, 6));
  assertEquals((await peer.closing())[0], 1009);
  assertEquals((await closed)[0], 1009);
  peer[Symbol.dispose]();
  await server.shutdown();

  const other = servingOne({ fragmentsMax: 2 });
  const second = await Peer.connect(other.server.addr);
  await second.send(
    maskedFrame(TEXT, "a"),
    maskedFrame(CONTINUATION, "b"),
    maskedFrame(FIN | CONTINUATION, "c"),
  );
  assertEquals((await second.closing())[0], 1008);
  second[Symbol.dispose]();
  await other.server.shutdown();
});

Deno.test("websocket closes with 1001 when its server shuts down", async () => {
  const { server, closed } = servingOne();
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("here");
  await peer.text();
  const down = server.shutdown();
  assertEquals(await peer.closing(), [1001, ""]);
  await peer.send(maskedClose(1001, ""));
  assertEquals(await closed, [1001, "", true]);
  await down;
});

Deno.test("websocket resets its peer by terminate", async () => {
  const { server, closed } = servingOne();
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("terminate");
  await assertRejects(() => peer.frame(), Deno.errors.ConnectionReset);
  assertEquals(await closed, [1006, "", false]);
  await server.shutdown();
});

Deno.test("websocket notifies of pings and pongs, and sends them", async () => {
  const heard: string[] = [];
  const hear = (name: string) => (_: unknown, bytes: Uint8Array) => {
    heard.push(`${name} ${new TextDecoder().decode(bytes)}`);
  };
  await using server = serveWebSockets({
    open(socket) {
      socket.ping(Uint8Array.of(1, 2));
      socket.ping(Uint8Array.of(3, 4).buffer);
      socket.ping("text");
    },
    message: (socket) => void socket.pong(),
    ping: hear("ping"),
    pong: hear("pong"),
  });
  using peer = await Peer.connect(server.addr);
  assertEquals(await peer.frame(), {
    first: FIN | PING,
    payload: Uint8Array.of(1, 2),
  });
  assertEquals((await peer.frame())?.payload, Uint8Array.of(3, 4));
  assertEquals((await peer.frame())?.payload, encoded("text"));
  await peer.send(maskedFrame(FIN | PONG, "o"), maskedFrame(FIN | PING, "i"));
  assertEquals((await peer.frame())?.first, FIN | PONG);
  await peer.sendTexts("pong");
  assertEquals((await peer.frame())?.payload.length, 0);
  assertEquals(heard, ["pong o", "ping i"]);
});

Deno.test("websocket refuses what may not be sent", async () => {
  const { promise, resolve } = Promise.withResolvers<ServerWebSocket>();
  await using server = serveWebSockets({ open: resolve });
  using _peer = await Peer.connect(server.addr);
  const socket = await promise;
  assertThrows(
    () => socket.send(7 as never),
    TypeError,
    'Cannot send "7": it must be a string or bytes',
  );
  assertThrows(() => socket.ping(new Uint8Array(126)), RangeError, '"126"');
  assertThrows(() => socket.ping(7 as never), TypeError, '"7"');
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5]) {
    assertThrows(() => socket.close(code), RangeError, `"${code}"`);
  }
  assertThrows(() => socket.close(1000, "é".repeat(62)), RangeError, '"124"');
  socket.close(1000, "é".repeat(61));
  assertEquals(socket.readyState, 2);
  assertEquals(socket.send("late"), "refused");
});

Deno.test("websocket is a loop over messages, which reads when it wants one", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown[]>();
  await using server = serveWebSockets({
    async open(socket) {
      const messages = [];
      for await (const message of socket) {
        messages.push(message);
        socket.send(message as string);
      }
      resolve(messages);
    },
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a", "b", "c");
  for (const text of ["a", "b", "c"]) assertEquals(await peer.text(), text);
  await peer.send(maskedClose(1000, ""));
  assertEquals(await promise, ["a", "b", "c"]);
});

Deno.test("websocket's loop throws when the peer goes without a close frame", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  await using server = serveWebSockets({
    async open(socket) {
      try {
        for await (const _ of socket);
      } catch (error) {
        resolve(error);
      }
    },
  });
  const peer = await Peer.connect(server.addr);
  await peer.sendTexts("a");
  peer[Symbol.dispose]();
  assert(await promise instanceof Deno.errors.ConnectionReset);
});

Deno.test("websocket closes when its loop is left", async () => {
  await using server = serveWebSockets({
    async open(socket) {
      for await (const _ of socket) break;
    },
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a");
  assertEquals(await peer.closing(), [1000, ""]);
  await peer.send(maskedClose(1000, ""));
});

Deno.test("websocket is a pair of streams with backpressure", async () => {
  await using server = serveWebSockets({
    open(socket) {
      const { readable, writable } = socket.streams();
      return readable.pipeTo(writable);
    },
  });
  using peer = await Peer.connect(server.addr);
  const bytes = new Uint8Array(MEBIBYTE);
  const sending = (async () => {
    const frame = maskedFrame(FIN | BINARY, bytes);
    for (let count = 0; count < 16; count++) await peer.send(frame);
    await peer.send(maskedClose(1000, ""));
  })();
  for (let count = 0; count < 16; count++) {
    assertEquals((await peer.frame())?.payload.length, MEBIBYTE);
  }
  assertEquals(await peer.closing(), [1000, ""]);
  await sending;
});
