/** The read buffer and the write buffer that connections share. */

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import fc from "fast-check";
import { WOULD_BLOCK } from "../src/native/errors.ts";
import {
  READ_BUFFER_BYTES,
  ReadBuffer,
  WRITE_BUFFER_BYTES,
  WriteBuffer,
  type WriteTarget,
} from "../src/reactor/buffers.ts";

/** Where runs go: writes down each send as text. */
class Target implements WriteTarget {
  runs = 0;
  readonly handle = 0;
  readonly sendsAtOnce: boolean = true;
  readonly sends: string[] = [];
  /** Why sending to it has failed. */
  readonly failures: number[] = [];
  readonly #log: string[] | undefined;

  constructor(
    readonly name: string = "",
    log?: string[],
    readonly onSend: () => void = () => {},
  ) {
    this.#log = log;
  }

  send(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    const text = new TextDecoder().decode(bytes.subarray(start, end));
    this.sends.push(text);
    this.#log?.push(`${this.name}:${text}`);
    this.onSend();
  }

  sent(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    count: number,
  ): boolean {
    if (count < 0 && count !== WOULD_BLOCK) return false;
    // What the system did not take is kept, and sent in the end.
    const text = new TextDecoder().decode(bytes.subarray(start, end));
    this.sends.push(text);
    this.#log?.push(`${this.name}:${text}`);
    return true;
  }

  failSending(code: number): void {
    this.failures.push(code);
    this.onSend();
  }
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

Deno.test("WriteBuffer delivers each owner's bytes once and in order, whatever happens", () => {
  const owner = fc.nat({ max: 3 });
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ owner, size: fc.nat({ max: 20_000 }) }),
    },
    { weight: 2, arbitrary: fc.record({ flushed: owner }) },
    { weight: 2, arbitrary: fc.record({ taken: owner }) },
    { weight: 1, arbitrary: fc.record({ dropped: owner }) },
    { weight: 1, arbitrary: fc.constant("flush" as const) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const output = new WriteBuffer();
    const targets = Array.from({ length: 4 }, () => new Target());
    // Bytes that may be lost: written, and dropped before any send.
    const expected = targets.map(() => "");
    const delivered = (at: number) => targets[at]!.sends.join("");
    let letter = 0;
    for (const what of steps) {
      if (what === "flush") {
        output.flush();
      } else if ("flushed" in what) {
        output.flushFor(targets[what.flushed]!);
        assertEquals(delivered(what.flushed), expected[what.flushed]);
      } else if ("taken" in what) {
        const target = targets[what.taken]!;
        if (target.runs === 0) continue;
        const bytes = output.take(target);
        target.send(bytes, 0, bytes.byteLength);
        assertEquals(delivered(what.taken), expected[what.taken]);
      } else if ("dropped" in what) {
        output.drop(targets[what.dropped]!);
        expected[what.dropped] = delivered(what.dropped);
      } else {
        const text = String.fromCharCode(97 + letter++ % 26).repeat(what.size);
        assert(put(output, targets[what.owner]!, text));
        expected[what.owner] += text;
      }
    }
    output.flush();
    targets.forEach((target, at) => {
      assert(delivered(at) === expected[at], `owner ${at}`);
      assertEquals(target.runs, 0);
    });
  }));
});

Deno.test("ReadBuffer reads to the same place, when nothing is retained", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  assertEquals(bytes.byteLength, READ_BUFFER_BYTES);
  assertEquals(input.offset, 0);
  assertStrictEquals(input.bytes, bytes);
});

Deno.test("ReadBuffer.retain() has the next read begin behind what is kept", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  input.retain(100);
  assertEquals(input.offset, 100);
  assertStrictEquals(input.bytes, bytes);
});

Deno.test("ReadBuffer.retain() takes a new buffer and leaves the old one alone, when little room is left", () => {
  const input = new ReadBuffer();
  const { bytes } = input;
  bytes.fill(1);
  input.retain(READ_BUFFER_BYTES - 100);
  assertNotStrictEquals(input.bytes, bytes);
  assertEquals(input.offset, 0);
  assertEquals(input.bytes.byteLength, READ_BUFFER_BYTES);
  input.bytes.fill(2);
  assert(bytes.every((byte) => byte === 1));
});

Deno.test("WriteBuffer.flush() hands runs of several owners over in one call", () => {
  const calls: string[][] = [];
  const output = new WriteBuffer((batch, bytes) => {
    const call: string[] = [];
    for (let index = 0; index < batch.length; index++) {
      const part = bytes.subarray(batch.start(index), batch.end(index));
      call.push(new TextDecoder().decode(part));
      batch.setCount(index, part.byteLength);
    }
    calls.push(call);
  });
  const [left, right] = [new Target(), new Target()];
  put(output, left, "one");
  put(output, right, "two");
  output.flush();
  assertEquals(calls, [["one", "two"]]);
  assertEquals([left.sends, right.sends], [["one"], ["two"]]);
  assertEquals([left.runs, right.runs, output.length], [0, 0, 0]);
  // One alone is sent by itself.
  put(output, left, "three");
  output.flush();
  assertEquals(calls.length, 1);
  assertEquals(left.sends, ["one", "three"]);
});

Deno.test("WriteBuffer.flush() accounts for all of a call, before it tells who failed", () => {
  const output = new WriteBuffer((batch) => {
    for (let index = 0; index < batch.length; index++) {
      const length = batch.end(index) - batch.start(index);
      batch.setCount(index, index === 0 ? -32 : length);
    }
  });
  const seen: string[][] = [];
  const whole = new Target();
  const broken = new Target("", [], () => seen.push([...whole.sends]));
  put(output, broken, "lost");
  put(output, whole, "kept");
  output.flush();
  assertEquals(broken.failures, [-32]);
  assertEquals(seen, [["kept"]]);
});

Deno.test("WriteBuffer.flush() sends what failure has others write", () => {
  const output = new WriteBuffer((batch) => {
    for (let index = 0; index < batch.length; index++) {
      batch.setCount(index, index === 0 ? -32 : 1);
    }
  });
  const other = new Target();
  const broken = new Target("", [], () => void put(output, other, "b"));
  put(output, broken, "x");
  put(output, other, "a");
  output.flush();
  assertEquals(other.sends.join(""), "ab");
  assertEquals([other.runs, output.length], [0, 0]);
});

Deno.test("WriteBuffer.flush() sends by itself, to who may not be sent to at once", () => {
  const calls: number[] = [];
  const output = new WriteBuffer((batch) => {
    calls.push(batch.length);
    for (let index = 0; index < batch.length; index++) batch.setCount(index, 1);
  });
  const slow = new Target();
  Object.defineProperty(slow, "sendsAtOnce", { value: false });
  const [left, right] = [new Target(), new Target()];
  put(output, left, "a");
  put(output, slow, "b");
  put(output, right, "c");
  output.flush();
  assertEquals(calls, [2]);
  assertEquals([left, slow, right].map(({ sends }) => sends.join("")), [
    "a",
    "b",
    "c",
  ]);
});

Deno.test("ReadBuffer goes on behind what any of several has retained", () => {
  const input = new ReadBuffer();
  input.beginBatch();
  // Who is told last need not be who retains last.
  input.retain(200);
  input.retain(100);
  input.endBatch();
  assertEquals(input.offset, 200);
  input.beginBatch();
  input.endBatch();
  assertEquals(input.offset, 200);
});
