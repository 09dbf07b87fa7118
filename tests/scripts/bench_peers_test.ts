/**
 * The servers that the benchmark compares answer alike, byte for byte.
 *
 * Nothing is fetched for these tests: a peer that is an npm package is tested
 * where the benchmark has installed it.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { existsSync } from "node:fs";
import {
  type Peer,
  PEER_NAMES,
  preparePeers,
  type Service,
  startPeer,
} from "../../scripts/bench/peers.ts";
import { checkAnswers } from "../../scripts/bench/peers/answers.ts";
import { npmPackage } from "../../scripts/bench/peers/npm.ts";
import { ROUTES, supporting } from "../../scripts/bench/peers/peer.ts";
import { Failure } from "../../scripts/command_line.ts";
import { readExactly, writeAll } from "../util/deno_client.ts";
import { concat, latin1, toLatin1 } from "../util/http_bytes.ts";
import { RawClient } from "../util/http_client.ts";
import { lacks } from "../util/machine.ts";

const MIB = 1_048_576;
const PERIOD = 251;
const ANYWHERE = { onServerCore: [] };

const { peers, missing } = await preparePeers({
  progress() {},
  mayInstall: false,
});
const reasons = new Map(missing.map(({ peer, reason }) => [peer, reason]));
const ready = new Map(peers.map((peer) => [peer.name, peer]));

async function connect(port: number): Promise<RawClient> {
  const addr = { transport: "tcp", hostname: "127.0.0.1", port } as const;
  return await RawClient.connect(addr);
}

function request(
  method: string,
  target: string,
  { fields = [], body = new Uint8Array(0) }: {
    fields?: readonly string[];
    body?: Uint8Array;
  } = {},
): Uint8Array {
  const length = body.byteLength === 0
    ? []
    : [`content-length: ${body.byteLength}`];
  const lines = [
    `${method} ${target} HTTP/1.1`,
    "host: a",
    ...fields,
    ...length,
  ];
  return concat([latin1(`${lines.join("\r\n")}\r\n\r\n`), body]);
}

function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => index % PERIOD);
}

function same(found: Uint8Array, wanted: Uint8Array): boolean {
  return found.byteLength === wanted.byteLength &&
    found.every((byte, index) => byte === wanted[index]);
}

async function saysHello(port: number): Promise<void> {
  using client = await connect(port);
  // Pipelined: the second shows that the first ended where it said.
  const hello = request("GET", "/");
  await client.send(concat([hello, hello]));
  for (const answer of await client.answers(2)) {
    assertEquals(answer.status, 200);
    const type = answer.get("content-type")?.toLowerCase();
    assertEquals(type, "text/plain;charset=utf-8");
    assertEquals(answer.text, "Hello, World!");
  }
}

async function answersBrowser(port: number): Promise<void> {
  using client = await connect(port);
  const fields = [
    "accept-language: en-GB,en;q=0.8",
    "user-agent: Mozilla/5.0 (X11)",
    "accept-encoding: gzip, deflate, br",
  ];
  await client.send(request("GET", "/app?user=7&sort=age", { fields }));
  const answer = await client.answer();
  assertEquals(
    answer.text,
    '{"path":"/app","user":"7","sort":"age",' +
      '"language":"en-GB,en;q=0.8","agent":"Mozilla/5.0 (X11)"}',
  );
  assertEquals(answer.get("content-type"), "application/json");
  assertEquals(answer.get("cache-control"), "no-store");
  assertEquals(answer.get("x-request-id"), "7");
  await client.send(request("GET", "/none"));
  assertEquals((await client.answer()).status, 404);
}

async function addsUp(port: number): Promise<void> {
  using client = await connect(port);
  const items = [3, 4, 50].map((id) => ({ id, name: "é", price: 0.5 }));
  const body = new TextEncoder().encode(JSON.stringify({ items }));
  await client.send(request("POST", "/json", { body }));
  const answer = await client.answer();
  assertEquals(answer.get("content-type"), "application/json");
  assertEquals(answer.text, '{"count":3,"total":57}');
}

async function sendsBack(port: number): Promise<void> {
  using client = await connect(port);
  const body = pattern(MIB);
  const sending = client.send(request("POST", "/echo", { body }));
  const answer = await client.answer();
  await sending;
  assertEquals(answer.get("content-type"), "application/octet-stream");
  assert(same(answer.body, body), "other bytes came back");
}

async function sendsMuch(port: number): Promise<void> {
  using client = await connect(port);
  await client.send(request("GET", "/big"));
  const answer = await client.answer();
  assertEquals(answer.get("content-type"), "application/octet-stream");
  assert(same(answer.body, pattern(MIB)), "other bytes came");
}

async function tellsEvents(port: number): Promise<void> {
  using first = await connect(port);
  using second = await connect(port);
  const lists = await Promise.all([first, second].map(readEvents));
  for (const [start, ...rest] of lists) {
    assertEquals(rest, rest.map((_, index) => start! + index + 1));
  }
  // A client that went is no harm to those that come.
  first.close();
  using third = await connect(port);
  await readEvents(third);
}

async function echoesAll(port: number): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await echoes(conn, pattern(MIB), MIB);
  // Small reads: the server has to wait for room, and to stop reading.
  await echoes(conn, pattern(8 * MIB), 4096);
}

type Check = (port: number) => Promise<void>;

/** What is tested of each route. */
const CHECKS: Readonly<Record<Service, Readonly<Record<string, Check>>>> = {
  http: {
    hello: saysHello,
    app: answersBrowser,
    json: addsUp,
    echo: sendsBack,
    big: sendsMuch,
    events: tellsEvents,
  },
  hello: { hello: saysHello },
  echo: { echo: echoesAll },
  "workers-1": { hello: saysHello },
  "workers-2": { hello: saysHello },
};

for (const peer of peers) {
  for (const [service, checks] of Object.entries(CHECKS)) {
    const routes = Object.entries(checks).filter(([route]) =>
      peer.supports(service as Service, route)
    );
    if (routes.length === 0) continue;
    const name = `${peer.name}, asked for ${service}, answers every route`;
    Deno.test(name, async (t) => {
      await using running = await startPeer(
        peer,
        service as Service,
        ANYWHERE,
      );
      for (const [route, check] of routes) {
        await t.step(route, () => check(running.server.port));
      }
    });
  }
}

for (const { peer, reason } of missing) {
  Deno.test({
    name: `${peer} answers every route`,
    ignore: lacks(`${peer}: ${reason}`, () => false),
    fn() {},
  });
}

/** Reads the numbers of some events. */
async function readEvents(client: RawClient): Promise<number[]> {
  await client.send(request("GET", "/events"));
  let text = "";
  for (;;) {
    const bytes = await client.read();
    if (bytes === undefined) throw new Error(`The stream ended: ${text}`);
    text += toLatin1(bytes);
    const events = [...text.matchAll(/data: (\d+)\n\n/g)];
    if (events.length >= 4) return events.map(([, count]) => Number(count));
  }
}

/** Sends `bytes` while it reads them back in pieces, and compares. */
async function echoes(
  conn: Deno.Conn,
  bytes: Uint8Array,
  pieceBytes: number,
): Promise<void> {
  const sending = writeAll(conn, bytes);
  for (let start = 0; start < bytes.byteLength; start += pieceBytes) {
    const piece = await readExactly(conn, pieceBytes);
    assert(
      same(piece, bytes.subarray(start, start + pieceBytes)),
      `other bytes came back after ${start}`,
    );
  }
  await sending;
}

Deno.test("preparePeers() always has denio and Deno", () => {
  for (const name of ["denio", "denio fibers", "Deno"]) {
    assert(ready.has(name), reasons.get(name));
  }
});

Deno.test("preparePeers() returns each peer, or the reason why not", () => {
  const names = [...ready.keys(), ...reasons.keys()].sort();
  assertEquals(names, [...PEER_NAMES].sort());
  for (const { version } of peers) assertMatch(version, /^\d+\.\d+/);
});

Deno.test("preparePeers() names what a machine without programs lacks", async () => {
  const bare = await preparePeers({
    names: ["bare loop", "node", "uWebSockets", "Go", "nginx"],
    progress() {},
    has: () => false,
  });
  assertEquals(bare.peers, []);
  const cargo = Deno.build.os === "linux"
    ? "there is no cargo on PATH, to build it with"
    : "it is written for epoll, which is Linux's";
  assertEquals(bare.missing, [
    { peer: "bare loop", reason: cargo },
    { peer: "node", reason: "there is no node on PATH" },
    { peer: "uWebSockets", reason: "there is no node on PATH" },
    { peer: "Go", reason: "there is no go on PATH" },
    { peer: "nginx", reason: "there is no nginx on PATH" },
  ]);
});

Deno.test("preparePeers() says that a name is no peer's, and goes on", async () => {
  const names = ["Apache", "Deno", "toString"];
  const found = await preparePeers({ names, progress() {} });
  assertEquals(found.peers.map(({ name }) => name), ["Deno"]);
  assertEquals(found.missing.map(({ peer }) => peer), ["Apache", "toString"]);
  for (const { reason } of found.missing) {
    assertMatch(reason, /^no peer has this name; there are bare loop, denio, /);
  }
});

Deno.test("npmPackage() says which package it cannot get, and why", async () => {
  // No such version: nothing has ever installed it.
  const wanted = { name: "bun", version: "0.0.0" };
  for (
    const [tools, message] of [
      [{ has: () => true, mayInstall: false }, "bun@0.0.0 is not installed"],
      [
        { has: () => false, mayInstall: true },
        "there is no npm on PATH, to install bun@0.0.0 with",
      ],
    ] as const
  ) {
    const { message: found } = await assertRejects(
      () => npmPackage(wanted, { ...tools, progress() {} }),
      Failure,
    );
    assertEquals(found, message);
  }
});

/** A server of one answer to everything, with a head of its choosing. */
function answering(text: string, init?: ResponseInit): Peer {
  const serve = `Deno.serve({ hostname: "127.0.0.1", port: 0, ` +
    `onListen: ({ port }) => console.log("listening on 127.0.0.1:" + port) }, ` +
    `() => new Response(${JSON.stringify(text)}, ${JSON.stringify(init)}))`;
  return {
    name: "liar",
    version: "1.0",
    supports: supporting({ http: ROUTES }),
    command: () => [Deno.execPath(), "eval", "--quiet", serve],
  };
}

for (
  const [what, peer, message] of [
    [
      "another text",
      answering("Hello, world!"),
      'route "hello": byte 7 of its answer is 119 and must be 87: ' +
      '"Hello, world!"',
    ],
    [
      "another status",
      answering("Hello, World!", { status: 404 }),
      'route "hello": it answered with status 404',
    ],
    [
      "another type",
      answering("Hello, World!", { headers: { "content-type": "text/html" } }),
      'route "hello": its "content-type" is "text/html" and must be ' +
      '"text/plain;charset=UTF-8"',
    ],
    [
      "the same to everything",
      answering("Hello, World!"),
      'route "app": its "content-type" is "text/plain;charset=UTF-8" and ' +
      'must be "application/json"',
    ],
  ] as const
) {
  Deno.test(`startPeer() refuses a peer that answers ${what}`, async () => {
    const { message: found } = await assertRejects(
      () => startPeer(peer, "http", ANYWHERE),
      Failure,
    );
    assertEquals(found, `Cannot measure liar: ${message}`);
  });
}

Deno.test("checkAnswers() refuses an echo that is not one", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    await readExactly(conn, 200_000);
    await writeAll(conn, new Uint8Array(200_000));
  })();
  const { message } = await assertRejects(
    () => checkAnswers({ supports: () => true }, "echo", listener.addr.port),
    Error,
  );
  await serving;
  assertMatch(
    message,
    /^route "echo": byte 1 of its answer is 0 and must be 1/,
  );
});

Deno.test({
  name: "a peer's process is the server's own",
  ignore: Deno.build.os !== "linux",
  async fn() {
    for (const peer of peers.filter(({ name }) => name !== "denio fibers")) {
      await using running = await startPeer(peer, "http", ANYWHERE);
      const { pid } = running.server;
      const program = Deno.readLinkSync(`/proc/${pid}/exe`);
      assertMatch(program, /(limit|deno|node|bun|go_server|nginx)[^/]*$/);
      assert(
        !existsSync(`/proc/${pid}/task/${pid}/children`) ||
          Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`) === "",
      );
    }
  },
});
