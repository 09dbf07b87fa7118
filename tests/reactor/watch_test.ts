/** A program's own sources on a reactor: UDP sockets and pipes. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Reactor } from "../../mod.ts";
import { Interest, pipe, UdpSocket, WOULD_BLOCK } from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";

/** Resolves with the first value that it is called with. */
function firstOf<T>(): { first: Promise<T>; found: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { first: promise, found: resolve };
}

cleanTest("Reactor.watch() receives and sends datagrams", async () => {
  using reactor = new Reactor();
  const server = UdpSocket.bind(LOOPBACK);
  const buffer = new Uint8Array(2_048);
  reactor.watch(server, Interest.READABLE, () => {
    for (;;) {
      const length = server.receiveFrom(buffer);
      if (length === WOULD_BLOCK) return;
      server.sendTo(buffer, server.sender!, 0, length);
    }
  });
  const client = UdpSocket.bind(LOOPBACK);
  const { first, found } = firstOf<string>();
  const replies: string[] = [];
  reactor.watch(client, Interest.READABLE, () => {
    const reply = new Uint8Array(16);
    for (;;) {
      const length = client.receive(reply);
      if (length === WOULD_BLOCK) break;
      replies.push(decoded(reply.subarray(0, length)));
    }
    if (replies.length === 3) found(replies.join(" "));
  });
  for (const text of ["one", "two", "three"]) {
    client.sendTo(encoded(text), server.localAddress);
  }
  assertEquals(await within(first, "the replies"), "one two three");
  assertEquals(reactor.size, 0);
  assertEquals(reactor.stats().listeners, 0);
});

cleanTest("Watch.requeue() lets other sources have their turn", async () => {
  using reactor = new Reactor();
  const order: string[] = [];
  const { first, found } = firstOf<void>();
  for (const name of ["a", "b"]) {
    const { reader, writer } = pipe();
    writer.write(encoded("123"));
    writer.close();
    const byte = new Uint8Array(1);
    reactor.watch(reader, Interest.READABLE, (_, watch) => {
      const count = reader.read(byte);
      if (count === WOULD_BLOCK) return;
      if (count === 0) {
        watch.close();
        if (!order.includes("end")) order.push("end");
        else found();
        return;
      }
      order.push(`${name}${decoded(byte)}`);
      watch.requeue();
    });
  }
  await within(first, "both ends");
  assertEquals(order.slice(0, 6), ["a1", "b1", "a2", "b2", "a3", "b3"]);
});

cleanTest(
  "Watch.setInterest() calls the handler for what is ready already",
  async () => {
    using reactor = new Reactor();
    const { reader, writer } = pipe();
    using _reader = reader;
    const calls: number[] = [];
    const { first, found } = firstOf<void>();
    const watch = reactor.watch(writer, Interest.WRITABLE, () => {
      calls.push(calls.length);
      if (calls.length === 2) found();
      else watch.setInterest(Interest.WRITABLE);
    });
    await within(first, "the second notice");
  },
);

cleanTest(
  "an error that a watch's handler throws closes the source, and is reported",
  async () => {
    const { first, found } = firstOf<unknown>();
    using reactor = new Reactor({ onError: found });
    const { reader, writer } = pipe();
    const fault = new RangeError("on purpose");
    const watch = reactor.watch(reader, Interest.READABLE, () => {
      throw fault;
    });
    writer.write(encoded("x"));
    assertEquals(await within(first, "the report"), fault);
    assert(watch.isClosed);
    assertThrows(() => writer.write(encoded("y")), Deno.errors.BrokenPipe);
    writer.close();
  },
);

cleanTest("Reactor.close() closes watched sources", () => {
  const reactor = new Reactor();
  const { reader, writer } = pipe();
  using _writer = writer;
  const watch = reactor.watch(reader, Interest.READABLE, () => {});
  reactor.close();
  assert(watch.isClosed);
  assertThrows(() => reader.read(new Uint8Array(1)), Deno.errors.BadResource);
  watch.close();
  watch.requeue();
  watch.setInterest(Interest.READABLE);
});

cleanTest("Reactor.drain() does not wait for watched sources", async () => {
  const reactor = new Reactor();
  const socket = UdpSocket.bind(LOOPBACK);
  reactor.watch(socket, Interest.READABLE, () => {});
  await within(reactor.drain(60_000), "the drain");
  assertThrows(() => socket.localAddress, Deno.errors.BadResource);
});

cleanTest(
  "Watch.unref() lets the reactor rest, and ref() undoes that",
  () => {
    using reactor = new Reactor();
    const watch = reactor.watch(
      UdpSocket.bind(LOOPBACK),
      Interest.READABLE,
      () => {},
    );
    assert(watch.isRefed);
    watch.unref();
    watch.unref();
    assertEquals(watch.isRefed, false);
    watch.ref();
    assert(watch.isRefed);
  },
);

cleanTest("Reactor.watch() throws, when it cannot use a source", () => {
  const reactor = new Reactor();
  const socket = UdpSocket.bind(LOOPBACK);
  assertThrows(
    () => reactor.watch(socket, Interest.READABLE, 1 as never),
    TypeError,
    "ready",
  );
  socket.close();
  assertThrows(
    () => reactor.watch(socket, Interest.READABLE, () => {}),
    Deno.errors.BadResource,
  );
  reactor.close();
  using other = UdpSocket.bind(LOOPBACK);
  assertThrows(
    () => reactor.watch(other, Interest.READABLE, () => {}),
    Deno.errors.BadResource,
  );
});
