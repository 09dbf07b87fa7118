/** Topics of WebSockets: on one thread, and across the Workers of a server. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { serve, webSocket, type WebSocketHandlers } from "../../mod.ts";
import { BINARY, FIN, PING, RSV1, TEXT } from "../../src/websocket/frames.ts";
import { inflateOnce } from "../util/deflate_peer.ts";
import { encoded } from "../util/handlers.ts";
import { eventually, within } from "../util/waiting.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

const QUIET = { hostname: "127.0.0.1", port: 0, onListen() {} };

/** Subscribes all to "news"; messages name what to do. */
const NEWS: WebSocketHandlers = {
  open: (socket) => void socket.subscribe("news"),
  message: (socket, message) => {
    if (message === "leave") socket.unsubscribe("news");
    else if (message === "close") {
      socket.publish("news", "last");
      socket.close(1000);
    } else if (message === "topics") {
      socket.send(`${socket.topics} ${socket.isSubscribed("news")}`);
    } else {
      socket.send("first");
      socket.publish("news", message);
      socket.send("third");
    }
  },
};

/** Connects peers, and waits until all are open. */
async function peersOf(
  { addr, route }: ReturnType<typeof serveWebSockets>,
  count: number,
): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (let index = 0; index < count; index++) {
    peers.push(await Peer.connect(addr));
  }
  await eventually("all", () => route.stats().open === count);
  return peers;
}

Deno.test("socket.publish() reaches all others, in order with what is sent directly", async () => {
  await using server = serveWebSockets(NEWS);
  const peers = await peersOf(server, 20);
  await peers[3]!.sendTexts("hello");
  await peers[3]!.send(maskedFrame(FIN | BINARY, "bytes"));
  for (const [index, peer] of peers.entries()) {
    if (index === 3) {
      for (const text of ["first", "third", "first", "third"]) {
        assertEquals(await peer.text(), text);
      }
      continue;
    }
    assertEquals(await peer.text(), "hello");
    const { first, payload } = (await peer.frame())!;
    assertEquals(first, FIN | BINARY);
    assertEquals(new TextDecoder().decode(payload), "bytes");
  }
  for (const peer of peers) peer[Symbol.dispose]();
});

Deno.test("route.publish() reaches all subscribers, and nobody who has left or closed", async () => {
  await using server = serveWebSockets(NEWS);
  const { route } = server;
  const [first, second, third] = await peersOf(server, 3);
  assertEquals(route.publish("news", "one"), 3);
  await second!.sendTexts("leave", "topics");
  assertEquals([await second!.text(), await second!.text()], ["one", " false"]);
  await third!.sendTexts("close");
  assertEquals(await third!.text(), "one");
  // It is closing: what is published now is not for it.
  assertEquals(await third!.closing(), [1000, ""]);
  assertEquals(route.publish("news", "two"), 1);
  await third!.send(maskedClose(1000, ""));
  for (const text of ["one", "last", "two"]) {
    assertEquals(await first!.text(), text);
  }
  first!.end();
  await eventually("its end", () => route.publish("news", "x") === 0);
  assertEquals(route.stats().topics.dropped, 0);
  for (const peer of [first!, second!, third!]) peer[Symbol.dispose]();
});

Deno.test("a closing WebSocket sends what was published before its close frame", async () => {
  await using server = serveWebSockets({
    open: (socket) => void socket.subscribe("news"),
    message: (socket) => {
      server.route.publish("news", "before");
      socket.ping();
      socket.close(1000);
      assertEquals(socket.subscribe("news"), false);
      assertEquals(socket.topics, []);
    },
  });
  const [peer] = await peersOf(server, 1);
  await peer!.sendTexts("close");
  assertEquals(await peer!.text(), "before");
  assertEquals((await peer!.frame())!.first, FIN | PING);
  assertEquals(await peer!.closing(), [1000, ""]);
  peer![Symbol.dispose]();
});

Deno.test("a message is compressed once for each window, and sent as it is where messages refer to others", async () => {
  const text = "to all of them, ".repeat(500);
  const small = "short";
  const offers = [
    "permessage-deflate",
    "permessage-deflate",
    "permessage-deflate; server_max_window_bits=9",
    undefined,
  ];
  for (const serverContextTakeover of [false, true]) {
    const compression = { serverContextTakeover };
    await using server = serveWebSockets({ ...NEWS, compression });
    const peers: Peer[] = [];
    for (const offer of offers) {
      const fields = offer === undefined
        ? ""
        : `Sec-WebSocket-Extensions: ${offer}\r\n`;
      peers.push(await Peer.connect(server.addr, { fields }));
    }
    await eventually("all", () => server.route.stats().open === peers.length);
    for (const message of [text, small]) server.route.publish("news", message);
    for (const [index, peer] of peers.entries()) {
      const { first, payload } = (await peer.frame())!;
      const isSmall = offers[index] !== undefined && !serverContextTakeover;
      assertEquals(first, FIN | TEXT | (isSmall ? RSV1 : 0));
      const bytes = isSmall ? inflateOnce(payload) : payload;
      assertEquals(new TextDecoder().decode(bytes), text);
      assertEquals(await peer.text(), small);
      peer[Symbol.dispose]();
    }
  }
});

/** More than all buffers take, until a peer is slow. */
const MESSAGE = new Uint8Array(100_000);

Deno.test("a subscriber that is slow loses messages, and no other does", async () => {
  await using server = serveWebSockets(NEWS);
  const { route } = server;
  const [slow, fast] = await peersOf(server, 2);
  while (route.stats().topics.dropped < 3) {
    route.publish("news", MESSAGE);
    assertEquals((await fast!.frame())!.payload.length, MESSAGE.length);
  }
  const { published, dropped } = route.stats().topics;
  for (let left = published - dropped; left > 0; left--) {
    assertEquals((await slow!.frame())!.payload.length, MESSAGE.length);
  }
  route.publish("news", "x");
  assertEquals(await slow!.text(), "x");
  assertEquals(route.stats().topics.closed, 0);
  for (const peer of [slow!, fast!]) peer[Symbol.dispose]();
});

Deno.test("a subscriber that is slow is closed with 1013, where the route says so", async () => {
  await using server = serveWebSockets({ ...NEWS, slowSubscribers: "close" });
  const { route } = server;
  const [slow] = await peersOf(server, 1);
  while (route.publish("news", MESSAGE) > 0) await Promise.resolve();
  assertEquals(route.stats().topics.closed, 1);
  let frame = await slow!.frame();
  while (frame!.first === (FIN | BINARY)) frame = await slow!.frame();
  assertEquals([...frame!.payload.subarray(0, 2)], [1013 >> 8, 1013 & 255]);
  slow![Symbol.dispose]();
});

Deno.test("topics belong to a server, and a route publishes on its servers", async () => {
  const route = webSocket(NEWS);
  const other = webSocket(NEWS);
  await using first = serve({ ...QUIET, websocket: route });
  await using second = serve({ ...QUIET, websocket: route });
  await using third = serve({ ...QUIET, websocket: other });
  const peers: Peer[] = [];
  for (const { addr } of [first, second, third]) {
    peers.push(await Peer.connect(addr));
  }
  await eventually("all", () => route.stats().open + other.stats().open === 3);
  assertEquals(route.publish("news", "to two"), 2);
  assertEquals(other.publish("news", "to one"), 1);
  assertEquals(second.publish("news", encoded("to second")), 1);
  const texts = await Promise.all(peers.map((peer) => peer.text()));
  assertEquals(texts, ["to two", "to two", "to one"]);
  assertEquals((await peers[1]!.frame())?.payload, encoded("to second"));
  assertEquals(route.subscriberCount("news"), 2);
  assertEquals(route.subscriberCount("other"), 0);
  for (const peer of peers) peer[Symbol.dispose]();
});

Deno.test("a route that no server has publishes on all servers, until it has upgraded", async () => {
  const loose = webSocket({});
  await using server = serveWebSockets(NEWS);
  const [peer] = await peersOf(server, 1);
  assert(loose.publish("news", "hello") >= 1);
  assertEquals(await peer!.text(), "hello");
  peer![Symbol.dispose]();
});

Deno.test("publish() and subscribe() throw for what is no topic or no message", async () => {
  await using server = serveWebSockets(NEWS);
  const { route } = server;
  const wrong = 7 as unknown as string;
  assertThrows(() => route.publish("", "x"), RangeError);
  assertThrows(() => route.publish(wrong, "x"), TypeError);
  assertThrows(() => route.publish("news", wrong), TypeError);
  const policy = { slowSubscribers: "wait" as "drop" };
  assertThrows(() => webSocket(policy), TypeError, '"wait"');
});

Deno.test("a message reaches the subscribers on all Workers", async () => {
  await using server = await serve({
    module: new URL("../fixtures/topics_worker.ts", import.meta.url),
    workers: 2,
    hostname: "127.0.0.1",
    port: 0,
  });
  const peers: Peer[] = [];
  const workers: string[] = [];
  for (let count = 0; count < 8; count++) {
    const peer = await Peer.connect(server.addr);
    workers.push(await within(peer.text(), "a name"));
    peers.push(peer);
  }
  assertEquals(new Set(workers).size, 2);
  assertThrows(() => server.publish("news", 7 as never), TypeError);
  server.publish("news", "from the program");
  for (const peer of peers) assertEquals(await peer.text(), "from the program");
  await peers[0]!.sendTexts("from one");
  for (const peer of peers.slice(1)) {
    assertEquals(await peer.text(), "from one");
  }
  const url = `http://127.0.0.1:${server.addr.port}/by-http`;
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  // A Worker may have up to two connections more than the other.
  const own = await (await fetch(url, { client })).json();
  const count = workers.filter((name) => name === workers[0]).length;
  assert(own === count || own === 8 - count, `${own} of ${count} or the rest`);
  for (const peer of peers) assertEquals(await peer.text(), "by-http");
  assertEquals(server.relayed, { relayed: 4, lost: 0 });
  for (const peer of peers) peer[Symbol.dispose]();
});
