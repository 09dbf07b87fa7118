/** Connecting, reading, writing and every way to end. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import {
  Events,
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  WOULD_BLOCK,
} from "../mod.ts";
import { errnoNumber } from "../src/native/errors.ts";
import { cleanTest } from "./util/clean_tests.ts";
import { NO_IPV6 } from "./util/machine.ts";
import { randomBytes, sameBytes } from "./util/random.ts";
import {
  acceptOne,
  connectedPair,
  expectEvent,
  expectSilence,
  LOOPBACK,
  type Pair,
  readAvailable,
  registerBoth,
  write,
} from "./util/streams.ts";

const { READABLE, WRITABLE } = Interest;
const MIB = 1024 * 1024;

for (const hostname of ["127.0.0.1", "::1"]) {
  cleanTest(
    `TcpStream.connect() tells by a writable event that it is done, at ${hostname}`,
    () => {
      using poll = new Poll();
      using listener = TcpListener.bind({ hostname, port: 0 });
      using client = TcpStream.connect(listener.localAddress);
      registerBoth(poll.registry, client, 1);
      expectEvent(poll, 1, Readiness.WRITABLE);
      assertEquals(client.takeError(), undefined);
      assertEquals(client.peerAddress, listener.localAddress);

      using server = acceptOne(listener);
      write(client, "ping");
      assertEquals(readWhenThere(server), "ping");
      write(server, "pong");
      expectEvent(poll, 1, Readiness.READABLE);
      assertEquals(readAvailable(client), "pong");
    },
    { ignore: hostname === "::1" && NO_IPV6 },
  );
}

cleanTest(
  "TcpStream.connect() tells by an event and an error, when it is refused",
  () => {
    using poll = new Poll();
    using stream = TcpStream.connect(freeAddress());
    registerBoth(poll.registry, stream, 1);
    const told = expectEvent(poll, 1, Readiness.WRITE_CLOSED);
    assertNotEquals(told & (Readiness.WRITABLE | Readiness.ERROR), 0);
    assertInstanceOf(stream.takeError(), Deno.errors.ConnectionRefused);
    assertEquals(stream.takeError(), undefined);
    assertThrows(() => stream.peerAddress, Deno.errors.NotConnected);
    assertThrows(() => stream.shutdown("write"), Deno.errors.NotConnected);
  },
);

cleanTest("TcpStream.connect() throws, when the address is none", () => {
  for (const port of [-1, 65_536, 1.5, NaN]) {
    assertThrows(
      () => TcpStream.connect({ ...LOOPBACK, port }),
      RangeError,
      `"${port}"`,
    );
  }
  assertThrows(
    () => TcpStream.connect({ hostname: "no-such-host.invalid", port: 1 }),
    Deno.errors.NotFound,
    '"no-such-host.invalid"',
  );
});

cleanTest("TcpStream.read() would block, when nothing has come", () => {
  using pair = connectedPair();
  assertEquals(pair.client.read(new Uint8Array(8)), WOULD_BLOCK);
  assertEquals(pair.client.tryRead(new Uint8Array(8), 0, 8), WOULD_BLOCK);
});

cleanTest(
  "TcpStream.read() and write() of nothing are 0, whatever is there",
  () => {
    using pair = connectedPair();
    assertEquals(pair.client.read(new Uint8Array(0)), 0);
    assertEquals(pair.client.write(new Uint8Array(0)), 0);
    assertEquals(pair.client.write(new Uint8Array(8), 8), 0);
  },
);

cleanTest(
  "TcpStream.read() fills the range it is given, and no other byte",
  () => {
    using pair = connectedPair();
    write(pair.client, "abcdef");
    whenReadable(pair.server);
    const bytes = new Uint8Array(10).fill(46);
    assertEquals(pair.server.read(bytes, 2, 3), 3);
    assertEquals(text(bytes), "..abc.....");
    assertEquals(pair.server.read(bytes, 7), 3);
    assertEquals(text(bytes), "..abc..def");
  },
);

cleanTest(
  "TcpStream reads and writes within a view, when the view is a part of its buffer",
  () => {
    using pair = connectedPair();
    const sent = new TextEncoder().encode("..abc..");
    assertEquals(pair.client.write(sent.subarray(2, 5)), 3);
    whenReadable(pair.server);
    const bytes = new Uint8Array(8).fill(46);
    assertEquals(pair.server.read(bytes.subarray(3, 7), 1), 3);
    assertEquals(text(bytes), "....abc.");
  },
);

cleanTest(
  "TcpStream throws RangeError and touches nothing, when the range lies outside of the buffer",
  () => {
    using pair = connectedPair();
    write(pair.client, "something to read");
    whenReadable(pair.server);
    const bytes = new Uint8Array(8);
    const ranges = [
      [9, undefined],
      [0, 9],
      [8, 1],
      [4, 5],
      [-1, 1],
      [-1, 9],
      [0, -1],
      [NaN, 1],
      [0, NaN],
      [2 ** 32, 1],
      [0, 2 ** 32],
      [Infinity, 1],
      [0, Infinity],
    ] as const;
    for (const [offset, length] of ranges) {
      const message = `from offset ${offset}: the buffer has 8`;
      const { server } = pair;
      assertThrows(
        () => server.read(bytes, offset, length),
        RangeError,
        message,
      );
      assertThrows(
        () => server.write(bytes, offset, length),
        RangeError,
        message,
      );
    }
    assertEquals(bytes, new Uint8Array(8));
    assertEquals(readAvailable(pair.server), "something to read");
    assertEquals(pair.client.read(bytes), WOULD_BLOCK);
  },
);

cleanTest(
  "TcpStream.write() would block, when there is no room, and there is when the peer has read",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    const bytes = randomBytes(64 * MIB, 2);
    let written = 0;
    for (;;) {
      const count = pair.client.write(bytes, written);
      if (count === WOULD_BLOCK) break;
      written += count;
    }
    expectSilence(poll);
    const received = new Uint8Array(written);
    for (let read = 0; read < written;) {
      const count = pair.server.read(received, read);
      if (count === WOULD_BLOCK) whenReadable(pair.server);
      else read += count;
    }
    assert(sameBytes(received, bytes.subarray(0, written)));
    expectEvent(poll, 1, Readiness.WRITABLE);
  },
);

cleanTest(
  "TcpStream.write() takes 16 KiB, when the stream has just become writable",
  () => {
    using pair = connectedPair();
    const bytes = randomBytes(16_384, 3);
    assertEquals(pair.client.write(bytes), bytes.byteLength);
  },
);

cleanTest("TcpStream.close() delivers what was written, then the end", () => {
  using poll = new Poll();
  using pair = connectedPair();
  write(pair.client, "last words");
  pair.client.close();
  poll.registry.register(pair.server, 1, READABLE);
  const told = expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
  assertEquals(told & Readiness.WRITE_CLOSED, 0);
  assertEquals(readAvailable(pair.server), "last words");
  assertEquals(pair.server.read(new Uint8Array(1)), 0);
});

cleanTest(
  "a stream whose peer has shut down writing can still be written to",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    pair.client.shutdown("write");
    poll.registry.register(pair.server, 1, READABLE);
    const told = expectEvent(poll, 1, Readiness.READ_CLOSED);
    assertEquals(told & Readiness.WRITE_CLOSED, 0);
    assertEquals(pair.server.read(new Uint8Array(1)), 0);
    write(pair.server, "an answer");
    assertEquals(readWhenThere(pair.client), "an answer");
    assertThrows(
      () => pair.client.write(new Uint8Array(1)),
      Deno.errors.BrokenPipe,
      `write to stream ${pair.client.handle}`,
    );
  },
);

cleanTest("TcpStream.shutdown() of reading is told to oneself", () => {
  using poll = new Poll();
  using pair = connectedPair();
  poll.registry.register(pair.client, 1, READABLE);
  pair.client.shutdown("read");
  expectEvent(poll, 1, Readiness.READ_CLOSED);
  assertEquals(pair.client.read(new Uint8Array(1)), 0);
});

cleanTest(
  "TcpStream.shutdown() of both halves is told as closed both ways",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    pair.client.shutdown("both");
    expectEvent(poll, 1, Readiness.READ_CLOSED | Readiness.WRITE_CLOSED);
  },
);

cleanTest(
  "TcpStream.shutdown() throws TypeError, when there is no such half",
  () => {
    using pair = connectedPair();
    assertThrows(
      () => pair.client.shutdown("left" as "read"),
      TypeError,
      '"left"',
    );
  },
);

cleanTest("TcpStream.resetOnClose has the peer told of a reset", () => {
  using poll = new Poll();
  using pair = connectedPair();
  const { peerAddress } = pair.server;
  poll.registry.register(pair.server, 1, READABLE);
  pair.client.resetOnClose = true;
  pair.client.close();
  expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
  assertThrows(
    () => pair.server.read(new Uint8Array(1)),
    Deno.errors.ConnectionReset,
    `read from stream ${pair.server.handle}`,
  );
  assertEquals(pair.server.peerAddress, peerAddress);
});

cleanTest("TcpStream.resetOnClose can be taken back", () => {
  using pair = connectedPair();
  pair.client.resetOnClose = true;
  pair.client.resetOnClose = false;
  pair.client.close();
  whenReadable(pair.server);
  assertEquals(pair.server.read(new Uint8Array(1)), 0);
});

cleanTest(
  "TcpStream.tryRead() answers with an errno, when read() would throw",
  () => {
    using pair = connectedPair();
    pair.client.resetOnClose = true;
    pair.client.close();
    whenReadable(pair.server);
    const count = pair.server.tryRead(new Uint8Array(8), 0, 8);
    assertEquals(count, -errnoNumber("ECONNRESET"));
    assertEquals(
      pair.server.tryWrite(new Uint8Array(8), 0, 8),
      -errnoNumber("EPIPE"),
    );
  },
);

cleanTest(
  "a poll quiesces, when a peer has closed over bytes that it did not read",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    write(pair.client, "never read");
    pair.server.close();
    expectEvent(poll, 1, Readiness.READ_CLOSED);
    expectSilence(poll);
  },
);

cleanTest(
  "TcpStream.write() fails in the end without a signal, when the peer is gone",
  () => {
    using pair = connectedPair();
    pair.server.close();
    assertThrows(() => {
      for (;;) {
        if (pair.client.write(new Uint8Array(1024)) === WOULD_BLOCK) break;
      }
    }, Error);
  },
);

cleanTest("a stream is told, when its peer accepts and closes at once", () => {
  using poll = new Poll();
  using listener = TcpListener.bind(LOOPBACK);
  using client = TcpStream.connect(listener.localAddress);
  acceptOne(listener).close();
  poll.registry.register(client, 1, READABLE);
  expectEvent(poll, 1, Readiness.READ_CLOSED);
  assertEquals(client.read(new Uint8Array(1)), 0);
});

cleanTest("TcpStream.nodelay is what it was set to", () => {
  using pair = connectedPair();
  for (const nodelay of [true, false, true]) {
    pair.client.nodelay = nodelay;
    assertEquals(pair.client.nodelay, nodelay);
  }
});

cleanTest("TcpStream.takeError() is undefined, when it is well", () => {
  using pair = connectedPair();
  assertEquals(pair.client.takeError(), undefined);
});

cleanTest(
  "TcpStream is closed once, when closed by hand inside of a using block",
  () => {
    using pair = connectedPair();
    pair.client.close();
    assertThrows(() => pair.client.close(), Deno.errors.BadResource);
  },
);

cleanTest("hundreds of streams are told by their own tokens", () => {
  using poll = new Poll();
  using listener = TcpListener.bind(LOOPBACK);
  using pairs = new DisposableStack();
  const servers: TcpStream[] = [];
  for (let index = 0; index < 250; index++) {
    const client = pairs.use(TcpStream.connect(listener.localAddress));
    const server = pairs.use(acceptOne(listener));
    poll.registry.register(server, index, READABLE);
    servers.push(server);
    write(client, `${index}`);
  }
  const events = new Events(64);
  const texts = new Set<string>();
  while (texts.size < servers.length && poll.poll(events, 10_000) > 0) {
    for (const { token } of events) {
      const read = readAvailable(servers[token]!);
      assertEquals(read, `${token}`);
      texts.add(read);
    }
  }
  assertEquals(texts.size, servers.length);
});

cleanTest(
  "a stream is readable and writable at once, when it has been asked for both",
  () => {
    using poll = new Poll();
    using pair = connectedPair();
    write(pair.server, "data");
    whenReadable(pair.client);
    poll.registry.register(pair.client, 1, READABLE | WRITABLE);
    expectEvent(poll, 1, Readiness.READABLE | Readiness.WRITABLE);
  },
);

/** An address where nobody listens. */
function freeAddress(): Deno.NetAddr {
  using listener = TcpListener.bind(LOOPBACK);
  return listener.localAddress;
}

/** Waits for something to read on a stream that is registered nowhere. */
function whenReadable(stream: Pair["client"]): void {
  using poll = new Poll();
  poll.registry.register(stream, 1, READABLE);
  expectEvent(poll, 1, Readiness.READABLE);
  poll.registry.deregister(stream);
}

function readWhenThere(stream: TcpStream): string {
  whenReadable(stream);
  return readAvailable(stream);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
