/** Events that come once, and events that come again: items 41 to 46, and modes. */

import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import {
  Events,
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  LOOPBACK,
  readAvailable,
  registerBoth,
  SILENCE_MS,
  whenReadable,
  write,
} from "../util/streams.ts";
import { backendTest, contractTest } from "./contract.ts";

const { READABLE, WRITABLE } = Interest;
const MIB = 1024 * 1024;

contractTest(
  "41, 42",
  "an arrival is reported once, when it is read to WOULD_BLOCK, and the next one again",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    for (const text of ["first", "second", "third"]) {
      write(pair.client, text);
      assertEquals(
        expectEvent(poll, 1, Readiness.READABLE),
        Readiness.READABLE,
      );
      assertEquals(readAvailable(pair.server), text);
      assertEquals(pair.server.read(new Uint8Array(1)), WOULD_BLOCK);
      expectSilence(poll);
    }
  },
);

contractTest(
  "41",
  "an arrival is reported once, when the program does not read it",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    write(pair.client, "unread");
    expectEvent(poll, 1, Readiness.READABLE);
    expectSilence(poll);
    expectSilence(poll);
  },
);

contractTest(
  "42",
  "room is reported again, when there was none and the peer has read",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, WRITABLE);
    expectEvent(poll, 1, Readiness.WRITABLE);
    for (let round = 0; round < 2; round++) {
      let written = fillUp(pair.client, poll);
      const bytes = new Uint8Array(MIB);
      while (written > 0) {
        const count = pair.server.read(bytes);
        if (count === WOULD_BLOCK) whenReadable(pair.server);
        else written -= count;
      }
      expectEvent(poll, 1, Readiness.WRITABLE);
    }
  },
);

contractTest(
  "43",
  "16 MiB arrive whole, when both ends go on until WOULD_BLOCK",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, WRITABLE);
    poll.registry.register(pair.server, 2, READABLE);
    const sent = randomBytes(16 * MIB, 1);
    const received = new Uint8Array(sent.byteLength);
    const events = new Events();
    let written = 0;
    let read = 0;
    while (read < sent.byteLength) {
      assertLess(0, poll.poll(events, 10_000), `${written}, ${read}`);
      for (const { token } of events) {
        if (token === 1) {
          written = pump(sent, written, pair.client.write.bind(pair.client));
        } else {
          read = pump(received, read, pair.server.read.bind(pair.server));
        }
      }
    }
    assert(sameBytes(sent, received));
  },
);

contractTest(
  "43",
  "a read of a part leaves the rest to be read, and the next arrival is reported",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    write(pair.client, "0123456789");
    expectEvent(poll, 1, Readiness.READABLE);
    const bytes = new Uint8Array(4);
    assertEquals(pair.server.read(bytes), 4);
    // Without a drain another event may come or not.
    assertEquals(pair.server.read(bytes), 4);
    assertEquals(pair.server.read(bytes), 2);
    assertEquals(pair.server.read(bytes), WOULD_BLOCK);
    expectSilence(poll);
    write(pair.client, "more");
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(readAvailable(pair.server), "more");
  },
);

contractTest(
  "44",
  "a peek takes no data and no readiness, and would block when there is none",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    const bytes = new Uint8Array(8);
    assertEquals(pair.server.peek(bytes), WOULD_BLOCK);
    for (const text of ["first", "second"]) {
      write(pair.client, text);
      expectEvent(poll, 1, Readiness.READABLE);
      for (let round = 0; round < 2; round++) {
        const count = pair.server.peek(bytes);
        const peeked = new TextDecoder().decode(bytes.subarray(0, count));
        assertEquals(peeked, text);
      }
      assertEquals(readAvailable(pair.server), text);
      assertEquals(pair.server.peek(bytes), WOULD_BLOCK);
      expectSilence(poll);
    }
    // What was peeked at and not read is ready still.
    write(pair.client, "third");
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(pair.server.peek(bytes), 5);
    poll.registry.reregister(pair.server, 2, READABLE);
    expectEvent(poll, 2, Readiness.READABLE);
    assertEquals(readAvailable(pair.server), "third");
    pair.client.shutdown("write");
    expectEvent(poll, 2, Readiness.READ_CLOSED);
    assertEquals(pair.server.peek(bytes), 0);
    assertEquals(pair.server.read(bytes), 0);
  },
);

contractTest(
  "44",
  "a peek that would block is followed by the next arrival's event, as a read is",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    using clone = pair.server.tryClone();
    poll.registry.register(pair.server, 1, READABLE);
    write(pair.client, "first");
    expectEvent(poll, 1, Readiness.READABLE);
    // Another has been quicker: the event has come to nothing.
    assertEquals(readAvailable(clone), "first");
    assertEquals(pair.server.peek(new Uint8Array(8)), WOULD_BLOCK);
    expectSilence(poll);
    write(pair.client, "second");
    expectEvent(poll, 1, Readiness.READABLE);
  },
);

contractTest(
  "42",
  "the next arrival is reported, when a clone has read the one before",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    using clone = pair.server.tryClone();
    poll.registry.register(pair.server, 1, READABLE);
    for (const text of ["first", "second", "third"]) {
      write(pair.client, text);
      expectEvent(poll, 1, Readiness.READABLE);
      assertEquals(readAvailable(clone), text);
      expectSilence(poll);
    }
  },
);

contractTest(
  "45",
  "an idle stream is writable in one event, and silent then",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    const events = new Events();
    assertEquals(poll.poll(events, 10_000), 1);
    assertEquals([...events], [{ token: 1, readiness: Readiness.WRITABLE }]);
    for (let round = 0; round < 3; round++) expectSilence(poll);
  },
);

contractTest(
  "46",
  "a stream that only reads has no event for its connect",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    using client = TcpStream.connect(listener.localAddress);
    poll.registry.register(client, 2, READABLE);
    expectEvent(poll, 1, Readiness.READABLE);
    using accepted = listener.accept();
    assert(accepted);
    expectSilence(poll);
    write(accepted, "x");
    expectEvent(poll, 2, Readiness.READABLE);
  },
);

backendTest(
  "a level is reported as long as it lasts",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE, { mode: "level" });
    expectSilence(poll);
    write(pair.client, "data");
    for (let round = 0; round < 3; round++) {
      assertEquals(
        expectEvent(poll, 1, Readiness.READABLE),
        Readiness.READABLE,
      );
    }
    assertEquals(pair.server.read(new Uint8Array(1)), 1);
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(readAvailable(pair.server), "ata");
    expectSilence(poll);
    write(pair.client, "again");
    expectEvent(poll, 1, Readiness.READABLE);
    pair.server.read(new Uint8Array(8));
    pair.client.close();
    // An end lasts.
    for (let round = 0; round < 3; round++) {
      expectEvent(poll, 1, Readiness.READ_CLOSED);
    }
  },
);

backendTest(
  "a level of a listener is reported until all are accepted",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE, { mode: "level" });
    using clients = new DisposableStack();
    for (let count = 0; count < 3; count++) {
      clients.use(TcpStream.connect(listener.localAddress));
    }
    for (let count = 0; count < 3; count++) {
      expectEvent(poll, 1, Readiness.READABLE);
      const accepted = listener.accept();
      assert(accepted);
      clients.use(accepted);
    }
    assertEquals(listener.accept(), undefined);
    expectSilence(poll);
  },
);

backendTest(
  "a one-shot is reported once, until it is reregistered",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const once = { mode: "one-shot" } as const;
    poll.registry.register(pair.server, 1, READABLE | WRITABLE, once);
    expectEvent(poll, 1, Readiness.WRITABLE);
    // Not of another kind either, nor after a read.
    write(pair.client, "first");
    whenSent(pair.server, 5);
    expectSilence(poll);
    write(pair.client, "second");
    expectSilence(poll);
    pair.client.close();
    expectSilence(poll);
    poll.registry.reregister(pair.server, 2, READABLE, once);
    expectEvent(poll, 2, Readiness.READABLE | Readiness.READ_CLOSED);
    expectSilence(poll);
  },
);

backendTest(
  "a mode is replaced by reregister()",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const { registry } = poll;
    registry.register(pair.client, 1, WRITABLE, { mode: "level" });
    for (let round = 0; round < 2; round++) {
      expectEvent(poll, 1, Readiness.WRITABLE);
    }
    for (const mode of [undefined, "edge", "one-shot"] as const) {
      registry.reregister(pair.client, 2, WRITABLE, mode && { mode });
      expectEvent(poll, 2, Readiness.WRITABLE);
      expectSilence(poll);
    }
    registry.reregister(pair.client, 3, WRITABLE, { mode: "level" });
    for (let round = 0; round < 2; round++) {
      expectEvent(poll, 3, Readiness.WRITABLE);
    }
  },
);

backendTest(
  "exclusive polls do not all report one connection, and each can",
  (backend) => {
    using first = new Poll({ backend });
    using second = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    using clone = listener.tryClone();
    const options = { mode: "level", exclusive: true } as const;
    first.registry.register(listener, 1, READABLE, options);
    second.registry.register(clone, 2, READABLE, options);
    using _client = TcpStream.connect(listener.localAddress);
    expectEvent(first, 1, Readiness.READABLE);
    using accepted = listener.accept();
    assert(accepted);
    expectSilence(second);
    first.registry.deregister(listener);
    using _next = TcpStream.connect(listener.localAddress);
    expectEvent(second, 2, Readiness.READABLE);
    assertThrows(
      () => second.registry.reregister(clone, 2, READABLE),
      TypeError,
    );
  },
  { feature: "exclusive" },
);

/**
 * Writes until there is no room, nor any more to come: the system may take its
 * time to move what was written to the peer's side, where room is left.
 */
function fillUp(stream: TcpStream, poll: Poll): number {
  let written = fill(stream);
  while (poll.poll(new Events(), SILENCE_MS) > 0) written += fill(stream);
  return written;
}

/** Writes until there is no room, and returns how much there was. */
function fill(stream: TcpStream): number {
  const bytes = new Uint8Array(MIB);
  let written = 0;
  for (;;) {
    const count = stream.write(bytes);
    if (count === WOULD_BLOCK) return written;
    written += count;
  }
}

/** Reads so many bytes, waiting for them. */
function whenSent(stream: TcpStream, length: number): void {
  const endMs = performance.now() + 10_000;
  while (length > 0) {
    const count = stream.read(new Uint8Array(length));
    if (count > 0) length -= count;
    assert(performance.now() < endMs, "the bytes have not come");
  }
}

/** Moves bytes from `start` on until `move` would block or all are moved. */
function pump(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  move: (bytes: Uint8Array<ArrayBuffer>, start: number) => number,
): number {
  while (start < bytes.byteLength) {
    const count = move(bytes, start);
    if (count === WOULD_BLOCK) break;
    start += count;
  }
  return start;
}
