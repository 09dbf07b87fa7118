/** Ranges, options and errors; a stream's events: `contract/`. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Interest,
  Poll,
  Readiness,
  TcpStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  connectedPair,
  expectEvent,
  LOOPBACK,
  readAvailable,
  whenReadable,
  write,
} from "../util/streams.ts";
import { eventually } from "../util/waiting.ts";

const { READABLE } = Interest;

cleanTest(
  "TcpStream.connect() throws RangeError, when the port is none",
  () => {
    for (const port of [-1, 65_536, 1.5, NaN]) {
      assertThrows(
        () => TcpStream.connect({ ...LOOPBACK, port }),
        RangeError,
        `"${port}"`,
      );
    }
  },
);

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
    assertEquals(pair.server.read(bytes, 2, 5), 3);
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
      [8, 9],
      [4, 9],
      [5, 4],
      [-1, 0],
      [-1, 8],
      [0, -1],
      [NaN, 1],
      [0, NaN],
      [2 ** 32, 2 ** 32 + 1],
      [0, 2 ** 32],
      [Infinity, Infinity],
      [0, Infinity],
    ] as const;
    for (const [start, end = 8] of ranges) {
      const message = `from "${start}" to "${end}": the buffer has 8`;
      const { server } = pair;
      assertThrows(() => server.read(bytes, start, end), RangeError, message);
      assertThrows(() => server.write(bytes, start, end), RangeError, message);
    }
    assertEquals(bytes, new Uint8Array(8));
    assertEquals(readAvailable(pair.server), "something to read");
    assertEquals(pair.client.read(bytes), WOULD_BLOCK);
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

cleanTest("TcpStream.peerKey is the same for each connection of a peer", () => {
  using one = connectedPair();
  using other = connectedPair();
  const { peerKey } = one.server;
  assertEquals(other.server.peerKey, peerKey);
  assertEquals(other.client.peerKey, peerKey, "it is on the same machine");
  assert(peerKey >= 1 && peerKey < 2 ** 31, `${peerKey}`);
});

cleanTest("TcpStream.resetOnClose resets the peer", () => {
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
  "TcpStream refuses a range whose end is an object, which could change",
  () => {
    using pair = connectedPair();
    const bytes = new Uint8Array(8);
    for (let checks = 0; checks < 6; checks++) {
      let asked = 0;
      const end = { valueOf: () => asked++ < checks ? 8 : 2 ** 20 };
      const wrong = end as unknown as number;
      assertThrows(() => pair.server.read(bytes, 0, wrong), RangeError);
      assertThrows(() => pair.server.write(bytes, 0, wrong), RangeError);
    }
  },
);

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
  "TcpStream.unreadBytes is what has come, less what was read, without the end",
  () => {
    using pair = connectedPair();
    assertEquals(pair.server.unreadBytes, 0);
    write(pair.client, "abcdef");
    pair.client.shutdown("write");
    using poll = new Poll();
    poll.registry.register(pair.server, 1, READABLE);
    expectEvent(poll, 1, Readiness.READ_CLOSED);
    assertEquals(pair.server.unreadBytes, 6);
    pair.server.read(new Uint8Array(4));
    assertEquals(pair.server.unreadBytes, 2);
    assertEquals(readAvailable(pair.server), "ef");
    assertEquals(pair.server.unreadBytes, 0);
  },
);

cleanTest(
  "TcpStream.unackedBytes is what the peer's system has no room for, and 0 when all has come",
  async () => {
    using pair = connectedPair();
    assertEquals(pair.client.unackedBytes, 0);
    const written = fill(pair.client);
    await eventually(
      "as much as there is room for to be acknowledged",
      () => pair.client.unackedBytes < written,
    );
    assert(pair.client.unackedBytes > 0);
    await eventually("all to be acknowledged", () => {
      readAvailable(pair.server);
      return pair.client.unackedBytes === 0;
    });
    pair.client.shutdown("write");
    await eventually(
      "the end to be acknowledged",
      () => pair.client.unackedBytes === 0,
    );
  },
);

cleanTest(
  "TcpStream is closed once, when closed by hand inside of a using block",
  () => {
    using pair = connectedPair();
    pair.client.close();
    assertThrows(() => pair.client.close(), Deno.errors.BadResource);
  },
);

/** Writes until there is no room, and returns how many bytes were taken. */
function fill(stream: TcpStream): number {
  const bytes = new Uint8Array(1024 * 1024);
  for (let written = 0;;) {
    const count = stream.write(bytes);
    if (count === WOULD_BLOCK) return written;
    written += count;
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
