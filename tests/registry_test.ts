/** Registering: `Registry`, `Interest`, `Token`, and handles gone stale. */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  describeInterest,
  Events,
  Interest,
  Poll,
  Readiness,
  Registry,
  TcpListener,
  TcpStream,
  TOKEN_MAX,
  Waker,
  WOULD_BLOCK,
} from "../mod.ts";
import { cleanTest } from "./util/clean_tests.ts";
import { runScript } from "./util/scripts.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  expectTokens,
  LOOPBACK,
  readAvailable,
  write,
} from "./util/streams.ts";

const { READABLE, WRITABLE, PRIORITY } = Interest;
const BOTH = READABLE | WRITABLE;

cleanTest(
  "an event has the token of its registration, whichever that is",
  () => {
    for (const token of [0, 1, 2 ** 31, TOKEN_MAX - 1, TOKEN_MAX]) {
      using poll = new Poll();
      using pair = connectedPair();
      poll.registry.register(pair.client, token, WRITABLE);
      expectEvent(poll, token, Readiness.WRITABLE);
    }
  },
);

cleanTest(
  "Registry.register() throws RangeError, when the token is none",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    for (const token of [-1, 0.5, TOKEN_MAX + 1, NaN, Infinity]) {
      const message = `Cannot use token "${token}"`;
      const { registry } = poll;
      for (
        const call of [
          () => registry.register(pair.client, token, READABLE),
          () => registry.reregister(pair.client, token, READABLE),
          () => new Waker(registry, token),
        ]
      ) assertThrows(call, RangeError, message);
    }
  },
);

cleanTest(
  "Registry.register() throws RangeError, when the interest is none",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    for (const interest of [0, -1, 8, 16, 1.5, NaN, 2 ** 32, 2 ** 32 + 1]) {
      const message = `Cannot use interest "${interest}"`;
      const { registry } = poll;
      for (
        const call of [
          () => registry.register(pair.client, 1, interest),
          () => registry.reregister(pair.client, 1, interest),
        ]
      ) assertThrows(call, RangeError, message);
    }
    expectSilence(poll);
  },
);

Deno.test("describeInterest() names what is in it, joined as mio prints it", () => {
  assertEquals(describeInterest(READABLE), "READABLE");
  assertEquals(describeInterest(WRITABLE), "WRITABLE");
  assertEquals(describeInterest(WRITABLE | READABLE), "READABLE | WRITABLE");
  assertEquals(
    describeInterest(READABLE | WRITABLE | PRIORITY),
    "READABLE | WRITABLE | PRIORITY",
  );
});

cleanTest(
  "Registry.register() throws AlreadyExists, when the source is registered",
  () => {
    using poll = new Poll();
    using other = new Poll();
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, WRITABLE);
    for (const { registry } of [poll, other]) {
      assertThrows(
        () => registry.register(pair.client, 2, WRITABLE),
        Deno.errors.AlreadyExists,
        `register source ${pair.client.handle}`,
      );
    }
    expectEvent(poll, 1, Readiness.WRITABLE);
    expectSilence(other);
  },
);

cleanTest(
  "Registry throws NotFound, when the source is not registered with it",
  () => {
    using poll = new Poll();
    using other = new Poll();
    using pair = connectedPair();
    other.registry.register(pair.server, 1, READABLE);
    for (const stream of [pair.client, pair.server]) {
      assertThrows(
        () => poll.registry.reregister(stream, 1, READABLE),
        Deno.errors.NotFound,
        `reregister source ${stream.handle}`,
      );
      assertThrows(
        () => poll.registry.deregister(stream),
        Deno.errors.NotFound,
        `deregister source ${stream.handle}`,
      );
    }
  },
);

cleanTest("Registry.reregister() replaces token and interest", () => {
  using poll = new Poll();
  using pair = connectedPair();
  poll.registry.register(pair.client, 1, READABLE);
  poll.registry.reregister(pair.client, 2, WRITABLE);
  expectEvent(poll, 2, Readiness.WRITABLE);
  write(pair.server, "not asked for any more");
  expectSilence(poll);
});

cleanTest(
  "Registry.reregister() suppresses the old interest's event, when it is not polled yet",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, WRITABLE);
    poll.registry.reregister(pair.client, 1, READABLE);
    expectSilence(poll);
  },
);

cleanTest("Registry.reregister() tells again what is ready, each time", () => {
  using poll = new Poll();
  using pair = connectedPair();
  poll.registry.register(pair.client, 1, WRITABLE);
  for (let round = 0; round < 3; round++) {
    expectEvent(poll, 1, Readiness.WRITABLE);
    expectSilence(poll);
    poll.registry.reregister(pair.client, 1, WRITABLE);
  }
  expectEvent(poll, 1, Readiness.WRITABLE);
});

cleanTest(
  "Registry.reregister() has the next event bear the new token alone",
  () => {
    using poll = new Poll();
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    using _first = TcpStream.connect(listener.localAddress);
    expectEvent(poll, 1, Readiness.READABLE);
    using accepted = listener.accept();
    assert(accepted);
    poll.registry.reregister(listener, 2, READABLE);
    using _second = TcpStream.connect(listener.localAddress);
    expectEvent(poll, 2, Readiness.READABLE);
    expectSilence(poll);
  },
);

cleanTest(
  "Registry.deregister() silences a source, which goes on working",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    write(pair.client, "pending");
    poll.registry.deregister(pair.server);
    expectSilence(poll);
    assertEquals(readAvailable(pair.server), "pending");
    assertEquals(pair.server.read(new Uint8Array(1)), WOULD_BLOCK);
  },
);

cleanTest(
  "Registry.deregister() of a listener leaves the waker's event alone",
  () => {
    using poll = new Poll();
    using listener = TcpListener.bind(LOOPBACK);
    using waker = new Waker(poll.registry, 9);
    poll.registry.register(listener, 1, READABLE);
    using _client = TcpStream.connect(listener.localAddress);
    poll.registry.deregister(listener);
    waker.wake();
    expectEvent(poll, 9, Readiness.READABLE);
    expectSilence(poll);
    using accepted = listener.accept();
    assert(accepted);
  },
);

cleanTest(
  "Registry.register() works again after deregister, and is silent for an idle source",
  () => {
    using poll = new Poll();
    using listener = TcpListener.bind(LOOPBACK);
    for (let round = 0; round < 3; round++) {
      poll.registry.register(listener, round, READABLE);
      expectSilence(poll);
      poll.registry.deregister(listener);
    }
  },
);

cleanTest("a listener moves to another poll, when it is deregistered", () => {
  using first = new Poll();
  using second = new Poll();
  using listener = TcpListener.bind(LOOPBACK);
  first.registry.register(listener, 1, READABLE);
  first.registry.deregister(listener);
  second.registry.register(listener, 2, READABLE);
  using _client = TcpStream.connect(listener.localAddress);
  expectEvent(second, 2, Readiness.READABLE);
  expectSilence(first);
});

cleanTest(
  "Registry.tryClone() means the same poll, by a handle of its own",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    using clone = poll.registry.tryClone();
    using cloneOfClone = clone.tryClone();
    assertNotEquals(clone.handle, poll.handle);
    clone.register(pair.client, 1, WRITABLE);
    cloneOfClone.reregister(pair.client, 2, WRITABLE);
    expectEvent(poll, 2, Readiness.WRITABLE);
    clone.close();
    cloneOfClone.register(pair.server, 3, WRITABLE);
    expectTokens(poll, 3);
    poll.registry.deregister(pair.client);
  },
);

cleanTest("Registry is the poll's again, when made from its handle", () => {
  using poll = new Poll();
  using pair = connectedPair();
  new Registry(poll.handle).register(pair.client, 1, WRITABLE);
  expectEvent(poll, 1, Readiness.WRITABLE);
});

Deno.test("Registry serves several threads at once, while the poll waits", async () => {
  const { stdout, stderr } = await runScript("registry_on_threads.ts");
  assertEquals(stderr, "");
  assertStringIncludes(stdout, "2 threads, 1000 rounds each, 0 lost\n");
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
