/** Waiting: `Poll` and `Events`. The numbers are those of POLL_CONTRACT. */

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  Events,
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  Waker,
  WOULD_BLOCK,
} from "../mod.ts";
import { cleanTest } from "./util/clean_tests.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  expectTokens,
  LOOPBACK,
  readAvailable,
  registerBoth,
  write,
} from "./util/streams.ts";
import { randomBytes, sameBytes } from "./util/random.ts";
import { runScript } from "./util/scripts.ts";

const { READABLE, WRITABLE } = Interest;
const MIB = 1024 * 1024;

cleanTest(
  "Poll closes all that it opened, when opened a thousand times",
  () => {
    const events = new Events(1);
    for (let round = 0; round < 1000; round++) {
      using poll = new Poll();
      assertEquals(poll.poll(events, 0), 0);
    }
  },
);

cleanTest("Poll.backend is the system's, when none is asked for", () => {
  using poll = new Poll();
  const isLinux = Deno.build.os === "linux";
  assertEquals(poll.backend, isLinux ? "epoll" : "kqueue");
  using named = new Poll({ backend: poll.backend });
  assertEquals(named.backend, poll.backend);
});

cleanTest(
  "Poll throws NotSupported, when the system has not got the backend",
  () => {
    const absent = Deno.build.os === "linux" ? "kqueue" : "epoll";
    assertThrows(
      () => new Poll({ backend: absent }),
      Deno.errors.NotSupported,
      `backend "${absent}"`,
    );
    assertThrows(
      () => new Poll({ backend: "select" as "epoll" }),
      TypeError,
      '"select"',
    );
  },
);

cleanTest(
  "Poll.poll() returns nothing after its timeout, when nothing is registered",
  () => {
    using poll = new Poll();
    const events = new Events();
    const startMs = performance.now();
    assertEquals(poll.poll(events, 30), 0);
    assertGreaterOrEqual(performance.now() - startMs, 29);
    assert(events.isEmpty);
  },
);

cleanTest(
  "Poll.poll() rounds a timeout up, when it is a part of a millisecond",
  () => {
    using poll = new Poll();
    const startMs = performance.now();
    for (let round = 0; round < 5; round++) poll.poll(new Events(), 1e-6);
    assertGreaterOrEqual(performance.now() - startMs, 4.5);
  },
);

cleanTest("Poll.poll() returns what is ready, when it may not wait", () => {
  using poll = new Poll();
  using waker = new Waker(poll.registry, 3);
  waker.wake();
  const events = new Events();
  assertEquals(poll.poll(events, 0), 1);
  assertEquals([...events], [{ token: 3, readiness: Readiness.READABLE }]);
});

cleanTest("Poll.poll() takes any long timeout, up to infinity", () => {
  using poll = new Poll();
  using waker = new Waker(poll.registry, 3);
  for (const timeoutMs of [undefined, 2 ** 31, 2 ** 53, 1e300, Infinity]) {
    waker.wake();
    assertEquals(poll.poll(new Events(), timeoutMs), 1);
  }
});

cleanTest(
  "Poll.poll() throws RangeError, when the timeout is none",
  async () => {
    using poll = new Poll();
    for (const timeoutMs of [-1, -Infinity, NaN, -1e-9]) {
      const message = `Cannot wait "${timeoutMs}" ms`;
      assertThrows(
        () => poll.poll(new Events(), timeoutMs),
        RangeError,
        message,
      );
      await assertRejects(() => poll.park(timeoutMs), RangeError, message);
    }
  },
);

cleanTest(
  "Poll.poll() throws BadResource and leaves no event, when it is closed",
  () => {
    const poll = new Poll();
    using waker = new Waker(poll.registry, 3);
    const events = new Events();
    waker.wake();
    assertEquals(poll.poll(events, 0), 1);
    poll.close();
    assertThrows(() => poll.poll(events, 0), Deno.errors.BadResource);
    assert(events.isEmpty);
    assertThrows(() => poll.close(), Deno.errors.BadResource);
    assertThrows(() => poll.backend, Deno.errors.BadResource);
  },
);

cleanTest("Poll.poll() forgets the events of the poll before", () => {
  using poll = new Poll();
  using waker = new Waker(poll.registry, 3);
  const events = new Events();
  waker.wake();
  poll.poll(events, 0);
  assertEquals(poll.poll(events, 0), 0);
  assertEquals([...events], []);
});

cleanTest(
  "Poll.poll() brings the rest with the next, when there is more than room",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    using waker = new Waker(poll.registry, 1);
    waker.wake();
    registerBoth(poll.registry, pair.client, 2);
    registerBoth(poll.registry, pair.server, 3);
    const events = new Events(1);
    const tokens = new Set<number>();
    for (let round = 0; round < 3; round++) {
      assertEquals(poll.poll(events, 1000), 1);
      tokens.add(events.token(0));
    }
    assertEquals([...tokens].sort(), [1, 2, 3]);
    assertEquals(poll.poll(events, 0), 0);
  },
);

cleanTest(
  "Poll.poll() without limit waits, until another thread acts",
  async () => {
    const { stdout, code } = await runScript("poll_without_limit.ts");
    assertEquals({ stdout, code }, { stdout: "woken\nregistered\n", code: 0 });
  },
);

cleanTest("Poll.poll() leaves a source out, when it was closed before", () => {
  using poll = new Poll();
  const listener = TcpListener.bind(LOOPBACK);
  poll.registry.register(listener, 1, READABLE);
  using _client = TcpStream.connect(listener.localAddress);
  listener.close();
  expectSilence(poll);
});

cleanTest(
  "a source outlives its poll, and serves another after deregister alone",
  () => {
    using pair = connectedPair();
    using second = new Poll();
    const first = new Poll();
    registerBoth(first.registry, pair.client, 1);
    using registry = first.registry.tryClone();
    first.close();

    write(pair.client, "still here");
    assertThrows(
      () => registerBoth(second.registry, pair.client, 2),
      Deno.errors.AlreadyExists,
    );
    registry.deregister(pair.client);
    registerBoth(second.registry, pair.client, 2);
    expectEvent(second, 2, Readiness.WRITABLE);
  },
);

cleanTest(
  "Poll.park() tells that something is ready, and leaves the event",
  async () => {
    using poll = new Poll();
    using waker = new Waker(poll.registry, 3);
    const parked = poll.park(10_000);
    waker.wake();
    assertEquals(await parked, true);
    assertEquals(await poll.park(), true);
    assertEquals(poll.poll(new Events(), 0), 1);
    assertEquals(await poll.park(1), false);
  },
);

cleanTest(
  "Poll.park() rejects with BadResource, when the poll is closed",
  async () => {
    const poll = new Poll();
    poll.close();
    await assertRejects(() => poll.park(1), Deno.errors.BadResource);
  },
);

cleanTest(
  "Poll is closed once, when closed by hand inside of a using block",
  () => {
    using poll = new Poll();
    poll.close();
  },
);

cleanTest("Events.nowMs is a clock that goes on with each poll", () => {
  using poll = new Poll();
  const events = new Events();
  poll.poll(events, 0);
  const firstMs = events.nowMs;
  const startMs = performance.now();
  poll.poll(events, 20);
  const elapsedMs = performance.now() - startMs;
  assertAlmostEquals(events.nowMs - firstMs, elapsedMs, 5);
});

Deno.test("Events holds as many as it says, and none to begin with", () => {
  for (const capacity of [1, 2, 256, 1024]) {
    const events = new Events(capacity);
    assertEquals(events.capacity, capacity);
    assertEquals(events.length, 0);
    assert(events.isEmpty);
    assertEquals([...events], []);
  }
  assertEquals(new Events().capacity, 256);
});

Deno.test("Events throws RangeError, when its capacity is out of range", () => {
  for (const capacity of [0, -1, 1.5, 1025, NaN, Infinity]) {
    assertThrows(() => new Events(capacity), RangeError, `"${capacity}"`);
  }
});

cleanTest("Events.clear() forgets the batch", () => {
  using poll = new Poll();
  using waker = new Waker(poll.registry, 3);
  const events = new Events();
  waker.wake();
  poll.poll(events, 0);
  assertEquals(events.isEmpty, false);
  events.clear();
  assert(events.isEmpty);
  assertEquals([...events], []);
});

cleanTest("an edge is told once, until there is new data", () => {
  using poll = new Poll();
  using pair = connectedPair();
  poll.registry.register(pair.server, 1, READABLE);
  for (const text of ["first", "second", "third"]) {
    write(pair.client, text);
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(readAvailable(pair.server), text);
    assertEquals(pair.server.read(new Uint8Array(1)), WOULD_BLOCK);
    expectSilence(poll);
  }
});

cleanTest("an edge is told once, when its data is left unread", () => {
  using poll = new Poll();
  using pair = connectedPair();
  poll.registry.register(pair.server, 1, READABLE);
  write(pair.client, "unread");
  expectEvent(poll, 1, Readiness.READABLE);
  expectSilence(poll);
  write(pair.client, ", and more");
  expectEvent(poll, 1, Readiness.READABLE);
  assertEquals(readAvailable(pair.server), "unread, and more");
});

cleanTest(
  "an idle stream tells once that it is writable, and is silent then",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    expectSilence(poll);
  },
);

cleanTest(
  "a stream registered for reading tells nothing, when there is nothing",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, READABLE);
    expectSilence(poll);
  },
);

cleanTest("16 MiB arrive whole, when both ends go on until WOULD_BLOCK", () => {
  using poll = new Poll();
  using pair = connectedPair();
  poll.registry.register(pair.client, 1, WRITABLE);
  poll.registry.register(pair.server, 2, READABLE);
  const sent = randomBytes(16 * MIB, 1);
  const received = new Uint8Array(sent.byteLength);
  const events = new Events();
  let written = 0;
  let read = 0;
  while (read < sent.byteLength) {
    assertLess(0, poll.poll(events, 10_000), `${written}, ${read}`);
    for (const { token } of events) {
      if (token === 1) {
        written = pump(
          sent,
          written,
          (bytes, at) => pair.client.write(bytes, at),
        );
      } else {
        read = pump(received, read, (bytes, at) => pair.server.read(bytes, at));
      }
    }
  }
  assert(sameBytes(sent, received));
});

cleanTest("two ready sources are both told, whatever their tokens", () => {
  using poll = new Poll();
  using pair = connectedPair();
  registerBoth(poll.registry, pair.client, 0);
  registerBoth(poll.registry, pair.server, 0xffff_ffff);
  expectTokens(poll, 0, 0xffff_ffff);
});

/** Moves bytes from `start` on until `move` would block or all are moved. */
function pump(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  move: (bytes: Uint8Array<ArrayBuffer>, start: number) => number,
): number {
  while (start < bytes.byteLength) {
    const count = move(bytes, start);
    if (count === WOULD_BLOCK) break;
    start += count;
  }
  return start;
}
