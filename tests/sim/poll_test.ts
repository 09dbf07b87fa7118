/** The simulator's own rules: what a reactor must not do fails the run. */

import { assertEquals, assertThrows } from "@std/assert";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import { Events, Readiness } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import type { MemoryStream } from "../../src/system/memory.ts";
import type { SimulatedPoll } from "./poll.ts";
import { SimulatedSystem } from "./system.ts";
import { SimulationFailure, World } from "./world.ts";

const SIZES = { inputBytes: 100, outputBytes: 90 };
const BOTH = Interest.READABLE | Interest.WRITABLE;
const TOKEN = 7;

interface Setup {
  world: World;
  poll: SimulatedPoll;
  stream: MemoryStream;
  /** Returns the readiness of each event that a poll tells of. */
  told(): number[];
}

/** Returns a stream and a poll in a world where nothing goes wrong. */
function setup(): Setup {
  let seed = 1;
  const isKind = ({ faults }: World) =>
    faults.lateRead + faults.lateWrite + faults.shortRead + faults.shortWrite +
          faults.spurious + faults.noBuffers + faults.noWatches +
          faults.urgent ===
      0 &&
    !faults.splitEvents && faults.eventsMax > 1;
  while (!isKind(new World(seed))) seed++;
  const world = new World(seed);
  const system = new SimulatedSystem(world);
  const poll = system.openPoll();
  const stream = system.stream(SIZES);
  const events = new Events();
  return {
    world,
    poll,
    stream,
    told: () => {
      poll.poll(events, 0);
      return [...events].map(({ readiness }) => readiness);
    },
  };
}

Deno.test("a simulated event comes once for each change", () => {
  const { poll, stream, told } = setup();
  poll.register(stream, TOKEN, Interest.READABLE);
  assertEquals(told(), []);
  stream.receive(new Uint8Array(10));
  stream.receive(new Uint8Array(10));
  assertEquals(told(), [Readiness.READABLE]);
  assertEquals(told(), []);
  stream.receiveEnd();
  assertEquals(told(), [Readiness.READABLE | Readiness.READ_CLOSED]);
  assertEquals(stream.tryRead(new Uint8Array(50), 0, 50), 20);
  assertEquals(stream.tryRead(new Uint8Array(50), 0, 50), 0);
});

Deno.test("a simulated event does not tell of what is over", () => {
  const { poll, stream, told } = setup();
  poll.register(stream, TOKEN, Interest.READABLE);
  stream.receive(new Uint8Array(10));
  assertEquals(stream.tryRead(new Uint8Array(50), 0, 50), 10);
  assertEquals(stream.tryRead(new Uint8Array(50), 0, 50), WOULD_BLOCK);
  assertEquals(told(), []);
});

Deno.test("a simulated stream tells of room when a third is free", () => {
  const { poll, stream, told } = setup();
  poll.register(stream, TOKEN, BOTH);
  assertEquals(told(), [Readiness.WRITABLE]);
  assertEquals(stream.tryWrite(new Uint8Array(100), 0, 100), 90);
  assertEquals(stream.tryWrite(new Uint8Array(10), 0, 10), WOULD_BLOCK);
  stream.take(20);
  assertEquals(told(), []);
  stream.take(20);
  assertEquals(told(), [Readiness.WRITABLE]);
  assertEquals(told(), []);
});

Deno.test("a closed simulated stream is registered no more", () => {
  const { poll, stream, told } = setup();
  poll.register(stream, TOKEN, BOTH);
  stream.close();
  assertEquals(poll.size, 0);
  assertEquals(told(), []);
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
  "reading what is closed": ({ stream }) => {
    stream.close();
    stream.tryRead(new Uint8Array(1), 0, 1);
  },
  "reading nothing, which looks like the end": ({ stream }) =>
    void stream.tryRead(new Uint8Array(1), 0, 0),
  "closing twice": ({ stream }) => {
    stream.close();
    stream.close();
  },
  "holding Deno's loop": ({ poll }) => void poll.poll(new Events(), 1_000),
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
  Deno.test(`the simulation fails a reactor for ${name}`, () => {
    const all = setup();
    assertThrows(() => misuse(all), SimulationFailure);
    assertEquals(all.world.failure instanceof SimulationFailure, true);
  });
}
