/** Waiting: items 1 to 14. */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
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
} from "../../src/poll.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { NO_PROC } from "../util/machine.ts";
import { runScript } from "../util/scripts.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  LOOPBACK,
  readAvailable,
  registerBoth,
  write,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE } = Interest;
const TOKEN = 7;

contractTest(
  "1",
  "polls close all that they opened, when opened 2000 times",
  (backend) => {
    const before = descriptors();
    const events = new Events(1);
    for (let round = 0; round < 2000; round++) {
      using poll = new Poll({ backend });
      assertEquals(poll.poll(events, 0), 0);
    }
    assertEquals(descriptorsSince(before), []);
  },
);

contractTest(
  "2",
  "a poll returns no event after its timeout, when nothing is registered",
  (backend) => {
    using poll = new Poll({ backend });
    const events = new Events();
    const startMs = performance.now();
    assertEquals(poll.poll(events, 100), 0);
    assertGreaterOrEqual(performance.now() - startMs, 99);
    assert(events.isEmpty);
  },
);

contractTest(
  "3, 4, 31, 49",
  "a poll without limit, or of more than the system can count to, waits until another thread acts",
  async (backend) => {
    const result = await runScript("poll_without_limit.ts", {
      args: [backend],
    });
    const waits = [
      "no limit",
      "2147483648",
      "4294967296",
      "9007199254740992",
      "1e+300",
      "Infinity",
      "registration",
    ];
    assertEquals(result, {
      code: 0,
      stdout: waits.map((wait) => `${wait} told\n`).join(""),
      stderr: "",
    });
  },
);

contractTest(
  "3",
  "a poll that may not wait asks all the same, and returns what is ready",
  (backend) => {
    using poll = new Poll({ backend });
    using first = connectedPair();
    using second = connectedPair();
    poll.registry.register(first.client, 1, WRITABLE);
    poll.registry.register(first.server, 2, WRITABLE);
    poll.registry.register(second.client, 3, WRITABLE);
    const events = new Events();
    assertEquals(poll.poll(events, 0), 3);
    assertEquals([...events].map(({ token }) => token).sort(), [1, 2, 3]);
    assertEquals(poll.poll(events, 0), 0);
  },
);

contractTest(
  "4",
  "a timeout is rounded up to a millisecond, and one of 0 stays 0",
  (backend) => {
    using poll = new Poll({ backend });
    const events = new Events();
    for (const timeoutMs of [1e-6, 1e-3, 0.5]) {
      const startMs = performance.now();
      for (let round = 0; round < 5; round++) poll.poll(events, timeoutMs);
      assertGreaterOrEqual(performance.now() - startMs, 4.5);
    }
    const startMs = performance.now();
    for (let round = 0; round < 5000; round++) poll.poll(events, 0);
    assertLess(performance.now() - startMs, 5000);
  },
);

contractTest(
  "5",
  "a timeout that passes is no error, when idle sources are registered",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.listener, 1, READABLE);
    poll.registry.register(pair.client, 2, READABLE);
    const events = new Events();
    const startMs = performance.now();
    for (let round = 0; round < 3; round++) {
      assertEquals(poll.poll(events, 5), 0);
      assert(events.isEmpty);
    }
    assertGreaterOrEqual(performance.now() - startMs, 14);
  },
);

contractTest(
  "6",
  "a poll forgets the events of the one before, also when it throws",
  (backend) => {
    const poll = new Poll({ backend });
    using waker = new Waker(poll.registry, TOKEN);
    const events = new Events();
    waker.wake();
    assertEquals(poll.poll(events, 0), 1);
    assertEquals(poll.poll(events, 0), 0);
    assertEquals([...events], []);

    waker.wake();
    assertEquals(poll.poll(events, 0), 1);
    poll.close();
    assertThrows(() => poll.poll(events, 0), Deno.errors.BadResource);
    assertEquals([...events], []);
  },
);

contractTest(
  "7",
  "a poll brings the rest with the next, when there is more than room",
  (backend) => {
    using poll = new Poll({ backend });
    using stack = new DisposableStack();
    const tokens = [1, 2, 3, 4, 5];
    for (const token of tokens) {
      const pair = stack.use(connectedPair());
      poll.registry.register(pair.client, token, WRITABLE);
    }
    using waker = new Waker(poll.registry, 6);
    waker.wake();
    const events = new Events(2);
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      assertEquals(poll.poll(events, 0), 2);
      for (const { token } of events) seen.push(token);
    }
    assertEquals(seen.sort(), [...tokens, 6]);
    assertEquals(poll.poll(events, 0), 0);
  },
);

contractTest(
  "8",
  "a poll that a signal interrupts returns no events, and the next one works",
  async (backend) => {
    const result = await runScript("interrupted_poll.ts", { args: [backend] });
    assertEquals(result, {
      code: 0,
      stdout: "interrupted 0 0\nwoken 1 3\n",
      stderr: "",
    });
  },
);

contractTest(
  "9",
  "a poll and its waker are closed on exec",
  (backend) => {
    const before = descriptors();
    using poll = new Poll({ backend });
    using _waker = new Waker(poll.registry, TOKEN);
    using _clone = poll.registry.tryClone();
    const opened = descriptorsSince(before);
    assertGreaterOrEqual(opened.length, 1);
    for (const { kind, isCloseOnExec } of opened) assert(isCloseOnExec, kind);
  },
  { ignore: NO_PROC },
);

contractTest(
  "10",
  "a closed poll has closed its descriptors, and its sources live on",
  (backend) => {
    using pair = connectedPair();
    const before = descriptors();
    const poll = new Poll({ backend });
    registerBoth(poll.registry, pair.client, 1);
    poll.close();
    assertEquals(descriptorsSince(before), []);

    write(pair.client, "still here");
    write(pair.server, "and heard");
    assertEquals(readAvailable(pair.server), "still here");
    assertEquals(readAvailable(pair.client), "and heard");
  },
);

contractTest(
  "10",
  "a source outlives its poll, and serves another after deregister alone",
  (backend) => {
    using pair = connectedPair();
    using second = new Poll({ backend });
    const first = new Poll({ backend });
    registerBoth(first.registry, pair.client, 1);
    using registry = first.registry.tryClone();
    first.close();

    assertThrows(
      () => registerBoth(second.registry, pair.client, 2),
      Deno.errors.AlreadyExists,
    );
    registry.deregister(pair.client);
    registerBoth(second.registry, pair.client, 2);
    expectEvent(second, 2, Readiness.WRITABLE);
  },
);

contractTest(
  "11",
  "a source that is ready for both has one event or two",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    write(pair.server, "data");
    const events = new Events();
    let count = 0;
    let seen = 0;
    while (seen !== (Readiness.READABLE | Readiness.WRITABLE)) {
      assertLess(0, poll.poll(events, 10_000));
      for (const { token, readiness } of events) {
        assertEquals(token, 1);
        count++;
        seen |= readiness;
      }
    }
    assert(count === 1 || count === 2, `${count} events`);
    expectSilence(poll);
  },
);

contractTest(
  "12",
  "an event that has come to nothing ends in WOULD_BLOCK, and the next counts",
  (backend) => {
    using poll = new Poll({ backend });
    using first = connectedPair();
    using second = connectedPair();
    poll.registry.register(first.server, 1, READABLE);
    poll.registry.register(second.server, 2, READABLE);
    write(first.client, "a");
    write(second.client, "b");
    const events = new Events();
    assertEquals(poll.poll(events, 10_000), 2);
    // Whoever handles the first event reads from both.
    assertEquals(readAvailable(first.server), "a");
    assertEquals(readAvailable(second.server), "b");
    for (const { token } of events) {
      const { server } = token === 1 ? first : second;
      assertEquals(server.read(new Uint8Array(1)), WOULD_BLOCK);
    }
    expectSilence(poll);
    write(second.client, "c");
    expectEvent(poll, 2, Readiness.READABLE);
    assertEquals(readAvailable(second.server), "c");
  },
);

contractTest(
  "13",
  "a source that is closed before a poll gives no event and no error",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    registerBoth(poll.registry, pair.client, 2);
    using _client = TcpStream.connect(listener.localAddress);
    write(pair.server, "never read");
    listener.close();
    pair.client.close();
    expectSilence(poll);
  },
);

contractTest(
  "14",
  "a poll can be waited for on another thread",
  async (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    const parked = poll.park(10_000);
    write(pair.client, "data");
    assertEquals(await parked, true);
    expectEvent(poll, 1, Readiness.READABLE);
  },
);
