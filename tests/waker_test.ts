/** Ending a wait from elsewhere. */

import { assertEquals, assertThrows } from "@std/assert";
import { Events, Interest, Poll, Readiness, Waker } from "../mod.ts";
import { cleanTest } from "./util/clean_tests.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  expectTokens,
  write,
} from "./util/streams.ts";
import { runScript } from "./util/scripts.ts";

const TOKEN = 10;

cleanTest(
  "Waker.wake() is one readable event with its token, then silence",
  () => {
    using poll = new Poll();
    using waker = new Waker(poll.registry, TOKEN);
    expectSilence(poll);
    waker.wake();
    const events = new Events();
    assertEquals(poll.poll(events), 1);
    assertEquals([...events], [{
      token: TOKEN,
      readiness: Readiness.READABLE,
    }]);
    expectSilence(poll);
  },
);

cleanTest("Waker.wake() is told once, when called thrice before a poll", () => {
  using poll = new Poll();
  using waker = new Waker(poll.registry, TOKEN);
  for (let count = 0; count < 3; count++) waker.wake();
  expectEvent(poll, TOKEN, Readiness.READABLE);
  expectSilence(poll);
});

cleanTest("Waker.wake() is told each time, when a poll lies between", () => {
  using poll = new Poll();
  using waker = new Waker(poll.registry, TOKEN);
  for (let round = 0; round < 100; round++) {
    waker.wake();
    const events = new Events();
    assertEquals(poll.poll(events, 0), 1, `round ${round}`);
    assertEquals(events.token(0), TOKEN);
    assertEquals(poll.poll(events, 0), 0, `round ${round}`);
  }
});

Deno.test("Waker.wake() ends a wait of another thread, over and over", async () => {
  const { stdout, stderr } = await runScript("waker_on_threads.ts");
  assertEquals({ stdout, stderr }, { stdout: "1000 wakes seen\n", stderr: "" });
});

cleanTest("Waker throws AlreadyExists, while the poll has another", () => {
  using poll = new Poll();
  using clone = poll.registry.tryClone();
  const first = new Waker(poll.registry, TOKEN);
  for (const registry of [poll.registry, clone]) {
    assertThrows(
      () => new Waker(registry, TOKEN + 1),
      Deno.errors.AlreadyExists,
      `open a waker for registry ${registry.handle}`,
    );
  }
  first.close();
  using second = new Waker(clone, TOKEN + 1);
  second.wake();
  expectEvent(poll, TOKEN + 1, Readiness.READABLE);
});

cleanTest(
  "Waker leaves no event behind, when it is closed after a wake",
  () => {
    using poll = new Poll();
    const waker = new Waker(poll.registry, TOKEN);
    waker.wake();
    waker.close();
    expectSilence(poll);
  },
);

cleanTest("Waker.wake() throws BadResource, when it is closed", () => {
  using poll = new Poll();
  const waker = new Waker(poll.registry, TOKEN);
  waker.close();
  assertThrows(() => waker.wake(), Deno.errors.BadResource);
  assertThrows(() => waker.close(), Deno.errors.BadResource);
});

cleanTest("Waker.wake() does no harm, when its poll is closed", () => {
  const poll = new Poll();
  using waker = new Waker(poll.registry, TOKEN);
  poll.close();
  waker.wake();
});

cleanTest("a waker's event hides no other of the same poll", () => {
  using poll = new Poll();
  using pair = connectedPair();
  using waker = new Waker(poll.registry, TOKEN);
  poll.registry.register(pair.server, 1, Interest.READABLE);
  write(pair.client, "data");
  waker.wake();
  expectTokens(poll, TOKEN, 1);
});
