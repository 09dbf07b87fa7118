/**
 * Errors cannot stop the loop unnoticed: each call of the system, and each
 * handler, throws once. After that the reactor goes on, or it is closed and has
 * reported it to `onError` and to all waits.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Connection,
  type ConnectionHandlers,
  Fibers,
  Reactor,
} from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  MEMORY_ADDRESS,
  type MemoryCall,
  type MemorySource,
  MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { BUSY_BYTES } from "../../src/http/transport.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { within } from "../util/waiting.ts";

/** A period of the story's interval. */
const TICK_MS = 10;
/** More bytes than a peer takes that reads nothing. */
const MUCH = 200_000;
const EPIPE = -errnoNumber("EPIPE");
/** Enough rounds for all that a closing reactor settles. */
const ROUNDS = 64;

/** The error that the chosen call throws. */
class Fault extends Error {
  override name = "Fault";
}

/** Counts calls of the system and of handlers, and makes one of them throw. */
class Faults {
  /** The call that threw, once it has. */
  thrown: string | undefined;
  #left: number;
  #isArmed = false;

  /** @param at Which call throws, from 1, of those after `arm`. */
  constructor(at: number) {
    this.#left = at;
  }

  /** Counts from now on. */
  arm(): void {
    this.#isArmed = true;
  }

  /** Lets no call throw any more. */
  disarm(): void {
    this.#isArmed = false;
  }

  /** Throws when it is this call's turn. */
  pass(what: string): void {
    if (!this.#isArmed || --this.#left !== 0) return;
    this.thrown = what;
    throw new Fault(`Fault of "${what}"`);
  }
}

/** One run: a reactor, its clients, and what happened to them. */
class Story {
  readonly system: MemorySystem;
  readonly reactor: Reactor;
  readonly reported: unknown[] = [];
  /** The promises, and whether each has settled. */
  readonly promised = new Map<string, boolean>();
  /** Connections that were opened, and not closed. */
  readonly open = new Set<Connection>();
  /** Streams that the reactor has called, and not closed. */
  readonly streams = new Set<MemorySource>();
  ticks = 0;
  readonly #faults: Faults;

  constructor(faults: Faults) {
    this.#faults = faults;
    const call = (call: MemoryCall, source?: MemorySource) => {
      if (call === "stream.close") this.streams.delete(source!);
      else if (source instanceof MemoryStream) this.streams.add(source);
      faults.pass(call);
    };
    this.system = new MemorySystem({ batches: true, policy: { call } });
    this.reactor = new Reactor({
      system: this.system,
      onError: (error) => {
        this.reported.push(error);
        faults.pass("onError()");
      },
    });
  }

  /** Notes when `promise` settles; ignores its error. */
  expect(what: string, promise: Promise<unknown>): void {
    this.promised.set(what, false);
    const settle = () => void this.promised.set(what, true);
    promise.then(settle, settle);
  }

  /** Sends back all bytes, and writes many when asked to. */
  get handlers(): ConnectionHandlers {
    return {
      open: (connection) => {
        this.open.add(connection);
        this.#faults.pass("open()");
      },
      data: (connection, bytes, start, end) => {
        this.#faults.pass("data()");
        if (bytes[start] === "M".charCodeAt(0)) {
          connection.write(new Uint8Array(MUCH));
        }
        connection.write(bytes, start, end);
        if (bytes[start] === "S".charCodeAt(0)) connection.setDeadline(1);
      },
      end: (connection) => {
        this.#faults.pass("end()");
        connection.close();
      },
      drain: () => this.#faults.pass("drain()"),
      broken: () => this.#faults.pass("broken()"),
      error: () => this.#faults.pass("error()"),
      timeout: (connection) => {
        this.#faults.pass("timeout()");
        connection.close();
      },
      close: (connection) => {
        this.open.delete(connection);
        this.#faults.pass("close()");
      },
    };
  }

  /** A story in which a loop does all that it can. */
  async run(): Promise<void> {
    const { reactor, system } = this;
    const fibers = new Fibers(reactor);
    reactor.listen(
      { ...MEMORY_ADDRESS, timeouts: { idleMs: 5_000 } },
      this.handlers,
    );
    reactor.setInterval(TICK_MS, () => {
      this.ticks++;
      this.#faults.pass("a timer");
    });
    const fiber = fibers.spawn(async (fiber) => {
      const connection = await fiber.connect(MEMORY_ADDRESS);
      this.expect("the fiber's read", connection.readChunk());
      await fiber.sleep(60_000);
    });
    this.expect("the fiber", fiber.finished);
    this.expect("a sleep", fibers.sleep(60_000));
    await system.settle();
    this.#faults.arm();
    const [one, two, slow, broken] = [1, 2, 3, 4].map(() => system.arrive());
    await system.settle();
    slow!.room = 100;
    for (const client of [one!, two!]) client.receive("hello");
    slow!.receive("M");
    await system.pass(TICK_MS);
    slow!.makeRoom(2 * MUCH);
    this.system.policy.write = (stream) =>
      stream === broken ? EPIPE : undefined;
    for (const client of [one!, two!, broken!]) client.receive("again");
    await system.pass(TICK_MS);
    two!.receive("S");
    reactor.connect(MEMORY_ADDRESS, this.handlers);
    await system.pass(100);
    one!.receiveEnd();
    await system.pass(TICK_MS);
  }

  /** Checks that the reactor goes on, or is closed and has reported why. */
  async check(): Promise<void> {
    const { reactor } = this;
    if (!reactor.isClosed) await this.#checkGoesOn();
    if (!reactor.isClosed) reactor.close();
    else assert(this.reported.some(isFault), "the fault was not reported");
    for (let round = 0; round < ROUNDS; round++) await undefined;
    for (const [what, isSettled] of this.promised) {
      assert(isSettled, `${what} is not settled`);
    }
    assertEquals(this.open.size, 0, "a connection did not get its end");
    assertEquals([...this.streams], [], "streams are open");
  }

  async #checkGoesOn(): Promise<void> {
    const { reactor, system, ticks } = this;
    const [one, two] = [system.arrive(), system.arrive()];
    // As long as a listener rests after a fault.
    await system.pass(200);
    for (const client of [one, two]) client.receive("more");
    await system.pass(TICK_MS);
    // A late fault may close the reactor here, which reports it as well.
    if (reactor.isClosed) return;
    assertEquals([one.text, two.text], ["more", "more"]);
    assert(this.ticks > ticks, "timers run no more");
  }
}

/** Whether an error is the fault, or was caused by it. */
function isFault(error: unknown): boolean {
  if (error instanceof Fault) return true;
  return error instanceof Error && isFault(error.cause);
}

cleanTest(
  "a reactor goes on, or closes and reports why, whichever call throws",
  async () => {
    const calls = new Set<string>();
    for (let at = 1;; at++) {
      const faults = new Faults(at);
      const story = new Story(faults);
      try {
        try {
          await within(story.run(), "the story");
        } catch (error) {
          // The caller got the error, as with `connect`: the story ends there.
          if (!isFault(error)) throw error;
        }
        faults.disarm();
        await within(story.check(), "its end");
      } catch (error) {
        story.reactor.close();
        throw new Error(`Call ${at}, "${faults.thrown}", silences it`, {
          cause: error,
        });
      }
      if (faults.thrown === undefined) break;
      calls.add(faults.thrown);
    }
    // Calls that the story must have made, or it proves too little.
    for (
      const call of [
        "poll.poll",
        "poll.park",
        "poll.reregister",
        "stream.tryRead",
        "stream.tryWrite",
        "stream.close",
        "open()",
        "data()",
        "end()",
        "error()",
        "close()",
        "a timer",
        "broken()",
        "drain()",
        "timeout()",
        "batch.stream",
        "listener.acceptBatch",
      ]
    ) {
      assert(calls.has(call), `no fault of "${call}"`);
    }
  },
);

cleanTest(
  "a reactor that cannot go on calls onError, closes, and rejects all waits with the reason",
  async () => {
    const system = new MemorySystem();
    const reported: Error[] = [];
    const reactor = new Reactor({
      system,
      onError: (error) => void reported.push(error as Error),
    });
    const fibers = new Fibers(reactor);
    const log: unknown[] = [];
    reactor.connect(MEMORY_ADDRESS, {
      data() {},
      error: (_, error) => void log.push(error),
      close: (_, reason) => void log.push(reason),
    });
    const connecting = fibers.connect(MEMORY_ADDRESS);
    await system.settle();
    const reading = (await connecting).readChunk();
    const sleeping = fibers.sleep(1_000);
    const fiber = fibers.spawn((fiber) => fiber.sleep(1_000)).finished;
    const drained = reactor.drain();
    const cause = new TypeError("on purpose");
    system.policy = {
      call(call) {
        if (call === "poll.poll") throw cause;
      },
    };
    await system.settle();

    assert(reactor.isClosed);
    const [failure] = reported;
    assertEquals(reported.length, 1);
    assertStrictEquals(failure!.cause, cause);
    assertEquals(log, [failure, "error"]);
    await assertRejects(() => reading, Error, "on purpose");
    for (const waiting of [sleeping, fiber]) {
      const error = await assertRejects(
        () => waiting,
        Deno.errors.BadResource,
      );
      assertStrictEquals(error.cause, failure);
    }
    await within(drained, "the drain");
    await within(reactor.settled(), "the loop's end");
    const error = assertThrows(
      () => reactor.listen(MEMORY_ADDRESS, { data() {} }),
      Deno.errors.BadResource,
    );
    assertStrictEquals(error.cause, failure);
  },
);

cleanTest(
  "a reactor closes and says so, when its system reads none of a batch",
  async () => {
    const system = new MemorySystem({ batches: true });
    system.readAll = () => 0;
    const reported: Error[] = [];
    const reactor = new Reactor({
      system,
      onError: (error) => void reported.push(error as Error),
    });
    reactor.listen(MEMORY_ADDRESS, { data() {} });
    const clients = [system.arrive(), system.arrive()];
    await system.settle();
    for (const client of clients) client.receive("hello");
    await system.settle();
    assert(reactor.isClosed);
    assertEquals(reported.map(({ cause }) => (cause as Error).name), [
      "InvariantError",
    ]);
  },
);

cleanTest("Reactor.endWork() throws, when no work was begun", () => {
  using reactor = new Reactor({ system: new MemorySystem() });
  reactor.beginWork();
  reactor.endWork();
  assertThrows(() => reactor.endWork(), RangeError, '"0"');
});

Deno.test("HTTP is busy at the high-water mark of connections", () => {
  assertEquals(BUSY_BYTES, HIGH_WATER_BYTES);
});
