/** `Poll` and `Events` as TypeScript has them; what a poll does: `contract/`. */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { Events, Poll, Waker } from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";

cleanTest("Poll.backend is the system's, when none is asked for", () => {
  using poll = new Poll();
  const best = Deno.build.os === "linux" ? "epoll" : "kqueue";
  assertEquals(poll.backend, Deno.env.get("DENIO_BACKEND") || best);
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
      () => new Poll({ backend: "devpoll" as "epoll" }),
      TypeError,
      '"devpoll"',
    );
  },
);

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

cleanTest(
  "Poll.park() returns whether something is ready, and leaves the event",
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
  const startMs = performance.now();
  poll.poll(events, 0);
  const firstMs = events.nowMs;
  poll.poll(events, 20);
  const wholeMs = performance.now() - startMs;
  // Between the least that it waits and all that went by, to a clock's tick.
  assertGreaterOrEqual(events.nowMs - firstMs, 19);
  assertLessOrEqual(events.nowMs - firstMs, wholeMs + 1);
});

Deno.test("Events throws RangeError, when its capacity is out of range", () => {
  for (const capacity of [0, -1, 1.5, 1025, NaN, Infinity]) {
    assertThrows(() => new Events(capacity), RangeError, `"${capacity}"`);
  }
});
