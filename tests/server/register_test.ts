/**
 * `denio/register`: `Deno.serve` and `Deno.upgradeWebSocket` by denio.
 */

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { Reactor } from "../../src/reactor/reactor.ts";
import { upgradeWebSocket } from "../../src/websocket/drop_in.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readTextToEnd, writeText } from "../util/deno_client.ts";
import { RawClient } from "../util/http_client.ts";
import { runScript } from "../util/scripts.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { within } from "../util/waiting.ts";

const denosServe = Deno.serve;
const denosUpgrade = Deno.upgradeWebSocket;
const { register, unregister } = await import("../../src/server/register.ts");

const LOCAL = { hostname: "127.0.0.1", port: 0, onListen() {} };
const NO_HOST = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";

/** Returns whether denio serves, which requires a `Host`. */
async function isOurs(server: Deno.HttpServer<Deno.NetAddr>): Promise<boolean> {
  using client = await RawClient.connect(server.addr);
  await client.send(NO_HOST);
  const [answer] = await client.rest();
  return answer?.status === 400;
}

const hello = (): Response => new Response("Hello");

/** A test that restores `Deno.serve` in the end. */
function registerTest(name: string, run: () => void | Promise<void>): void {
  cleanTest(name, async () => {
    using _reactor = Reactor.shared;
    register();
    try {
      await run();
    } finally {
      unregister();
    }
  });
}

Deno.test("register is exported, under the documented name", () => {
  const path = config.exports["./register"];
  assertEquals(
    new URL(`../../${path}`, import.meta.url).href,
    new URL("../../src/server/register.ts", import.meta.url).href,
  );
});

Deno.test("Deno.serve is ours, when the module was imported", () => {
  assertNotStrictEquals(Deno.serve, denosServe);
  unregister();
  assertStrictEquals(Deno.serve, denosServe);
});

Deno.test("Deno.upgradeWebSocket is ours and knows requests of others, when it is registered", () => {
  register();
  assertStrictEquals(Deno.upgradeWebSocket, upgradeWebSocket);
  const headers = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const request = new Request("http://localhost/", { headers });
  // Deno's own function does not ask for a version.
  const { response, socket } = Deno.upgradeWebSocket(request);
  assertEquals([response.status, socket.readyState], [101, 0]);
  unregister();
  assertStrictEquals(Deno.upgradeWebSocket, denosUpgrade);
});

Deno.test("unregister() leaves alone what is not ours", () => {
  register();
  const ours = Deno.serve;
  const others = (() => {}) as unknown as typeof Deno.serve;
  Object.assign(Deno, { serve: others });
  unregister();
  assertStrictEquals(Deno.serve, others);
  Object.assign(Deno, { serve: ours });
  unregister();
  unregister();
  assertStrictEquals(Deno.serve, denosServe);
});

registerTest("register() may be called often", () => {
  const ours = Deno.serve;
  register();
  register({ headBytesMax: 1_000 });
  assertStrictEquals(Deno.serve, ours);
});

registerTest(
  "Deno.serve is denio's in all its forms, when it is registered",
  async () => {
    const servers = [
      Deno.serve(LOCAL, hello),
      Deno.serve({ ...LOCAL, handler: hello }),
      Deno.serve(
        { ...LOCAL, cert: undefined, key: undefined } as typeof LOCAL,
        hello,
      ),
    ];
    for (const server of servers) {
      assert(await isOurs(server));
      await within(server.shutdown(), "the server to shut down");
    }
  },
);

registerTest(
  "Deno.serve serves Unix sockets, when it is registered",
  async () => {
    using folder = new SocketFolder();
    const path = folder.path();
    const server = Deno.serve({ path, onListen() {} }, hello);
    using client = await Deno.connect({ transport: "unix", path });
    await writeText(client, NO_HOST);
    assert((await readTextToEnd(client)).startsWith("HTTP/1.1 400 "));
    client.close();
    await within(server.shutdown(), "the server to shut down");
  },
);

registerTest(
  "Deno.serve refuses what Deno refuses, when it is registered",
  () => {
    for (
      const args of [[], [{}], [undefined, { handler: hello }], [LOCAL, 5]]
    ) {
      const serve = Deno.serve as unknown as (...args: unknown[]) => void;
      assertThrows(() => serve(...args), TypeError, "handler");
    }
    assertThrows(
      () => Deno.serve({ ...LOCAL, port: 45.1 }, hello),
      TypeError,
      "Invalid port: 45.1",
    );
  },
);

registerTest(
  "servers have the options of register(), unless they say others",
  async () => {
    register({ bodyBytesMax: 4 });
    const answers = [];
    for (const options of [LOCAL, { ...LOCAL, bodyBytesMax: 5 }]) {
      const server = Deno.serve(
        options,
        async (request) => new Response(await request.text()),
      );
      using client = await RawClient.connect(server.addr);
      await client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" +
          "Content-Length: 5\r\n\r\nhello",
      );
      answers.push(...await client.rest());
      client.close();
      await within(server.shutdown(), "the server to shut down");
    }
    assertEquals(
      answers.map(({ status }) => status),
      [413, 200],
    );
  },
);

registerTest(
  "servers go on, when they were begun before unregister()",
  async () => {
    const server = Deno.serve(LOCAL, hello);
    unregister();
    assert(await isOurs(server));
    await within(server.shutdown(), "the server to shut down");
    const denos = Deno.serve(LOCAL, hello);
    assertEquals(await isOurs(denos), false);
    await denos.shutdown();
  },
);

registerTest("Deno serves TLS itself, when it is registered", async () => {
  const file = (name: string) =>
    Deno.readTextFileSync(
      new URL(`../fixtures/tls/localhost.${name}`, import.meta.url),
    );
  const cert = file("crt");
  const server = Deno.serve({ ...LOCAL, cert, key: file("key") }, hello);
  const client = Deno.createHttpClient({ caCerts: [cert] });
  const url = `https://localhost:${server.addr.port}/`;
  const response = await within(fetch(url, { client }), "an answer");
  assertEquals(await response.text(), "Hello");
  client.close();
  await within(server.shutdown(), "the server to shut down");
});

registerTest(
  "Deno says what is wrong with half a TLS server, when it is registered",
  () => {
    const options = { ...LOCAL, cert: "certificate" };
    assertThrows(
      () => Deno.serve(options, hello),
      TypeError,
      "'cert' and 'key'",
    );
  },
);

Deno.test("a program that calls Deno.serve is served by denio, when that is preloaded", async () => {
  const module = new URL("../../src/server/register.ts", import.meta.url);
  const preloads = ["--preload", fileURLToPath(module)];
  for (
    const [flags, line] of [
      [preloads, "HTTP/1.1 400 Bad Request"],
      [[], "HTTP/1.1 200 OK"],
    ] as const
  ) {
    const { code, stdout, stderr } = await runScript("calls_deno_serve.ts", {
      flags: ["-A", ...flags],
    });
    assertEquals([code, stdout.trim(), stderr], [0, line, ""]);
  }
});
