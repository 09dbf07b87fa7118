/** What hostile and unlucky programs do to a `Proactor`. */

import { assertEquals, assertThrows } from "@std/assert";
import { TcpListener, UnixStream } from "../../src/poll.ts";
import {
  Completions,
  Operations,
  Proactor,
  WOULD_BLOCK,
} from "../../src/proactor.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NO_PROACTOR } from "../util/machine.ts";

/** Registers a test that needs io_uring. */
function proactorTest(name: string, run: () => void | Promise<void>): void {
  cleanTest(name, run, { ignore: NO_PROACTOR });
}

proactorTest("Operations.length is never more than what was added", () => {
  using proactor = new Proactor();
  const operations = new Operations(4);
  operations.nop(1);
  operations.nop(2);
  for (const length of [3, 100_000, -1, NaN, 0.5, Infinity]) {
    assertThrows(
      () => operations.length = length,
      RangeError,
      `"${length}"`,
    );
  }
  operations.length = 1;
  assertEquals(proactor.submit(operations), 1);
  assertThrows(() => operations.length = 1, RangeError, '"1"');
});

proactorTest("Operations.sendVectored() takes no range beyond a GiB", () => {
  const operations = new Operations();
  const [one, other] = UnixStream.pair();
  using _one = one;
  using _other = other;
  const ranges = [[0, 2 ** 32 + 1], [2 ** 32, 2 ** 32 + 1], [-1, 1], [2, 1]];
  for (const [start, end] of ranges) {
    assertThrows(
      () => operations.sendVectored(1, one, [[start!, end!]]),
      RangeError,
      `"${end}"`,
    );
  }
  assertEquals(operations.length, 0);
});

proactorTest(
  "Proactor.cancelSource() of a closed object ends nothing else",
  () => {
    using proactor = new Proactor();
    const [one, other] = UnixStream.pair();
    using _other = other;
    const operations = new Operations();
    operations.timeout(1, 1e9);
    operations.receive(2, one, 10);
    proactor.submit(operations);
    proactor.flush();
    one.close();
    assertThrows(() => proactor.cancelSource(one), Deno.errors.BadResource);
    assertEquals(proactor.wait(new Completions(), 0), 0);
    assertEquals(proactor.stats().inFlight, 2);
  },
);

proactorTest(
  "Proactor tells of room beside connections that are idle",
  () => {
    using proactor = new Proactor({ operations: 4 });
    const operations = new Operations();
    for (const token of [1, 2, 3]) operations.timeout(token, 1e9);
    operations.nop(4);
    operations.nop(5);
    assertEquals(proactor.submit(operations), 4);
    assertEquals(proactor.submit(operations), WOULD_BLOCK);
    const completions = new Completions();
    assertEquals(proactor.wait(completions, 10_000), 1);
    assertEquals(proactor.wait(completions, 10_000), 1);
    assertEquals([completions.token(0), completions.isDrained(0)], [5, true]);
  },
);

// Deno keeps descriptors of its first Worker, so this is no clean test.
Deno.test({
  name: "A Worker that ends gives its operations' places back",
  ignore: NO_PROACTOR,
  async fn() {
    using proactor = new Proactor({ operations: 16 });
    using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
    const module = new URL("../fixtures/dying_producer.ts", import.meta.url);
    const completions = new Completions();
    const left = new Operations();
    for (let round = 0; round < 4; round++) {
      const worker = new Worker(module, { type: "module" });
      const submitted = new Promise((resolve) => worker.onmessage = resolve);
      worker.postMessage([proactor.handle, listener.localAddress]);
      await submitted;
      using peer = listener.accept()!;
      left.nop(round);
      proactor.submit(left);
      assertEquals(proactor.wait(completions), 1);
      assertEquals(proactor.stats().inFlight, 8);
      worker.terminate();
      // The wait ends when the Worker's end has cancelled its operations.
      while (proactor.stats().inFlight > 0) {
        await proactor.park(10);
        proactor.wait(completions, 0);
      }
      while (peer.read(new Uint8Array(1)) === WOULD_BLOCK) {
        await proactor.park(1);
      }
    }
  },
});

Deno.test({
  name: "A parked Proactor hears of each operation of another Worker",
  ignore: NO_PROACTOR,
  async fn() {
    using proactor = new Proactor();
    const module = new URL("../fixtures/one_by_one.ts", import.meta.url);
    const worker = new Worker(module, { type: "module" });
    const completions = new Completions();
    for (let round = 0; round < 20; round++) {
      // The Worker submits while this thread is parked, one operation a time.
      worker.postMessage(proactor.handle);
      while (proactor.wait(completions, 0) === 0) await proactor.park();
      assertEquals(completions.length, 1);
    }
    worker.terminate();
  },
});
