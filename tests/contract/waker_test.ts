/** Ending a wait: items 47 to 53; 49 is in poll_test.ts too. */

import { assertEquals, assertThrows } from "@std/assert";
import { Events, Interest, Poll, Readiness, Waker } from "../../src/poll.ts";
import { runScript } from "../util/scripts.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  expectTokens,
  write,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const TOKEN = 10;

contractTest(
  "47",
  "a wake is one readable event with the waker's token",
  (backend) => {
    using poll = new Poll({ backend });
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

contractTest(
  "48",
  "three wakes before a poll are one event, and leave nothing behind",
  (backend) => {
    using poll = new Poll({ backend });
    using waker = new Waker(poll.registry, TOKEN);
    for (let round = 0; round < 2; round++) {
      for (let count = 0; count < 3; count++) waker.wake();
      expectEvent(poll, TOKEN, Readiness.READABLE);
      expectSilence(poll);
    }
  },
);

contractTest(
  "49, 50",
  "wakes of other threads end one wait each, a thousand times in turn",
  async (backend) => {
    const result = await runScript("waker_on_threads.ts", { args: [backend] });
    assertEquals(result, {
      code: 0,
      stdout: "2 threads, 1000 wakes seen, 0 more\n",
      stderr: "",
    });
  },
);

contractTest(
  "50",
  "two wakes with a poll between are two events, then none",
  (backend) => {
    using poll = new Poll({ backend });
    using waker = new Waker(poll.registry, TOKEN);
    for (let round = 0; round < 100; round++) {
      for (let wake = 0; wake < 2; wake++) {
        waker.wake();
        const events = new Events();
        assertEquals(poll.poll(events, 0), 1, `round ${round}`);
        assertEquals(events.token(0), TOKEN);
      }
      assertEquals(poll.poll(new Events(), 0), 0, `round ${round}`);
    }
    expectSilence(poll);
  },
);

contractTest(
  "51",
  "a second waker is refused, through clones too, until the first is closed",
  (backend) => {
    using poll = new Poll({ backend });
    using clone = poll.registry.tryClone();
    using cloneOfClone = clone.tryClone();
    const registries = [poll.registry, clone, cloneOfClone];
    for (const [index, owner] of registries.entries()) {
      using waker = new Waker(owner, index);
      for (const registry of registries) {
        assertThrows(
          () => new Waker(registry, TOKEN),
          Deno.errors.AlreadyExists,
          `open a waker for registry ${registry.handle}`,
        );
      }
      waker.wake();
      expectEvent(poll, index, Readiness.READABLE);
    }
    // One for each poll.
    using _first = new Waker(poll.registry, TOKEN);
    using other = new Poll({ backend });
    using _second = new Waker(other.registry, TOKEN);
  },
);

contractTest(
  "52",
  "a waker that is closed is reported no more, and the next one is new",
  (backend) => {
    using poll = new Poll({ backend });
    const waker = new Waker(poll.registry, TOKEN);
    waker.wake();
    waker.close();
    expectSilence(poll);
    using next = new Waker(poll.registry, TOKEN + 1);
    expectSilence(poll);
    next.wake();
    expectEvent(poll, TOKEN + 1, Readiness.READABLE);
  },
);

contractTest(
  "52",
  "a waker never fails, however often it is called between two polls",
  (backend) => {
    using poll = new Poll({ backend });
    using waker = new Waker(poll.registry, TOKEN);
    for (let count = 0; count < 100_000; count++) waker.wake();
    expectEvent(poll, TOKEN, Readiness.READABLE);
    expectSilence(poll);
  },
);

contractTest(
  "53",
  "a waker's event hides no other of the same poll",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    using waker = new Waker(poll.registry, TOKEN);
    poll.registry.register(pair.server, 1, Interest.READABLE);
    write(pair.client, "data");
    waker.wake();
    expectTokens(poll, TOKEN, 1);

    // With room for one, each has its turn.
    poll.registry.reregister(pair.server, 1, Interest.READABLE);
    waker.wake();
    const events = new Events(1);
    const tokens = [0, 1].map(() => {
      assertEquals(poll.poll(events, 10_000), 1);
      return events.token(0);
    });
    assertEquals(tokens.sort(), [1, TOKEN].sort());
  },
);
