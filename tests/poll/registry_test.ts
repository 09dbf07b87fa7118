/** Handles gone stale or made up; what a registry does: `contract/`. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  Events,
  Interest,
  Poll,
  Readiness,
  Registry,
  TcpListener,
  TcpStream,
  Waker,
} from "../../src/poll.ts";
import { errnoName } from "../../src/native/errors.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { connectedPair, expectEvent } from "../util/streams.ts";

const { WRITABLE } = Interest;
const BOTH = Interest.READABLE | WRITABLE;

cleanTest("Registry is the poll's again, when made from its handle", () => {
  using poll = new Poll();
  using pair = connectedPair();
  new Registry(poll.handle).register(pair.client, 1, WRITABLE);
  expectEvent(poll, 1, Readiness.WRITABLE);
});

cleanTest("tryRegister() and tryDeregister() say what others throw", () => {
  using poll = new Poll();
  using pair = connectedPair();
  const { registry } = poll;
  assertEquals(registry.tryRegister(pair.client, 1, WRITABLE), 0);
  expectEvent(poll, 1, Readiness.WRITABLE);
  const twice = registry.tryRegister(pair.client, 1, WRITABLE);
  assertEquals(errnoName(-twice), "EEXIST");
  assertEquals(registry.tryDeregister(pair.client), 0);
  assertEquals(errnoName(-registry.tryDeregister(pair.client)), "ENOENT");
  const closed = new Registry(0);
  const stale = closed.tryRegister(pair.client, 1, WRITABLE);
  assertEquals(errnoName(-stale), "EBADF");
});

cleanTest("every call throws BadResource, when the handle is stale", () => {
  using poll = new Poll();
  const { client, server, listener } = connectedPair();
  const closed = new Poll();
  const waker = new Waker(closed.registry, 1);
  const clone = closed.registry.tryClone();
  for (const one of [client, server, listener, waker, clone, closed]) {
    one.close();
  }
  const bytes = new Uint8Array(8);
  const calls: Record<string, () => unknown> = {
    "close stream": () => client.close(),
    "close listener": () => listener.close(),
    "close waker": () => waker.close(),
    "close registry": () => clone.close(),
    "close poll": () => closed.close(),
    "read": () => client.read(bytes),
    "write": () => client.write(bytes),
    "shutdown": () => client.shutdown("both"),
    "nodelay": () => client.nodelay,
    "set nodelay": () => client.nodelay = true,
    "set resetOnClose": () => client.resetOnClose = true,
    "peerAddress": () => server.peerAddress,
    "localAddress": () => client.localAddress,
    "takeError": () => client.takeError(),
    "listener's address": () => listener.localAddress,
    "listener's error": () => listener.takeError(),
    "accept": () => listener.accept(),
    "register": () => poll.registry.register(client, 1, BOTH),
    "reregister": () => poll.registry.reregister(client, 1, BOTH),
    "deregister": () => poll.registry.deregister(client),
    "register with": () => clone.register(poll, 1, BOTH),
    "tryClone": () => clone.tryClone(),
    "tryClone of a poll's": () => closed.registry.tryClone(),
    "poll": () => closed.poll(new Events(), 0),
    "new waker": () => new Waker(closed.registry, 1),
    "wake": () => waker.wake(),
  };
  for (const [name, call] of Object.entries(calls)) {
    assertThrows(call, Deno.errors.BadResource, "", name);
  }
});

cleanTest(
  "a handle never means another stream, when its slot is used again",
  () => {
    const stale = new Set<number>();
    for (let round = 0; round < 1500; round++) {
      const poll = new Poll();
      assertEquals(stale.has(poll.handle), false);
      stale.add(poll.handle);
      poll.close();
    }
    for (const handle of stale) {
      assertThrows(
        () => new TcpStream(handle).close(),
        Deno.errors.BadResource,
      );
    }
  },
);

cleanTest("a handle is refused, when it is of another kind", () => {
  using poll = new Poll();
  using pair = connectedPair();
  const asStream = new TcpStream(poll.handle);
  const asListener = new TcpListener(pair.client.handle);
  const asRegistry = new Registry(pair.client.handle);
  for (
    const call of [
      () => asStream.read(new Uint8Array(1)),
      () => asStream.shutdown("both"),
      () => asStream.localAddress,
      () => asListener.accept(),
      () => asRegistry.register(pair.server, 1, BOTH),
      () => poll.registry.register(poll, 1, BOTH),
    ]
  ) assertThrows(call, TypeError);
});

cleanTest(
  "a handle is refused, when it is no number that was given out",
  () => {
    using poll = new Poll();
    for (const handle of [0, 1, 2 ** 31, 2 ** 32 - 1, -1, 1.5, NaN, Infinity]) {
      assertThrows(() => new TcpStream(handle).read(new Uint8Array(1)));
      assertThrows(() => poll.registry.register({ handle }, 1, BOTH));
    }
  },
);
