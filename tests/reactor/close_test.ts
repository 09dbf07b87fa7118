/** Closing a reactor settles every promise that denio has handed out. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  echo,
  type Fiber,
  type FiberConnection,
  Fibers,
  Reactor,
  serve,
} from "../../mod.ts";
import { UnixStream } from "../../src/poll.ts";
import { joinChannel, openChannel } from "../../src/server/worker/channel.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ReportingReactor } from "../util/fibers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

const NEVER_MS = 60_000;
const MIB = 1024 * 1024;

/** Work of Deno that never ends. */
function forever(): Promise<never> {
  return new Promise(() => {});
}

/** Two ends of a connection, on one reactor. */
interface Ends {
  readonly conn: FiberConnection;
  readonly peer: FiberConnection;
}

async function ends(reactor: Reactor): Promise<Ends> {
  const fibers = new Fibers(reactor);
  using listener = fibers.listen(LOOPBACK);
  const [conn, peer] = await within(
    Promise.all([listener.accept(), fibers.connect(listener.addr)]),
    "the connection",
  );
  return { conn, peer };
}

/** Writes until a write waits for the peer, and returns its promise. */
async function blocked(
  { conn }: Ends,
  write: (bytes: Uint8Array) => Promise<unknown>,
): Promise<unknown> {
  for (;;) {
    const writing = write(new Uint8Array(MIB));
    // Below the mark the write has resolved.
    if (conn.bufferedBytes >= HIGH_WATER_BYTES) return { writing };
    await writing;
  }
}

/** Begins work that does not end by itself. */
type Begin = (reactor: Reactor) => unknown;

/** The same for a fiber's connection. */
function ofConnection(begin: (ends: Ends) => unknown): Begin {
  return async (reactor) => {
    const both = await ends(reactor);
    const begun = await begin(both);
    return { begun, both };
  };
}

/** The same for a fiber, whose body waits for it. */
function inFiber(wait: (fiber: Fiber) => Promise<unknown>): Begin {
  return (reactor) => {
    const fibers = new Fibers(reactor);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const fiber = fibers.spawn((fiber) => {
      const waiting = wait(fiber);
      waiting.then(resolve, reject);
      return waiting;
    });
    return { begun: promise, other: fiber.finished };
  };
}

/**
 * All promises that denio hands out. Each function returns its promises as
 * properties, since an async function would wait for them.
 */
const PENDING: Record<string, Begin> = {
  "Fibers.sleep()": (reactor) => ({ p: new Fibers(reactor).sleep(NEVER_MS) }),
  "Reactor.drain()": async (reactor) => {
    await ends(reactor);
    return { p: reactor.drain(NEVER_MS) };
  },
  "Reactor.drain(), twice": async (reactor) => {
    await ends(reactor);
    return { p: reactor.drain(NEVER_MS), second: reactor.drain(NEVER_MS) };
  },
  "Fibers.spawn().finished": (reactor) => ({
    p: new Fibers(reactor).spawn((fiber) => fiber.sleep(NEVER_MS)).finished,
  }),
  "Fibers.spawn().finished of a body that ignores the cancel": (reactor) => ({
    p: new Fibers(reactor).spawn(forever).finished,
  }),
  "Fiber.sleep()": inFiber((fiber) => fiber.sleep(NEVER_MS)),
  "Fiber.scope()": inFiber((fiber) =>
    fiber.scope((scope) => scope.sleep(NEVER_MS))
  ),
  "Fiber.scope() of a body that ignores the cancel": inFiber((fiber) =>
    fiber.scope(forever)
  ),
  "Fiber.spawn().finished": inFiber((fiber) =>
    fiber.spawn((child) => child.sleep(NEVER_MS)).finished
  ),
  "Fiber.spawn().finished of a body that ignores the cancel": inFiber((fiber) =>
    fiber.spawn(forever).finished
  ),
  "Fiber.withTimeout() of a fiber": inFiber((fiber) =>
    fiber.withTimeout(NEVER_MS, (late) => late.sleep(NEVER_MS))
  ),
  "Fiber.withTimeout() of a promise": inFiber((fiber) =>
    fiber.withTimeout(NEVER_MS, forever())
  ),
  "Fiber.connect() that looks a name up": inFiber((fiber) =>
    fiber.connect({ hostname: "silent.test", port: 1 })
  ),
  "Reactor.connect() that looks a name up": (reactor) => ({
    p: new Fibers(reactor).connect({ hostname: "silent.test", port: 1 }),
  }),
  "Reactor.connect() with a time limit": (reactor) => ({
    p: new Fibers(reactor).connect({
      hostname: "silent.test",
      port: 1,
      timeoutMs: NEVER_MS,
    }),
  }),
  "Reactor.connect() to an address": (reactor) => ({
    // No handler is called before a turn.
    p: new Fibers(reactor).connect(
      reactor.listen(LOOPBACK, { data() {} }).addr,
    ),
  }),
  "FiberListener.accept()": (reactor) => ({
    p: new Fibers(reactor).listen(LOOPBACK).accept(),
  }),
  "a loop over a FiberListener": (reactor) => ({
    p: Array.fromAsync(new Fibers(reactor).listen(LOOPBACK)),
  }),
  "a fiber's FiberListener.accept()": inFiber((fiber) =>
    fiber.listen(LOOPBACK).accept()
  ),
  "FiberServer.finished": (reactor) => ({
    p: new Fibers(reactor).serve(LOOPBACK, () => {}).finished,
  }),
  "FiberServer.finished and shutdown(), with fibers": async (reactor) => {
    const fibers = new Fibers(reactor);
    const server = fibers.serve(LOOPBACK, forever);
    await fibers.connect(server.addr);
    await eventually("the fiber", () => server.size === 1);
    return { p: server.finished, shutdown: server.shutdown() };
  },
  "FiberConnection.read()": ofConnection(({ conn }) => ({
    p: conn.read(new Uint8Array(1)),
  })),
  "FiberConnection.read() into a large buffer": ofConnection(({ conn }) => ({
    p: conn.read(new Uint8Array(MIB)),
  })),
  "FiberConnection.readChunk()": ofConnection(({ conn }) => ({
    p: conn.readChunk(),
  })),
  "FiberConnection.readExactly()": ofConnection(({ conn }) => ({
    p: conn.readExactly(new Uint8Array(10)),
  })),
  "FiberConnection.readUntil()": ofConnection(({ conn }) => ({
    p: conn.readUntil("\n", 10),
  })),
  "a loop over a FiberConnection": ofConnection(({ conn }) => ({
    p: Array.fromAsync(conn),
  })),
  "FiberConnection.write()": ofConnection((both) =>
    blocked(both, (bytes) => both.conn.write(bytes))
  ),
  "FiberConnection.write() after the peer's end": ofConnection(async (both) => {
    await both.peer.closeWrite();
    await both.conn.readChunk();
    return blocked(both, (bytes) => both.conn.write(bytes));
  }),
  "FiberConnection.writev()": ofConnection((both) =>
    blocked(both, (bytes) => both.conn.writev([bytes, bytes]))
  ),
  "FiberConnection.write() that lets others have a turn": ofConnection(
    async ({ conn, peer }) => {
      const writing = (async () => {
        for (;;) await conn.write(new Uint8Array(1_000));
      })();
      writing.catch(() => {});
      for (let read = 0; read < MIB;) {
        read += (await peer.readChunk())!.byteLength;
      }
      return { writing };
    },
  ),
  "FiberConnection.readable": ofConnection(({ conn }) => ({
    p: conn.readable.getReader().read(),
  })),
  "FiberConnection.writable": ofConnection((both) => {
    const writer = both.conn.writable.getWriter();
    writer.closed.catch(() => {});
    return blocked(both, (bytes) => writer.write(bytes));
  }),
  "a pipe between two connections": async (reactor) => {
    const [one, two] = [await ends(reactor), await ends(reactor)];
    return { p: one.conn.readable.pipeTo(two.conn.writable), one, two };
  },
  "echo().finished": (reactor) => ({
    p: echo({ port: 0, reactor }).finished,
  }),
  "serve().finished": (reactor) => ({
    p: serve({ port: 0, reactor, onListen() {} }, () => new Response())
      .finished,
  }),
  "serve().finished and shutdown(), with a handler that never answers": async (
    reactor,
  ) => {
    const fibers = new Fibers(reactor);
    const begun = Promise.withResolvers<void>();
    const server = serve({ port: 0, reactor, onListen() {} }, () => {
      begun.resolve();
      return forever();
    });
    const client = await fibers.connect(server.addr);
    await client.write(
      new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    );
    await within(begun.promise, "the request");
    return { p: server.finished, shutdown: server.shutdown() };
  },
};

/** Returns the promises among properties, and theirs. */
function* promisesIn(begun: unknown): Iterable<Promise<unknown>> {
  if (begun instanceof Promise) return yield begun;
  if (Object.getPrototypeOf(begun ?? 0) !== Object.prototype) return;
  for (const value of Object.values(begun as object)) yield* promisesIn(value);
}

/** A reactor that never finds a name, and a log of its reported errors. */
function silentReactor(reported: unknown[] = []): Reactor {
  return new Reactor({
    lookup: forever,
    onError: (error) => void reported.push(error),
  });
}

for (const [name, begin] of Object.entries(PENDING)) {
  cleanTest(`${name} settles, when the reactor closes`, async () => {
    const reported: unknown[] = [];
    using reactor = silentReactor(reported);
    const pending = [...promisesIn(await begin(reactor))];
    assert(pending.length > 0);
    const settled = Promise.allSettled(pending);
    reactor.close();
    await within(settled, `${pending.length} promises`);
    assertEquals(reported, []);
  });
}

cleanTest(
  "Reactor.drain() settles with the reactor, however often it is called",
  async () => {
    using reactor = new Reactor();
    const both = await ends(reactor);
    const draining = [reactor.drain(), reactor.drain()];
    await assertRejects(() => reactor.drain(NaN), RangeError);
    both.conn.close();
    both.peer.close();
    draining.push(reactor.drain());
    await within(Promise.all(draining), "all of them");
    assert(reactor.isClosed);
  },
);

cleanTest(
  "Reactor.drain() takes the shortest time, when it is called twice",
  async () => {
    using reactor = silentReactor();
    await ends(reactor);
    const draining = [reactor.drain(NEVER_MS), reactor.drain(1)];
    await within(Promise.all(draining), "both");
  },
);

cleanTest(
  "Reactor.drain() ends accept() of fibers at once",
  async () => {
    using reactor = silentReactor();
    const fibers = new Fibers(reactor);
    const listener = fibers.listen(LOOPBACK);
    const server = fibers.serve(LOOPBACK, () => {});
    await ends(reactor);
    const looping = Array.fromAsync(listener);
    const draining = reactor.drain(NEVER_MS);
    assertEquals(await within(looping, "the loop"), []);
    await within(server.finished, "the server");
    assertEquals(reactor.isClosed, false);
    reactor.close();
    await draining;
    // The first close is no misuse: the program does not know of the end yet.
    listener.close();
  },
);

cleanTest(
  "Reactor.close() aborts the signals of fibers, with one reason",
  async () => {
    using reactor = new ReportingReactor();
    const fibers = new Fibers(reactor);
    const reasons: unknown[] = [];
    const wait = ({ signal }: Fiber) =>
      new Promise<void>((resolve) => {
        signal.onabort = () => {
          reasons.push(signal.reason);
          resolve();
        };
      });
    const server = fibers.serve(LOOPBACK, (_conn, fiber) => wait(fiber));
    await fibers.connect(server.addr);
    await eventually("the fiber", () => server.size === 1);
    const fiber = fibers.spawn((fiber) => {
      fiber.spawn(wait);
      return wait(fiber);
    });
    reactor.close();
    await assertRejects(
      () => fiber.finished,
      Deno.errors.BadResource,
      "closed",
    );
    await server.finished;
    assertEquals(reasons.length, 3);
    for (const reason of reasons) {
      assertInstanceOf(reason, Deno.errors.BadResource);
    }
    assertEquals(reactor.reported, []);
  },
);

cleanTest(
  "an error after the reactor's close is reported, when its fiber's promise has settled",
  async () => {
    using reactor = new ReportingReactor();
    const fibers = new Fibers(reactor);
    const { promise, reject } = Promise.withResolvers<never>();
    const fiber = fibers.spawn(() => promise, { name: "late" });
    const { finished } = fiber;
    reactor.close();
    await assertRejects(() => finished, Deno.errors.BadResource);
    reject(new Error("after all"));
    await eventually("the report", () => reactor.reported.length > 0);
    assertEquals(reactor.reported.map(({ message }) => message), [
      'Fiber "late" failed: after all',
    ]);
  },
);

cleanTest("Fiber.cancel() ends a connect that looks a name up", async () => {
  using reactor = silentReactor();
  const fibers = new Fibers(reactor);
  const fiber = fibers.spawn((fiber) =>
    fiber.connect({ hostname: "silent.test", port: 1 })
  );
  const { finished } = fiber;
  fiber.cancel(new RangeError("enough"));
  await assertRejects(() => within(finished, "its end"), RangeError, "enough");
});

cleanTest(
  "a source whose dispose throws keeps no other source open",
  async () => {
    const log: string[] = [];
    using reactor = new ReportingReactor();
    const fibers = new Fibers(reactor);
    const broken = {
      [Symbol.dispose]() {
        throw new Error("stuck");
      },
    };
    const own = (fiber: Fiber) => {
      fiber.own({ [Symbol.dispose]: () => void log.push("disposed") });
      fiber.own(broken);
    };
    await fibers.spawn(own).finished;
    const cancelled = fibers.spawn(async (fiber) => {
      own(fiber);
      fiber.spawn((child) => child.sleep(NEVER_MS));
      await fiber.sleep(NEVER_MS);
    });
    reactor.close();
    await assertRejects(() => within(cancelled.finished, "its end"));
    assertEquals(log, ["disposed", "disposed"]);
    assertEquals(
      reactor.reported.map(({ cause }) => (cause as Error).message),
      [
        "stuck",
        "stuck",
      ],
    );
  },
);

cleanTest("Reactor.close() closes all sources, when one of them throws", () => {
  using reactor = new ReportingReactor();
  const [left, right] = UnixStream.pair();
  const connections = [left, right].map((stream) =>
    reactor.adopt(stream, { data() {} })
  );
  connections[0]!.abort = function () {
    Object.getPrototypeOf(this).abort.call(this);
    throw new Error("stuck");
  };
  reactor.close();
  assertEquals(connections.map(({ isClosed }) => isClosed), [true, true]);
  assertEquals(reactor.reported.map(({ message }) => message), ["stuck"]);
});

cleanTest(
  "a channel opens and joins nothing, when its reactor is closed",
  () => {
    const reactor = new Reactor();
    reactor.close();
    const handlers = { data() {} };
    assertThrows(() => openChannel(reactor, handlers), Deno.errors.BadResource);
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const { handle } = left;
    assertThrows(
      () => joinChannel(reactor, handle, handlers),
      Deno.errors.BadResource,
    );
  },
);
