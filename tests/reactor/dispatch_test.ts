/** Batches: several connections are read, and written to, in one call. */

import { assert, assertEquals } from "@std/assert";
import {
  type CloseReason,
  type Connection,
  Reactor,
  type ReactorOptions,
} from "../../mod.ts";
import { Poll, TcpStream, WOULD_BLOCK } from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import type { Events } from "../../src/poll/events.ts";
import { READ_BUFFER_BYTES } from "../../src/bytes/read_buffer.ts";
import { WRITE_BUFFER_BYTES } from "../../src/bytes/write_buffer.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  type MemoryPolicy,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { engineOf } from "../util/engine.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import { readTextToEnd } from "../util/deno_client.ts";
import { runScript } from "../util/scripts.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";

const EPIPE = -errnoNumber("EPIPE");
const ECONNRESET = -errnoNumber("ECONNRESET");
const ENOBUFS = -errnoNumber("ENOBUFS");

/** What a connection does with its bytes. */
type Act = (
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
) => void;

/** Connections "a", "b", ... on one system in memory, and a log of events. */
class Crowd implements Disposable {
  readonly reactor: Reactor;
  /** What each connection does with its bytes; nothing by default. */
  readonly acts: Record<string, Act> = {};
  /** What each connection does in `error`. */
  readonly failing: Record<string, () => void> = {};
  /** The events, one line each. */
  log: string[] = [];
  /** How many streams each call read, and how many it wrote to. */
  readonly calls: string[] = [];
  /** Results of the next reads of a connection, instead of the true ones. */
  readonly reads: Record<string, number[]> = {};
  /** How many bytes a read of a connection returns at the most. */
  readonly readMax: Record<string, number> = {};
  /** The error of each write of a connection. */
  readonly failures: Record<string, number> = {};
  readonly #streams = new Map<string, MemoryStream>();
  readonly #connections = new Map<string, Connection>();

  private constructor(
    readonly system: MemorySystem,
    options: ReactorOptions,
  ) {
    this.reactor = new Reactor({ system, ...options });
    const nameOf = (stream: MemoryStream) =>
      [...this.#streams].find(([, one]) => one === stream)?.[0] ?? "";
    Object.assign(
      system.policy,
      {
        read: (stream, most) => {
          const name = nameOf(stream);
          const max = this.readMax[name] ?? most;
          return this.reads[name]?.shift() ?? (most > max ? max : undefined);
        },
        write: (stream) => this.failures[nameOf(stream)],
        log: (name, what) => void (name === "system" && this.calls.push(what)),
      } satisfies MemoryPolicy,
    );
  }

  /** Returns a crowd with one connection for each letter. */
  static async of(
    names: string,
    options: ReactorOptions = {},
    system: MemorySystem = new MemorySystem({ batches: true }),
  ): Promise<Crowd> {
    const crowd = new Crowd(system, options);
    const coming = [...names];
    crowd.#listen(() => coming.shift()!);
    for (const name of names) crowd.#streams.set(name, system.arrive());
    await system.settle();
    crowd.forget();
    return crowd;
  }

  stream(name: string): MemoryStream {
    return this.#streams.get(name)!;
  }

  connection(name: string): Connection {
    return this.#connections.get(name)!;
  }

  /** Each connection receives its text, all in one turn. */
  async receive(texts: Record<string, string | number>): Promise<void> {
    for (const [name, text] of Object.entries(texts)) {
      this.stream(name).receive(text);
    }
    await this.system.settle();
  }

  /** Clears the log. */
  forget(): void {
    this.log = [];
    this.calls.length = 0;
  }

  [Symbol.dispose](): void {
    this.reactor.close();
  }

  #listen(nextName: () => string): void {
    const names = new Map<Connection, string>();
    const note = (connection: Connection, what: string): string => {
      const name = names.get(connection)!;
      this.log.push(`${name} ${what}`);
      return name;
    };
    this.reactor.listen(LOOPBACK, {
      open: (connection) => {
        const name = nextName();
        names.set(connection, name);
        this.#connections.set(name, connection);
      },
      data: (connection, bytes, start, end) => {
        const text = decoded(bytes, start, end);
        const name = note(
          connection,
          text.length > 9 ? `${text.length}` : text,
        );
        this.acts[name]?.(bytes, start, end);
      },
      end: (connection) => void note(connection, "ends"),
      ending: (connection) => void note(connection, "is ending"),
      error: (connection, error) => {
        this.failing[note(connection, error.name)]?.();
      },
      close: (connection, reason: CloseReason) =>
        void note(connection, `closed: ${reason}`),
    });
  }
}

/** Returns a system that returns each event twice. */
function doublingSystem(): MemorySystem {
  const events = (events: Events) => {
    const [first, end] = [2, 2 + 2 * events.length];
    events.words.copyWithin(end, first, end);
    events.length *= 2;
  };
  return new MemorySystem({ batches: true, policy: { events } });
}

// Reading.

Deno.test("readable connections are read in one call, and get their bytes in order", async () => {
  using crowd = await Crowd.of("abc");
  await crowd.receive({ b: "two", a: "one", c: "three" });
  assertEquals(crowd.calls, ["read 3 of 3"]);
  assertEquals(crowd.log, ["b two", "a one", "c three"]);
  assertEquals(crowd.reactor.stats().reads, 3);
  assertEquals(crowd.reactor.stats().bytesIn, 11);
});

Deno.test("a connection that alone has something to read is read by itself", async () => {
  using crowd = await Crowd.of("abc");
  await crowd.receive({ b: "two" });
  assertEquals(crowd.calls, []);
  assertEquals(crowd.log, ["b two"]);
});

Deno.test("events are acted on in their order, when some are not only to read", async () => {
  using crowd = await Crowd.of("abcde");
  crowd.stream("a").receive("1");
  crowd.stream("b").receive("2");
  crowd.stream("c").receiveEnd();
  crowd.system.arrive();
  crowd.stream("d").receive("4");
  crowd.stream("e").receive("5");
  await crowd.system.settle();
  assertEquals(crowd.calls, ["read 2 of 2", "read 2 of 2"]);
  assertEquals(crowd.log, ["a 1", "b 2", "c ends", "d 4", "e 5"]);
});

Deno.test("a connection that could also write is read with the others, unless it has unsent bytes", async () => {
  using crowd = await Crowd.of("abc");
  crowd.stream("a").room = 1;
  crowd.acts.a = () => void crowd.connection("a").write(encoded("xyz"));
  await crowd.receive({ a: "1", b: "2" });
  crowd.forget();
  delete crowd.acts.a;
  crowd.stream("a").makeRoom(1);
  await crowd.receive({ a: "3", b: "4", c: "5" });
  assertEquals(crowd.calls, ["read 2 of 2"]);
  crowd.stream("a").makeRoom(1);
  await crowd.system.settle();
  assertEquals(crowd.stream("a").text, "xyz");
  crowd.forget();
  crowd.stream("a").makeRoom(1);
  await crowd.receive({ a: "6", b: "7", c: "8" });
  assertEquals(crowd.calls, ["read 3 of 3"]);
});

Deno.test("a batch stops when there is little room left, and goes on with the rest", async () => {
  using crowd = await Crowd.of("abcd");
  const large = READ_BUFFER_BYTES - 1_000;
  await crowd.receive({ a: "1", b: large, c: "3", d: "4" });
  assertEquals(crowd.calls, ["read 2 of 4", "read 2 of 2"]);
  assertEquals(crowd.log, ["a 1", `b ${large}`, "c 3", "d 4"]);
});

Deno.test("a connection that fills the room is read on, before the others have theirs", async () => {
  using crowd = await Crowd.of("abc");
  let received = 0;
  crowd.acts.b = (_bytes, start, end) => void (received += end - start);
  const large = 2 * READ_BUFFER_BYTES + 5;
  await crowd.receive({ a: "1", b: large, c: "3" });
  assertEquals(received, large);
  assertEquals(crowd.log, [
    "a 1",
    `b ${READ_BUFFER_BYTES - 1}`,
    `b ${READ_BUFFER_BYTES}`,
    "b xxxxxx",
    "c 3",
  ]);
});

for (const how of ["abort", "close", "closeLingering"] as const) {
  Deno.test(`a connection that another ends by ${how}() does not get the bytes that were read for it`, async () => {
    using crowd = await Crowd.of("abc");
    crowd.acts.a = () => crowd.connection("b")[how]();
    await crowd.receive({ a: "1", b: "2", c: "3" });
    assertEquals(crowd.calls, ["read 3 of 3"]);
    const reason = how === "abort" ? "aborted" : "closed";
    const end = how === "closeLingering" ? [] : [`b closed: ${reason}`];
    assertEquals(crowd.log, ["a 1", ...end, "c 3"]);
    assertEquals(crowd.reactor.stats().memoryBytes, 0);
  });
}

Deno.test("a connection that another closes does not get the bytes that were read, while it has unsent bytes", async () => {
  using crowd = await Crowd.of("abc");
  crowd.stream("b").room = 1;
  crowd.acts.a = () => {
    crowd.connection("b").write(encoded("xyz"));
    crowd.connection("b").close();
  };
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log, ["a 1", "c 3"]);
  assert(crowd.reactor.stats().memoryBytes > 0);
  crowd.stream("b").makeRoom(2);
  await crowd.system.settle();
  assertEquals(crowd.log, ["a 1", "c 3", "b closed: closed"]);
  assertEquals(crowd.stream("b").text, "xyz");
});

Deno.test("a lingering connection that another closes throws away the bytes that were read", async () => {
  using crowd = await Crowd.of("abc");
  crowd.stream("b").room = 1;
  crowd.acts.a = () => {
    crowd.connection("b").write(encoded("xyz"));
    crowd.connection("b").closeLingering();
    crowd.connection("b").close();
  };
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log, ["a 1", "c 3"]);
  assert(crowd.reactor.stats().memoryBytes > 0);
});

Deno.test("a connection still gets the bytes that were read, when another closes its half", async () => {
  using crowd = await Crowd.of("ab");
  crowd.acts.a = () => crowd.connection("b").closeWrite();
  await crowd.receive({ a: "1", b: "2" });
  assertEquals(crowd.log, ["a 1", "b 2"]);
});

Deno.test("a connection that another makes linger gets its peer's end", async () => {
  using crowd = await Crowd.of("ab");
  crowd.acts.a = () => crowd.connection("b").closeLingering();
  crowd.reads.b = [0];
  await crowd.receive({ a: "1", b: "2" });
  assertEquals(crowd.log, ["a 1", "b closed: closed"]);
});

Deno.test("the first handler of a batch can close the reactor", async () => {
  const crowd = await Crowd.of("abc");
  crowd.acts.a = () => crowd.reactor.close();
  for (const name of "abc") crowd.stream(name).receive(name);
  await crowd.system.settle();
  assertEquals(crowd.log.filter((line) => !line.includes("closed")), ["a a"]);
});

Deno.test("an error that a handler throws ends its connection, and the rest of the batch goes on", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.b = () => {
    throw new RangeError("The handler failed");
  };
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log, [
    "a 1",
    "b 2",
    "b RangeError",
    "b closed: error",
    "c 3",
  ]);
});

// Pausing another connection.

Deno.test("a connection that another pauses gets the bytes that were read when it resumes, in order", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.a = () => crowd.connection("b").pause();
  await crowd.receive({ a: "1", b: "two", c: "3" });
  assertEquals(crowd.log, ["a 1", "c 3"]);
  assert(crowd.reactor.stats().memoryBytes > 0);
  await crowd.receive({ b: "later", c: "4" });
  assertEquals(crowd.log, ["a 1", "c 3", "c 4"]);
  crowd.connection("b").resume();
  await crowd.system.settle();
  assertEquals(crowd.log, ["a 1", "c 3", "c 4", "b two", "b later"]);
  assertEquals(crowd.reactor.stats().memoryBytes, 0);
  assertEquals(crowd.reactor.stats().bytesIn, 11);
  crowd.forget();
  await crowd.receive({ c: "5", b: "6" });
  assertEquals(crowd.calls, ["read 2 of 2"]);
});

Deno.test("a connection that pauses and resumes within a batch gets its bytes at once", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.a = () => {
    crowd.connection("b").pause();
    crowd.connection("b").resume();
  };
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log, ["a 1", "b 2", "c 3"]);
  assertEquals(crowd.reactor.stats().memoryBytes, 0);
});

Deno.test("a connection that resumes after its place in the batch gets its bytes in the next turn", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.a = () => crowd.connection("b").pause();
  crowd.acts.c = () => crowd.connection("b").resume();
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log, ["a 1", "c 3", "b 2"]);
});

Deno.test("a connection that pauses again while it gets kept bytes gets the rest later", async () => {
  using crowd = await Crowd.of("ab");
  crowd.acts.a = () => crowd.connection("b").pause();
  await crowd.receive({ a: "1", b: "abcdefgh" });
  const bytes = new Uint8Array(3);
  const connection = crowd.connection("b");
  engineOf(connection).target = { bytes, start: 0 };
  crowd.acts.b = () => connection.pause();
  for (const [text, isLast] of [["abc"], ["def"], ["gh", true]]) {
    crowd.forget();
    connection.resume();
    await crowd.system.settle();
    assertEquals(crowd.log, [`b ${text}`]);
    assertEquals(crowd.reactor.stats().memoryBytes === 0, isLast === true);
  }
});

for (const how of ["abort", "close", "closeLingering"] as const) {
  Deno.test(`bytes kept for a paused connection are freed by ${how}(), and handed to no handler`, async () => {
    using crowd = await Crowd.of("ab");
    crowd.acts.a = () => crowd.connection("b").pause();
    await crowd.receive({ a: "1", b: "two" });
    assert(crowd.reactor.stats().memoryBytes > 0);
    crowd.connection("b")[how]();
    await crowd.system.settle();
    assertEquals(crowd.reactor.stats().memoryBytes, 0);
    assertEquals(crowd.log.filter((line) => line === "b two"), []);
  });
}

Deno.test("paused connections are shed when too many bytes are kept for them", async () => {
  using crowd = await Crowd.of("abc", { memoryBytesMax: 20_000 });
  crowd.acts.a = () => {
    crowd.connection("b").pause();
    crowd.connection("c").pause();
  };
  await crowd.receive({ a: "1", b: 30_000, c: 30 });
  assert(crowd.reactor.stats().memoryBytes > 20_000);
  crowd.forget();
  await crowd.system.pass(11_000);
  assertEquals(crowd.log, ["b closed: shed"]);
});

Deno.test("a connection that another pauses gets ending at once, and end after the kept bytes", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.a = () => crowd.connection("b").pause();
  await crowd.receive({ a: "1", b: "2", c: "3" });
  crowd.stream("b").receiveEnd();
  await crowd.system.settle();
  assertEquals(crowd.log, ["a 1", "c 3", "b is ending"]);
  crowd.connection("b").resume();
  await crowd.system.settle();
  assertEquals(crowd.log, ["a 1", "c 3", "b is ending", "b 2", "b ends"]);
});

Deno.test("an end that was read for a connection that another pauses comes when it resumes", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.a = () => crowd.connection("b").pause();
  // The end comes after the event that reports the bytes, and before the read.
  crowd.reads.b = [0];
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log, ["a 1", "b is ending", "c 3"]);
  assert(crowd.connection("b").peerHasEnded);
  crowd.reads.b = [0];
  crowd.connection("b").resume();
  await crowd.system.settle();
  assertEquals(crowd.log, ["a 1", "b is ending", "c 3", "b ends"]);
});

Deno.test("an error that was read for a connection that another pauses ends it", async () => {
  for (const how of ["pause", "close"] as const) {
    using crowd = await Crowd.of("abc");
    crowd.stream("b").room = 0;
    crowd.acts.a = () => {
      crowd.connection("b").write(new Uint8Array(5_000));
      crowd.connection("b")[how]();
    };
    crowd.reads.b = [ECONNRESET];
    await crowd.receive({ a: "1", b: "2", c: "3" });
    assertEquals(crowd.log, [
      "a 1",
      "b ConnectionReset",
      "b closed: error",
      "c 3",
    ]);
    assertEquals(crowd.reactor.stats().memoryBytes, 0);
  }
});

Deno.test("a connection that another stops goes on, when there was nothing to read after all", async () => {
  using crowd = await Crowd.of("abc");
  crowd.acts.a = () => crowd.connection("b").pause();
  crowd.reads.b = [WOULD_BLOCK];
  await crowd.receive({ a: "1", b: "2", c: "3" });
  delete crowd.acts.a;
  crowd.connection("b").resume();
  await crowd.receive({ b: "4" });
  assertEquals(crowd.log, ["a 1", "c 3", "b 24"]);
});

// Two events of one connection in a batch.

Deno.test("a connection with two events in a batch gets its bytes in order", async () => {
  using crowd = await Crowd.of("abc", {}, doublingSystem());
  for (const name of "abc") crowd.readMax[name] = 1;
  await crowd.receive({ a: "12", b: "34", c: "56" });
  assertEquals(crowd.calls, ["read 6 of 6"]);
  assertEquals(crowd.log, ["a 1", "b 3", "c 5", "a 2", "b 4", "c 6"]);
});

Deno.test("a connection with two events that another stops keeps both in order", async () => {
  using crowd = await Crowd.of("abc", {}, doublingSystem());
  crowd.acts.a = () => crowd.connection("b").pause();
  crowd.readMax.b = 2;
  await crowd.receive({ a: "1", b: "wxyz", c: "3" });
  assertEquals(crowd.log, ["a 1", "c 3"]);
  assert(crowd.reactor.stats().memoryBytes > 0);
  crowd.connection("b").resume();
  await crowd.system.settle();
  assertEquals(crowd.log, ["a 1", "c 3", "b wxyz"]);
  assertEquals(crowd.reactor.stats().memoryBytes, 0);
});

Deno.test("a connection with two events that resumes between them gets its bytes in order", async () => {
  using crowd = await Crowd.of("abc", {}, doublingSystem());
  crowd.acts.a = () => crowd.connection("b").pause();
  crowd.acts.c = () => crowd.connection("b").resume();
  crowd.readMax.b = 2;
  await crowd.receive({ a: "1", b: "wxyz", c: "3" });
  assertEquals(crowd.log, ["a 1", "c 3", "b wxyz"]);
});

Deno.test("a connection with two events gets its end once", async () => {
  using crowd = await Crowd.of("ab", {}, doublingSystem());
  crowd.reads.b = [0, 0];
  await crowd.receive({ a: "1", b: "2" });
  assertEquals(crowd.log, ["a 1", "b ends"]);
});

// Retaining bytes.

Deno.test("bytes that connections of a batch retain are never overwritten, and others are", async () => {
  using crowd = await Crowd.of("abcd");
  const kept: { text: string; bytes: Uint8Array; start: number }[] = [];
  const starts: number[] = [];
  for (const name of "abcd") {
    crowd.acts[name] = (bytes, start, end) => {
      starts.push(start);
      if (name !== "b" && name !== "d") return;
      engineOf(crowd.connection(name)).retain(end);
      kept.push({ text: decoded(bytes, start, end), bytes, start });
    };
  }
  for (let round = 0; round < 40; round++) {
    const text = (name: string) => `${name}${round}`.repeat(700);
    await crowd.receive({ a: text("a"), b: text("b"), c: text("c") });
    await crowd.receive({ c: text("e"), d: text("d"), a: text("f") });
  }
  assertEquals(kept.length, 80);
  for (const { text, bytes, start } of kept) {
    assert(text === decoded(bytes, start, start + text.length));
  }
  assertEquals(starts.slice(0, 4), [0, 1_400, 2_800, 2_800]);
});

Deno.test("a batch takes no room when no connection retains its bytes", async () => {
  using crowd = await Crowd.of("abc");
  const starts: number[] = [];
  for (const name of "abc") {
    crowd.acts[name] = (_bytes, start) => void starts.push(start);
  }
  await crowd.receive({ a: 10, b: 20, c: 30 });
  await crowd.receive({ c: 5, a: 5 });
  assertEquals(starts, [0, 10, 30, 0, 5]);
});

// Writing.

/** Lets each connection answer its bytes in capitals. */
function answering(crowd: Crowd, names: string): void {
  for (const name of names) {
    crowd.acts[name] = (bytes, start, end) => {
      const text = decoded(bytes, start, end).toUpperCase();
      crowd.connection(name).write(encoded(text));
    };
  }
}

Deno.test("the answers of a turn leave in one call", async () => {
  using crowd = await Crowd.of("abc");
  answering(crowd, "abc");
  await crowd.receive({ a: "one", b: "two", c: "three" });
  assertEquals(crowd.calls, ["read 3 of 3", "write 3"]);
  const texts = [..."abc"].map((name) => crowd.stream(name).text);
  assertEquals(texts, ["ONE", "TWO", "THREE"]);
  assertEquals(crowd.reactor.stats().writes, 3);
  assertEquals(crowd.reactor.stats().bytesOut, 11);
});

Deno.test("bytes of a batch that the system does not take leave later, in order", async () => {
  using crowd = await Crowd.of("abc");
  answering(crowd, "abc");
  crowd.stream("a").room = 2;
  crowd.stream("c").room = 0;
  await crowd.receive({ a: "one", b: "two", c: "three" });
  assert(crowd.reactor.stats().memoryBytes > 0);
  await crowd.receive({ a: "four", b: "five", c: "six" });
  for (const name of "ac") crowd.stream(name).makeRoom(100);
  await crowd.receive({ a: "7", b: "8", c: "9" });
  const texts = [..."abc"].map((name) => crowd.stream(name).text);
  assertEquals(texts, ["ONEFOUR7", "TWOFIVE8", "THREESIX9"]);
  assertEquals(crowd.reactor.stats().memoryBytes, 0);
});

Deno.test("an error handler may write to the other connections of a batch, close and abort them", async () => {
  using crowd = await Crowd.of("abcdef");
  answering(crowd, "abcdef");
  crowd.failures.a = EPIPE;
  crowd.stream("b").room = 1;
  crowd.failures.e = ENOBUFS;
  crowd.failing.a = () => {
    crowd.connection("b").write(encoded("!"));
    crowd.connection("b").close();
    crowd.connection("c").write(encoded("!"));
    crowd.connection("c").close();
    crowd.connection("d").abort();
    crowd.connection("e").write(encoded("never sent"));
    crowd.connection("f").write(new Uint8Array(5_000).fill(33));
  };
  const texts = { a: "one", b: "two", c: "three", d: "four", e: "five" };
  await crowd.receive({ ...texts, f: "six" });
  assertEquals(crowd.log.slice(6), [
    "a BrokenPipe",
    "c closed: closed",
    "d closed: aborted",
    "a closed: error",
    "e Error",
    "e closed: error",
  ]);
  assertEquals(crowd.stream("b").text, "T");
  assertEquals(crowd.stream("c").text, "THREE!");
  assertEquals(crowd.stream("d").text, "FOUR");
  assertEquals(crowd.stream("e").text, "");
  assertEquals(crowd.stream("f").text, "SIX" + "!".repeat(5_000));
  assert(crowd.reactor.stats().memoryBytes > 0);
  crowd.stream("b").makeRoom(100);
  await crowd.system.settle();
  assertEquals(crowd.stream("b").text, "TWO!");
  assertEquals(crowd.log.at(-1), "b closed: closed");
  assertEquals(crowd.reactor.stats().memoryBytes, 0);
});

Deno.test("a connection that another aborts before its own error is handled gets no error", async () => {
  using crowd = await Crowd.of("abc");
  answering(crowd, "abc");
  crowd.failures.a = EPIPE;
  crowd.failures.b = EPIPE;
  crowd.failing.a = () => crowd.connection("b").abort();
  await crowd.receive({ a: "1", b: "2", c: "3" });
  assertEquals(crowd.log.slice(3), [
    "a BrokenPipe",
    "b closed: aborted",
    "a closed: error",
  ]);
  assertEquals(crowd.stream("c").text, "3");
});

Deno.test("a connection that is answered in small pieces, beside others, has them in order", async () => {
  using crowd = await Crowd.of("abc");
  for (const name of "abc") {
    crowd.acts[name] = () => {
      for (const other of "abc") {
        crowd.connection(other).write(encoded(`${name}>`));
      }
    };
  }
  await crowd.receive({ a: "1", b: "2", c: "3" });
  const texts = [..."abc"].map((name) => crowd.stream(name).text);
  assertEquals(texts, ["a>b>c>", "a>b>c>", "a>b>c>"]);
  assertEquals([..."abc"].map((name) => crowd.stream(name).writes), [1, 1, 1]);
});

Deno.test("Connection.write() returns false at the high-water mark, also when making room shows it", async () => {
  using crowd = await Crowd.of("ab");
  crowd.stream("b").room = 0;
  const piece = new Uint8Array(2_048);
  let written = 0;
  crowd.acts.a = () => {
    while (crowd.connection("b").write(piece)) written += piece.byteLength;
  };
  await crowd.receive({ a: "1" });
  // This fills the shared buffer: the next piece makes it flush.
  assertEquals(written, WRITE_BUFFER_BYTES);
  assert(WRITE_BUFFER_BYTES >= HIGH_WATER_BYTES);
  const { bufferedBytes } = crowd.connection("b");
  assertEquals(bufferedBytes, written + piece.byteLength);
});

// On real sockets.

/** Connects clients of the reactor, which do nothing by themselves. */
async function clientsOf(
  reactor: Reactor,
  address: Deno.NetAddr,
  count: number,
): Promise<TcpStream[]> {
  const clients = Array.from(
    { length: count },
    () => TcpStream.connect(address),
  );
  await eventually("all to be open", () => reactor.stats().open === count);
  return clients;
}

/** Reads exactly `length` bytes, while the reactor runs. */
async function readExactly(
  stream: TcpStream,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let received = 0;
  await eventually(`${length} bytes`, () => {
    const count = stream.read(bytes, received);
    if (count !== WOULD_BLOCK) received += count;
    return received === length;
  });
  return bytes;
}

for (const backend of Poll.backends()) {
  cleanTest(
    `each of fifty peers gets its own echo, when all write at once, on ${backend}`,
    async () => {
      using reactor = new Reactor({ backend });
      const { addr } = reactor.listen(LOOPBACK, {
        data: (connection, bytes, start, end) => {
          connection.write(bytes, start, end);
        },
      });
      const clients = await clientsOf(reactor, addr, 50);
      for (let round = 0; round < 5; round++) {
        const sent = clients.map((_, at) =>
          randomBytes(1 + (at * 997 + round * 31) % 9_000, at)
        );
        // All at once: the reactor runs again at the next `await`.
        clients.forEach((client, at) => {
          assertEquals(client.write(sent[at]!), sent[at]!.byteLength);
        });
        for (const [at, client] of clients.entries()) {
          const { byteLength } = sent[at]!;
          const received = await readExactly(client, byteLength);
          assert(sameBytes(sent[at]!, received), `client ${at}`);
        }
      }
      for (const client of clients) client.close();
    },
  );

  cleanTest(
    `peers that others stop and let go on lose nothing, on ${backend}`,
    async () => {
      using reactor = new Reactor({ backend });
      const all: Connection<string>[] = [];
      const { addr } = reactor.listen<string>(LOOPBACK, {
        open: (connection) => {
          connection.data = "";
          all.push(connection);
        },
        data: (connection, bytes, start, end) => {
          connection.data += decoded(bytes, start, end);
          const others = all.filter((other) => other !== connection);
          for (const other of others) other.pause();
          reactor.setTimer(0, () => others.forEach((other) => other.resume()));
        },
      });
      const clients = await clientsOf(reactor, addr, 20);
      const expected: string[] = [];
      for (let round = 0; round < 20; round++) {
        clients.forEach((client, at) => {
          const text = `${at} in round ${round}; `;
          expected[at] = (expected[at] ?? "") + text;
          assertEquals(client.write(encoded(text)), text.length);
        });
        await new Promise((resolve) => setImmediate(resolve));
      }
      const sorted = (texts: string[]) => texts.toSorted().join("\n");
      const wanted = sorted(expected);
      const heard = () => sorted(all.map(({ data }) => data));
      await eventually("all to come", () => heard() === wanted);
      assertEquals(reactor.stats().memoryBytes, 0);
      for (const client of clients) client.close();
    },
  );
}

cleanTest(
  "peers that have gone take no bytes from others that are answered in the same call",
  async () => {
    using reactor = new Reactor();
    const { addr } = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        // Twice: the second write meets the reset that the first one caused.
        connection.write(bytes, start, end);
        reactor.setTimer(0, () => void connection.write(encoded("again")));
      },
    });
    const clients = await clientsOf(reactor, addr, 20);
    for (const client of clients) client.write(encoded("hello"));
    const staying = clients.filter((_, at) => at % 2 === 0);
    for (const client of clients) {
      if (staying.includes(client)) continue;
      client.resetOnClose = true;
      client.close();
    }
    for (const client of staying) {
      assertEquals(decoded(await readExactly(client, 10)), "helloagain");
    }
    await eventually("the others to go", () => reactor.stats().open === 10);
    for (const client of staying) client.close();
  },
);

cleanTest(
  "bytes that a timer of Deno writes leave, when nothing keeps the process alive",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    // By chance, the process ends before the turn that would send the bytes.
    const scripts = Array.from(
      { length: 4 },
      () => runScript("writes_unrefed.ts", { args: [`${port}`] }),
    );
    for (let left = scripts.length; left > 0; left--) {
      using client = await listener.accept();
      assertEquals(await readTextToEnd(client), "bye");
    }
    for (const { code, stderr } of await Promise.all(scripts)) {
      assertEquals({ code, stderr }, { code: 0, stderr: "" });
    }
  },
);

cleanTest(
  "a range of half a byte ends its own connection, and harms no other's bytes",
  async () => {
    using reactor = new Reactor();
    const failed: string[] = [];
    const { addr } = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        const isOdd = (end - start) % 2 === 1;
        if (isOdd) connection.write(bytes, start, start + (end - start) / 2);
        else connection.write(bytes, start, end);
      },
      error: (_connection, error) => void failed.push(error.name),
    });
    const clients = await clientsOf(reactor, addr, 3);
    const texts = ["even", "odd", "more"];
    clients.forEach((client, at) => client.write(encoded(texts[at]!)));
    assertEquals(decoded(await readExactly(clients[0]!, 4)), "even");
    assertEquals(decoded(await readExactly(clients[2]!, 4)), "more");
    await eventually("the failure", () => failed.length > 0);
    assertEquals(failed, ["RangeError"]);
    for (const client of clients) client.close();
  },
);
