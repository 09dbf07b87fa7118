/** Limits of the connections of fibers: time, water marks, errors. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type ConnectionOptions,
  type Fiber,
  type FiberConnection,
  Fibers,
  Reactor,
} from "../../mod.ts";
import {
  MEMORY_ADDRESS,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";

/** A limit acts before this share of it: the sweep looks eight times in it. */
const LATE_SHARE = 1.3;
const LIMIT_MS = 1_000;
const LATE_MS = LIMIT_MS * LATE_SHARE;

interface Fake {
  readonly conn: FiberConnection;
  readonly stream: MemoryStream;
  readonly system: MemorySystem;
}

/** A way for a fiber to get a connection. */
type Way = (
  reactor: Reactor,
  system: MemorySystem,
  options: ConnectionOptions,
) => Promise<{ conn: FiberConnection; stream: MemoryStream }>;

/** Returns a connection that a listener of fibers has accepted. */
async function arrival(
  system: MemorySystem,
  accepted: Promise<FiberConnection>,
): Promise<{ conn: FiberConnection; stream: MemoryStream }> {
  const stream = system.arrive();
  await system.settle();
  return { conn: await accepted, stream };
}

/** Returns a connection that was opened. */
async function departure(
  system: MemorySystem,
  connecting: Promise<FiberConnection>,
): Promise<{ conn: FiberConnection; stream: MemoryStream }> {
  await system.settle();
  return { conn: await connecting, stream: system.connects[0]! };
}

/** Calls `run` in a fiber that does not end before its reactor. */
function inFiber<T>(
  reactor: Reactor,
  run: (fiber: Fiber) => Promise<T>,
): Promise<T> {
  const fibers = new Fibers(reactor);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  fibers.spawn((fiber) => {
    run(fiber).then(resolve, reject);
    return fiber.sleep(1e9);
  });
  return promise;
}

const WAYS: Record<string, Way> = {
  "Fibers.serve()": (reactor, system, options) => {
    const fibers = new Fibers(reactor);
    const { promise, resolve } = Promise.withResolvers<FiberConnection>();
    fibers.serve({ ...MEMORY_ADDRESS, ...options }, (conn, fiber) => {
      resolve(conn);
      return fiber.sleep(1e9);
    });
    return arrival(system, promise);
  },
  "Fibers.listen()": (reactor, system, options) => {
    const fibers = new Fibers(reactor);
    const listener = fibers.listen({ ...MEMORY_ADDRESS, ...options });
    return arrival(system, listener.accept());
  },
  "Fiber.listen()": (reactor, system, options) =>
    arrival(
      system,
      inFiber(reactor, (fiber) =>
        fiber.listen({ ...MEMORY_ADDRESS, ...options }).accept()),
    ),
  "Reactor.connect()": (reactor, system, options) =>
    departure(
      system,
      new Fibers(reactor).connect({ ...MEMORY_ADDRESS, ...options }),
    ),
  "Fiber.connect()": (reactor, system, options) =>
    departure(
      system,
      inFiber(
        reactor,
        (fiber) => fiber.connect({ ...MEMORY_ADDRESS, ...options }),
      ),
    ),
};

/** Keeps the loop running: an idle reactor lets no time pass. */
function keepRunning(reactor: Reactor): void {
  reactor.setTimer(1e9, () => {});
}

const [ANY_WAY] = Object.values(WAYS) as [Way];

/** Runs `body` with a connection that has limits. */
async function withLimits(
  options: ConnectionOptions,
  body: (fake: Fake) => Promise<void>,
  way: Way = ANY_WAY,
): Promise<void> {
  const system = new MemorySystem();
  const reported: unknown[] = [];
  using reactor = new Reactor({
    system,
    onError: (error) => void reported.push(error),
  });
  keepRunning(reactor);
  await body({ ...await way(reactor, system, options), system });
  assertEquals(reported, []);
}

/** Expects that `waiting` ends when a limit has passed, and never early. */
async function assertTimedOut(
  system: MemorySystem,
  waiting: Promise<unknown>,
  name: string,
): Promise<void> {
  let isOver = false;
  const over = () => void (isOver = true);
  waiting.then(over, over);
  await system.pass(LIMIT_MS - 1);
  assertEquals(isOver, false);
  await system.pass(LATE_MS - LIMIT_MS);
  await assertRejects(
    () => waiting,
    Deno.errors.TimedOut,
    `${name}, "${LIMIT_MS}" ms`,
  );
}

for (const [name, way] of Object.entries(WAYS)) {
  Deno.test(`${name} gives connections a limit of time and marks`, () =>
    withLimits(
      { timeouts: { readMs: LIMIT_MS }, highWaterBytes: 10, lowWaterBytes: 5 },
      async ({ conn, stream, system }) => {
        stream.room = 0;
        await conn.write(new Uint8Array(9));
        await system.settle();
        let isWritten = false;
        const writing = conn.write(new Uint8Array(1)).then(() => {
          isWritten = true;
        });
        stream.makeRoom(4);
        await system.settle();
        assertEquals([conn.bufferedBytes, isWritten], [6, false]);
        stream.makeRoom(1);
        await system.settle();
        await writing;
        await assertTimedOut(system, conn.readChunk(), "readMs");
        assert(conn.isClosed);
      },
      way,
    ));
}

for (const name of ["idleMs", "readMs", "lifetimeMs"] as const) {
  Deno.test(`a fiber's read, and all that follow, reject with TimedOut, when ${name} has passed`, () =>
    withLimits({ timeouts: { [name]: LIMIT_MS } }, async ({ conn, system }) => {
      await assertTimedOut(system, conn.readExactly(new Uint8Array(9)), name);
      const uses = [
        () => conn.readUntil("\n", 9),
        () => conn.write(new Uint8Array(1)),
        () => conn.closeWrite(),
      ];
      for (const use of uses) await assertRejects(use, Deno.errors.TimedOut);
      conn.close();
      await assertRejects(() => conn.readChunk(), Deno.errors.BadResource);
    }));
}

Deno.test("a fiber's write rejects with TimedOut, when writeMs has passed, also after the peer's end", () =>
  withLimits(
    { timeouts: { writeMs: LIMIT_MS } },
    async ({ conn, stream, system }) => {
      stream.receiveEnd();
      await system.settle();
      assertEquals(await conn.readChunk(), null);
      stream.room = 0;
      const writing = conn.write(new Uint8Array(200_000));
      await assertTimedOut(system, writing, "writeMs");
      assertEquals(await conn.readChunk(), null);
    },
  ));

Deno.test("readMs counts only while a fiber reads", () =>
  withLimits(
    { timeouts: { readMs: LIMIT_MS } },
    async ({ conn, stream, system }) => {
      await system.pass(5 * LIMIT_MS);
      assertEquals(conn.isClosed, false);
      const reading = conn.readChunk();
      await system.pass(LIMIT_MS / 2);
      stream.receive("hello");
      await system.settle();
      assertEquals((await reading)!.byteLength, 5);
      await system.pass(5 * LIMIT_MS);
      await assertTimedOut(system, conn.readChunk(), "readMs");
    },
  ));

Deno.test("bytes that came before a limit passed are read before TimedOut", () =>
  withLimits(
    { timeouts: { idleMs: LIMIT_MS } },
    async ({ conn, stream, system }) => {
      stream.receive("hello");
      assertEquals(await conn.read(new Uint8Array(1)), 1);
      await system.pass(2 * LIMIT_MS);
      assert(conn.isClosed);
      assertEquals((await conn.readChunk())!.byteLength, 4);
      await assertRejects(() => conn.readChunk(), Deno.errors.TimedOut);
    },
  ));

Deno.test("a fiber's connect rejects with TimedOut, when a limit of the connection has passed", async () => {
  // The connect never ends.
  const system = new MemorySystem({ policy: { connect() {} } });
  using reactor = new Reactor({ system });
  const fibers = new Fibers(reactor);
  keepRunning(reactor);
  const timeouts = { idleMs: LIMIT_MS };
  const connecting = fibers.connect({ ...MEMORY_ADDRESS, timeouts });
  await assertTimedOut(system, connecting, "idleMs");
});

Deno.test("limits out of range are a RangeError, in every function of fibers", async () => {
  using reactor = new Reactor({ system: new MemorySystem() });
  const fibers = new Fibers(reactor);
  const wrong = { ...MEMORY_ADDRESS, timeouts: { readMs: 0 } };
  assertThrows(() => fibers.serve(wrong, () => {}), RangeError, '"0"');
  assertThrows(() => fibers.listen(wrong), RangeError, '"0"');
  await assertRejects(() => fibers.connect(wrong), RangeError, '"0"');
  await inFiber(reactor, async (fiber) => {
    assertThrows(() => fiber.listen(wrong), RangeError, '"0"');
    await assertRejects(() => fiber.connect(wrong), RangeError, '"0"');
  });
  assertEquals(reactor.size, 0);
});
