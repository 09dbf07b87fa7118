/** Signals end operations, before, during and after; nothing is lost. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Interest, pipe, TcpListener, UnixStream } from "../../src/poll.ts";
import type { AsyncProactor } from "../../src/proactor/async_proactor.ts";
import { LOOPBACK } from "../util/streams.ts";
import { bytesOf, proactorTest, textOf } from "../util/proactors.ts";

/** What a program gives as the reason. */
const REASON = { why: "enough" };

/** Fails unless `promise` rejects with the reason. */
async function assertAborted(promise: Promise<unknown>): Promise<void> {
  const [end] = await Promise.allSettled([promise]);
  assert(end!.status === "rejected", `resolved: ${JSON.stringify(end)}`);
  assertStrictEquals(end!.reason, REASON);
}

/** Operations that wait until something comes, on new sources. */
const WAITS: Record<
  string,
  (proactor: AsyncProactor, signal: AbortSignal) => {
    promise: Promise<unknown>;
    close(): void;
  }
> = {
  sleep: (proactor, signal) => ({
    promise: proactor.sleep(1e6, { signal }),
    close() {},
  }),
  acceptOne: (proactor, signal) => {
    const listener = TcpListener.bind(LOOPBACK);
    const promise = proactor.acceptOne(listener, { signal });
    return { promise, close: () => listener.close() };
  },
  accept: (proactor, signal) => {
    const listener = TcpListener.bind(LOOPBACK);
    const promise = proactor.accept(listener, { signal }).next();
    return { promise, close: () => listener.close() };
  },
  "receive into a buffer": onPair((proactor, stream, signal) =>
    proactor.receive(stream, new Uint8Array(1), { signal })
  ),
  receive: onPair((proactor, stream, signal) =>
    proactor.receive(stream, { signal }).next()
  ),
  poll: onPair((proactor, stream, signal) =>
    proactor.poll(stream, Interest.READABLE, { signal })
  ),
  send: onPair((proactor, stream, signal) =>
    proactor.send(stream, new Uint8Array(4_000_000), { signal })
  ),
  "a send behind another": onPair((proactor, stream, signal) => {
    proactor.send(stream, new Uint8Array(4_000_000)).catch(() => {});
    return proactor.send(stream, bytesOf("x"), { signal });
  }),
  read: (proactor, signal) => {
    const { reader, writer } = pipe();
    const promise = proactor.read(reader, new Uint8Array(1), { signal });
    return { promise, close: () => (reader.close(), writer.close()) };
  },
};

function onPair(
  begin: (
    proactor: AsyncProactor,
    stream: UnixStream,
    signal: AbortSignal,
  ) => Promise<unknown>,
): (typeof WAITS)[string] {
  return (proactor, signal) => {
    const [left, right] = UnixStream.pair();
    const promise = begin(proactor, left, signal);
    return { promise, close: () => (left.close(), right.close()) };
  };
}

for (const [name, begin] of Object.entries(WAITS)) {
  proactorTest(
    `${name}: a signal that has aborted begins nothing`,
    async (proactor) => {
      const { promise, close } = begin(proactor, AbortSignal.abort(REASON));
      await assertAborted(promise);
      close();
    },
  );

  proactorTest(
    `${name}: a signal aborts before the submit`,
    async (proactor) => {
      const controller = new AbortController();
      const { promise, close } = begin(proactor, controller.signal);
      controller.abort(REASON);
      await assertAborted(promise);
      close();
    },
  );

  proactorTest(`${name}: a signal aborts in flight`, async (proactor) => {
    const controller = new AbortController();
    const { promise, close } = begin(proactor, controller.signal);
    await proactor.nop();
    controller.abort(REASON);
    await assertAborted(promise);
    close();
  });
}

proactorTest(
  "a signal that aborts after the completion changes nothing",
  async (proactor) => {
    const controller = new AbortController();
    const { signal } = controller;
    await proactor.nop({ signal });
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    await proactor.send(left, bytesOf("done"), { signal });
    assertEquals(
      await proactor.receive(right, new Uint8Array(8), { signal }),
      4,
    );
    controller.abort(REASON);
    await assertAborted(proactor.nop({ signal }));
  },
);

proactorTest(
  "bytes that were faster than the abort are not lost",
  async (proactor) => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const buffer = new Uint8Array(64);
    let received = "";
    for (let round = 0; round < 200; round++) {
      const controller = new AbortController();
      const { signal } = controller;
      const receiving = proactor.receive(left, buffer, { signal });
      await Promise.resolve();
      const sending = proactor.send(right, bytesOf(`${round},`));
      if (round % 3 > 0) await Promise.resolve();
      if (round % 3 > 1) await sending;
      controller.abort(REASON);
      const [end] = await Promise.allSettled([receiving]);
      if (end!.status === "fulfilled") {
        received += textOf(buffer.subarray(0, end!.value!));
      } else assertStrictEquals(end!.reason, REASON);
      await sending;
    }
    right.close();
    for await (const bytes of proactor.receive(left)) received += textOf(bytes);
    const all = Array.from({ length: 200 }, (_, round) => `${round},`).join("");
    assertEquals(received, all);
  },
);

proactorTest(
  "an iterator brings what has come before it throws the reason",
  async (proactor) => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const controller = new AbortController();
    const chunks = proactor.receive(left, { signal: controller.signal });
    const first = chunks.next();
    await proactor.send(right, bytesOf("one"));
    assertEquals(textOf((await first).value!), "one");
    await proactor.send(right, bytesOf("two"));
    await proactor.nop();
    controller.abort(REASON);
    assertEquals(textOf((await chunks.next()).value!), "two");
    await assertAborted(chunks.next());
    assertEquals(await chunks.next(), { done: true, value: undefined });
    assertThrows(
      () => proactor.receive(left, { signal: 7 as never }),
      TypeError,
      "signal",
    );
  },
);

proactorTest(
  "sends keep their order, when one that waits is given up",
  async (proactor) => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const controller = new AbortController();
    const { signal } = controller;
    const big = new Uint8Array(1_000_000).fill(1);
    const sending = proactor.send(left, big);
    const givenUp = proactor.send(left, bytesOf("never"), { signal });
    const last = proactor.send(left, bytesOf("last"));
    await proactor.nop();
    controller.abort(REASON);
    await assertAborted(givenUp);
    const received: number[] = [];
    for await (const bytes of proactor.receive(right)) {
      received.push(...bytes);
      if (received.length === big.length + 4) break;
    }
    await Promise.all([sending, last]);
    assert(received.slice(0, big.length).every((byte) => byte === 1));
    assertEquals(textOf(new Uint8Array(received.slice(big.length))), "last");
  },
);
