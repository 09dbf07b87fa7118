/** Interests, and the bits of their events: items 35 to 40. */

import { describeInterest } from "../../src/poll/interest.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import {
  type Backend,
  Events,
  Interest,
  Poll,
  Readiness,
  TcpStream,
  Waker,
} from "../../src/poll.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { NO_PROC } from "../util/machine.ts";
import {
  connectedPair,
  expectEvent,
  expectQuiet,
  expectSilence,
  freeAddress,
  type Pair,
  readAvailable,
  whenReadable,
  write,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE, PRIORITY } = Interest;
const BOTH = READABLE | WRITABLE;
const CLOSED = Readiness.READ_CLOSED | Readiness.WRITE_CLOSED;

contractTest(
  "35",
  "interests combine, say what is in them, and are never empty",
  (backend) => {
    assertEquals(BOTH & READABLE, READABLE);
    assertEquals(BOTH & WRITABLE, WRITABLE);
    assertEquals(BOTH & PRIORITY, 0);
    assertEquals(READABLE & WRITABLE, 0);
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const { registry } = poll;
    for (const interest of [0, -1, 8, 16, 1.5, NaN, 2 ** 32, 2 ** 32 + 1]) {
      for (
        const call of [
          () => registry.register(pair.client, 1, interest),
          () => registry.reregister(pair.client, 1, interest),
        ]
      ) assertThrows(call, RangeError, `Cannot use interest "${interest}"`);
    }
    registry.register(pair.client, 1, BOTH);
    write(pair.server, "x");
    expectEvent(poll, 1, Readiness.READABLE | Readiness.WRITABLE);
  },
);

contractTest(
  "36",
  "an interest prints the names of what is in it",
  () => {
    assertEquals(describeInterest(READABLE), "READABLE");
    assertEquals(describeInterest(WRITABLE), "WRITABLE");
    assertEquals(describeInterest(WRITABLE | READABLE), "READABLE | WRITABLE");
    assertEquals(describeInterest(PRIORITY), "PRIORITY");
    assertEquals(
      describeInterest(BOTH | PRIORITY),
      "READABLE | WRITABLE | PRIORITY",
    );
  },
);

contractTest(
  "37",
  "data is readable, room is writable, and no other bit comes with them",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, READABLE);
    expectSilence(poll);
    write(pair.server, "x");
    assertEquals(expectEvent(poll, 1, Readiness.READABLE), Readiness.READABLE);
    assertEquals(readAvailable(pair.client), "x");
    poll.registry.reregister(pair.client, 1, WRITABLE);
    assertEquals(expectEvent(poll, 1, Readiness.WRITABLE), Readiness.WRITABLE);
  },
);

contractTest("37", "error is reported, when the source has one", (backend) => {
  using poll = new Poll({ backend });
  using refused = TcpStream.connect(freeAddress());
  poll.registry.register(refused, 1, WRITABLE);
  expectEvent(poll, 1, Readiness.ERROR);

  using pair = connectedPair();
  poll.registry.register(pair.server, 2, READABLE);
  pair.client.resetOnClose = true;
  pair.client.close();
  expectEvent(poll, 2, Readiness.ERROR);
});

contractTest(
  "38",
  "read-closed is reported, when the peer has shut down writing, and not write-closed",
  (backend) => {
    for (const interest of [READABLE, BOTH]) {
      using poll = new Poll({ backend });
      using pair = connectedPair();
      pair.client.shutdown("write");
      poll.registry.register(pair.server, 1, interest);
      const seen = expectEvent(poll, 1, READABLE | Readiness.READ_CLOSED);
      assertEquals(seen & (Readiness.WRITE_CLOSED | Readiness.ERROR), 0);
    }
  },
);

contractTest(
  "38",
  "read-closed is not reported, when only writing is registered and one half is open",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    pair.client.shutdown("write");
    whenReadable(pair.server);
    poll.registry.register(pair.server, 1, WRITABLE);
    assertEquals(expectEvent(poll, 1, Readiness.WRITABLE), Readiness.WRITABLE);
  },
);

contractTest(
  "38",
  "both closed are reported, when a connection ends both ways",
  (backend) => {
    for (const end of [shutDownBoth, shutDownEachItsHalf]) {
      for (const interest of [READABLE, BOTH]) {
        using poll = new Poll({ backend });
        using pair = connectedPair();
        poll.registry.register(pair.client, 1, interest);
        end(pair);
        expectEvent(poll, 1, CLOSED);
        expectQuiet(poll);
      }
    }
  },
);

contractTest(
  "38",
  "both closed are reported for any interest, when a connection has ended before",
  (backend) => {
    for (const end of [shutDownBoth, shutDownEachItsHalf]) {
      for (const interest of [READABLE, WRITABLE, BOTH]) {
        using poll = new Poll({ backend });
        using pair = connectedPair();
        end(pair);
        whenReadable(pair.client);
        poll.registry.register(pair.client, 1, interest);
        expectEvent(poll, 1, CLOSED);
        expectQuiet(poll);
      }
    }
  },
);

contractTest(
  "38",
  "write-closed is reported with error, when a connect is refused",
  (backend) => {
    using poll = new Poll({ backend });
    using stream = TcpStream.connect(freeAddress());
    poll.registry.register(stream, 1, WRITABLE);
    const seen = expectEvent(poll, 1, Readiness.WRITE_CLOSED);
    assertNotEquals(seen & Readiness.ERROR, 0);
    expectQuiet(poll);
  },
);

contractTest(
  "39",
  "reading reports data and the peer's end, writing reports neither",
  (backend) => {
    using poll = new Poll({ backend });
    using reading = connectedPair();
    using writing = connectedPair();
    poll.registry.register(reading.server, 1, READABLE);
    poll.registry.register(writing.client, 2, WRITABLE);
    expectEvent(poll, 2, Readiness.WRITABLE);

    write(writing.server, "x");
    expectSilence(poll);
    writing.server.shutdown("write");
    // A change of state may be reported again as the room that there is.
    const events = new Events();
    poll.poll(events, 20);
    for (const { token, readiness } of events) {
      assertEquals([token, readiness], [2, Readiness.WRITABLE]);
    }

    write(reading.client, "x");
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(readAvailable(reading.server), "x");
    reading.client.shutdown("write");
    const seen = expectEvent(poll, 1, Readiness.READ_CLOSED);
    assertEquals(seen & (Readiness.WRITABLE | Readiness.WRITE_CLOSED), 0);
  },
);

/** `epoll_ctl(2)`; Linux adds errors and hang-ups to what is asked. */
const EPOLL = {
  IN: 1,
  PRI: 2,
  OUT: 4,
  ALWAYS: 8 | 16,
  RDHUP: 0x2000,
  ET: 2 ** 31,
};

contractTest(
  "39",
  "epoll is asked for what mio asks it for",
  (backend) => {
    const asked: [interest: number, flags: number][] = [
      [READABLE, EPOLL.IN + EPOLL.RDHUP + EPOLL.ET],
      [WRITABLE, EPOLL.OUT + EPOLL.ET],
      [PRIORITY, EPOLL.PRI + EPOLL.ET],
      [BOTH, EPOLL.IN + EPOLL.RDHUP + EPOLL.OUT + EPOLL.ET],
    ];
    for (const [interest, flags] of asked) {
      using pair = connectedPair();
      assertEquals(
        askedOfEpoll(backend, pair.client, interest),
        flags + EPOLL.ALWAYS,
        describeInterest(interest),
      );
    }
  },
  { backend: "epoll", ignore: NO_PROC },
);

contractTest(
  "40",
  "events hold as many as they say, and can be gone through and cleared",
  (backend) => {
    for (const capacity of [1, 2, 256, 1024]) {
      const events = new Events(capacity);
      assertEquals(events.capacity, capacity);
      assert(events.isEmpty);
      assertEquals([...events], []);

      using poll = new Poll({ backend });
      using waker = new Waker(poll.registry, 3);
      waker.wake();
      assertEquals(poll.poll(events, 0), 1);
      assertEquals(events.isEmpty, false);
      assertEquals(events.length, 1);
      const event = { token: 3, readiness: Readiness.READABLE };
      assertEquals([...events], [event]);
      assertEquals([...events], [event], "it can be gone through again");
      events.clear();
      assert(events.isEmpty);
      assertEquals([...events], []);
      assertEquals(events.capacity, capacity);
    }
  },
);

function shutDownBoth({ client }: Pair): void {
  client.shutdown("both");
}

function shutDownEachItsHalf({ client, server }: Pair): void {
  client.shutdown("write");
  server.shutdown("write");
}

/** What /proc says that a poll has been asked for. */
function askedOfEpoll(
  backend: Backend,
  stream: TcpStream,
  interest: number,
): number {
  const before = descriptors();
  using poll = new Poll({ backend });
  poll.registry.register(stream, 1, interest);
  const [epoll, ...others] = descriptorsSince(before);
  assertEquals(others, []);
  const asked = /^tfd:.* events: *([0-9a-f]+) /m;
  assertMatch(epoll!.info, asked);
  return parseInt(asked.exec(epoll!.info)![1]!, 16);
}
