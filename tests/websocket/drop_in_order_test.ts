/** The order of a drop-in's messages and of the program's own microtasks. */

import { assertEquals } from "@std/assert";
import { serve, upgradeWebSocket } from "../../mod.ts";
import { FIN, PING, TEXT } from "../../src/websocket/frames.ts";
import { within } from "../util/waiting.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";
import { Peer } from "../util/websocket_peer.ts";

/** More than the rows of one native call. */
const COUNT = 40;

/** Serves one socket, which `program` talks to. */
function serveOne(program: (socket: WebSocket) => Promise<void>) {
  const done = Promise.withResolvers<void>();
  const server = serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { socket, response } = upgradeWebSocket(request);
      program(socket).then(done.resolve, done.reject);
      return response;
    },
  );
  return { server, done: within(done.promise, "the program") };
}

/** Resolves to the next event; the program listens only then. */
async function next(socket: WebSocket): Promise<string> {
  return await new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = ({ code }) => resolve(`closed ${code}`);
  });
}

/** Texts that are small, for native code, and some of each. */
const TEXTS: [what: string, textOf: (index: number) => string][] = [
  ["small", (index) => `${index}`],
  ["larger", (index) => `${index} ${"x".repeat(200)}`],
  ["various", (index) => `${index} ${"x".repeat(index % 3 * 100)}`],
];

for (const [what, textOf] of TEXTS) {
  Deno.test(`program may await one message after another, when many ${what} ones come at once`, async () => {
    const texts = Array.from({ length: COUNT }, (_, index) => textOf(index));
    const heard: string[] = [];
    const { server, done } = serveOne(async (socket) => {
      while (heard.length <= COUNT) heard.push(await next(socket));
    });
    await using _server = server;
    using peer = await Peer.connect(server.addr);
    const frames = texts.flatMap((text) => [
      ...maskedFrame(FIN | TEXT, text),
      ...maskedFrame(FIN | PING, ""),
    ]);
    await peer.send(Uint8Array.from([...frames, ...maskedClose(4000, "")]));
    await done;
    assertEquals(heard, [...texts, "closed 4000"]);
  });
}

Deno.test("socket gets no further message, when the program closes while others wait", async () => {
  const heard: unknown[] = [];
  const { server, done } = serveOne(async (socket) => {
    socket.addEventListener("message", ({ data }) => heard.push(data));
    await next(socket);
    await next(socket);
    socket.close(4001);
    heard.push(await next(socket));
  });
  await using _server = server;
  using peer = await Peer.connect(server.addr);
  const frames = ["1", "2", "3", "4"].flatMap((text) => [
    ...maskedFrame(FIN | TEXT, text),
  ]);
  await peer.send(Uint8Array.from(frames));
  assertEquals(await peer.closing(), [4001, ""]);
  await peer.send(maskedClose(4001, ""));
  await done;
  assertEquals(heard, ["1", "2", "closed 4001"]);
});
