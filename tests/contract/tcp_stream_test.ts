/** Connecting, reading, writing and every way to end: items 61 to 74. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import {
  type Backend,
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { NO_IPV6 } from "../util/machine.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import {
  acceptOne,
  connectedPair,
  expectEvent,
  expectQuiet,
  expectSilence,
  freeAddress,
  LOOPBACK,
  readAvailable,
  readWhenThere,
  registerBoth,
  whenReadable,
  write,
} from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE, PRIORITY } = Interest;
const KIB = 1024;

contractTest(
  "61",
  "a connect does not block, and ends with a writable event, by IPv4",
  (backend) => expectToConnect(backend, "127.0.0.1"),
);

contractTest(
  "61",
  "a connect does not block, and ends with a writable event, by IPv6",
  (backend) => expectToConnect(backend, "::1"),
  { ignore: NO_IPV6 },
);

contractTest(
  "62",
  "a connect that is refused ends writing, and has its error once",
  (backend) => {
    using poll = new Poll({ backend });
    using stream = TcpStream.connect(freeAddress());
    registerBoth(poll.registry, stream, 1);
    const seen = expectEvent(poll, 1, Readiness.WRITE_CLOSED);
    assertNotEquals(seen & (Readiness.WRITABLE | Readiness.ERROR), 0);
    assertInstanceOf(stream.takeError(), Deno.errors.ConnectionRefused);
    assertEquals(stream.takeError(), undefined);
    assertThrows(() => stream.peerAddress, Deno.errors.NotConnected);
    expectQuiet(poll);
  },
);

contractTest(
  "63",
  "an idle stream would block, and closing it is the end for its peer",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    assertEquals(pair.client.read(new Uint8Array(1)), WOULD_BLOCK);
    assertEquals(pair.server.read(new Uint8Array(1)), WOULD_BLOCK);
    poll.registry.register(pair.server, 2, READABLE);
    pair.client.close();
    expectEvent(poll, 2, Readiness.READABLE | Readiness.READ_CLOSED);
    assertEquals(pair.server.read(new Uint8Array(1)), 0);
    expectQuiet(poll);
  },
);

contractTest(
  "64",
  "16 KiB are written at once after the writable event, without another poll",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    using client = TcpStream.connect(listener.localAddress);
    poll.registry.register(client, 1, WRITABLE);
    expectEvent(poll, 1, Readiness.WRITABLE);
    const bytes = randomBytes(16 * KIB, 3);
    for (let start = 0; start < bytes.byteLength; start += KIB) {
      assertEquals(client.write(bytes, start, start + KIB), KIB);
    }
    using server = acceptOne(listener);
    const received = new Uint8Array(bytes.byteLength);
    for (let read = 0; read < received.byteLength;) {
      const count = server.read(received, read);
      if (count === WOULD_BLOCK) whenReadable(server);
      else read += count;
    }
    assert(sameBytes(received, bytes));
  },
);

contractTest(
  "65",
  "what was written before a close arrives, and the end after it",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    const bytes = randomBytes(32 * KIB, 4);
    assertEquals(pair.client.write(bytes), bytes.byteLength);
    pair.client.close();
    const received = new Uint8Array(bytes.byteLength + 1);
    let read = 0;
    for (;;) {
      const count = pair.server.read(received, read);
      if (count === 0) break;
      if (count === WOULD_BLOCK) expectEvent(poll, 1, Readiness.READABLE);
      else read += count;
    }
    assert(sameBytes(received.subarray(0, read), bytes));
  },
);

contractTest(
  "66",
  "a peer's end is readable and read-closed, comes after the data, and leaves writing",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.server, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    write(pair.client, "last words");
    pair.client.shutdown("write");
    const seen = expectEvent(
      poll,
      1,
      Readiness.READABLE | Readiness.READ_CLOSED,
    );
    assertEquals(seen & Readiness.WRITE_CLOSED, 0);
    assertEquals(readAvailable(pair.server), "last words");
    assertEquals(pair.server.read(new Uint8Array(1)), 0);
    assertEquals(pair.server.read(new Uint8Array(1)), 0);
    expectQuiet(poll);
    write(pair.server, "an answer");
    assertEquals(readWhenThere(pair.client), "an answer");
  },
);

contractTest(
  "67",
  "a peer's reset is readable, and reading ends in it",
  (backend) => {
    for (const interest of [READABLE, READABLE | WRITABLE]) {
      using poll = new Poll({ backend });
      using pair = connectedPair();
      poll.registry.register(pair.server, 1, interest);
      if (interest & WRITABLE) expectEvent(poll, 1, Readiness.WRITABLE);
      pair.client.resetOnClose = true;
      pair.client.close();
      expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
      assertThrows(
        () => pair.server.read(new Uint8Array(1)),
        Deno.errors.ConnectionReset,
        `read from stream ${pair.server.handle}`,
      );
      assertEquals(pair.server.read(new Uint8Array(1)), 0);
      expectQuiet(poll);
    }
  },
);

contractTest(
  "67",
  "bytes that came before a reset are read, also after its error was met otherwise",
  async (backend) => {
    for (const meet of [undefined, expectNoWriting, expectAnError]) {
      using poll = new Poll({ backend });
      using pair = connectedPair();
      const { client, server } = pair;
      registerBoth(poll.registry, server, 1);
      expectEvent(poll, 1, Readiness.WRITABLE);
      write(client, "last words");
      // On the wire, closing in this way would drop them.
      await eventually("all to come", () => server.unreadBytes === 10);
      client.resetOnClose = true;
      client.close();
      expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
      meet?.(server);
      const bytes = new Uint8Array(4);
      for (const count of [4, 4, 2]) assertEquals(server.read(bytes), count);
      if (meet === undefined) {
        assertThrows(() => server.read(bytes), Deno.errors.ConnectionReset);
      }
      assertEquals(server.read(bytes), 0);
      expectQuiet(poll);
    }
  },
);

contractTest(
  "67",
  "a reset over unread bytes is reported with them by register()",
  async (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const { client, server } = pair;
    write(client, "last words");
    await eventually("all to come", () => server.unreadBytes === 10);
    client.resetOnClose = true;
    client.close();
    poll.registry.register(server, 1, READABLE);
    const end = Readiness.READABLE | Readiness.READ_CLOSED;
    expectEvent(poll, 1, end);
    assertEquals(server.read(new Uint8Array(4)), 4);
    poll.registry.reregister(server, 1, READABLE | WRITABLE);
    expectEvent(poll, 1, end);
    assertEquals(server.read(new Uint8Array(16)), 6);
    assertThrows(
      () => server.read(new Uint8Array(1)),
      Deno.errors.ConnectionReset,
    );
  },
);

contractTest(
  "68",
  "a poll quiesces, when a peer has closed over bytes that it did not read",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    write(pair.client, "never read");
    whenReadable(pair.server);
    pair.server.close();
    expectEvent(poll, 1, Readiness.READ_CLOSED);
    expectQuiet(poll);
    assertThrows(
      () => pair.client.read(new Uint8Array(1)),
      Deno.errors.ConnectionReset,
    );
    expectQuiet(poll);
  },
);

contractTest(
  "69",
  "writing to a dead peer ends in an error, without a signal and without a loop",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, WRITABLE);
    expectEvent(poll, 1, Readiness.WRITABLE);
    pair.server.close();
    const bytes = new Uint8Array(64 * KIB);
    const error = assertThrows(() => {
      for (;;) {
        const count = pair.client.write(bytes);
        if (count === WOULD_BLOCK) expectEvent(poll, 1, Readiness.WRITABLE);
      }
    });
    assert(
      error instanceof Deno.errors.BrokenPipe ||
        error instanceof Deno.errors.ConnectionReset,
      `${error}`,
    );
    assertThrows(() => pair.client.write(bytes), Deno.errors.BrokenPipe);
    expectQuiet(poll);
  },
);

contractTest(
  "70",
  "a stream that shuts its reading down has an event of its own",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    pair.client.shutdown("read");
    const seen = expectEvent(poll, 1, Readiness.READ_CLOSED);
    assertEquals(seen & Readiness.WRITE_CLOSED, 0);
    assertEquals(pair.client.read(new Uint8Array(1)), 0);
    expectQuiet(poll);
    write(pair.client, "still written");
    assertEquals(readWhenThere(pair.server), "still written");
  },
);

contractTest(
  "70",
  "a stream that shuts both down is closed both ways",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    pair.client.shutdown("both");
    expectEvent(poll, 1, Readiness.READ_CLOSED | Readiness.WRITE_CLOSED);
    expectQuiet(poll);
  },
);

contractTest(
  "70",
  "a stream that shuts its writing down reads on, and writes no more",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    pair.client.shutdown("write");
    assertThrows(
      () => pair.client.write(new Uint8Array(1)),
      Deno.errors.BrokenPipe,
      `write to stream ${pair.client.handle}`,
    );
    write(pair.server, "still read");
    const seen = expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(seen & Readiness.READ_CLOSED, 0);
    assertEquals(readAvailable(pair.client), "still read");
  },
);

contractTest(
  "71",
  "vectored writes add up, and vectored reads fill in order and no further",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    const words = ["one", "", "two", "three"].map((word) =>
      new TextEncoder().encode(word)
    );
    const into = () =>
      [2, 5, 0, 8].map((size) => new Uint8Array(size).fill(46));
    assertEquals(pair.server.readVectored(into()), WOULD_BLOCK);
    assertEquals(pair.client.writeVectored(words), 11);
    expectEvent(poll, 1, Readiness.READABLE);
    const buffers = into();
    assertEquals(pair.server.readVectored(buffers), 11);
    const texts = buffers.map((buffer) => new TextDecoder().decode(buffer));
    assertEquals(texts, ["on", "etwot", "", "hree...."]);
    assertEquals(pair.server.readVectored(into()), WOULD_BLOCK);
    expectSilence(poll);
    // The next arrival is reported, as after a plain read.
    assertEquals(pair.client.writeVectored(words), 11);
    expectEvent(poll, 1, Readiness.READABLE);
  },
);

contractTest(
  "72",
  "nodelay is what it was set to, and a stream that is well has no error",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    for (const stream of [pair.client, pair.server]) {
      poll.registry.register(stream, 1, WRITABLE);
      for (const nodelay of [true, false, true]) {
        stream.nodelay = nodelay;
        assertEquals(stream.nodelay, nodelay);
      }
      assertEquals(stream.takeError(), undefined);
    }
  },
);

contractTest(
  "73",
  "a stream that waits for urgent data is silent without, and readable as ever",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, READABLE | PRIORITY);
    expectSilence(poll);
    write(pair.server, "not urgent");
    assertEquals(expectEvent(poll, 1, Readiness.READABLE), Readiness.READABLE);
  },
  { feature: "priority" },
);

contractTest(
  "74",
  "a client has an event, when its server accepts and closes at once",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    using client = TcpStream.connect(listener.localAddress);
    expectEvent(poll, 1, Readiness.READABLE);
    poll.registry.register(client, 2, READABLE);
    const accepted = listener.accept();
    assert(accepted);
    accepted.close();
    expectEvent(poll, 2, Readiness.READABLE | Readiness.READ_CLOSED);
    assertEquals(client.read(new Uint8Array(1)), 0);
  },
);

function expectNoWriting(stream: TcpStream): void {
  assertThrows(() => stream.write(new Uint8Array(1)));
}

function expectAnError(stream: TcpStream): void {
  assertInstanceOf(stream.takeError(), Deno.errors.ConnectionReset);
}

function expectToConnect(backend: Backend, hostname: string): void {
  using poll = new Poll({ backend });
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
}
