/** WebSockets whose handlers wait, loop or fail while the connection goes on. */

import { assertEquals, assertThrows } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import { CLOSE, FIN, PING, TEXT } from "../../src/websocket/frames.ts";
import type { ServerWebSocket } from "../../src/websocket/socket.ts";
import { ConsoleWatch } from "../util/console.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

/** Fails unless all promises of handlers were uncounted. */
function assertNoWork(reactor: Reactor): void {
  assertThrows(() => reactor.endWork(), RangeError);
}

Deno.test("websocket holds messages until their handler's promise settles, though that of drain has settled", async () => {
  const gate = Promise.withResolvers<void>();
  const drained = Promise.withResolvers<void>();
  const order: string[] = [];
  await using server = serveWebSockets({
    async message(socket, message) {
      order.push(`begin ${message}`);
      if (message === "second") return socket.close();
      while (socket.send(new Uint8Array(100_000)) === "sent");
      await gate.promise;
      order.push("end");
    },
    drain: async () => {
      await undefined;
      drained.resolve();
    },
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("first", "second");
  const reading = (async () => {
    while ((await peer.frame())!.first !== (FIN | CLOSE));
    await peer.send(maskedClose(1000, ""));
  })();
  await drained.promise;
  // Promises that are due settle in this round of Deno's loop.
  await new Promise((resolve) => setImmediate(resolve));
  assertEquals(order.join(), "begin first");
  gate.resolve();
  await reading;
  assertEquals(order.join(), "begin first,end,begin second");
});

Deno.test("websocket closes while the promise of the handler that has closed it is pending", async () => {
  const gate = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  await using reactor = new Reactor();
  await using server = serveWebSockets({
    message(socket) {
      socket.close(4000);
      return gate.promise;
    },
    close: (_socket, code) => closed.resolve(code),
  }, { reactor });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("close");
  assertEquals(await peer.closing(), [4000, ""]);
  await peer.send(maskedClose(4000, ""));
  assertEquals(await closed.promise, 4000);
  gate.resolve();
  await server.shutdown();
  assertNoWork(reactor);
});

Deno.test("websocket gives back the memory of a message in part when the program closes", async () => {
  await using reactor = new Reactor();
  await using server = serveWebSockets({
    ping: (socket) => socket.close(),
  }, { reactor });
  using peer = await Peer.connect(server.addr);
  await peer.send(maskedFrame(TEXT, "a".repeat(100_000)));
  await peer.send(maskedFrame(FIN | PING, ""));
  while ((await peer.frame())!.first !== (FIN | CLOSE));
  assertEquals(reactor.stats().memoryBytes, 0);
  await peer.send(maskedClose(1000, ""));
});

Deno.test("websocket sends nothing from the handler error, which is called when the peer has gone", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown[]>();
  await using server = serveWebSockets({
    webSocketIdleMs: 40,
    error(socket) {
      const sent = socket.send("late");
      socket.close();
      resolve([sent, socket.subscribe("news"), socket.readyState]);
    },
  });
  using _peer = await Peer.connect(server.addr);
  assertEquals(await promise, ["refused", false, 2]);
});

Deno.test("websocket closes with 1011 when a loop over its messages throws", async () => {
  await using server = serveWebSockets({
    async open(socket) {
      for await (const _ of socket) throw new Error("planned");
    },
  });
  using watch = new ConsoleWatch();
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a");
  assertEquals(await peer.closing(), [1011, ""]);
  await peer.send(maskedClose(1011, ""));
  assertEquals(watch.complained.length, 1);
});

Deno.test("websocket closes with the program's code behind a loop that is left", async () => {
  await using server = serveWebSockets({
    async open(socket) {
      for await (const _ of socket) break;
      socket.close(4001, "enough");
    },
  });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a");
  assertEquals(await peer.closing(), [4001, "enough"]);
  await peer.send(maskedClose(4001, ""));
});

Deno.test("websocket counts no work any more when it ends while a loop works on a message", async () => {
  await using reactor = new Reactor();
  const gate = Promise.withResolvers<void>();
  const working = Promise.withResolvers<ServerWebSocket>();
  await using server = serveWebSockets({
    async open(socket) {
      for await (const _ of socket) {
        working.resolve(socket);
        await gate.promise;
      }
    },
  }, { reactor });
  using watch = new ConsoleWatch();
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a");
  (await working.promise).terminate();
  gate.resolve();
  await server.shutdown();
  assertNoWork(reactor);
  const [[error] = []] = watch.complained;
  assertEquals((error as Error).name, "ConnectionReset");
});

Deno.test("websocket counts the work on a message of a loop and behind the loop, but not its waiting", async () => {
  await using reactor = new Reactor();
  const gate = Promise.withResolvers<void>();
  await using server = serveWebSockets({
    async open(socket) {
      for await (const message of socket) socket.send(message);
      await gate.promise;
    },
  }, { reactor });
  using peer = await Peer.connect(server.addr);
  await peer.sendTexts("a");
  assertEquals(await peer.text(), "a");
  assertNoWork(reactor);
  await peer.send(maskedClose(1000, ""));
  await peer.closing();
  // Throws when no work is counted.
  reactor.endWork();
  reactor.beginWork();
  gate.resolve();
  await server.shutdown();
  assertNoWork(reactor);
});

Deno.test("websocket reports the error of a loop that nobody awaits, and the process goes on", async () => {
  await using server = serveWebSockets({
    open(socket) {
      (async () => {
        for await (const _ of socket);
      })();
    },
  });
  using watch = new ConsoleWatch();
  const peer = await Peer.connect(server.addr);
  peer[Symbol.dispose]();
  await server.shutdown();
  // An unhandled rejection is known after the microtasks of this round.
  await new Promise((resolve) => setImmediate(resolve));
  const [[error] = []] = watch.complained;
  assertEquals((error as Error).name, "ConnectionReset");
});

Deno.test("websocket closes for a handler that throws, though the program's console does too", async () => {
  await using server = serveWebSockets({
    message() {
      throw new Error("planned");
    },
  });
  const { error } = console;
  using peer = await Peer.connect(server.addr);
  Object.assign(console, {
    error() {
      throw new Error("no console");
    },
  });
  try {
    await peer.sendTexts("a");
    assertEquals(await peer.closing(), [1011, ""]);
  } finally {
    Object.assign(console, { error });
  }
  await peer.send(maskedClose(1011, ""));
});
