/** What a program sees of a `Proactor`; what operations do: native/proactor. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertThrows,
} from "@std/assert";
import { pipe, TcpListener, TcpStream, UnixStream } from "../../src/poll.ts";
import { Interest } from "../../src/poll/interest.ts";
import {
  Batching,
  Completions,
  decodeStat,
  File,
  Operations,
  Proactor,
  type ProactorOptions,
  WOULD_BLOCK,
} from "../../src/proactor.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NO_PROACTOR } from "../util/machine.ts";

const ECANCELED = 125;
const ENOENT = 2;

/** Registers a test that needs io_uring. */
function proactorTest(name: string, run: () => void | Promise<void>): void {
  cleanTest(name, run, { ignore: NO_PROACTOR });
}

/** One completion, copied out of its batch. */
interface Ended {
  readonly token: number;
  readonly result: number;
  readonly handle: number;
  readonly hasMore: boolean;
  readonly text: string;
}

/** Waits for `count` completions. */
function take(proactor: Proactor, count: number): Ended[] {
  const completions = new Completions();
  const ended: Ended[] = [];
  while (ended.length < count) {
    assertGreater(proactor.wait(completions, 10_000), 0, "they do not come");
    for (let index = 0; index < completions.length; index++) {
      const part = completions.bytes.subarray(
        completions.start(index),
        completions.end(index),
      );
      ended.push({
        token: completions.token(index),
        result: completions.result(index),
        handle: completions.handle(index),
        hasMore: completions.hasMore(index),
        text: new TextDecoder().decode(part),
      });
    }
  }
  assertEquals(ended.length, count);
  return ended.sort((one, other) => one.token - other.token);
}

/** Submits what `add` adds, and waits for `count` completions. */
function run(
  proactor: Proactor,
  count: number,
  add: (operations: Operations) => void,
  text = "",
): Ended[] {
  const operations = new Operations();
  add(operations);
  proactor.submit(operations, new TextEncoder().encode(text));
  assertEquals(operations.length, 0);
  return take(proactor, count);
}

proactorTest("Proactor hands over completions with their tokens", () => {
  using proactor = new Proactor();
  const ended = run(proactor, 3, (operations) => {
    operations.nop(0);
    operations.nop(0xffff_ffff);
    operations.timeout(7, 1.5);
  });
  assertEquals(ended.map(({ token }) => token), [0, 7, 0xffff_ffff]);
  assert(ended.every(({ result }) => result === 0));
});

proactorTest("Proactor moves bytes between streams", () => {
  using proactor = new Proactor({ buffers: 4, bufferBytes: 64 });
  const [one, other] = UnixStream.pair();
  using _one = one;
  using _other = other;
  const ended = run(proactor, 3, (operations) => {
    operations.send(1, one, 2, 7);
    operations.sendVectored(2, other, [[0, 2], [7, 9]]);
    operations.receive(3, other, 100);
  }, "<<hello>>");
  assertEquals(ended.map(({ result }) => result), [5, 4, 5]);
  assertEquals(ended[2]!.text, "hello");
  const [received] = run(proactor, 1, (operations) => {
    operations.receiveMultishot(4, one);
  });
  assertEquals([received!.text, received!.hasMore], ["<<>>", true]);
  assertEquals(proactor.cancelSource(one), 1);
  const [last] = take(proactor, 1);
  assertEquals([last!.result, last!.hasMore], [-ECANCELED, false]);
});

proactorTest("Proactor sends many bytes without a copy, few with one", () => {
  using proactor = new Proactor();
  using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
  const [accepted, connected] = run(proactor, 2, (operations) => {
    operations.accept(1, listener);
    operations.connect(2, listener.localAddress);
  });
  using server = new TcpStream(accepted!.handle);
  using client = new TcpStream(connected!.handle);
  const operations = new Operations();
  operations.sendZeroCopy(3, client, 0, 40_000);
  operations.sendZeroCopy(4, client, 0, 10);
  operations.receive(5, server, 40_000);
  const bytes = new Uint8Array(40_000).fill(7);
  proactor.submit(operations, bytes);
  bytes.fill(9);
  const completions = new Completions();
  const kinds: string[] = [];
  for (let left = 3; left > 0;) {
    left -= proactor.wait(completions);
    for (let index = 0; index < completions.length; index++) {
      kinds.push(completions.operation(index));
      assertGreater(completions.result(index), 0);
      const start = completions.start(index);
      const received = completions.bytes.subarray(
        start,
        completions.end(index),
      );
      assert(received.every((byte) => byte === 7));
    }
  }
  assertEquals(kinds.sort(), ["receive", "send", "send-zero-copy"]);
  // The kernel lets go of the bytes when the peer's system has them.
  for (let round = 0; proactor.stats().inFlight > 0; round++) {
    assertLess(round, 10_000, "a place is lost");
    proactor.wait(completions, 1);
  }
});

proactorTest("Proactor accepts, connects, shuts down and closes", () => {
  using proactor = new Proactor();
  using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
  const [accepted, connected] = run(proactor, 2, (operations) => {
    operations.acceptMultishot(1, listener);
    operations.connect(2, listener.localAddress);
  });
  assert(accepted!.hasMore);
  using server = new TcpStream(accepted!.handle);
  const client = new TcpStream(connected!.handle);
  assertEquals(server.peerAddress, client.localAddress);
  const ended = run(proactor, 4, (operations) => {
    operations.poll(3, server, Interest.READABLE);
    operations.shutdown(4, client, "write");
    operations.receive(5, server, 10);
    operations.close(6, client);
  });
  assertEquals(ended.map(({ result }) => result), [
    Interest.READABLE | 16,
    0,
    0,
    0,
  ]);
  assertThrows(() => client.close(), Deno.errors.BadResource);
  assertEquals(proactor.cancel(1), 1);
  assertEquals(take(proactor, 1)[0]!.result, -ECANCELED);
});

proactorTest(
  "Proactor opens, writes, reads, describes and closes files",
  () => {
    using proactor = new Proactor();
    const path = Deno.makeTempFileSync();
    const [opened] = run(proactor, 1, (operations) => {
      operations.open(1, path, { read: true, write: true });
    });
    using file = new File(opened!.handle);
    const [written] = run(
      proactor,
      1,
      (operations) => operations.write(2, file, 0, 5, 3),
      "hello",
    );
    assertEquals(written!.result, 5);
    const ended = run(proactor, 3, (operations) => {
      operations.read(3, file, 100, 4);
      operations.fsync(4, file, true);
      operations.open(5, `${path}.none`);
    });
    assertEquals(ended.map(({ result }) => result), [4, 0, -ENOENT]);
    assertEquals(ended[0]!.text, "ello");
    const operations = new Operations();
    operations.stat(6, file);
    operations.stat(7, path);
    proactor.submit(operations);
    const completions = new Completions();
    for (let left = 2; left > 0;) {
      left -= proactor.wait(completions);
      for (let index = 0; index < completions.length; index++) {
        const stat = decodeStat(completions.bytes, completions.start(index));
        const known = Deno.statSync(path);
        assertEquals(stat.size, 8);
        assertEquals([stat.isFile, stat.isDirectory], [true, false]);
        assertEquals([stat.ino, stat.mode], [known.ino, known.mode]);
        assertEquals(stat.mtime, known.mtime);
      }
    }
    Deno.removeSync(path);
    const [absent] = run(proactor, 1, (operations) => operations.stat(8, path));
    assertEquals(absent!.result, -ENOENT);
  },
);

proactorTest("Proactor splices, and sends messages to another", () => {
  using proactor = new Proactor();
  using other = new Proactor();
  const { reader, writer } = pipe();
  using _reader = reader;
  using _writer = writer;
  const [one, peer] = UnixStream.pair();
  using _one = one;
  using _peer = peer;
  writer.write(new TextEncoder().encode("spliced"));
  const ended = run(proactor, 2, (operations) => {
    operations.splice(1, reader, one, 100);
    operations.message(2, other, { token: 9, value: -3 });
  });
  assertEquals(ended.map(({ result }) => result), [7, 0]);
  const completions = new Completions();
  assertEquals(other.wait(completions), 1);
  assertEquals([completions.token(0), completions.result(0)], [9, -3]);
  assert(completions.isMessage(0));
});

proactorTest(
  "Proactor.submit() takes what there is room for, and tells of room",
  () => {
    using proactor = new Proactor({ operations: 4 });
    const operations = new Operations();
    for (let token = 0; token < 10; token++) operations.nop(token);
    assertEquals(proactor.submit(operations), 4);
    assertEquals(operations.length, 6);
    assertEquals(proactor.submit(operations), WOULD_BLOCK);
    const completions = new Completions(3);
    const tokens: number[] = [];
    let drains = 0;
    while (tokens.length < 10) {
      proactor.wait(completions);
      for (let index = 0; index < completions.length; index++) {
        if (completions.isDrained(index)) {
          drains++;
          proactor.submit(operations);
        } else tokens.push(completions.token(index));
      }
    }
    assertEquals(tokens, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assertGreater(drains, 1);
    assertEquals(proactor.stats().overflows, 0);
    assertEquals(proactor.stats().inFlight, 0);
  },
);

proactorTest(
  "Proactor never overflows its queue of eight, by ten thousand operations",
  () => {
    // Two operations, four buffers, and two places of the proactor's own.
    using proactor = new Proactor({
      operations: 2,
      buffers: 4,
      bufferBytes: 16,
    });
    assertEquals(proactor.stats().completionsMax, 8);
    const [one, other] = UnixStream.pair();
    using _one = one;
    using _other = other;
    const operations = new Operations();
    operations.receiveMultishot(1, other);
    proactor.submit(operations);
    const bytes = new Uint8Array(64);
    const completions = new Completions();
    let nops = 0;
    let received = 0;
    let written = 0;
    while (nops < 10_000 || received < written) {
      if (nops < 10_000 && written - received < 4096) {
        const count = one.write(bytes);
        if (count !== WOULD_BLOCK) written += count;
      }
      if (operations.length === 0 && nops < 10_000) operations.nop(2);
      proactor.submit(operations);
      proactor.wait(completions);
      for (let index = 0; index < completions.length; index++) {
        assert(completions.result(index) >= 0, `${completions.result(index)}`);
        if (completions.isDrained(index)) continue;
        if (completions.token(index) === 2) nops++;
        else {
          received += completions.result(index);
          assert(completions.hasMore(index));
        }
      }
    }
    assertGreater(received, 10_000);
    const stats = proactor.stats();
    assertEquals(stats.overflows, 0);
    assertEquals(stats.inFlight, 1);
  },
);

proactorTest("Batching says when operations are submitted", () => {
  const submitted = (batching: Batching, count: number) => {
    using proactor = new Proactor({ batching });
    const operations = new Operations();
    for (let index = 0; index < count; index++) {
      operations.nop(index);
      proactor.submit(operations);
    }
    return proactor.stats().submitted;
  };
  assertEquals(submitted(Batching.turn, 8), 0);
  assertEquals(submitted(Batching.count(3), 8), 6);
  assertEquals(submitted(Batching.delay(0), 8), 8);
  assertThrows(() => Batching.count(0), RangeError, '"0"');
  assertThrows(() => Batching.delay(-1), RangeError, '"-1"');
});

proactorTest(
  "Proactor.park() resolves when a completion is there, on Deno's loop",
  async () => {
    using proactor = new Proactor();
    const completions = new Completions();
    const operations = new Operations();
    for (let round = 0; round < 20; round++) {
      operations.timeout(round, 1);
      proactor.submit(operations);
      let ticks = 0;
      const timer = setInterval(() => ticks++, 0);
      while (proactor.wait(completions, 0) === 0) await proactor.park();
      clearInterval(timer);
      assertEquals(completions.token(0), round);
    }
    const begin = performance.now();
    await proactor.park(5);
    assertLess(performance.now() - begin, 10_000);
  },
);

proactorTest("Proactor throws, when it is misused", () => {
  const proactor = new Proactor();
  const operations = new Operations(1);
  operations.nop(1);
  assertThrows(() => operations.nop(2), RangeError, "the batch holds 1");
  operations.length = 0;
  assertThrows(() => operations.timeout(1, NaN), RangeError, '"NaN"');
  assertThrows(() => operations.nop(-1), RangeError, '"-1"');
  const [one, other] = UnixStream.pair();
  using _one = one;
  using _other = other;
  assertThrows(() => operations.send(1, one, 2, 1), RangeError, '"2"');
  assertThrows(() => operations.receive(1, one, 0), RangeError, '"0"');
  assertThrows(
    () => operations.shutdown(1, one, "all" as "both"),
    TypeError,
    '"all"',
  );
  assertThrows(() => operations.open(1, ""), TypeError, '""');
  assertThrows(
    () => operations.open(1, "a", { create: true }),
    TypeError,
    '"write" or "append"',
  );
  operations.send(1, one, 0, 5);
  assertThrows(
    () => proactor.submit(operations, new Uint8Array(4)),
    TypeError,
    'operation "send"',
  );
  operations.length = 0;
  operations.send(1, one, 0, 2);
  operations.length = 1;
  proactor.submit(operations, new Uint8Array(4));
  const small = new Completions(8, 1);
  proactor.wait(small);
  operations.receive(2, other, 2);
  proactor.submit(operations);
  assertThrows(() => proactor.wait(small), RangeError, "do not fit");
  assertEquals(take(proactor, 1)[0]!.result, 2);
  proactor.close();
  assertThrows(() => proactor.close(), Deno.errors.BadResource);
  assertThrows(() => proactor.wait(small), Deno.errors.BadResource);
  operations.nop(1);
  assertThrows(() => proactor.submit(operations), Deno.errors.BadResource);
  assertThrows(() => proactor.cancel(1), Deno.errors.BadResource);
});

proactorTest("Proactor options out of range throw RangeError", () => {
  const wrong: [ProactorOptions, string][] = [
    [{ operations: 0 }, '"0"'],
    [{ operations: 32_001 }, '"32001"'],
    [{ buffers: 3 }, "power of two"],
    [{ buffers: -1 }, '"-1"'],
    [{ buffers: 1, bufferBytes: 0 }, '"0"'],
    [{ kernelThreadIdleMs: 0.5 }, '"0.5"'],
  ];
  for (const [options, message] of wrong) {
    assertThrows(() => new Proactor(options), RangeError, message);
  }
});

proactorTest("Proactor.supports() says what the kernel has", () => {
  assert(Proactor.supports("nop"));
  assert(Proactor.supports("accept-multishot"));
  assertEquals(Proactor.refusal, undefined);
  assertEquals(Proactor.supports("none" as "nop"), false);
});
