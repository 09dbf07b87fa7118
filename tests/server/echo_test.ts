/** The echo server: bytes out equal bytes in, in all cases. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type ConnectionHandlers,
  echo,
  type EchoOptions,
  type EchoServer,
  type Listener,
  Reactor,
  type UnixAddress,
} from "../../mod.ts";
import {
  type ListenOptions,
  TcpStream,
  type UnixListenOptions,
} from "../../src/poll.ts";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import type { AnyListener } from "../../src/reactor/listener.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  readExactly,
  readText,
  readToEnd,
  writeAll,
  writeText,
} from "../util/deno_client.ts";
import { MemorySystem } from "../../src/system/memory.ts";
import { HastyClient } from "../util/hasty_client.ts";
import { NO_IPV6 } from "../util/machine.ts";
import {
  hashOf,
  randomBytes,
  randomNumbers,
  randomPieces,
  sameBytes,
} from "../util/random.ts";
import { eventually, within } from "../util/waiting.ts";

const MIB = 1024 * 1024;

/** A reactor that shows the events of its listeners' connections. */
class OpenReactor extends Reactor {
  /** The number of received bytes. */
  taken = 0;
  readonly #listeners: AnyListener[] = [];

  override listen<Data = unknown>(
    options: ListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener;
  override listen<Data = unknown>(
    options: UnixListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): Listener<UnixAddress>;
  override listen<Data = unknown>(
    options: ListenOptions | UnixListenOptions,
    handlers: ConnectionHandlers<Data>,
  ): AnyListener {
    const listener = super.listen<Data>(options as ListenOptions, {
      ...handlers,
      data: (connection, bytes, start, end) => {
        this.taken += end - start;
        handlers.data(connection, bytes, start, end);
      },
    });
    this.#listeners.push(listener);
    return listener;
  }

  /** Whether a peer does not read. */
  get isCongested(): boolean {
    return this.#listeners.flatMap((each) => [...this.connections(each)])
      .some((connection) => connection.bufferedBytes > 0);
  }
}

/** Serves on its own reactor, which closes with the server. */
function served(options: { hostname?: string } = {}): EchoServer & {
  reactor: OpenReactor;
} {
  const reactor = new OpenReactor();
  const server = echo({ port: 0, reactor, ...options });
  return {
    ...server,
    reactor,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      reactor.close();
    },
  };
}

cleanTest("echo() sends back all bytes, and then the end", async () => {
  await using server = served();
  using client = await Deno.connect(server.addr);
  await writeText(client, "hello");
  assertEquals(await readText(client, 5), "hello");
  await writeText(client, "and bye");
  await client.closeWrite();
  assertEquals(new TextDecoder().decode(await readToEnd(client)), "and bye");
});

cleanTest("echo() ends with its reactor, when that drains", async () => {
  const reactor = new Reactor();
  const server = echo({ port: 0, reactor });
  using client = await Deno.connect(server.addr);
  await writeText(client, "hello");
  assertEquals(await readText(client, 5), "hello");
  const drained = reactor.drain(60_000);
  assertEquals(await within(readToEnd(client), "the end"), new Uint8Array());
  await within(drained, "the reactor to drain");
  await within(server.finished, "the server to finish");
});

cleanTest("echo() listens on 127.0.0.1, when no address is given", async () => {
  await using server = served();
  const { hostname, port } = server.addr;
  assertEquals(hostname, "127.0.0.1");
  assert(port > 0);
});

cleanTest("echo() listens on IPv6, when the address is one", async () => {
  await using server = served({ hostname: "::1" });
  using client = await Deno.connect(server.addr);
  await writeText(client, "hello");
  assertEquals(await readText(client, 5), "hello");
}, { ignore: NO_IPV6 });

cleanTest(
  "echo() throws AddrInUse and keeps nothing, when the address is in use",
  async () => {
    await using server = served();
    const { hostname, port } = server.addr;
    assertThrows(
      () => echo({ hostname, port, reactor: server.reactor }),
      Deno.errors.AddrInUse,
      `"127.0.0.1:${port}"`,
    );
    assertEquals(server.reactor.size, 1);
  },
);

cleanTest(
  "echo() shares its address, when both ask for reusePort",
  async () => {
    const reactor = new Reactor();
    const first = echo({ port: 0, reusePort: true, reactor });
    const { port } = first.addr;
    const second = echo({ port, reusePort: true, reactor });
    assertEquals(second.addr.port, port);
    await Promise.all([first.shutdown(), second.shutdown()]);
    reactor.close();
  },
);

cleanTest(
  "echo() sends back every byte, when each is written alone",
  async () => {
    await using server = served();
    using client = await Deno.connect(server.addr);
    client.setNoDelay(true);
    const sent = randomBytes(5_000, 1);
    const received = readExactly(client, sent.byteLength);
    for (let start = 0; start < sent.byteLength; start++) {
      await client.write(sent.subarray(start, start + 1));
    }
    assertEquals(await received, sent);
  },
);

cleanTest(
  "echo() sends back 64 MiB, when the reader is slower than the writer",
  async () => {
    await using server = served();
    using client = await Deno.connect(server.addr);
    const sent = randomBytes(64 * MIB, 2);
    const writing = writeAll(client, sent).then(() => client.closeWrite());
    const received = new Uint8Array(sent.byteLength);
    let length = 0;
    // The reader stays behind the writer: it sleeps while bytes wait.
    for (let round = 0;; round++) {
      if (round % 64 === 0) await new Promise((resolve) => setTimeout(resolve));
      const room = received.subarray(length, length + 65_536);
      const count = await within(client.read(room), "more of the echo");
      if (count === null || count === 0) break;
      length += count;
    }
    await writing;
    assertEquals(length, sent.byteLength);
    assertEquals(await hashOf(received), await hashOf(sent));
  },
);

cleanTest(
  "echo() mixes nothing up, when 200 connections write pieces of any size",
  async () => {
    await using server = served();
    const sizes = randomNumbers(3);
    const exchange = async (_: unknown, seed: number) => {
      using client = await Deno.connect(server.addr);
      const sent = randomBytes(1 + Math.floor(sizes() * 200_000), seed);
      const received = readToEnd(client);
      for (const piece of randomPieces(sent, 20_000, seed)) {
        await writeAll(client, piece);
      }
      await client.closeWrite();
      assertEquals(await hashOf(await received), await hashOf(sent), `${seed}`);
    };
    await Promise.all(Array.from({ length: 200 }, exchange));
  },
);

cleanTest(
  "echo() leaves others alone, when clients reset in the middle",
  async () => {
    await using server = served();
    let isOver = false;
    const disturb = async () => {
      const bytes = randomBytes(MIB, 4);
      let resets = 0;
      while (!isOver || resets < 20) {
        const client = TcpStream.connect(server.addr);
        await eventually("room", () => client.tryWrite(bytes, 0, MIB) > 0);
        client.resetOnClose = true;
        client.close();
        resets++;
      }
    };
    const exchange = async (_: unknown, seed: number) => {
      using client = await Deno.connect(server.addr);
      const sent = randomBytes(2 * MIB, seed);
      const received = readExactly(client, sent.byteLength);
      for (const piece of randomPieces(sent, 50_000, seed)) {
        await writeAll(client, piece);
      }
      assert(sameBytes(await received, sent), `${seed}`);
    };
    const disturbing = disturb();
    await Promise.all(Array.from({ length: 10 }, exchange));
    isOver = true;
    await disturbing;
  },
);

cleanTest(
  "EchoServer.shutdown() refuses newcomers, ends all and resolves with finished",
  async () => {
    await using server = served();
    using idle = await Deno.connect(server.addr);
    using busy = await Deno.connect(server.addr);
    await writeText(busy, "x");
    await readText(busy, 1);
    let isFinished = false;
    const finished = server.finished.then(() => isFinished = true);
    assertEquals(isFinished, false);
    await within(server.shutdown(), "the shutdown");
    await finished;
    assertEquals((await readToEnd(idle)).byteLength, 0);
    assertEquals((await readToEnd(busy)).byteLength, 0);
    await assertRejects(
      () => Deno.connect(server.addr),
      Deno.errors.ConnectionRefused,
    );
    await server.shutdown();
  },
);

cleanTest(
  "EchoServer.shutdown() sends back arrived bytes, when they are unread",
  async () => {
    using reactor = new Reactor();
    await using server = echo({ port: 0, reactor });
    const addr = { ...server.addr, transport: "tcp" } as const;
    using known = new HastyClient(addr);
    known.ask("known ");
    await eventually("an echo", () => known.read().text !== "");
    // Accepted or not: no code runs between this and the shutdown.
    known.ask("again");
    using fresh = new HastyClient(addr);
    fresh.ask("fresh");
    const down = server.shutdown();
    const clients = [known, fresh];
    await eventually(
      "the ends",
      () => clients.every((client) => client.read().last !== WOULD_BLOCK),
    );
    assertEquals(
      clients.map(({ text, last }) => [text, last]),
      [["known again", 0], ["fresh", 0]],
    );
    await within(down, "the shutdown");
  },
);

cleanTest(
  "EchoServer.shutdown() is done at once, when no peer is connected",
  async () => {
    await using server = served();
    await within(server.shutdown(), "the shutdown");
  },
);

cleanTest(
  "EchoServer.shutdown() sends back what it has taken, when the client reads late",
  async () => {
    await using server = served();
    using client = await Deno.connect(server.addr);
    const sent = randomBytes(64 * MIB, 5);
    let written = 0;
    const writing = (async () => {
      while (written < sent.byteLength) {
        written += await client.write(sent.subarray(written));
      }
    })().catch(() => {});
    await eventually("backpressure", () => server.reactor.isCongested);
    const finished = server.shutdown();
    // Until the system has all bytes, and has not delivered many of them.
    const received: Uint8Array<ArrayBuffer>[] = [];
    while (server.reactor.isCongested) {
      received.push(await readExactly(client, 65_536));
    }
    received.push(await readToEnd(client));
    const all = new Uint8Array(await new Blob(received).arrayBuffer());
    assertEquals(all.byteLength, server.reactor.taken);
    assert(sameBytes(all, sent.subarray(0, all.byteLength)));
    client.close();
    await writing;
    await within(finished, "the shutdown");
  },
);

Deno.test("EchoServer.shutdown() resets a peer that never reads, when its grace is over", async () => {
  for (const graceMs of [0, 1_500, undefined]) {
    const system = new MemorySystem();
    using reactor = new Reactor({ system });
    const server = echo({
      port: 0,
      reactor,
      ...graceMs !== undefined && { graceMs },
    });
    const deaf = system.arrive();
    const polite = system.arrive();
    deaf.room = 10;
    deaf.receive(1_000);
    polite.receive(1_000);
    await system.settle();
    let isFinished = false;
    const finished = server.shutdown().then(() => isFinished = true);
    assert(server.shutdown() === server.finished);
    // A connection that stays open, so that the loop goes on.
    const anchor = reactor.setTimer(1e9, () => {});
    await system.settle();
    assertEquals(polite.isClosed, true, "it is owed nothing");
    await system.pass(Math.max(0, (graceMs ?? 30_000) - 1));
    assertEquals([isFinished, deaf.isClosed], [graceMs === 0, graceMs === 0]);
    await system.pass(1);
    await finished;
    assertEquals([deaf.isClosed, deaf.resetOnClose], [true, true]);
    reactor.clearTimer(anchor);
    assertEquals(reactor.stats().timers, 0);
  }
});

Deno.test("EchoServer.shutdown() waits for ever, when its grace is infinite", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const server = echo({ port: 0, reactor, graceMs: Infinity });
  const slow = system.arrive();
  slow.room = 10;
  slow.receive(100);
  await system.settle();
  const finished = server.shutdown();
  await system.pass(1e9);
  assertEquals(slow.isClosed, false);
  slow.makeRoom(90);
  await system.settle();
  assertEquals(slow.written, 100);
  slow.receiveEnd();
  await finished;
  assertEquals([slow.isClosed, slow.resetOnClose], [true, false]);
});

const WRONG: [options: unknown, type: ErrorConstructor, says: string][] = [
  [{ port: 0, graceMs: -1 }, RangeError, 'graceMs "-1"'],
  [{ port: 0, graceMs: NaN }, RangeError, 'graceMs "NaN"'],
  [{ port: 0, graceMs: "5" }, RangeError, 'graceMs "5"'],
  [undefined, TypeError, 'options "undefined"'],
  [{}, TypeError, 'port "undefined"'],
  [{ port: "x" }, TypeError, 'port "x"'],
  [{ port: -1 }, RangeError, 'port "-1"'],
  [{ port: 0, hostname: "" }, TypeError, 'hostname ""'],
  [{ port: 0, hostname: 5 }, TypeError, 'hostname "5"'],
  [{ path: 5 }, TypeError, 'path "5"'],
  [{ port: 0, reactor: {} }, TypeError, "it must be a Reactor"],
];

for (const [options, type, says] of WRONG) {
  Deno.test(`echo() throws ${type.name}, when it is given ${Deno.inspect(options)}`, () => {
    assertThrows(() => echo(options as EchoOptions), type, says);
  });
}
