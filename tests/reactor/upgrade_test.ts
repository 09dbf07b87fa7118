/** One protocol takes over from another on a living connection. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
  fail,
} from "@std/assert";
import fc from "fast-check";
import {
  type Connection,
  type ConnectionHandlers,
  type Protocol,
  Reactor,
} from "../../mod.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { backendTest } from "../contract/contract.ts";
import type { Backend } from "../../src/poll.ts";
import { readTextToEnd, readToEnd, writeText } from "../util/deno_client.ts";
import {
  MEMORY_ADDRESS,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { decoded, encoded, logged } from "../util/handlers.ts";
import { engineOf } from "../util/engine.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

const MIB = 1024 * 1024;

/** Returns a protocol that logs its calls, and closes at the end. */
function noting(
  log: string[],
  more: Partial<ConnectionHandlers> = {},
): ConnectionHandlers {
  const end = (connection: Connection) => connection.close();
  return { ...more, ...logged(log, { end, ...more }) };
}

/** Returns the index after the first line; 0 when no line is whole. */
function lineEnd(bytes: Uint8Array, start: number, end: number): number {
  const at = bytes.subarray(start, end).indexOf(10);
  return at < 0 ? 0 : start + at + 1;
}

backendTest(
  "upgrade() hands the new protocol the bytes left over, and all later ones",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const log: string[] = [];
    const echo: Protocol<string> = {
      open: ({ data }) => void log.push(`open with ${data}`),
      data: (transport, bytes, start, end) => {
        log.push(decoded(bytes, start, end));
        transport.write(bytes, start, end);
      },
      end: (transport) => transport.close(),
    };
    const { addr } = reactor.listen(LOOPBACK, {
      data(connection, bytes, start, end) {
        const at = lineEnd(bytes, start, end);
        connection.write(encoded("switched\n"));
        const upgraded: Connection<string> = connection.upgrade(
          echo,
          "a name",
          bytes.subarray(at, end),
        );
        assertEquals(upgraded.data, "a name");
        log.push("upgraded");
        // Other connections use the shared buffer from now on.
        bytes.fill(0, start, end);
      },
      close: () => void log.push("the old protocol is closed"),
    });
    using client = await Deno.connect(addr);
    await writeText(client, "switch\nfirst ");
    await eventually("what was left over", () => log.includes("first "));
    await writeText(client, "second");
    await client.closeWrite();
    assertEquals(await readTextToEnd(client), "switched\nfirst second");
    assertEquals(log, ["open with a name", "upgraded", "first ", "second"]);
  },
);

backendTest(
  "upgrade() of a paused connection keeps the bytes left over, also behind the peer's end",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const log: string[] = [];
    let upgraded: Connection | undefined;
    const { addr } = reactor.listen(LOOPBACK, {
      data(connection, bytes, start, end) {
        connection.pause();
        const left = bytes.subarray(lineEnd(bytes, start, end), end);
        upgraded = connection.upgrade(noting(log), undefined, left);
      },
    });
    using client = await Deno.connect(addr);
    await writeText(client, "switch\nfirst ");
    await eventually("the upgrade", () => upgraded !== undefined);
    await writeText(client, "second");
    await client.closeWrite();
    // The end has come when the end of a later connection has.
    await askAndLeave(reactor);
    assertEquals(log.filter((line) => line !== "ending"), ["open"]);
    upgraded!.resume();
    await eventually("the end", () => log.includes("close"));
    const calls = log.filter((line) => line !== "ending");
    assertEquals(calls, ["open", "data first ", "data second", "end", "close"]);
  },
);

backendTest(
  "upgrade() hands over the peer's end again, when the old protocol got it",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const log: string[] = [];
    const left: Uint8Array<ArrayBuffer>[] = [];
    const { addr } = reactor.listen(LOOPBACK, {
      data: (_, bytes, start, end) => void left.push(bytes.slice(start, end)),
      end(connection) {
        log.push("the old protocol's end");
        reactor.setTimer(0, () => {
          assert(connection.peerHasEnded);
          const [bytes] = left;
          connection.upgrade(noting(log), undefined, bytes);
          assert(connection.peerHasEnded);
        });
      },
    });
    using client = await Deno.connect(addr);
    await writeText(client, "left over");
    await client.closeWrite();
    assertEquals(await readTextToEnd(client), "");
    assertEquals(log, [
      "the old protocol's end",
      "open",
      "data left over",
      "end",
      "close",
    ]);
  },
);

backendTest(
  "upgrade() at the peer's end, behind our own, still hands over the bytes left",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const log: string[] = [];
    let left = new Uint8Array(0);
    const { addr } = reactor.listen(LOOPBACK, {
      data(connection, bytes, start, end) {
        left = bytes.slice(start, end);
        connection.closeWrite();
      },
      end(connection) {
        connection.upgrade(noting(log), undefined, left);
      },
    });
    using client = await Deno.connect(addr);
    await writeText(client, "left over");
    assertEquals(await readTextToEnd(client), "");
    await client.closeWrite();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "data left over", "end", "close"]);
  },
);

backendTest(
  "upgrade() sends the old protocol's bytes before the new one's",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const log: string[] = [];
    const many = new Uint8Array(8 * MIB).fill(120);
    const { addr } = reactor.listen(LOOPBACK, {
      data(connection) {
        assertEquals(connection.write(many), false);
        connection.upgrade(
          logged(log, {
            open: (connection) => void connection.write(encoded("later")),
            drain: (connection) => connection.close(),
          }),
          undefined,
        );
        assert(connection.bufferedBytes > 0);
      },
      drain: () => void log.push("the old protocol's drain"),
    });
    using client = await Deno.connect(addr);
    await writeText(client, "switch");
    const all = await readToEnd(client);
    assertEquals(all.byteLength, many.byteLength + 5);
    assertEquals(decoded(all, many.byteLength), "later");
    await client.closeWrite();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "drain", "close"]);
  },
);

backendTest(
  "upgrade() of another connection of the same turn loses and crosses nothing",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const log: string[] = [];
    const connections: Connection[] = [];
    const opened: Connection[] = [];
    const { addr } = reactor.listen(LOOPBACK, {
      open: (connection) => void opened.push(connection),
      data(connection, bytes, start, end) {
        connections.push(connection);
        log.push(`old ${decoded(bytes, start, end)}`);
        const other = opened.find((one) => one !== connection)!;
        const left = encoded("kept ");
        let text = "";
        other.upgrade(
          {
            data: (_, bytes, start, end) => {
              text += decoded(bytes, start, end);
              if (text.length > 5) log.push(`new ${text}`);
            },
          },
          undefined,
          left,
        );
      },
    });
    using first = await Deno.connect(addr);
    using second = await Deno.connect(addr);
    await eventually("both", () => opened.length === 2);
    // Both are there when the reactor polls next.
    await Promise.all([writeText(first, "same"), writeText(second, "same")]);
    await eventually("all", () => log.length === 2);
    assertEquals(log, ["old same", "new kept same"]);
  },
);

backendTest(
  "upgrade() hands every byte to one protocol, in order, however often and when",
  async (backend) => {
    const piece = fc.record({
      takes: fc.integer({ min: 0, max: 9 }),
      pauses: fc.boolean(),
      throughTimer: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 60 }),
        async (pieces, length) => {
          const sent = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(2)
            .slice(0, length);
          assertEquals(await relayed(backend, pieces, sent), sent);
        },
      ),
      { numRuns: 30 },
    );
  },
);

/** How many bytes a protocol takes before the next takes over. */
interface Piece {
  readonly takes: number;
  readonly pauses: boolean;
  readonly throughTimer: boolean;
}

/** Sends a text to protocols that take over from each other; returns it. */
async function relayed(
  backend: Backend,
  pieces: readonly Piece[],
  sent: string,
): Promise<string> {
  using reactor = new Reactor({ backend });
  const { promise, resolve } = Promise.withResolvers<string>();
  let taken = "";
  const protocolOf = (index: number): ConnectionHandlers => {
    const piece = pieces[index];
    return {
      data(connection, bytes, start, end) {
        if (piece === undefined) {
          taken += decoded(bytes, start, end);
          return;
        }
        const at = Math.min(end, start + piece.takes);
        taken += decoded(bytes, start, at);
        const left = bytes.slice(at, end);
        const next = protocolOf(index + 1);
        const act = () => {
          connection.upgrade(next, undefined, left);
          connection.resume();
        };
        if (piece.pauses || piece.throughTimer) connection.pause();
        if (piece.throughTimer) reactor.setTimer(0, act);
        else if (piece.pauses) {
          connection.upgrade(next, undefined, left);
          reactor.setTimer(0, () => connection.resume());
        } else act();
      },
      end: (connection) => {
        resolve(taken);
        connection.close();
      },
    };
  };
  const { addr } = reactor.listen(LOOPBACK, protocolOf(0));
  using client = await Deno.connect(addr);
  const half = sent.length >> 1;
  if (half > 0) await writeText(client, sent.slice(0, half));
  if (half < sent.length) await writeText(client, sent.slice(half));
  await client.closeWrite();
  return await within(promise, "the end");
}

/** Returns when the reactor has acted on all events before this call. */
async function askAndLeave(reactor: Reactor): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = reactor.listen(LOOPBACK, {
    data() {},
    close: () => resolve(),
  });
  using client = await Deno.connect(listener.addr);
  await client.closeWrite();
  await within(promise, "the end of another connection");
  listener.close();
}

/** Connections of a system in memory, which reads in batches. */
interface Fakes extends Disposable {
  readonly system: MemorySystem;
  readonly reactor: Reactor;
  readonly streams: readonly MemoryStream[];
  readonly connections: readonly Connection[];
  /** The errors that `onError` got. */
  readonly reported: readonly unknown[];
}

async function fakes(
  count: number,
  handlers: ConnectionHandlers = { data() {} },
): Promise<Fakes> {
  const system = new MemorySystem({ batches: true });
  const reported: unknown[] = [];
  const reactor = new Reactor({
    system,
    onError: (error) => reported.push(error),
  });
  const connections: Connection[] = [];
  reactor.listen(MEMORY_ADDRESS, {
    ...handlers,
    open: (connection) => void connections.push(connection),
  });
  const streams = Array.from({ length: count }, () => system.arrive());
  await system.settle();
  return {
    system,
    reactor,
    streams,
    connections,
    reported,
    [Symbol.dispose]: () => reactor.close(),
  };
}

Deno.test("upgrade() puts the bytes left over before those that a batch has read for a paused connection", async () => {
  using fake = await fakes(2);
  const [rival, paused] = fake.connections;
  const [rivalStream, pausedStream] = fake.streams;
  const log: string[] = [];
  // The bytes of both are read by then.
  rival!.upgrade({ data: () => paused!.pause() }, undefined);
  rivalStream!.receive("x");
  pausedStream!.receive("later");
  await fake.system.settle();
  paused!.upgrade(noting(log), undefined, encoded("left "));
  await fake.system.settle();
  assertEquals(log, ["open"]);
  paused!.resume();
  pausedStream!.receive(" and more");
  await fake.system.settle();
  const [open, ...data] = log;
  assertEquals(open, "open");
  const text = data.map((line) => line.slice("data ".length)).join("");
  assertEquals(text, "left later and more");
});

Deno.test("upgrade() by another connection of the batch hands over the bytes that the batch has read", async () => {
  using fake = await fakes(2);
  const [first, second] = fake.connections;
  const log: string[] = [];
  first!.upgrade({
    data: () => void second!.upgrade(noting(log), undefined, encoded("left ")),
  }, undefined);
  fake.streams[0]!.receive("x");
  fake.streams[1]!.receive("read");
  await fake.system.settle();
  assertEquals(log, ["open", "data left read"]);
});

Deno.test("upgrade() twice in a row keeps the order of the bytes left over", async () => {
  using fake = await fakes(1);
  const [connection] = fake.connections;
  const log: string[] = [];
  const bytes = encoded("0123456789");
  connection!.upgrade({ data() {} }, undefined, bytes.subarray(5));
  connection!.upgrade(noting(log), undefined, bytes.subarray(0, 5));
  await fake.system.settle();
  assertEquals(log, ["open", "data 0123456789"]);
});

Deno.test("upgrade() clears the deadline and the held bytes", async () => {
  using fake = await fakes(1);
  const [connection] = fake.connections;
  const log: string[] = [];
  connection!.heldBytes = 1_000;
  connection!.setDeadline(10);
  connection!.upgrade(
    noting(log, { timeout: () => void log.push("timeout") }),
    undefined,
  );
  assertEquals(fake.reactor.stats().memoryBytes, 0);
  await fake.system.pass(1_000);
  assertEquals(log, ["open"]);
});

Deno.test("upgrade() calls broken of the new protocol, when nothing can be sent any more", async () => {
  using fake = await fakes(1);
  const [connection] = fake.connections;
  const log: string[] = [];
  // Bytes that came before the reset are there to be read.
  connection!.pause();
  fake.streams[0]!.receive("read later");
  fake.system.policy.write = () => -errnoNumber("EPIPE");
  connection!.write(new Uint8Array(4_096));
  connection!.upgrade(
    noting(log, { broken: () => void log.push("broken") }),
    undefined,
    encoded("left"),
  );
  assertEquals(log, ["open", "broken"]);
  connection!.resume();
  await fake.system.settle();
  assertEquals(log, [
    "open",
    "broken",
    "data left",
    "data read later",
    "error BrokenPipe",
    "close",
  ]);
});

Deno.test("upgrade() calls broken of the new protocol once, when its open breaks the connection", async () => {
  using fake = await fakes(1);
  const [connection] = fake.connections;
  const log: string[] = [];
  fake.system.policy.write = () => -errnoNumber("EPIPE");
  const protocol = noting(log, { broken: () => void log.push("broken") });
  connection!.upgrade({
    ...protocol,
    open: () => void connection!.write(new Uint8Array(4_096)),
  }, undefined);
  assertEquals(log, ["broken"]);
});

Deno.test("upgrade() counts the new protocol's timeouts from then on, and shares them", async () => {
  using fake = await fakes(3);
  const log: string[] = [];
  const protocol: Protocol<number> = {
    timeouts: { idleMs: 1_000, writeMs: 2_000 },
    data: (transport) => void log.push(`data ${transport.data}`),
    close: (transport, reason) => void log.push(`${reason} ${transport.data}`),
  };
  await fake.system.pass(900);
  const [first, second, third] = fake.connections.map(engineOf);
  first!.upgrade(protocol, 1);
  assertEquals(first!.timeouts?.writeMs, 2_000);
  await fake.system.pass(900);
  assertEquals(log, []);
  second!.upgrade(protocol, 2);
  assertStrictEquals(first!.setup, second!.setup);
  await fake.system.pass(500);
  assertEquals(log, ["idle 1"]);
  await fake.system.pass(1_000);
  assertEquals(log, ["idle 1", "idle 2"]);
  third!.upgrade(protocol, 3);
  third!.upgrade({ data() {} }, undefined);
  assertEquals(third!.timeouts?.idleMs, 1_000, "a protocol without timeouts");
  third!.upgrade({ data() {}, timeouts: {} }, undefined);
  assertEquals(third!.timeouts, undefined, "timeouts without a limit");
});

Deno.test("upgrade() throws and changes nothing, when a timeout is out of range", async () => {
  using fake = await fakes(1);
  const [connection] = fake.connections;
  assertThrows(
    () => connection!.upgrade({ data() {}, timeouts: { idleMs: 0 } }, 1),
    RangeError,
    'Cannot use idleMs "0"',
  );
  assertEquals(connection!.data, undefined);
  assertEquals(connection!.timeouts, undefined);
});

Deno.test("an error that the new protocol throws calls its error, and ends the connection", async () => {
  using fake = await fakes(1, { data() {}, error: () => fail() });
  const [connection] = fake.connections;
  const log: string[] = [];
  connection!.upgrade(
    noting(log, {
      data: () => {
        throw new TypeError("planned");
      },
    }),
    undefined,
    encoded("left"),
  );
  await fake.system.settle();
  assertEquals(log, ["open", "data left", "error TypeError", "close"]);
});

Deno.test("upgrade() leaves no memory counted, when the connection is aborted before it reads on", async () => {
  using fake = await fakes(1);
  const [connection] = fake.connections;
  connection!.pause();
  connection!.upgrade({ data() {} }, undefined, new Uint8Array(5_000));
  assert(fake.reactor.stats().memoryBytes >= 5_000);
  connection!.abort();
  assertEquals(fake.reactor.stats().memoryBytes, 0);
});

Deno.test("upgrade() throws, when the connection is closed or closing, or the protocol is none", async () => {
  using fake = await fakes(3);
  const [open, closed, lingering] = fake.connections;
  closed!.abort();
  lingering!.closeLingering();
  for (const connection of [closed!, lingering!]) {
    assertThrows(
      () => connection.upgrade({ data() {} }, undefined),
      Deno.errors.BadResource,
      "Cannot upgrade",
    );
  }
  for (const strange of [undefined, {}, { data() {}, end: 1 }]) {
    assertThrows(
      () => open!.upgrade(strange as Protocol, undefined),
      TypeError,
    );
  }
});

Deno.test("upgrade() of a connecting connection calls open when it is connected", async () => {
  const log: string[] = [];
  using reactor = new Reactor();
  const { addr } = reactor.listen(LOOPBACK, { data() {} });
  const connection = reactor.connect(addr, { data() {}, open: () => fail() });
  connection.upgrade(noting(log), undefined);
  assertEquals(log, []);
  await eventually("the open", () => log.includes("open"));
});

Deno.test("ConnectionHandlers.gone is called for each connection, whatever its protocol", async () => {
  const gone: Connection[] = [];
  using fake = await fakes(2, {
    data() {},
    gone: (connection) => void gone.push(connection),
  });
  const [plain, upgraded] = fake.connections;
  const log: string[] = [];
  upgraded!.upgrade(
    noting(log, {
      close: () => {
        log.push(`${gone.length} are gone`);
        throw new Error("planned");
      },
    }),
    undefined,
  );
  plain!.abort();
  upgraded!.abort();
  assertEquals(gone, [plain!, upgraded!]);
  assertEquals(log, ["open", "close", "1 are gone"]);
  assertEquals(fake.reported.map(String), ["Error: planned"]);
});

Deno.test("shutdown(), terminate() and isIdle ask the protocol that there is by then", async () => {
  using fake = await fakes(2);
  const [connection, plain] = fake.connections;
  const calls: string[] = [];
  connection!.upgrade({
    data() {},
    shutdown: () => void calls.push("shutdown"),
    terminate: () => void calls.push("terminate"),
    isIdle: () => calls.length === 0,
  }, undefined);
  assertEquals([connection!.isIdle, plain!.isIdle], [true, false]);
  connection!.shutdown();
  connection!.terminate();
  assertEquals(calls, ["shutdown", "terminate"]);
  assertEquals([connection!.isIdle, connection!.isClosed], [false, false]);
  plain!.shutdown();
  assert(plain!.isClosed);
});

Deno.test("terminate() resets a peer that does not read, when the protocol says nothing", async () => {
  using fake = await fakes(2);
  const [read, unread] = fake.connections;
  fake.streams[1]!.room = 0;
  for (const connection of [read!, unread!]) {
    connection.write(new Uint8Array(4_096));
    connection.terminate();
    assert(connection.isClosed);
  }
  assertEquals(fake.reactor.stats().closed.aborted, 1);
});
