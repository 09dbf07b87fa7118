/** The load generator: it counts right answers, and finds each wrong one. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { prepareOwnLoad } from "../../scripts/bench/load.ts";
import { cratePath } from "../../scripts/programs.ts";
import { deadPort, writeAll } from "../util/deno_client.ts";
import { concat, latin1, toLatin1 } from "../util/http_bytes.ts";
import { runProgram } from "../util/program.ts";
import { within } from "../util/waiting.ts";

const PROGRAM = cratePath("target/release/load");
const LOOPBACK = { hostname: "127.0.0.1", port: 0 } as const;
/** Above this, each connection is opened with a request. */
const LOT = 256;
const MANY = LOT + 44;

/** The line of figures. */
type Figures =
  & { readonly firstFailure: string | null }
  & Readonly<
    Record<
      "requests" | "seconds" | "failures" | "late" | "p50Us" | "maxUs",
      number
    >
  >;

/** It needs epoll. */
const isLinux = Deno.build.os === "linux";
if (isLinux) prepareOwnLoad();

function loadTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `load ${name}`, ignore: !isLinux, fn });
}

function run(words: string, ...more: string[]) {
  return runProgram([PROGRAM, ...words.split(" "), ...more]);
}

/** Runs it against a server, and returns the figures that it prints. */
async function load(
  { port }: Deno.NetAddr,
  words: string,
  ...more: string[]
): Promise<Figures> {
  const result = await run(`--port ${port} ${words}`, ...more);
  assertEquals([result.code, result.stderr], [0, ""]);
  return JSON.parse(result.stdout);
}

/** Expects a run without a fault. */
function assertClean(figures: Figures, requests: number): void {
  assertEquals(figures.firstFailure, null);
  assertEquals([figures.requests, figures.failures], [requests, 0]);
}

/** Expects a run with one fault. */
function assertFault(figures: Figures, requests: number, why: RegExp): void {
  assertMatch(figures.firstFailure ?? "", why);
  assertEquals([figures.requests, figures.failures], [requests, 1]);
}

// --- Servers ----------------------------------------------------------------

type Bytes = Uint8Array<ArrayBuffer>;
type Serve = (connection: Deno.TcpConn, number: number) => Promise<void>;

/** A TCP server that gives each connection to a function. */
class RawServer implements AsyncDisposable {
  connections = 0;
  readonly #listener = Deno.listen(LOOPBACK);
  readonly #over: Promise<unknown>;

  constructor(serve: Serve) {
    this.#over = this.#accept(serve);
  }

  get addr(): Deno.NetAddr {
    return this.#listener.addr;
  }

  async #accept(serve: Serve): Promise<unknown> {
    const served: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      const end = serve(connection, this.connections++)
        // The generator closes connections after enough answers, and at its end.
        .catch(() => {}).finally(() => connection.close());
      served.push(end);
    }
    return await Promise.all(served);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await within(this.#over, "the connections to end");
  }
}

async function* readsOf(connection: Deno.TcpConn) {
  const bytes = new Uint8Array(64 * 1024);
  for (;;) {
    const count = await connection.read(bytes);
    if (count === null) return;
    yield bytes.slice(0, count);
  }
}

/** A request as it came, with how many there were before it. */
interface Asked {
  readonly number: number;
  readonly connection: number;
  readonly head: string;
  readonly body: string;
}

/** What to send for a request; `null` closes the connection. */
type Said = string | null | (string | null)[];

/** An HTTP server with the answers of `say`, one to each request. */
function sayingServer(say: (asked: Asked) => Said): RawServer {
  let number = 0;
  return new RawServer(async (connection, place) => {
    let text = "";
    for await (const bytes of readsOf(connection)) {
      text += toLatin1(bytes);
      for (;;) {
        const [all, head, rest] = /^([^]*?\r\n\r\n)([^]*)$/.exec(text) ?? [];
        if (all === undefined) break;
        const length = Number(/^content-length: (\d+)/im.exec(head!)?.[1] ?? 0);
        if (rest!.length < length) break;
        text = rest!.slice(length);
        const body = rest!.slice(0, length);
        const asked = { number: number++, connection: place, body };
        for (const piece of [say({ ...asked, head: head! })].flat()) {
          if (piece === null) return;
          await writeAll(connection, latin1(piece));
        }
      }
    }
  });
}

function serve(handler: Deno.ServeHandler): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ ...LOOPBACK, onListen() {} }, handler);
}

function answer(body: string, ...headers: string[]): string {
  const lines = ["HTTP/1.1 200 OK", `Content-Length: ${body.length}`];
  return [...lines, ...headers, "", body].join("\r\n");
}

const HELLO = answer("Hello, World!");
const CLOSING = answer("Hello, World!", "Connection: close");
const EXPECT = ["--expect", "Hello, World!"];

/** A body that the generator knows: byte i is (i + shift) % 251. */
function pattern(length: number, shift = 0): Bytes {
  return Uint8Array.from({ length }, (_, index) => (index + shift) % 251);
}

// --- Mode http --------------------------------------------------------------

loadTest("http runs for a time, and times answers", async () => {
  let asked = 0;
  await using server = serve(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return new Response(`${asked++}`);
  });
  const figures = await load(
    server.addr,
    "http --connections 4 --seconds 0.25",
  );
  const { requests, late, seconds, failures, p50Us, maxUs } = figures;
  assertEquals([seconds, failures], [0.25, 0]);
  assertEquals(requests + late, asked, "all are accounted for");
  assert(p50Us >= 19_000 && maxUs >= p50Us, `${p50Us} microseconds`);
});

loadTest("http sends a pipeline in one write", async () => {
  const reads: number[] = [];
  await using server = new RawServer(async (connection) => {
    for await (const bytes of readsOf(connection)) {
      const heads = toLatin1(bytes).split("\r\n\r\n").length - 1;
      reads.push(heads);
      // In two pieces; neither ends with an answer.
      const all = latin1(HELLO.repeat(heads));
      await writeAll(connection, all.subarray(0, 200));
      await writeAll(connection, all.subarray(200));
    }
  });
  const words = "http --depth 16 --requests 40";
  assertClean(await load(server.addr, words, ...EXPECT), 40);
  assertEquals(reads, [16, 16, 8]);
});

loadTest("http sends method, path, headers and body", async () => {
  const seen = new Set<string>();
  await using server = sayingServer(({ head, body }) => {
    seen.add(head + body);
    return HELLO;
  });
  const words = "http --requests 3 --method PUT --path /a?b=c --body x=1";
  assertClean(await load(server.addr, words, "--header", "A: b c"), 3);
  assertEquals([...seen], [
    `PUT /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:${server.addr.port}\r\n` +
    "A: b c\r\nContent-Length: 3\r\n\r\nx=1",
  ]);
});

loadTest("http sends bodies that differ, and wants them back", async () => {
  const firsts = new Set<number>();
  await using server = serve(async (request) => {
    const bytes = await request.bytes();
    firsts.add(bytes[0]!);
    assertEquals(bytes, pattern(70_000, bytes[0]));
    return new Response(bytes);
  });
  const words = "http --method POST --body-bytes 70000 --expect-echo";
  assertClean(await load(server.addr, `${words} --requests 40`), 40);
  assertEquals(firsts.size, 40);
});

loadTest("http verifies a long body, in chunks or not", async () => {
  const [big, wrong] = [pattern(1 << 20), pattern(1 << 20)];
  wrong[1_000_000]! ^= 1;
  let asked = 0;
  await using server = serve(({ url }) => {
    if (url.endsWith("/wrong") && asked++ === 2) return new Response(wrong);
    const isChunked = url.endsWith("/chunked");
    return new Response(isChunked ? new Blob([big]).stream() : big);
  });
  const words = "http --requests 9 --expect-bytes 1048576 --path";
  assertClean(await load(server.addr, `${words} /`), 9);
  assertClean(await load(server.addr, `${words} /chunked`), 9);
  const figures = await load(server.addr, `${words} /wrong`);
  assertFault(figures, 8, /^Byte 1000000 is 0x/);
});

loadTest("http --close has a connection for each request", async () => {
  const until = "HTTP/1.1 200 OK\r\n\r\nHello, World!";
  for (const say of [() => [CLOSING, null], () => [until, null], () => HELLO]) {
    await using server = sayingServer(({ head }) => {
      assertMatch(head, /^Connection: close\r$/m);
      return say();
    });
    const words = "http --close --connections 4 --requests 50";
    assertClean(await load(server.addr, words, ...EXPECT), 50);
    assertEquals(server.connections, 50);
  }
});

loadTest("http --interval-ms spreads the requests of connections", async () => {
  const seen = new Set<number>();
  await using server = sayingServer(({ connection }) => {
    seen.add(connection);
    return HELLO;
  });
  const words = "http --connections 4 --requests 12 --interval-ms 20";
  const figures = await load(server.addr, words);
  assertClean(figures, 12);
  assertEquals(seen.size, 4);
  // The first is due at once, the twelfth eleven quarters later.
  assert(figures.seconds >= 0.055, `${figures.seconds} s`);
});

loadTest("http --idle holds connections beside the busy ones", async () => {
  const counts: number[] = [];
  await using server = sayingServer(({ connection }) => {
    counts[connection] = (counts[connection] ?? 0) + 1;
    return HELLO;
  });
  const words = "http --idle 20 --connections 2 --requests 50";
  assertClean(await load(server.addr, words), 50);
  assertEquals(counts.slice(0, 20), Array(20).fill(1));
  assertEquals(counts.slice(20).reduce((sum, count) => sum + count), 50);
});

const CHUNKED = "Transfer-Encoding: chunked";
const LIES: [lie: Said, why: RegExp][] = [
  [answer("Hello, world!"), /^Byte 7 is 0x77 instead of 0x57$/],
  [answer("Hello"), /^A body has 5 bytes instead of 13$/],
  [answer("e\r\nHello, World!!\r\n", CHUNKED), /^More than 13 bytes came$/],
  [HELLO.replace("200 OK", "500 Oh"), /^Status is 500 instead of 200$/],
  [[HELLO.slice(0, -1), null], /^The connection ended within an answer$/],
  [HELLO.slice(0, -1), /^Nothing came within 1000 ms/],
  [answer("5\r\nHello\r\n0\r\n\r\n", CHUNKED), /^A body has 5 bytes instead/],
  [null, /^The connection ended without an answer$/],
  [CLOSING, /^An answer says that the connection ends with it$/],
  ["Hello, World!", /^Cannot read an answer at "Hello, W/],
  [[], /^Nothing came within 1000 ms$/],
];

for (const [lie, why] of LIES) {
  loadTest(`http finds "${why.source}", and goes on`, async () => {
    await using server = sayingServer(({ number }) =>
      number === 5 ? lie : HELLO
    );
    const words = "http --requests 20 --patience-ms 1000";
    assertFault(await load(server.addr, words, ...EXPECT), 19, why);
    assertEquals(server.connections, 2, "it was replaced");
  });
}

loadTest("http finds lies in connections of one request", async () => {
  const lies: [lie: Said, why: RegExp][] = [
    [[CLOSING.slice(0, -1), null], /^The connection ended within an answer$/],
    [[CLOSING, "!", null], /^Behind the last answer comes "!"$/],
    [[CLOSING], /^Nothing came within 1000 ms$/],
    [null, /^The connection ended without an answer$/],
  ];
  for (const [lie, why] of lies) {
    await using server = sayingServer(({ number }) =>
      number === 5 ? lie : [CLOSING, null]
    );
    const words = "http --close --requests 20 --patience-ms 1000";
    assertFault(await load(server.addr, words), 19, why);
  }
});

/** A message with a wrong byte. */
const flipped = (bytes: Bytes) =>
  bytes.map((each, at) => at === 9 ? each ^ 1 : each);

// --- Mode echo --------------------------------------------------------------

/** Sends back each message, as `change` has it. */
function echoServer(
  change: (message: Bytes) => Bytes | null = (message) => message,
): RawServer {
  return new RawServer(async (connection) => {
    for await (const bytes of readsOf(connection)) {
      const changed = change(bytes);
      if (changed === null) return;
      await writeAll(connection, changed);
    }
  });
}

loadTest("echo counts messages of any length, which all differ", async () => {
  const seen = new Set<string>();
  await using server = echoServer((message) => {
    seen.add(toLatin1(message.subarray(0, 64)));
    return message;
  });
  const words = "echo --connections 8 --requests 400 --bytes 64";
  assertClean(await load(server.addr, words), 400);
  assertEquals(seen.size, 400);
  assertClean(await load(server.addr, "echo --requests 9 --bytes 1000000"), 9);
});

loadTest("echo finds wrong bytes, bytes too many and an end", async () => {
  const lies: [(message: Bytes) => Bytes | null, RegExp][] = [
    [flipped, /^B.* 9 /],
    [(bytes) => concat([bytes, bytes]), /^No message asked for /],
    [() => null, /^The connection ended/],
    [(bytes) => bytes.subarray(1), /^Byte 0 is 0x/],
    [(bytes) => bytes.subarray(0, 63), /^Nothing came within 1000 ms$/],
  ];
  for (const [lie, why] of lies) {
    let asked = 0;
    await using server = echoServer((message) =>
      asked++ === 5 ? lie(message) : message
    );
    const words = "echo --requests 20 --patience-ms 1000";
    assertFault(await load(server.addr, words), 19, why);
    assertEquals(server.connections, 2, "it was replaced");
  }
});

// --- WebSockets -------------------------------------------------------------

type Message = string | Bytes;

/** Answers each message, the one of a number, with those that `say` returns. */
function socketServer(
  say: (message: Message, number: number) => Message[],
): Deno.HttpServer<Deno.NetAddr> {
  let number = 0;
  return serve((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      const message = typeof data === "string" ? data : new Uint8Array(data);
      for (const each of say(message, number++)) socket.send(each);
    };
    return response;
  });
}

loadTest("--websocket counts echoes, alone and in pipelines", async () => {
  const seen = new Set<Message>();
  await using server = socketServer((message) => {
    seen.add(message);
    return [message];
  });
  const words = "echo --websocket --connections 4 --requests 96 --bytes";
  for (const more of ["0", "64 --depth 16", "126", "70000"]) {
    assertClean(await load(server.addr, `${words} ${more}`), 96);
  }
  seen.clear();
  assertClean(await load(server.addr, `${words} 64 --text`), 96);
  assertEquals(
    [...seen].filter((each) => /^[ -~]{64}$/.test(`${each}`)).length,
    96,
  );
});

loadTest("--websocket finds each wrong echo", async () => {
  const lies: [(message: Bytes) => Message[], RegExp][] = [
    [(bytes) => [flipped(bytes)], /^B.* 9 /],
    // The second may come before the next message is sent, or behind it.
    [(bytes) => [bytes, bytes], /^(No message asked for "\\x82@|Byte \d)/],
    [(bytes) => [bytes.subarray(1)], /^A frame begins with "\\x82\?/],
    [() => ["-".repeat(64)], /^A frame begins with "\\x81@/],
    [() => [], /^Nothing came within 1000 ms$/],
  ];
  for (const [lie, why] of lies) {
    await using server = socketServer((message, number) =>
      number === 5 ? lie(message as Bytes) : [message]
    );
    const words = "echo --websocket --requests 20 --patience-ms 1000";
    assertFault(await load(server.addr, words), 19, why);
  }
});

loadTest("--deflate finds that a server does not compress", async () => {
  await using server = socketServer((message) => [message]);
  const words = `--port ${server.addr.port} echo --websocket --deflate`;
  const { code, stderr } = await run(`${words} --requests 1`);
  assertMatch(stderr, /: The WebSocket was not accepted: "HTTP\/1.1 101/);
  assertEquals(code, 1);
});

loadTest("topic counts what all but the first receive", async () => {
  const members = new Set<WebSocket>();
  await using server = serve((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => {
      const isMember = members.has(socket);
      members.add(socket);
      for (const each of isMember ? members : [socket]) {
        if (!isMember || each !== socket) each.send(data);
      }
    };
    return response;
  });
  const words = "topic --connections 4 --requests 30";
  assertClean(await load(server.addr, words), 30);
});

// --- Mode sse ---------------------------------------------------------------

const STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const event = (number: number) => `data: ${number}\n\n`;

/** Counts without end; `change` alters the first connection's events. */
function countingServer(
  isChunked: boolean,
  change: (number: number) => string | null = event,
): RawServer {
  return new RawServer(async (connection, place) => {
    await connection.read(new Uint8Array(1024));
    const write = (text: string) => writeAll(connection, latin1(text));
    await write(STREAM + (isChunked ? `${CHUNKED}\r\n\r\n` : "\r\n"));
    for (let number = 0;; number++) {
      const text = (place === 0 ? change : event)(number);
      if (text === null) return;
      // In two pieces; the second ends an event.
      for (const part of [text.slice(0, 3), text.slice(3)]) {
        const length = part.length.toString(16);
        await write(isChunked ? `${length}\r\n${part}\r\n` : part);
      }
      // Others go first.
      await new Promise((resolve) => setTimeout(resolve));
    }
  });
}

loadTest("sse counts events, in chunks or not", async () => {
  for (const isChunked of [true, false]) {
    await using server = countingServer(isChunked);
    const words = "sse --connections 4 --requests 200 --path /events";
    assertClean(await load(server.addr, words), 200);
  }
});

loadTest("sse finds each fault of a stream, and opens another", async () => {
  const lies: [(number: number) => string | null, RegExp][] = [
    [(number) => event(number + 1), /^Event 31 came after event 29$/],
    [(number) => event(number - 1), /^Event 29 came after event 29$/],
    [(number) => `data: ${number}\n`, /^An event is "data: 30\\ndata: 31/],
    [() => null, /^The connection ended within an answer$/],
  ];
  for (const [lie, why] of lies) {
    await using server = countingServer(
      true,
      (number) => number === 30 ? lie(number) : event(number),
    );
    assertFault(await load(server.addr, "sse --requests 100"), 99, why);
  }
});

// --- Mode idle --------------------------------------------------------------

/** Runs mode idle up to "ready", then `meanwhile`, then ends its input. */
async function hold(
  { port }: Deno.NetAddr,
  count: number,
  meanwhile: () => Promise<void> | void,
): Promise<{ code: number; stderr: string }> {
  const words = `--port ${port} idle --connections ${count}`.split(" ");
  const child = new Deno.Command(PROGRAM, {
    args: [...words, ...EXPECT],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  for await (const chunk of child.stdout) {
    assertEquals(toLatin1(chunk), "ready\n");
    await meanwhile();
    await child.stdin.close();
  }
  const { code } = await within(child.status, "its end");
  return { code, stderr: await stderr };
}

loadTest("idle holds verified connections to its input's end", async () => {
  let asked = 0;
  await using server = sayingServer(() => {
    asked++;
    return HELLO;
  });
  const result = await hold(server.addr, MANY, () => {
    assertEquals([asked, server.connections], [MANY, MANY]);
  });
  assertEquals(result, { code: 0, stderr: "" });
});

loadTest("idle fails, when a connection was closed meanwhile", async () => {
  const closing = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  await using server = new RawServer(async (connection, place) => {
    const bytes = new Uint8Array(1024);
    await connection.read(bytes);
    await writeAll(connection, latin1(HELLO));
    if (place !== 3) return void await connection.read(bytes);
    await closing.promise;
    await connection.closeWrite();
    // The generator closes it in turn.
    await connection.read(bytes);
    closed.resolve();
  });
  const { code, stderr } = await hold(server.addr, 9, async () => {
    closing.resolve();
    await within(closed.promise, "the end of a connection");
  });
  assertMatch(
    stderr,
    /^error: 1 of 9 connections failed: On an idle [^\n]+\n$/,
  );
  assertEquals(code, 1);
});

// --- The command line -------------------------------------------------------

for (
  const words of [
    ...["http", "--port 1", "--port 1 ftp", "--port 1 http --what"],
    ...["--port 1 http --session", "--port 1 echo --session --close"],
  ]
) {
  loadTest(`refuses "${words}" in one line`, async () => {
    const { code, stdout, stderr } = await run(words);
    assertMatch(stderr, /^error: [^\n]+; see --help\n$/);
    assertEquals({ code, stdout }, { code: 2, stdout: "" });
  });
}

loadTest("prints one line, when no server listens", async () => {
  const port = deadPort();
  for (const more of ["", " --close", " --idle 3"]) {
    const words = `--port ${port} http --requests 9${more}`;
    const { code, stdout, stderr } = await run(words);
    assertMatch(stderr, /^error: Cannot load port \d+: [^\n]+refused[^\n]+\n$/);
    assertEquals({ code, stdout }, { code: 1, stdout: "" });
  }
});

loadTest("--help teaches, and exits 0", async () => {
  const { code, stdout } = await run("--help");
  assertMatch(stdout, /Usage: load[^]+Modes:[^]+Examples:[^]+Exit codes:/);
  assertEquals(code, 0);
});
