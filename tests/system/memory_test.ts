/** The system in memory: its sockets, and what a policy decides. */

import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { Reactor } from "../../mod.ts";
import { errnoNumber, WOULD_BLOCK } from "../../src/native/errors.ts";
import { Events, Readiness } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import {
  MEMORY_ADDRESS,
  type MemoryPolicy,
  type MemoryPoll,
  MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { SimulatedSystem } from "../sim/system.ts";
import { SimulationFailure, World } from "../sim/world.ts";
import { decoded, encoded } from "../util/handlers.ts";

const ROOM = 90;
const BOTH = Interest.READABLE | Interest.WRITABLE;
const TOKEN = 7;

interface Setup {
  readonly poll: MemoryPoll;
  readonly stream: MemoryStream;
  /** Returns the readiness of each event of a poll. */
  readiness(): number[];
  read(length?: number): number | string;
  write(text: string): number;
}

/** Returns a poll, and a stream that has room for 90 bytes. */
function setup(
  policy: MemoryPolicy = {},
  system: MemorySystem = new MemorySystem(),
): Setup {
  Object.assign(system.policy, policy);
  const poll = system.openPoll();
  const stream = new MemoryStream(system);
  stream.room = ROOM;
  stream.roomMin = ROOM / 3;
  const events = new Events();
  const bytes = new Uint8Array(50);
  return {
    poll,
    stream,
    readiness() {
      poll.poll(events, 0);
      return [...events].map(({ readiness }) => readiness);
    },
    read(length = bytes.byteLength) {
      const count = stream.tryRead(bytes, 0, length);
      return count > 0 ? decoded(bytes, 0, count) : count;
    },
    write: (text) => stream.tryWrite(encoded(text), 0, text.length),
  };
}

Deno.test("an event in memory comes once for each change", () => {
  const { poll, stream, readiness, read } = setup();
  poll.register(stream, TOKEN, Interest.READABLE);
  assertEquals(readiness(), []);
  stream.receive("hello ");
  stream.receive("world");
  assertEquals(readiness(), [Readiness.READABLE]);
  assertEquals(readiness(), []);
  stream.receiveEnd();
  assertEquals(readiness(), [Readiness.READABLE | Readiness.READ_CLOSED]);
  assertEquals(read(), "hello world");
  assertEquals(read(), 0);
});

Deno.test("an event in memory does not report readiness that is over", () => {
  const { poll, stream, readiness, read } = setup();
  poll.register(stream, TOKEN, Interest.READABLE);
  stream.receive("hello");
  assertEquals(read(), "hello");
  assertEquals(read(), WOULD_BLOCK);
  assertEquals(readiness(), []);
});

Deno.test("a stream in memory reports room when there is enough", () => {
  const { poll, stream, readiness, write } = setup();
  poll.register(stream, TOKEN, BOTH);
  assertEquals(readiness(), [Readiness.WRITABLE]);
  assertEquals(write("x".repeat(100)), ROOM);
  assertEquals(write("y"), WOULD_BLOCK);
  stream.take(20);
  assertEquals(readiness(), []);
  assertEquals(decoded(stream.take(10)), "x".repeat(10));
  assertEquals(readiness(), [Readiness.WRITABLE]);
  assertEquals(readiness(), []);
});

Deno.test("a closed stream in memory is registered no more, and answers with a reset", () => {
  const { poll, stream, readiness } = setup();
  poll.register(stream, TOKEN, BOTH);
  stream.close();
  assertEquals(poll.size, 0);
  assertEquals(readiness(), []);
  assertEquals(stream.hasReset, false);
  stream.receive("too late");
  assertEquals(stream.hasReset, true);
});

Deno.test("a stream in memory that is closed over unread bytes resets", () => {
  const { stream } = setup();
  stream.receive("unread");
  stream.close();
  assertEquals(stream.hasReset, true);
});

Deno.test("a read in memory ends before an urgent byte", () => {
  const { poll, stream, readiness, read } = setup();
  poll.register(stream, TOKEN, Interest.READABLE | Interest.PRIORITY);
  stream.receive("before after");
  stream.receiveUrgent(6);
  assertEquals(readiness(), [Readiness.READABLE | Readiness.PRIORITY]);
  assertEquals([read(), read(), read()], ["before", " after", WOULD_BLOCK]);
});

Deno.test("a peer's reset is reported once, and ends reading and writing", () => {
  const { poll, stream, readiness, read, write } = setup();
  poll.register(stream, TOKEN, BOTH);
  stream.receive("hello");
  stream.receiveReset();
  assertEquals(readiness().map((bits) => bits & Readiness.ERROR), [
    Readiness.ERROR,
  ]);
  assertEquals(read(), "hello");
  assertEquals(read(), -errnoNumber("ECONNRESET"));
  assertEquals(read(), 0);
  assertEquals(write("x"), -errnoNumber("EPIPE"));
});

Deno.test("a policy shortens and fails reads and writes, and events follow", () => {
  const ENOBUFS = -errnoNumber("ENOBUFS");
  const reads = [2, WOULD_BLOCK, 0];
  const writes = [3, WOULD_BLOCK, ENOBUFS];
  const { poll, stream, readiness, read, write } = setup({
    read: () => reads.shift(),
    write: () => writes.shift(),
  });
  poll.register(stream, TOKEN, Interest.READABLE);
  stream.receive("hello");
  assertEquals(readiness(), [Readiness.READABLE]);
  assertEquals(read(), "he");
  assertEquals(readiness(), [Readiness.READABLE]);
  assertEquals([read(), read(), read()], [WOULD_BLOCK, 0, "llo"]);
  const counts = [1, 2, 3, 4].map(() => write("word"));
  assertEquals(counts, [3, WOULD_BLOCK, ENOBUFS, 4]);
  assertEquals(stream.text, "worword");
  assertEquals([stream.writes, stream.written], [2, 7]);
});

Deno.test("a policy sees each call and its subject, makes it throw, and lets it take time", () => {
  const system = new MemorySystem();
  const calls: string[] = [];
  const { poll, stream, read, write } = setup({
    call(call, source, amount) {
      calls.push(`${call} ${source?.name} ${amount}`);
      system.spend(5);
      if (call === "stream.shutdown") throw new TypeError("on purpose");
    },
  }, system);
  poll.register(stream, TOKEN, BOTH);
  poll.poll(new Events(), 3);
  read(10);
  write("abc");
  assertThrows(() => stream.shutdown("write"), TypeError, "on purpose");
  assertEquals(calls, [
    "poll.register stream 1 undefined",
    "poll.poll undefined 3",
    "stream.tryRead stream 1 10",
    "stream.tryWrite stream 1 3",
    "stream.shutdown stream 1 undefined",
  ]);
  assertEquals(system.nowMs(), 1_025);
});

Deno.test("a policy decides whether a connect works, and whether accepting does", async () => {
  let errno = errnoNumber("EMFILE");
  const system = new MemorySystem({
    policy: {
      connect: (stream) => stream.receiveReset(errnoNumber("ECONNREFUSED")),
      accept: () => errno,
    },
  });
  const log: string[] = [];
  using reactor = new Reactor({ system });
  reactor.listen(MEMORY_ADDRESS, {
    data() {},
    open: () => void log.push("in"),
  });
  system.arrive();
  await system.settle();
  assertEquals(log, []);
  errno = 0;
  await system.pass(1_000);
  assertEquals(log, ["in"]);
  const refused = Promise.withResolvers<never>();
  reactor.connect(MEMORY_ADDRESS, {
    data() {},
    error: (_, error) => refused.reject(error),
  });
  await system.settle();
  await assertRejects(() => refused.promise, Deno.errors.ConnectionRefused);
});

Deno.test("time in memory passes as far as a test lets it, and events carry it", async () => {
  const system = new MemorySystem({ startMs: 500.25 });
  using reactor = new Reactor({ system });
  const ran: number[] = [];
  reactor.setInterval(10, () => void ran.push(system.nowMs()));
  await system.pass(25);
  assertEquals(ran, [510.25, 520.25]);
  assertEquals(system.nowMs(), 525.25);
  await system.pass(5);
  assertEquals(ran.length, 3);
});

const MISUSES: Readonly<Record<string, (setup: Setup) => void>> = {
  "registering twice": ({ poll, stream }) => {
    poll.register(stream, TOKEN, BOTH);
    poll.register(stream, TOKEN, BOTH);
  },
  "reregistering what was not registered": ({ poll, stream }) =>
    poll.reregister(stream, TOKEN, BOTH),
  "registering what is closed": ({ poll, stream }) => {
    stream.close();
    poll.register(stream, TOKEN, BOTH);
  },
  "reading what is closed": ({ stream, read }) => {
    stream.close();
    read();
  },
  "reading nothing, which looks like the end": ({ read }) => void read(0),
  "closing twice": ({ stream }) => {
    stream.close();
    stream.close();
  },
  "waiting twice at once": ({ poll }) => {
    poll.park(undefined);
    poll.park(undefined);
  },
  "closing the poll under a wait": ({ poll }) => {
    poll.park(undefined);
    poll.close();
  },
  "polling what is closed": ({ poll }) => {
    poll.close();
    poll.poll(new Events(), 0);
  },
};

for (const [name, misuse] of Object.entries(MISUSES)) {
  Deno.test(`a system in memory throws for ${name}, and a simulation fails`, () => {
    assertThrows(() => misuse(setup()), Error, "Wrong use of the system");
    const world = new World(1);
    const all = setup({}, new SimulatedSystem(world));
    assertThrows(() => misuse(all), SimulationFailure);
    assertInstanceOf(world.failure, SimulationFailure);
  });
}

Deno.test("a simulation fails a reactor for holding Deno's loop", () => {
  const world = new World(1);
  const poll = new SimulatedSystem(world).openPoll();
  assertThrows(() => poll.poll(new Events(), 1_000), SimulationFailure);
  assertInstanceOf(world.failure, SimulationFailure);
});
