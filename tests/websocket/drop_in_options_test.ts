/** Options of the drop-in `upgradeWebSocket` that Deno's own does not have. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { WebSocket as Ws } from "ws";
import {
  serve,
  upgradeWebSocket,
  type UpgradeWebSocketOptions,
} from "../../mod.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { within } from "../util/waiting.ts";
import { Peer } from "../util/websocket_peer.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0, onListen() {} };
const MIB = 1 << 20;

/** Serves sockets that echo, and notes their extensions. */
function serveEcho(options: UpgradeWebSocketOptions, reactor: Reactor) {
  const extensions: string[] = [];
  const server = serve({ ...LOCAL, reactor }, (request) => {
    const { socket, response } = upgradeWebSocket(request, options);
    socket.onmessage = ({ data }) => {
      extensions.push(socket.extensions);
      socket.send(data);
    };
    return response;
  });
  return { server, extensions };
}

/** Sends a text by a client that offers compression; returns the answer. */
async function echoed(port: number, text: string): Promise<string> {
  const client = new Ws(`ws://127.0.0.1:${port}`);
  client.on("open", () => client.send(text));
  const answer = Promise.withResolvers<string>();
  client.on("message", (bytes) => answer.resolve(`${bytes}`));
  client.on("error", answer.reject);
  const got = await within(answer.promise, "the echo");
  client.close();
  await within(new Promise((done) => client.on("close", done)), "the close");
  return got;
}

for (const compression of [true, { level: 1 }, false, undefined]) {
  const shown = Deno.inspect(compression);
  Deno.test(`upgradeWebSocket() compresses as the program wants, when compression is ${shown}`, async () => {
    await using reactor = new Reactor();
    const { server, extensions } = serveEcho({ compression }, reactor);
    const text = "0123456789abcdef".repeat(MIB / 16);
    assertEquals(await echoed(server.addr.port, text), text);
    await server.shutdown();
    const { bytesIn, bytesOut } = reactor.stats();
    const isCompressed = Boolean(compression);
    assertEquals(bytesIn < MIB / 10, isCompressed, `${bytesIn} bytes came`);
    assertEquals(bytesOut < MIB / 10, isCompressed, `${bytesOut} bytes left`);
    const [agreed] = extensions;
    assertEquals(agreed?.startsWith("permessage-deflate"), isCompressed);
  });
}

Deno.test("upgradeWebSocket() sends the program's fields, and of the handshake only its own", async () => {
  await using reactor = new Reactor();
  const headers: [string, string][] = [
    ["Set-Cookie", "a=1"],
    ["Set-Cookie", "b=2"],
    // As a page about another server's compression says to do.
    ["Sec-WebSocket-Extensions", "permessage-deflate"],
    ["Sec-WebSocket-Protocol", "other"],
    ["Upgrade", "h2c"],
  ];
  const { server } = serveEcho({ headers, protocol: "chat" }, reactor);
  const fields = "Sec-WebSocket-Protocol: chat\r\n" +
    "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  {
    using peer = await Peer.connect(server.addr, { fields });
    const answer = peer.answer.toLowerCase();
    assert(answer.includes("\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"));
    assert(answer.includes("\r\nsec-websocket-protocol: chat\r\n"));
    for (const absent of ["extensions", "other", "h2c"]) {
      assert(!answer.includes(absent), answer);
    }
  }
  await server.shutdown();
});

Deno.test("upgradeWebSocket() throws, when an option is of a wrong type or out of range", async () => {
  const thrown = Promise.withResolvers<void>();
  await using server = serve(LOCAL, (request) => {
    const upgrade = (options: unknown) => () =>
      upgradeWebSocket(request, options as UpgradeWebSocketOptions);
    try {
      assertThrows(
        upgrade({ compression: "on" }),
        TypeError,
        'Cannot use compression "on"',
      );
      assertThrows(
        upgrade({ compression: { level: 0 } }),
        RangeError,
        'compression.level "0"',
      );
      assertThrows(upgrade({ headers: { "no name": "x" } }), TypeError);
      thrown.resolve();
    } catch (error) {
      thrown.reject(error);
    }
    // What has thrown has upgraded nothing.
    return upgradeWebSocket(request).response;
  });
  using _peer = await Peer.connect(server.addr);
  await thrown.promise;
});
