/** Connections within the machine, on each backend. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Backend,
  Interest,
  Poll,
  Readiness,
  UnixListener,
  UnixStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  acceptOne,
  expectEvent,
  expectSilence,
  readAvailable,
  registerBoth,
  write,
} from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";

const UNNAMED = { transport: "unix", path: "" } as const;

/** Two connected ends and a poll. */
class PairOnPoll implements Disposable {
  readonly poll: Poll;
  readonly left: UnixStream;
  readonly right: UnixStream;

  constructor(backend: Backend) {
    this.poll = new Poll({ backend });
    [this.left, this.right] = UnixStream.pair();
  }

  [Symbol.dispose](): void {
    this.left[Symbol.dispose]();
    this.right[Symbol.dispose]();
    this.poll[Symbol.dispose]();
  }
}

for (const backend of Poll.backends()) {
  cleanTest(
    `UnixStream.pair() is readable when written to, on ${backend}`,
    () => {
      using pair = new PairOnPoll(backend);
      const { poll, left, right } = pair;
      poll.registry.register(right, 1, Interest.READABLE);
      expectSilence(poll);
      assertEquals(right.read(new Uint8Array(1)), WOULD_BLOCK);
      for (const text of ["one", "two"]) {
        write(left, text);
        expectEvent(poll, 1, Readiness.READABLE);
        assertEquals(readAvailable(right), text);
        expectSilence(poll);
      }
    },
  );

  cleanTest(
    `UnixStream has an event, when its peer has closed, on ${backend}`,
    () => {
      using pair = new PairOnPoll(backend);
      const { poll, left, right } = pair;
      poll.registry.register(right, 1, Interest.READABLE);
      write(left, "last words");
      left.close();
      expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
      assertEquals(readAvailable(right), "last words");
      assertEquals(right.read(new Uint8Array(1)), 0);
      assertThrows(
        () => right.write(new Uint8Array(1)),
        Deno.errors.BrokenPipe,
        `write to stream ${right.handle}`,
      );
    },
  );

  cleanTest(
    `UnixStream.shutdown() of both halves is reported as closed both ways, on ${backend}`,
    () => {
      using pair = new PairOnPoll(backend);
      const { poll, left, right } = pair;
      registerBoth(poll.registry, left, 1);
      left.shutdown("both");
      expectEvent(poll, 1, Readiness.READ_CLOSED | Readiness.WRITE_CLOSED);
      assertEquals(left.read(new Uint8Array(1)), 0);
      assertThrows(
        () => left.write(new Uint8Array(1)),
        Deno.errors.BrokenPipe,
      );
      assertEquals(right.read(new Uint8Array(1)), 0);
    },
  );

  cleanTest(
    `UnixStream would block, when there is no room, and there is when the peer has read, on ${backend}`,
    () => {
      using pair = new PairOnPoll(backend);
      const { poll, left, right } = pair;
      registerBoth(poll.registry, left, 1);
      expectEvent(poll, 1, Readiness.WRITABLE);
      const bytes = new Uint8Array(65_536);
      let written = 0;
      for (;;) {
        const count = left.write(bytes);
        if (count === WOULD_BLOCK) break;
        written += count;
      }
      expectSilence(poll);
      let read = 0;
      while (read < written) read += right.read(bytes);
      assertEquals(read, written);
      expectEvent(poll, 1, Readiness.WRITABLE);
    },
  );
}

cleanTest("UnixStream.pair() has no name at either end", () => {
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  for (const stream of [left, right]) {
    assertEquals(stream.localAddress, UNNAMED);
    assertEquals(stream.peerAddress, UNNAMED);
    assertEquals(stream.peerKey, 0);
    assertEquals(stream.takeError(), undefined);
  }
});

cleanTest("UnixStream.connect() is done at once, and peers have names", () => {
  using folder = new SocketFolder();
  using listener = UnixListener.bind({ path: folder.path() });
  using client = UnixStream.connect(listener.localAddress);
  using server = acceptOne(listener);
  assertEquals(client.localAddress, UNNAMED);
  assertEquals(client.peerAddress, listener.localAddress);
  assertEquals(server.localAddress, listener.localAddress);
  assertEquals(server.peerAddress, UNNAMED);
  write(client, "ping");
  assertEquals(readAvailable(server), "ping");
  write(server, "pong");
  assertEquals(readAvailable(client), "pong");
});

cleanTest(
  "UnixStream.connect() reaches Deno's own listener, and is reached by Deno",
  async () => {
    using folder = new SocketFolder();
    const address = { transport: "unix", path: folder.path() } as const;
    {
      using theirs = Deno.listen(address);
      using client = UnixStream.connect(address);
      using server = await theirs.accept();
      write(client, "hello");
      const buffer = new Uint8Array(8);
      assertEquals(await server.read(buffer), 5);
    }
    const other = { ...address, path: folder.path("b.sock") };
    using ours = UnixListener.bind(other);
    using client = await Deno.connect(other);
    using server = acceptOne(ours);
    await client.write(new TextEncoder().encode("hello"));
    assertEquals(readAvailable(server), "hello");
  },
);

cleanTest(
  "UnixStream.unackedBytes and unreadBytes are 0, when the peer has read all",
  () => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    assertEquals([left.unackedBytes, right.unreadBytes], [0, 0]);
    write(left, "abc");
    write(left, "defg");
    assert(left.unackedBytes >= 7, `${left.unackedBytes}`);
    assertEquals(right.unreadBytes, 7);
    assertEquals(readAvailable(right), "abcdefg");
    assertEquals([left.unackedBytes, right.unreadBytes], [0, 0]);
  },
);

cleanTest("UnixStream.tryClone() shares the connection", () => {
  using folder = new SocketFolder();
  using listener = UnixListener.bind({ path: folder.path() });
  const client = UnixStream.connect(listener.localAddress);
  using server = acceptOne(listener);
  using clone = client.tryClone();
  assert(clone instanceof UnixStream);
  client.close();
  write(clone, "still here");
  assertEquals(readAvailable(server), "still here");
  assertThrows(() => client.tryClone(), Deno.errors.BadResource);
});
