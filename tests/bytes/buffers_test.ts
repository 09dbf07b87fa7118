/** The read buffer and the write buffer that connections share. */

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { InvariantError } from "../../src/base/assert.ts";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import type { WriteBatch } from "../../src/net/batches.ts";
import { READ_BUFFER_BYTES, ReadBuffer } from "../../src/bytes/read_buffer.ts";
import {
  WRITE_BUFFER_BYTES,
  WriteBuffer,
  type WriteTarget,
} from "../../src/bytes/write_buffer.ts";

/** What a write fails with. */
const FAILURE = -32;

/** Where runs go: writes down each send as text. */
class Target implements WriteTarget {
  static #handles = 0;
  runs = 0;
  readonly handle: number = ++Target.#handles;
  readonly sends: string[] = [];
  /** What the system did not take, in order. */
  unsent = "";
  /** What it failed with, if it did. */
  failure: number | undefined;
  /** What the system takes of so many bytes: all, unless it is said. */
  takes: (length: number) => number = (length) => length;
  readonly #log: string[] | undefined;

  constructor(
    readonly name: string = "",
    log?: string[],
    readonly onSend: () => void = () => {},
    readonly onFailure: () => void = () => {},
  ) {
    this.#log = log;
  }

  get sendsAtOnce(): boolean {
    return this.unsent === "" && this.failure === undefined;
  }

  /** Does what the system does. */
  write(bytes: Uint8Array, start: number, end: number): number {
    const count = this.takes(end - start);
    if (count <= 0) return count;
    const text = new TextDecoder().decode(bytes.subarray(start, start + count));
    this.sends.push(text);
    this.#log?.push(`${this.name}:${text}`);
    return count;
  }

  /** What it was ended with, if it was. */
  thrown: unknown;

  fail(error: unknown): void {
    this.thrown = error;
  }

  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    if (this.failure !== undefined) return;
    if (this.unsent !== "") return this.#keep(bytes, start, end);
    const count = this.write(bytes, start, end);
    if (!this.sent(bytes, start, end, count)) this.failSending(count);
    this.onSend();
  }

  sent(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    count: number,
  ): boolean {
    assert(this.sendsAtOnce, "nothing may wait, and it may not have failed");
    if (count < 0 && count !== WOULD_BLOCK) return false;
    this.#keep(bytes, start + Math.max(0, count), end);
    return true;
  }

  failSending(code: number): void {
    this.failure = code;
    this.#log?.push(`${this.name} fails: ${code}`);
    this.onFailure();
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.unsent += new TextDecoder().decode(bytes.subarray(start, end));
  }
}

/** Writes to several of `targets` in one call, and logs for how many. */
function writeAllTo(targets: readonly Target[], calls: number[] = []) {
  return (batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>) => {
    calls.push(batch.length);
    for (let index = 0; index < batch.length; index++) {
      const handle = batch.handle(index);
      const target = targets.find((one) => one.handle === handle)!;
      const [start, end] = [batch.start(index), batch.end(index)];
      batch.setCount(index, target.write(bytes, start, end));
    }
  };
}

/** Writes ASCII for `target`; returns whether there was room. */
function put(output: WriteBuffer, target: Target, text: string): boolean {
  if (!output.reserve(target, text.length)) return false;
  new TextEncoder().encodeInto(text, output.bytes.subarray(output.length));
  output.length += text.length;
  return true;
}

Deno.test("WriteBuffer.flush() sends nothing, when nothing waits", () => {
  const output = new WriteBuffer();
  const target = new Target();
  output.flush();
  output.flushFor(target);
  put(output, target, "");
  output.flush();
  assertEquals(target.sends, []);
  assertEquals(target.runs, 0);
});

Deno.test("WriteBuffer.flush() sends all of one owner at once, and no byte twice", () => {
  const output = new WriteBuffer();
  const target = new Target();
  for (const text of ["one ", "two ", "three"]) put(output, target, text);
  output.flush();
  output.flush();
  assertEquals(target.sends, ["one two three"]);
  assertEquals(output.length, 0);
});

Deno.test("WriteBuffer.flush() sends once an owner and in order, when owners are mixed", () => {
  const output = new WriteBuffer();
  const log: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => new Target(name, log));
  put(output, a!, "1");
  put(output, b!, "2");
  put(output, a!, "3");
  put(output, c!, "4");
  put(output, b!, "5");
  put(output, a!, "6");
  output.flush();
  assertEquals(log, ["a:136", "b:25", "c:4"]);
  for (const target of [a!, b!, c!]) assertEquals(target.runs, 0);
});

Deno.test("WriteBuffer.flushFor() sends what one owner wrote, and leaves the others'", () => {
  const output = new WriteBuffer();
  const log: string[] = [];
  const [a, b] = ["a", "b"].map((name) => new Target(name, log));
  put(output, a!, "1");
  put(output, b!, "2");
  put(output, a!, "3");
  output.flushFor(a!);
  assertEquals(log, ["a:13"]);
  put(output, a!, "4");
  output.flush();
  assertEquals(log, ["a:13", "b:2", "a:4"]);
});

Deno.test("WriteBuffer.drop() forgets what an owner wrote, and nothing else", () => {
  const output = new WriteBuffer();
  const log: string[] = [];
  const [a, b] = ["a", "b"].map((name) => new Target(name, log));
  put(output, a!, "1");
  put(output, b!, "2");
  put(output, a!, "3");
  output.drop(a!);
  assertEquals(a!.runs, 0);
  output.flush();
  assertEquals(log, ["b:2"]);
});

Deno.test("WriteBuffer.reserve() sends what is in the way, when there is no room", () => {
  const output = new WriteBuffer();
  const [a, b] = [new Target(), new Target()];
  const half = "x".repeat(WRITE_BUFFER_BYTES / 2);
  assert(put(output, a, half));
  assert(put(output, b, half));
  assertEquals(a.sends, []);
  assert(put(output, a, "y"));
  assertEquals([a.sends, b.sends], [[half], [half]]);
  output.flush();
  assertEquals(a.sends, [half, "y"]);
});

Deno.test("WriteBuffer.reserve() says no and keeps what waits, when it can never hold so much", () => {
  const output = new WriteBuffer();
  const target = new Target();
  put(output, target, "waits");
  assertEquals(output.reserve(target, WRITE_BUFFER_BYTES + 1), false);
  assertEquals(target.sends, []);
  output.flush();
  assertEquals(target.sends, ["waits"]);
  assert(output.reserve(target, WRITE_BUFFER_BYTES));
});

Deno.test("WriteBuffer.flush() also sends what is written meanwhile", () => {
  const output = new WriteBuffer();
  const log: string[] = [];
  const b = new Target("b", log);
  let answers = 2;
  const a: Target = new Target("a", log, () => {
    if (answers-- > 0) put(output, a, "again");
    put(output, b, "told");
  });
  put(output, a, "1");
  put(output, b, "2");
  output.flush();
  output.flush();
  assertEquals(log.filter((line) => line.startsWith("a:")), [
    "a:1",
    "a:again",
    "a:again",
  ]);
  assertEquals(b.sends.join(""), "2toldtoldtold");
  assertEquals([a.runs, b.runs, output.length], [0, 0, 0]);
});

Deno.test("WriteBuffer.reserve() says no, when a flush is going on and the buffer is full", () => {
  const output = new WriteBuffer();
  const found: boolean[] = [];
  const a: Target = new Target("a", undefined, () => {
    found.push(put(output, a, "no room"));
  });
  put(output, a, "x".repeat(WRITE_BUFFER_BYTES));
  output.flush();
  assertEquals(found, [false]);
  assert(put(output, a, "room again"));
});

Deno.test("WriteBuffer.flush() sends to the others, when one fails and takes others with it", () => {
  const output = new WriteBuffer();
  const log: string[] = [];
  const [a, c, d] = ["a", "c", "d"].map((name) => new Target(name, log));
  const b: Target = new Target("b", log, () => {
    output.drop(b);
    output.drop(c!);
  });
  for (const [target, text] of [[a, 1], [b, 2], [c, 3], [d, 4]] as const) {
    put(output, target!, `${text}`);
  }
  put(output, b, "5");
  put(output, a!, "6");
  output.flush();
  assertEquals(log, ["a:16", "b:25", "d:4"]);
});

Deno.test("WriteBuffer.flush() sends to several in one call, and alone to who is alone", () => {
  const targets = ["a", "b", "c"].map((name) => new Target(name));
  const calls: number[] = [];
  const output = new WriteBuffer(writeAllTo(targets, calls));
  for (const target of targets) put(output, target, target.name);
  output.flush();
  assertEquals(calls, [3]);
  put(output, targets[0]!, "more");
  output.flush();
  assertEquals(calls, [3]);
  assertEquals(targets.map(({ sends }) => sends.join()), ["a,more", "b", "c"]);
  assertEquals(targets.map(({ runs }) => runs), [0, 0, 0]);
});

Deno.test("WriteBuffer.flush() leaves to themselves who has several runs, or unsent bytes", () => {
  const targets = ["a", "b", "c", "d"].map((name) => new Target(name));
  const [a, b, c, d] = targets as [Target, Target, Target, Target];
  const calls: number[] = [];
  const output = new WriteBuffer(writeAllTo(targets, calls));
  put(output, a, "1");
  put(output, b, "2");
  put(output, a, "3");
  b.unsent = "before";
  put(output, c, "4");
  put(output, d, "");
  put(output, d, "5");
  output.flush();
  assertEquals(calls, [2]);
  assertEquals([a.sends, c.sends, d.sends], [["13"], ["4"], ["5"]]);
  assertEquals([b.sends, b.unsent], [[], "before2"]);
});

Deno.test("WriteBuffer.flush() sends to any number, some hundred in a call", () => {
  const targets = Array.from({ length: 600 }, (_, at) => new Target(`${at}`));
  const calls: number[] = [];
  const output = new WriteBuffer(writeAllTo(targets, calls));
  for (const target of targets) put(output, target, target.name);
  output.flush();
  assertEquals(calls, [256, 256, 88]);
  for (const { sends, name } of targets) assertEquals(sends, [name]);
});

Deno.test("WriteBuffer.flush() tells who failed when all others are accounted for", () => {
  const log: string[] = [];
  const seen: string[][] = [];
  const look = () => seen.push(targets.map(({ unsent }) => unsent));
  const targets = ["a", "b", "c", "d"].map((name) =>
    new Target(name, log, undefined, look)
  );
  const [a, b, c, d] = targets as [Target, Target, Target, Target];
  const output = new WriteBuffer(writeAllTo(targets));
  a.takes = () => FAILURE;
  b.takes = (length) => length - 1;
  c.takes = () => FAILURE - 1;
  d.takes = () => WOULD_BLOCK;
  for (const target of targets) put(output, target, `to ${target.name}`);
  output.flush();
  assertEquals(log, [
    "b:to ",
    `a fails: ${FAILURE}`,
    `c fails: ${FAILURE - 1}`,
  ]);
  const unsent = ["", "b", "", "to d"];
  assertEquals(seen, [unsent, unsent]);
});

Deno.test("WriteBuffer.flush() also sends what who fails in a batch writes to others", () => {
  const log: string[] = [];
  const targets = ["a", "b", "c"].map((name) =>
    new Target(name, log, undefined, () => {
      put(output, b, "told");
      // The same buffer, where those lie that were not sent by themselves.
      put(output, c, "told");
      output.flushFor(c);
      output.flush();
    })
  );
  const [a, b, c] = targets as [Target, Target, Target];
  const output = new WriteBuffer(writeAllTo(targets));
  a.takes = () => FAILURE;
  put(output, c, "1");
  put(output, a, "2");
  put(output, b, "3");
  put(output, c, "4");
  output.flush();
  assertEquals(log.filter((line) => line.startsWith("b")), ["b:3", "b:told"]);
  assertEquals(c.sends.join(""), "14told");
  assertEquals([a.runs, b.runs, c.runs, output.length], [0, 0, 0, 0]);
});

const OWNERS = 6;
const OWNER = fc.nat({ max: OWNERS - 1 });

/** One thing that happens to a write buffer, or to what it sends to. */
const STEP = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ owner: OWNER, size: fc.nat({ max: 20_000 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ owner: OWNER, size: fc.nat({ max: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ flushed: OWNER }) },
  { weight: 2, arbitrary: fc.record({ taken: OWNER }) },
  { weight: 1, arbitrary: fc.record({ dropped: OWNER }) },
  { weight: 1, arbitrary: fc.record({ drained: OWNER }) },
  { weight: 2, arbitrary: fc.constant("flush" as const) },
);

/** What the system says to writes, in turn: a share of them, or why not. */
const OUTCOMES = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(1) },
    { weight: 3, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
    { weight: 2, arbitrary: fc.constant(WOULD_BLOCK) },
    { weight: 1, arbitrary: fc.constant(FAILURE) },
  ),
  { minLength: 1, maxLength: 20, size: "max" },
);

/** A write buffer, its owners, and what each of them should be sent. */
class Model {
  readonly targets: Target[];
  readonly output: WriteBuffer;
  readonly #expected: string[];
  #letter = 0;

  constructor(batches: boolean, outcomes: readonly number[]) {
    let next = 0;
    this.targets = Array.from({ length: OWNERS }, (_, at) => {
      const target: Target = new Target(`${at}`, undefined, undefined, () => {
        this.output.drop(target);
        // As a program may that tells others of it.
        this.put((at + 1) % OWNERS, 3);
        this.put(at, 3);
      });
      target.takes = (length) => {
        const outcome = outcomes[next++ % outcomes.length]!;
        return outcome < 0 ? outcome : Math.floor(outcome * length);
      };
      return target;
    });
    this.#expected = this.targets.map(() => "");
    this.output = new WriteBuffer(
      batches ? writeAllTo(this.targets) : undefined,
    );
  }

  /** Does a step. */
  run(step: typeof STEP extends fc.Arbitrary<infer Step> ? Step : never): void {
    const { output, targets } = this;
    if (step === "flush") output.flush();
    else if ("flushed" in step) {
      output.flushFor(targets[step.flushed]!);
      this.#expectWhole(step.flushed);
    } else if ("taken" in step) this.#take(targets[step.taken]!);
    else if ("dropped" in step) {
      output.drop(targets[step.dropped]!);
      this.#expected[step.dropped] = this.#whole(step.dropped);
    } else if ("drained" in step) {
      const target = targets[step.drained]!;
      target.sends.push(target.unsent);
      target.unsent = "";
    } else this.put(step.owner, step.size);
  }

  /** Writes so many bytes, as far as there is room in the middle of a flush. */
  put(at: number, size: number): void {
    const text = String.fromCharCode(97 + this.#letter++ % 26).repeat(size);
    if (put(this.output, this.targets[at]!, text)) this.#expected[at] += text;
  }

  /** Checks that each has its bytes in order, and all unless it has failed. */
  expectDelivered(): void {
    this.output.flush();
    this.targets.forEach(({ runs }, at) => {
      this.#expectWhole(at);
      assertEquals(runs, 0);
    });
    assertEquals(this.output.length, 0);
  }

  #expectWhole(at: number): void {
    const whole = this.#whole(at);
    const expected = this.#expected[at]!;
    assert(expected.startsWith(whole), `owner ${at}`);
    const hasFailed = this.targets[at]!.failure !== undefined;
    assert(hasFailed || whole === expected, `owner ${at}`);
  }

  #take(target: Target): void {
    if (target.runs === 0) return;
    const bytes = this.output.take(target);
    target.send(bytes, 0, bytes.byteLength);
  }

  #whole(at: number): string {
    const { sends, unsent } = this.targets[at]!;
    return sends.join("") + unsent;
  }
}

for (const batches of [false, true]) {
  const how = batches ? "several in a call" : "each by itself";
  Deno.test(`WriteBuffer delivers each owner's bytes once and in order, ${how}, whatever happens`, () => {
    const steps = fc.array(STEP, { maxLength: 80, size: "max" });
    fc.assert(
      fc.property(steps, OUTCOMES, (steps, outcomes) => {
        const model = new Model(batches, outcomes);
        for (const step of steps) {
          model.run(step);
          model.output.audit();
        }
        model.expectDelivered();
      }),
      { numRuns: 1_000 },
    );
  });
}

Deno.test("ReadBuffer reads to the same place, when nothing is retained", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  assertEquals(bytes.byteLength, READ_BUFFER_BYTES);
  assertEquals(input.start, 0);
  assertStrictEquals(input.bytes, bytes);
});

Deno.test("ReadBuffer.retain() has the next read begin behind what is kept", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  input.retain(100);
  assertEquals(input.start, 100);
  assertStrictEquals(input.bytes, bytes);
});

Deno.test("ReadBuffer.retain() takes a new buffer and leaves the old one alone, when little room is left", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  bytes.fill(1);
  input.retain(READ_BUFFER_BYTES - 100);
  assertNotStrictEquals(input.bytes, bytes);
  assertEquals(input.start, 0);
  assertEquals(input.bytes.byteLength, READ_BUFFER_BYTES);
  input.bytes.fill(2);
  assert(bytes.every((byte) => byte === 1));
});

Deno.test("ReadBuffer.endBatch() frees all, when nobody of the batch has retained anything", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  input.retain(100);
  input.beginBatch();
  input.endBatch();
  assertEquals(input.start, 100);
  assertStrictEquals(input.bytes, bytes);
});

Deno.test("ReadBuffer.endBatch() has the next read begin behind what the batch has retained", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  input.beginBatch();
  input.retain(100);
  input.retain(READ_BUFFER_BYTES - 100);
  assertStrictEquals(input.bytes, bytes, "those who are told next have theirs");
  input.endBatch();
  assertNotStrictEquals(input.bytes, bytes);
  assertEquals(input.start, 0);
  input.retain(7);
  assertEquals(input.start, 7, "the batch is over");
});

for (const isBatched of [false, true]) {
  const how = isBatched ? "together" : "one by one";
  Deno.test(`WriteBuffer.flush() sends to all others and can be used again, when a target throws: ${how}`, () => {
    const targets = ["a", "b", "c"].map((name) => new Target(name));
    const output = new WriteBuffer(isBatched ? writeAllTo(targets) : undefined);
    const error = new RangeError("no memory");
    const thrower = targets[1]!;
    thrower.sent = () => {
      throw error;
    };
    for (const target of targets) put(output, target, target.name);
    output.flush();
    assertStrictEquals(thrower.thrown, error);
    put(output, targets[0]!, "again");
    output.flush();
    assertEquals(targets[0]!.sends, ["a", "again"]);
    assertEquals(targets[2]!.sends, ["c"]);
  });
}

Deno.test("WriteBuffer.flush() ends those of a batch, when the call for it throws", () => {
  const error = new TypeError("no such batch");
  const output = new WriteBuffer(() => {
    throw error;
  });
  const targets = ["a", "b"].map((name) => new Target(name));
  for (const target of targets) put(output, target, target.name);
  output.flush();
  assertEquals(targets.map(({ thrown }) => thrown), [error, error]);
  put(output, targets[0]!, "alone");
  output.flush();
  assertEquals(targets[0]!.sends, ["alone"]);
});

for (const end of [-5, 0.5, NaN, Infinity, READ_BUFFER_BYTES + 1]) {
  Deno.test(`ReadBuffer.retain(${end}) throws, and keeps what is retained`, () => {
    const input = new ReadBuffer();
    input.retain(100);
    assertThrows(() => input.retain(end), RangeError, `"${end}"`);
    assertEquals(input.start, 100);
    input.beginBatch();
    assertThrows(() => input.retain(end), RangeError, `"${end}"`);
    input.endBatch();
    assertEquals(input.start, 100);
  });
}

Deno.test("ReadBuffer.retain() keeps what is retained, when it is asked for less", () => {
  const input = new ReadBuffer();
  input.retain(100);
  input.retain(50);
  assertEquals(input.start, 100);
});

for (
  const [what, advance] of [
    ["too much", 40],
    ["backwards", -3],
    ["half a byte", 0.5],
    ["no number", NaN],
  ] as const
) {
  for (const use of ["flush", "reserve", "flushFor", "take"] as const) {
    Deno.test(`WriteBuffer.${use}() ends who advanced by ${what}, and sends the others' bytes alone`, () => {
      const output = new WriteBuffer();
      const [one, cheat, other] = ["one", "cheat", "other"].map((name) =>
        new Target(name)
      ) as [Target, Target, Target];
      put(output, other, "a secret that is long enough to cross");
      output.flush();
      put(output, one, "mine");
      assert(output.reserve(cheat, 5));
      output.length += advance;
      if (use === "flush") output.flush();
      if (use === "flushFor") output.flushFor(one);
      if (use === "reserve") put(output, other, "later");
      if (use === "take") assertEquals(output.take(one).byteLength, 4);
      assert(cheat.thrown instanceof RangeError);
      output.drop(cheat);
      output.flush();
      assertEquals(cheat.sends, []);
      assertEquals(one.sends, use === "take" ? [] : ["mine"]);
      assertEquals(other.sends.slice(1), use === "reserve" ? ["later"] : []);
    });
  }
}

for (const size of [-1, 0.5, NaN]) {
  Deno.test(`WriteBuffer.reserve() throws, when it is asked for ${size} bytes`, () => {
    const output = new WriteBuffer();
    assertThrows(
      () => output.reserve(new Target(), size),
      RangeError,
      `"${size}"`,
    );
  });
}

Deno.test("WriteBuffer sends nothing of what nobody has reserved", () => {
  const output = new WriteBuffer();
  const target = new Target();
  put(output, target, "first");
  output.flush();
  output.length += 5;
  put(output, target, "next");
  output.flush();
  assertEquals(target.sends, ["first", "next"]);
});

Deno.test("WriteBuffer.audit() finds an owner that counts its runs otherwise", () => {
  const output = new WriteBuffer();
  const target = new Target();
  put(output, target, "text");
  output.audit();
  target.runs = 2;
  assertThrows(() => output.audit(), InvariantError, "counts its runs");
});
