/**
 * The load generator: it counts what servers do right, and finds each lie.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { build, buildIfStale } from "../../scripts/build.ts";
import { concat, latin1, toLatin1 } from "../util/http_bytes.ts";
import { runProgram } from "../util/program.ts";
import { within } from "../util/waiting.ts";

const PROGRAM = fileURLToPath(
  new URL("../../native/target/release/examples/load", import.meta.url),
);
const LOOPBACK = { hostname: "127.0.0.1", port: 0 } as const;
const READ_BYTES = 64 * 1024;
const PERIOD = 251;
/** Above this, each connection is opened with a request. */
const LOT = 256;

/** What the line of JSON says. */
interface Figures {
  readonly requests: number;
  readonly seconds: number;
  readonly failures: number;
  readonly firstFailure: string | null;
  readonly late: number;
  readonly connections: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly minUs: number | null;
  readonly p50Us: number | null;
  readonly p90Us: number | null;
  readonly p99Us: number | null;
  readonly p999Us: number | null;
  readonly maxUs: number | null;
}

let isBuilt = false;

/** Compiles it. What fails would fail again: only the first test tells. */
function ensureBuilt(): void {
  if (isBuilt) return;
  isBuilt = true;
  buildIfStale();
  build(["--example", "load"]);
}

/** A test that needs epoll, as the program does. */
function loadTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

function run(
  words: string,
  ...more: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  ensureBuilt();
  return runProgram([PROGRAM, ...words.split(" "), ...more]);
}

/** Runs it against a server, and returns what it prints. */
async function load(
  { port }: Deno.NetAddr,
  words: string,
  ...more: string[]
): Promise<Figures> {
  const { code, stdout, stderr } = await run(
    `--port ${port} ${words}`,
    ...more,
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const [line, rest] = stdout.split("\n");
  assertEquals(rest, "", "exactly one line");
  return JSON.parse(line!);
}

/** The counts that a run without a fault has. */
function assertClean(figures: Figures, requests: number): void {
  const { failures, firstFailure } = figures;
  assertEquals(
    { requests: figures.requests, failures, firstFailure },
    { requests, failures: 0, firstFailure: null },
  );
}

/** The counts of a run with one fault. */
function assertOneFailure(
  figures: Figures,
  requests: number,
  why: RegExp,
): void {
  assertEquals([figures.requests, figures.failures], [requests, 1]);
  assertMatch(figures.firstFailure ?? "", why);
}

// --- Servers that tell the truth -------------------------------------------

function serve(handler: Deno.ServeHandler): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ ...LOOPBACK, onListen() {} }, handler);
}

/** A body that the generator knows: byte i is (i + shift) % 251. */
function pattern(length: number, shift = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    { length },
    (_, index) => (index + shift) % PERIOD,
  );
}

// --- Servers that are told what to say -------------------------------------

/** A request, as it came. */
interface Asked {
  /** How many there were before it, on all connections. */
  readonly number: number;
  /** Which connection it came on. */
  readonly connection: number;
  readonly head: string;
  readonly body: string;
}

/** What to send for a request; then `null` closes the connection. */
type Say = (asked: Asked) => string | null | (string | null)[];

/** A TCP server that gives each connection to a function. */
class RawServer implements AsyncDisposable {
  /** How many connections there were. */
  connections = 0;
  readonly #listener = Deno.listen(LOOPBACK);
  readonly #open = new Set<Deno.TcpConn>();
  readonly #all: Promise<void>;
  #isOver = false;

  constructor(
    handle: (connection: Deno.TcpConn, number: number) => Promise<void>,
  ) {
    this.#all = this.#accept(handle);
  }

  get addr(): Deno.NetAddr {
    return this.#listener.addr;
  }

  async #accept(
    handle: (connection: Deno.TcpConn, number: number) => Promise<void>,
  ): Promise<void> {
    const handled = [];
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      const over = handle(connection, this.connections++)
        // The generator has had enough of it.
        .catch(() => {})
        .finally(() => this.#close(connection));
      handled.push(over);
    }
    await Promise.all(handled);
  }

  #close(connection: Deno.TcpConn): void {
    if (this.#open.delete(connection)) connection.close();
  }

  /** Closes the listener and all connections. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.close();
    for (const connection of this.#open) this.#close(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await within(this.#all, "the server to end");
  }
}

/** Speaks HTTP as it is told, one answer to each request. */
function sayingServer(say: Say): RawServer {
  let number = 0;
  return new RawServer(async (connection, place) => {
    let text = "";
    const bytes = new Uint8Array(READ_BYTES);
    for (;;) {
      const count = await connection.read(bytes);
      if (count === null) return;
      text += toLatin1(bytes.subarray(0, count));
      for (;;) {
        const [request, rest] = split(text);
        if (request === undefined) break;
        text = rest;
        const asked = { ...request, number: number++, connection: place };
        for (const piece of [say(asked)].flat()) {
          if (piece === null) return;
          await writeAll(connection, latin1(piece));
        }
      }
    }
  });
}

/** Takes a whole request from the front of a text. */
function split(
  text: string,
): [{ head: string; body: string } | undefined, string] {
  const end = text.indexOf("\r\n\r\n") + 4;
  if (end < 4) return [undefined, text];
  const head = text.slice(0, end);
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  if (text.length < end + length) return [undefined, text];
  const body = text.slice(end, end + length);
  return [{ head, body }, text.slice(end + length)];
}

async function writeAll(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.byteLength;) {
    sent += await connection.write(bytes.subarray(sent));
  }
}

function answer(body: string, ...headers: string[]): string {
  const lines = ["HTTP/1.1 200 OK", `Content-Length: ${body.length}`];
  return [...lines, ...headers, "", body].join("\r\n");
}

const HELLO = answer("Hello, World!");

/** Says what is right, but for one request. */
function lieAt(number: number, lie: string | null | (string | null)[]): Say {
  return (asked) => asked.number === number ? lie : HELLO;
}

/** Sends back each message, as `change` has it. */
function echoServer(
  change: (message: Uint8Array, connection: number) => Uint8Array | null = (
    message,
  ) => message,
): RawServer {
  return new RawServer(async (connection, place) => {
    const bytes = new Uint8Array(READ_BYTES);
    for (;;) {
      const count = await connection.read(bytes);
      if (count === null) return;
      const changed = change(bytes.subarray(0, count), place);
      if (changed === null) return;
      await writeAll(connection, changed);
    }
  });
}

// --- Mode http --------------------------------------------------------------

loadTest("load http counts as many requests as it was asked for", async () => {
  let asked = 0;
  await using server = serve(() => {
    asked++;
    return new Response("Hello, World!");
  });
  const figures = await load(
    server.addr,
    "http --connections 8 --requests 100 --expect-type text/plain;charset=UTF-8",
    "--expect",
    "Hello, World!",
  );
  assertClean(figures, 100);
  assertEquals([asked, figures.connections, figures.late], [100, 8, 0]);
  const request =
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.addr.port}\r\n\r\n`;
  assertEquals(figures.bytesOut, 100 * request.length);
  assert(figures.bytesIn > 100 * "Hello, World!".length);
  const { minUs, p50Us, p90Us, p99Us, p999Us, maxUs } = figures;
  const times = [0, minUs, p50Us, p90Us, p99Us, p999Us, maxUs].map(Number);
  assertEquals(times, times.toSorted((a, b) => a - b));
  assert(Number(maxUs) / 1e6 <= figures.seconds);
});

loadTest("load http runs as long as it was asked to", async () => {
  let asked = 0;
  await using server = serve(() => new Response(`${asked++}`));
  const figures = await load(
    server.addr,
    "http --connections 4 --seconds 0.25",
  );
  assertEquals(figures.seconds, 0.25);
  assert(figures.requests > 0);
  assertClean(figures, figures.requests);
  assertEquals(figures.requests + figures.late, asked, "all are accounted for");
});

loadTest("load http sends a pipeline in one write", async () => {
  const reads: number[] = [];
  await using server = new RawServer(async (connection) => {
    const bytes = new Uint8Array(READ_BYTES);
    for (;;) {
      const count = await connection.read(bytes);
      if (count === null) return;
      const text = toLatin1(bytes.subarray(0, count));
      const heads = text.split("\r\n\r\n").length - 1;
      reads.push(heads);
      // In two pieces, neither of which ends with an answer.
      const all = latin1(HELLO.repeat(heads));
      await writeAll(connection, all.subarray(0, 200));
      await writeAll(connection, all.subarray(200));
    }
  });
  const figures = await load(
    server.addr,
    "http --depth 16 --requests 40 --expect",
    "Hello, World!",
  );
  assertClean(figures, 40);
  assertEquals(reads, [16, 16, 8]);
});

loadTest("load http sends method, path, headers and body", async () => {
  const seen = new Set<string>();
  await using server = sayingServer(({ head, body }) => {
    seen.add(head + body);
    return HELLO;
  });
  const words = "http --requests 3 --method PUT --path /a?b=c --body x=1";
  const headers = ["--header", "A: b c", "--header", "host: there"];
  assertClean(await load(server.addr, words, ...headers), 3);
  assertEquals([...seen], [
    "PUT /a?b=c HTTP/1.1\r\nA: b c\r\nhost: there\r\n" +
    "Content-Length: 3\r\n\r\nx=1",
  ]);
});

loadTest(
  "load http sends bodies that differ, and wants them back",
  async () => {
    const firsts = new Set<number>();
    await using server = serve(async (request) => {
      const bytes = await request.bytes();
      firsts.add(bytes[0]!);
      assertEquals(bytes, pattern(70_000, bytes[0]));
      return new Response(bytes);
    });
    const words = "http --method POST --body-bytes 70000 --expect-echo";
    const figures = await load(
      server.addr,
      `${words} --requests 40 --connections 3 --depth 2`,
    );
    assertClean(figures, 40);
    assertEquals(firsts.size, 40);
  },
);

loadTest("load http verifies a long body, in chunks or not", async () => {
  const big = pattern(1 << 20);
  await using server = serve(({ url }) =>
    new Response(url.endsWith("/chunked") ? new Blob([big]).stream() : big)
  );
  for (const path of ["/", "/chunked"]) {
    const words = `http --path ${path} --expect-bytes 1048576`;
    const figures = await load(server.addr, `${words} --requests 9`);
    assertClean(figures, 9);
    assert(figures.bytesIn > 9 * big.byteLength);
  }
});

loadTest("load http expects no body of HEAD", async () => {
  await using server = serve(() => new Response("Hello"));
  const words = "http --method HEAD --requests 9 --depth 3";
  assertClean(await load(server.addr, words), 9);
});

loadTest("load http --close has a connection for each request", async () => {
  const closing = answer("Hello, World!", "Connection: close");
  const old = "HTTP/1.0 200 OK\r\n\r\nHello, World!";
  for (const say of [() => [closing, null], () => [old, null], () => HELLO]) {
    await using server = sayingServer(({ head }) => {
      assertMatch(head, /^Connection: close\r$/m);
      return say();
    });
    const words = "http --close --connections 4 --requests 50 --expect";
    assertClean(await load(server.addr, words, "Hello, World!"), 50);
    assertEquals(server.connections, 50);
  }
});

loadTest(
  "load http --interval-ms spreads the requests of connections",
  async () => {
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
  },
);

loadTest(
  "load http --idle holds connections beside the busy ones",
  async () => {
    const seen = new Map<number, number>();
    await using server = sayingServer(({ connection }) => {
      seen.set(connection, (seen.get(connection) ?? 0) + 1);
      return HELLO;
    });
    const words = "http --idle 20 --connections 2 --requests 50";
    assertClean(await load(server.addr, words), 50);
    const counts = [...seen.values()];
    assertEquals(counts.slice(0, 20), Array(20).fill(1));
    assertEquals(counts.slice(20).reduce((sum, count) => sum + count), 50);
  },
);

loadTest("load http opens many connections with a request each", async () => {
  let asked = 0;
  await using server = sayingServer(() => {
    asked++;
    return HELLO;
  });
  const many = LOT + 44;
  const words = `http --connections ${many} --requests 1000`;
  assertClean(await load(server.addr, words), 1000);
  assertEquals([server.connections, asked], [many, 1000 + many]);
});

const LIES: Record<string, [string | null | (string | null)[], RegExp]> = {
  "a wrong byte": [
    answer("Hello, world!"),
    /^Byte 7 is 0x77 instead of 0x57$/,
  ],
  "a short body": [answer("Hello"), /^A body has 5 bytes instead of 13$/],
  "a body that is cut off": [
    [HELLO.slice(0, -1), null],
    /^The connection ended within an answer$/,
  ],
  "a body that never ends": [
    HELLO.slice(0, -1),
    /^Nothing came within 1000 ms/,
  ],
  "chunks that are too few": [
    answer("5\r\nHello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    /^A body has 5 bytes instead of 13$/,
  ],
  "a chunk too many": [
    answer(
      "d\r\nHello, World!\r\n1\r\n!\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked",
    ),
    /^More than 13 bytes came$/,
  ],
  "a wrong status": [
    HELLO.replace("200 OK", "500 Oh"),
    /^Status is 500 instead of 200$/,
  ],
  "an early end": [null, /^The connection ended without an answer$/],
  "an announced end": [
    answer("Hello, World!", "Connection: close"),
    /^An answer says that the connection ends with it$/,
  ],
  "what is not HTTP": ["Hello, World!", /^Cannot read an answer at "Hello, W/],
  "no answer": [[], /^Nothing came within 1000 ms$/],
};

for (const [what, [lie, why]] of Object.entries(LIES)) {
  loadTest(`load http finds ${what}, and goes on`, async () => {
    await using server = sayingServer(lieAt(5, lie));
    const words = "http --requests 20 --patience-ms 1000 --expect";
    const figures = await load(server.addr, words, "Hello, World!");
    assertOneFailure(figures, 19, why);
    assertEquals(server.connections, 2, "it was replaced");
  });
}

loadTest("load http finds a byte too many behind an answer", async () => {
  await using server = sayingServer(lieAt(5, HELLO + "!"));
  const figures = await load(server.addr, "http --requests 20");
  // The answer itself was right, so the fault takes another request's place.
  assertEquals(figures.requests + figures.failures, 20);
  assertMatch(
    figures.firstFailure ?? "",
    /^Nobody asked for "!"$|^An answer begins with "!"$/,
  );
});

loadTest("load http finds a wrong content type", async () => {
  const html = answer("Hello, World!", "Content-Type: text/html");
  const plain = answer("Hello, World!", "Content-Type: text/plain");
  await using server = sayingServer(({ number }) =>
    number === 5 ? html : plain
  );
  const words = "http --requests 20 --expect-type text/plain";
  const why = /^Content type is "text\/html" instead of "text\/plain"$/;
  assertOneFailure(await load(server.addr, words), 19, why);
});

loadTest("load http finds a lie in a long body", async () => {
  const wrong = pattern(1 << 20);
  wrong[1_000_000]! ^= 1;
  const right = pattern(1 << 20);
  let asked = 0;
  await using server = serve(() => new Response(asked++ === 2 ? wrong : right));
  const words = "http --requests 5 --expect-bytes 1048576";
  assertOneFailure(await load(server.addr, words), 4, /^Byte 1000000 is 0x/);
});

loadTest(
  "load http finds answers of a pipeline that changed places",
  async () => {
    let kept: string | undefined;
    await using server = sayingServer(({ number, body }) => {
      if (number === 5) {
        kept = answer(body);
        return [];
      }
      return number === 6 ? [answer(body), kept!] : answer(body);
    });
    const words = "http --method POST --body-bytes 8 --expect-echo --depth 4";
    const figures = await load(server.addr, `${words} --requests 20`);
    assertOneFailure(figures, 19, /^Byte 0 is 0x06 instead of 0x05$/);
  },
);

loadTest("load http finds lies in connections of one request", async () => {
  const closing = answer("Hello, World!", "Connection: close");
  const lies: [(string | null)[], RegExp][] = [
    [[closing.slice(0, -1), null], /^The connection ended within an answer$/],
    [[closing, "!", null], /^Behind the last answer comes "!"$/],
    [[closing], /^Nothing came within 1000 ms$/],
    [[null], /^The connection ended without an answer$/],
  ];
  for (const [lie, why] of lies) {
    await using server = sayingServer(({ number }) =>
      number === 5 ? lie : [closing, null]
    );
    const words = "http --close --requests 20 --patience-ms 1000";
    assertOneFailure(await load(server.addr, words), 19, why);
  }
});

loadTest("load http finds an idle connection that is closed", async () => {
  const busy = Promise.withResolvers<void>();
  await using server = new RawServer(async (connection, place) => {
    const bytes = new Uint8Array(READ_BYTES);
    for (;;) {
      if (await connection.read(bytes) === null) return;
      await writeAll(connection, latin1(HELLO));
      if (place === 3) busy.resolve();
      if (place === 0) return void await busy.promise;
    }
  });
  const figures = await load(server.addr, "http --idle 3 --seconds 0.25");
  assertEquals([figures.failures, server.connections], [1, 4]);
  assertMatch(figures.firstFailure ?? "", /^On an idle connection: The conn/);
});

loadTest("load http counts a server that has gone", async () => {
  await using server = sayingServer(({ number }) => {
    if (number === 5) server.stop();
    return HELLO;
  });
  const figures = await load(server.addr, "http --requests 20");
  assertEquals([figures.requests, figures.failures], [5, 15]);
});

// --- Mode echo --------------------------------------------------------------

loadTest("load echo counts messages, all of which differ", async () => {
  const seen = new Set<string>();
  await using server = echoServer((message) => {
    seen.add(toLatin1(message));
    return message;
  });
  const words = "echo --bytes 64 --connections 8 --requests 400";
  const figures = await load(server.addr, words);
  assertClean(figures, 400);
  assertEquals(seen.size, 400);
  assertEquals([figures.bytesIn, figures.bytesOut], [25_600, 25_600]);
});

loadTest("load echo takes messages of any length", async () => {
  await using server = echoServer();
  for (const bytes of [1, 65_536, 1_000_000]) {
    const words = `echo --bytes ${bytes} --connections 3 --requests 20`;
    const figures = await load(server.addr, words);
    assertClean(figures, 20);
    assertEquals(figures.bytesIn, 20 * bytes);
  }
});

loadTest(
  "load echo finds a wrong byte, a message too long and an end",
  async () => {
    const lies: [(message: Uint8Array) => Uint8Array | null, RegExp][] = [
      [
        (message) => message.map((byte, at) => at === 9 ? byte ^ 1 : byte),
        /^B.* 9/,
      ],
      [(message) => concat([message, message]), /^More than 64 bytes came$/],
      [() => null, /^The connection ended$/],
      [(message) => message.subarray(1), /^Byte 0 is 0x/],
      [(message) => message.subarray(0, 63), /^Nothing came within 1000 ms$/],
    ];
    for (const [lie, why] of lies) {
      let asked = 0;
      await using server = echoServer((message) =>
        asked++ === 5 ? lie(message) : message
      );
      const words = "echo --requests 20 --patience-ms 1000";
      assertOneFailure(await load(server.addr, words), 19, why);
      assertEquals(server.connections, 2, "it was replaced");
    }
  },
);

loadTest("load echo finds bytes of another connection", async () => {
  const first = Promise.withResolvers<Uint8Array>();
  const second = Promise.withResolvers<Uint8Array>();
  await using server = new RawServer(async (connection, place) => {
    const bytes = new Uint8Array(READ_BYTES);
    for (let number = 0;; number++) {
      const count = await connection.read(bytes);
      if (count === null) return;
      let message = bytes.slice(0, count);
      if (number === 0 && place < 2) {
        const [mine, other] = place === 0 ? [first, second] : [second, first];
        mine.resolve(message);
        message = await other.promise as typeof message;
      }
      await writeAll(connection, message);
    }
  });
  const words = "echo --connections 2 --requests 20";
  const figures = await load(server.addr, words);
  assertEquals([figures.requests, figures.failures], [18, 2]);
  assertMatch(figures.firstFailure ?? "", /^Byte \d+ is 0x/);
});

// --- Mode sse ---------------------------------------------------------------

const STREAM_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

/** Counts for ever from a number, in chunks, each event as `change` has it. */
function countingServer(
  from: number,
  change: (number: number, connection: number) => string | null = event,
): Deno.HttpServer<Deno.NetAddr> {
  let connections = 0;
  return serve(() => {
    const place = connections++;
    let number = from;
    const body = new ReadableStream<string>({
      async pull(controller) {
        // What makes it let others go first.
        await new Promise((resolve) => setTimeout(resolve));
        const text = change(number++, place);
        if (text === null) controller.close();
        else controller.enqueue(text);
      },
    });
    const headers = { "content-type": "text/event-stream" };
    return new Response(body.pipeThrough(new TextEncoderStream()), { headers });
  });
}

function event(number: number): string {
  return `data: ${number}\n\n`;
}

loadTest("load sse counts events in chunks", async () => {
  await using server = countingServer(95);
  const words = "sse --connections 4 --requests 200 --path /events";
  const type = "--expect-type text/event-stream";
  const figures = await load(server.addr, `${words} ${type}`);
  assertClean(figures, 200);
  assert(figures.maxUs !== null);
});

loadTest("load sse counts events up to the end of the connection", async () => {
  await using server = new RawServer(async (connection) => {
    await connection.read(new Uint8Array(READ_BYTES));
    await writeAll(connection, latin1(`${STREAM_HEAD}\r\n`));
    for (let number = 0;; number++) {
      // An event in two pieces, and with it the next one's beginning.
      const [one, two] = [event(2 * number), event(2 * number + 1)];
      await writeAll(connection, latin1(one + two.slice(0, 3)));
      await writeAll(connection, latin1(two.slice(3)));
    }
  });
  const words = "sse --connections 2 --requests 500";
  assertClean(await load(server.addr, words), 500);
});

loadTest(
  "load sse finds each fault of a stream, and opens another",
  async () => {
    const lies: [(number: number) => string | null, RegExp][] = [
      [(number) => event(number + 1), /^Event 31 came after event 29$/],
      [(number) => event(number - 1), /^Event 29 came after event 29$/],
      [(number) => `data: ${number}\n`, /^An event is "data: 30\\ndata: 31/],
      [() => null, /^The stream of events ended$/],
    ];
    for (const [lie, why] of lies) {
      await using server = countingServer(
        0,
        (number, place) =>
          number === 30 && place === 0 ? lie(number) : event(number),
      );
      const words = "sse --requests 100";
      assertOneFailure(await load(server.addr, words), 99, why);
    }
  },
);

loadTest("load sse finds a stream that falls silent", async () => {
  await using server = new RawServer(async (connection, place) => {
    await connection.read(new Uint8Array(READ_BYTES));
    await writeAll(connection, latin1(`${STREAM_HEAD}\r\n`));
    for (let number = 0; number < 10 || place > 0; number++) {
      await writeAll(connection, latin1(event(number)));
    }
    await connection.read(new Uint8Array(1));
  });
  const figures = await load(
    server.addr,
    "sse --requests 100 --patience-ms 1000",
  );
  assertOneFailure(figures, 99, /^Nothing came within 1000 ms$/);
});

// --- Mode idle --------------------------------------------------------------

/** Runs mode idle up to "ready", then `meanwhile`, then ends its input. */
async function hold(
  { port }: Deno.NetAddr,
  count: number,
  meanwhile: () => Promise<void> | void,
): Promise<{ code: number; stderr: string }> {
  ensureBuilt();
  const words = `--port ${port} idle --connections ${count}`.split(" ");
  const child = new Deno.Command(PROGRAM, {
    args: [...words, "--expect", "Hello, World!"],
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

loadTest(
  "load idle holds verified connections until its input ends",
  async () => {
    let asked = 0;
    await using server = sayingServer(() => {
      asked++;
      return HELLO;
    });
    const many = LOT + 44;
    const { code, stderr } = await hold(server.addr, many, () => {
      assertEquals([asked, server.connections], [many, many]);
    });
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertEquals(asked, many);
  },
);

loadTest(
  "load idle fails, when a connection was closed meanwhile",
  async () => {
    const closing = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    await using server = new RawServer(async (connection, place) => {
      const bytes = new Uint8Array(READ_BYTES);
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
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^error: 1 of 9 connections failed: On an idle [^\n]+\n$/,
    );
  },
);

loadTest(
  "load idle fails, when a connection was wrong from the start",
  async () => {
    await using server = sayingServer(lieAt(3, answer("Hello, world!")));
    const { code, stderr } = await hold(server.addr, 9, () => {});
    assertEquals(code, 1);
    assertMatch(stderr, /^error: Cannot load 127[^\n]+: Byte 7 is 0x[^\n]+\n$/);
  },
);

// --- The command line -------------------------------------------------------

for (
  const words of ["http", "--port 1", "--port 1 ftp", "--port 1 http --depth 0"]
) {
  loadTest(`load refuses "${words}" in one line`, async () => {
    const { code, stdout, stderr } = await run(words);
    assertMatch(stderr, /^error: [^\n]+; see --help\n$/);
    assertEquals({ code, stdout }, { code: 2, stdout: "" });
  });
}

for (const more of ["", " --close", " --idle 3"]) {
  loadTest(
    `load http${more} says in one line that nobody listens`,
    async () => {
      const listener = Deno.listen(LOOPBACK);
      const { port } = listener.addr;
      listener.close();
      const words = `--port ${port} http --requests 9${more}`;
      const { code, stdout, stderr } = await run(words);
      assertMatch(stderr, /^error: Cannot load 127\.[^\n]+refused[^\n]+\n$/);
      assertEquals({ code, stdout }, { code: 1, stdout: "" });
    },
  );
}

loadTest("load --help teaches, and exits 0", async () => {
  const { code, stdout } = await run("--help");
  assertEquals(code, 0);
  for (const part of ["Usage: load", "Modes:", "Examples:", "Exit codes:"]) {
    assert(stdout.includes(part), part);
  }
});
