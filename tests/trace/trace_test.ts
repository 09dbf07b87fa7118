/** A trace: what a connection costs, call by call, and that it is true. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { echo, Reactor, trace, type TraceOptions } from "../../mod.ts";
import { Interest, TcpListener } from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readExactly, readText, writeText } from "../util/deno_client.ts";
import { ECHO } from "../util/handlers.ts";
import { Source } from "../util/http_bodies.ts";
import { TestServer } from "../util/http_server.ts";
import { Program } from "../util/program.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";
import { NO_STRACE } from "../util/strace.ts";

const MIB = 1024 * 1024;
const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

/** A reactor that is traced, and the lines. */
class TracedReactor implements Disposable {
  readonly lines: string[] = [];
  readonly reactor: Reactor;

  constructor(options: TraceOptions = {}) {
    const print = (line: string) => void this.lines.push(line);
    this.reactor = new Reactor({ system: trace({ print, ...options }) });
  }

  /** Returns the calls, as `call = result`, but not those that wait. */
  async calls(): Promise<string[]> {
    await this.closed("conn 1");
    return this.lines.flatMap((line) => {
      const [, call, result] =
        / (\w+)\([^)]*\) = (-1 \w+|conn \d+|\d+)/.exec(line) ?? [];
      const isWait = /^(epoll_wait|kevent|poll|select)$/.test(call ?? "poll");
      return isWait ? [] : [`${call} = ${result}`];
    });
  }

  /** Waits for the sums of a connection, and returns them. */
  async closed(name: string): Promise<string> {
    const place = () =>
      this.lines.findIndex((line) => line.startsWith(`${name} closed`));
    await eventually(`${name} to close`, () => place() >= 0);
    const [first, ...more] = this.lines.slice(place());
    const others = more.findIndex((line) => !/^ {2}\w/.test(line));
    const sums = others < 0 ? more : more.slice(0, others);
    return [first, ...sums].join("\n");
  }

  [Symbol.dispose](): void {
    this.reactor.close();
  }
}

/** What registering costs: one call, or none where levels are watched. */
function adding(reactor: Reactor): string[] {
  const { backend } = reactor;
  if (backend === "epoll") return ["epoll_ctl = 0"];
  return backend === "kqueue" ? ["kevent = 0"] : [];
}

const ACCEPT = Deno.build.os === "darwin" ? "accept" : "accept4";

/** What each accepted connection begins with. */
function beginning(reactor: Reactor): string[] {
  return [
    `${ACCEPT} = conn 1`,
    `${ACCEPT} = -1 EAGAIN`,
    ...adding(reactor),
  ];
}

cleanTest(
  "trace() shows an echo: one read and one write a message",
  async () => {
    using traced = new TracedReactor();
    const { reactor } = traced;
    await using server = echo({ port: 0, reactor });
    {
      using client = await Deno.connect(server.addr);
      for (const text of ["hello", "again"]) {
        await writeText(client, text);
        assertEquals(await readText(client, text.length), text);
      }
    }
    assertEquals(await traced.calls(), [
      ...beginning(reactor),
      "recvfrom = 5",
      "sendto = 5",
      "recvfrom = 5",
      "sendto = 5",
      "recvfrom = 0",
      "close = 0",
    ]);
    const sums = await traced.closed("conn 1");
    assertMatch(sums, /^conn 1 closed after [\d.]+ ms: 10 bytes in, 10 out\n/);
    assertMatch(sums, /, 3 recvfrom, 2 sendto, 1 close\n/);
    assertMatch(sums, /0 connections not traced$/);
  },
);

cleanTest(
  "trace() shows keep-alive requests: no registering again",
  async () => {
    using traced = new TracedReactor();
    const { reactor } = traced;
    {
      await using server = new TestServer(() => new Response("b"), { reactor });
      using client = await server.connect();
      for (let count = 0; count < 3; count++) {
        await client.send(GET);
        await client.answer();
      }
    }
    const calls = await traced.calls();
    assertEquals(calls.slice(0, beginning(reactor).length), beginning(reactor));
    const sums = await traced.closed("conn 1");
    assertMatch(sums, /: 3 requests, 84 bytes in, /);
    assertMatch(sums, /per request: 1 read and 1 write that moved bytes$/m);
    const notes = traced.lines.flatMap((line) =>
      /(recvfrom|sendto)\(.* {2}(GET \/a|200 OK)$/.exec(line)?.[2] ?? []
    );
    const pair = ["GET /a", "200 OK"];
    assertEquals(notes, [...pair, ...pair, ...pair]);
  },
);

cleanTest(
  "trace() shows a pipelined batch: one read and one write",
  async () => {
    using traced = new TracedReactor();
    const { reactor } = traced;
    {
      await using server = new TestServer(() => new Response("b"), { reactor });
      using client = await server.connect();
      await client.send(GET.repeat(16));
      await client.answers(16);
    }
    const sums = await traced.closed("conn 1");
    assertMatch(sums, /at best 16 requests in 1 read, answered in 1 write$/m);
    const text = traced.lines.join("\n");
    assertMatch(text, / recvfrom\(conn 1, \d+\) = 448 +GET \/a, 15 more$/m);
    assertMatch(text, / sendto\(conn 1, (\d+)\) = \1 +200 OK, 15 more$/m);
  },
);

cleanTest(
  "trace() shows a streamed answer: one write, of its parts when one is large",
  async () => {
    using traced = new TracedReactor();
    const { reactor } = traced;
    const sizes = [3, 50_000];
    {
      await using server = new TestServer(() => {
        const bytes = new Uint8Array(sizes.shift()!);
        return new Response(new Source().give(bytes).close().stream);
      }, { reactor });
      using client = await server.connect();
      for (const _ of sizes.slice()) {
        await client.send(GET);
        await client.answer();
      }
    }
    const sums = await traced.closed("conn 1");
    assertMatch(sums, /, 1 sendto, 1 sendmsg, /);
    assertMatch(sums, /: 2 requests, 56 bytes in, /);
    const text = traced.lines.join("\n");
    assertMatch(text, / sendmsg\(conn 1, (\d+)\) = \1 +200 OK$/m);
  },
);

cleanTest(
  "trace() counts every call of a big upload, and shows some",
  async () => {
    using traced = new TracedReactor();
    const { reactor } = traced;
    const BYTES = 8 * MIB;
    {
      const handler = async (request: Request) =>
        new Response(String((await request.arrayBuffer()).byteLength));
      await using server = new TestServer(handler, { reactor });
      using client = await server.connect();
      await client.send(
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BYTES}\r\n\r\n`,
      );
      await client.send(new Uint8Array(BYTES));
      assertEquals((await client.answer()).text, String(BYTES));
    }
    const sums = await traced.closed("conn 1");
    const [, reads] = /, (\d+) recvfrom/.exec(sums)!;
    const text = traced.lines.join("\n");
    const shown = text.match(/ recvfrom\(/g)!.length;
    const hidden = [...text.matchAll(/… .*?(\d+) recvfrom.* more$/gm)]
      .reduce((sum, [, count]) => sum + Number(count), 0);
    assert(hidden > 0);
    assertEquals(shown + hidden, Number(reads));
    assert(traced.lines.length < 100, text);
  },
);

cleanTest("trace() shows that a slow peer is waited for", async () => {
  using traced = new TracedReactor();
  const { reactor } = traced;
  const bytes = new Uint8Array(16 * MIB);
  const listener = reactor.listen(LOOPBACK, {
    open: (connection) => void connection.write(bytes),
    data() {},
    drain: (connection) => connection.close(),
  });
  {
    using client = await Deno.connect(listener.addr);
    await readExactly(client, bytes.byteLength);
  }
  const calls = await traced.calls();
  const again = adding(reactor);
  assertEquals(
    calls.filter((call) => again.includes(call)),
    again.length > 0 ? [...again, ...again] : [],
  );
  const sums = await traced.closed("conn 1");
  assertMatch(sums, /: 0 bytes in, 16,777,216 out\n/);
  assertMatch(traced.lines.join("\n"), /\[conn 1 WRITABLE\], \d\) = 1$/m);
});

cleanTest("trace() shows a connection that we open", async () => {
  using traced = new TracedReactor({ connections: 2 });
  const { reactor } = traced;
  const listener = reactor.listen(LOOPBACK, ECHO);
  const { promise, resolve } = Promise.withResolvers<void>();
  reactor.connect(listener.addr, {
    open: (connection) => void connection.write(new Uint8Array(7)),
    data: (connection) => connection.close(),
    close: () => resolve(),
  });
  await promise;
  await traced.closed("conn 2");
  const { port } = listener.addr;
  const text = traced.lines.join("\n");
  const connected = new RegExp(
    `connect\\(conn 1\\) = -1 EINPROGRESS +127.0.0.1:${port}$`,
    "m",
  );
  assertMatch(text, connected);
  assertMatch(text, /getsockopt\(conn 1, SO_ERROR\) = 0$/m);
  assertMatch(await traced.closed("conn 1"), /: 7 bytes in, 7 out\n/);
  assertMatch(await traced.closed("conn 2"), /: 7 bytes in, 7 out\n/);
});

cleanTest(
  "trace() serves those that it does not show, and counts them",
  async () => {
    using traced = new TracedReactor();
    const { reactor } = traced;
    await using server = echo({ port: 0, reactor });
    {
      using shown = await Deno.connect(server.addr);
      await writeText(shown, "1");
      assertEquals(await readText(shown, 1), "1");
      for (const text of ["2", "3"]) {
        using other = await Deno.connect(server.addr);
        await writeText(other, text);
        assertEquals(await readText(other, 1), text);
      }
    }
    assertMatch(await traced.closed("conn 1"), /, 2 connections not traced$/);
    const said = traced.lines.filter((line) => line.includes("conn 2"));
    assertEquals(said, ["conn 2 and later ones are not traced"]);
  },
);

cleanTest("trace() changes nothing when a connection is reset", async () => {
  using traced = new TracedReactor();
  const { reactor } = traced;
  const closed = Promise.withResolvers<string>();
  const listener = reactor.listen(LOOPBACK, {
    data: (connection) => connection.abort(),
    close: ({ peerAddress }) => {
      closed.resolve("hostname" in peerAddress ? peerAddress.hostname : "");
    },
  });
  using client = await Deno.connect(listener.addr);
  await writeText(client, "x");
  assertEquals(await closed.promise, "127.0.0.1");
  assertEquals(await traced.calls(), [
    ...beginning(reactor),
    "recvfrom = 1",
    "setsockopt = 0",
    "close = 0",
  ]);
});

cleanTest("trace() shows that a stream's queues are asked for", () => {
  const lines: string[] = [];
  const system = trace({ print: (line) => void lines.push(line) });
  using listener = TcpListener.bind(LOOPBACK);
  const poll = system.openPoll({});
  const stream = system.connect(listener.localAddress);
  poll.register(stream, 1, Interest.WRITABLE);
  assertEquals([stream.unackedBytes, stream.unreadBytes], [0, 0]);
  stream.close();
  poll.close();
  const text = lines.join("\n");
  assertMatch(text, /(SIOCOUTQ|SO_NWRITE|FIONWRITE), \[0\]\) = 0$/m);
  assertMatch(text, /ioctl\(conn 1, FIONREAD, \[0\]\) = 0$/m);
});

Deno.test("trace() refuses what is no number of connections", () => {
  for (const connections of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => trace({ connections }), RangeError, "Cannot trace");
  }
});

Deno.test({
  name: "trace() shows the calls that strace shows, in their order",
  ignore: NO_STRACE,
  async fn() {
    const log = await Deno.makeTempFile({ suffix: ".strace" });
    const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
    await using program = new Program([
      "strace",
      // The program is the child that is signalled, and not strace.
      ...["-D", "-f", "-o", log],
      ...["-e", "trace=network,epoll_wait,epoll_pwait,epoll_ctl,ioctl,close"],
      ...[Deno.execPath(), "run", "--no-prompt", "-A", main],
      ...["--backend=epoll", "--trace", "--port=0"],
    ]);
    const [, port] = await program.printed(/ http:\/\/127\.0\.0\.1:(\d+)\//);
    {
      using client = await Deno.connect({ port: Number(port) });
      const buffer = new Uint8Array(65_536);
      for (const count of [1, 1, 16]) {
        await writeText(client, GET.repeat(count));
        await client.read(buffer);
      }
    }
    const [sums] = await program.complained(
      /^conn 1 closed[^]*^ {2}beside.*$/m,
    );
    program.kill("SIGTERM");
    const { stderr } = await program.ended();
    const isWhole = () => /\+\+\+ exited/.test(Deno.readTextFileSync(log));
    await eventually("strace to end", isWhole);
    const strace = straceOf(Deno.readTextFileSync(log));
    await Deno.remove(log);

    assertEquals(shownCalls(stderr), strace.calls);
    const [, waits] = /beside: (\d+) epoll_wait/.exec(sums)!;
    assertEquals(Number(waits), strace.idleWaits);
  },
});

/** The calls of a trace's lines. */
function shownCalls(text: string): string[] {
  const shown = / (\w+)\((.*)\) = (-1 \w+|conn 1|\d+)/gm;
  return [...text.matchAll(shown)].map(([, call, , result]) =>
    `${call} = ${result}`
  );
}

/** The calls of the first connection that strace saw accepted. */
function straceOf(log: string): { calls: string[]; idleWaits: number } {
  const lines = straceLines(log);
  const accepted = lines.findIndex((line) => /^accept4.* = \d+$/.test(line));
  const fd = / = (\d+)$/.exec(lines[accepted]!)![1]!;
  const added = new RegExp(
    `^epoll_ctl\\((\\d+), EPOLL_CTL_ADD, ${fd}, .*u64=(\\d+)`,
  );
  const [, epoll, token] = lines.slice(accepted)
    .map((line) => added.exec(line)).find((found) => found !== null)!;
  const ours = new RegExp(
    `^(accept4|(epoll_ctl\\(\\d+, \\w+, |\\w+\\()${fd}[,)])`,
  );
  const waits = new RegExp(`^epoll_p?wait\\(${epoll},`);
  // The wait that told of the listener came right before.
  const calls = ["epoll_wait = 1"];
  let idleWaits = 0;
  for (const line of lines.slice(accepted)) {
    const [, call, result] = /^(\w+)\(.* = (-1 \w+|\d+)/.exec(line) ?? [];
    if (waits.test(line)) {
      if (line.includes(`u64=${token}}`)) calls.push(`epoll_wait = ${result}`);
      else idleWaits++;
    } else if (ours.test(line)) {
      const isConn = call === "accept4" && result === fd;
      calls.push(`${call} = ${isConn ? "conn 1" : result}`);
      if (call === "close") break;
    }
  }
  return { calls, idleWaits };
}

/** Lines of strace without the process, and those that it cut put together. */
function straceLines(log: string): string[] {
  const begun = new Map<string, string>();
  const whole: string[] = [];
  for (const line of log.split("\n")) {
    const [, process, text] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (text === undefined) continue;
    const [, start] = /^(.*)<unfinished \.\.\.>$/.exec(text) ?? [];
    const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(text) ?? [];
    if (start !== undefined) begun.set(process!, start);
    else whole.push(end === undefined ? text : begun.get(process!) + end);
  }
  return whole.map((line) => line.replace(/ \([A-Z][^()]*\)$/, ""));
}
