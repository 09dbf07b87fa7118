/** Streams within the machine: items 75 to 77. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Interest,
  Poll,
  Readiness,
  UnixListener,
  UnixStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { NO_PROC } from "../util/machine.ts";
import {
  acceptOne,
  expectEvent,
  expectQuiet,
  expectSilence,
  readAvailable,
  registerBoth,
  write,
} from "../util/streams.ts";
import { abstractName, NO_ABSTRACT, SocketFolder } from "../util/unix_paths.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE } = Interest;

contractTest(
  "75",
  "a Unix listener has an event for each connection, when it is drained between",
  (backend) => {
    using folder = new SocketFolder();
    using poll = new Poll({ backend });
    using listener = UnixListener.bind({ path: folder.path() });
    poll.registry.register(listener, 1, READABLE);
    assertEquals(listener.accept(), undefined);
    expectSilence(poll);
    for (let round = 0; round < 2; round++) {
      using _client = UnixStream.connect({ path: folder.path() });
      expectEvent(poll, 1, Readiness.READABLE);
      using accepted = listener.accept();
      assert(accepted);
      assertEquals(listener.accept(), undefined);
      expectSilence(poll);
    }
    assertEquals(listener.takeError(), undefined);
  },
);

contractTest(
  "75",
  "a pair of Unix streams has edges, as TCP streams have",
  (backend) => {
    using poll = new Poll({ backend });
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    registerBoth(poll.registry, left, 1);
    assertEquals(
      expectEvent(poll, 1, Readiness.WRITABLE),
      Readiness.WRITABLE,
    );
    expectSilence(poll);
    // Linux reports the room that each read of the peer makes.
    poll.registry.deregister(left);
    poll.registry.register(right, 2, READABLE);
    for (const text of ["first", "second"]) {
      write(left, text);
      expectEvent(poll, 2, Readiness.READABLE);
      assertEquals(readAvailable(right), text);
      assertEquals(right.read(new Uint8Array(1)), WOULD_BLOCK);
      expectSilence(poll);
    }
    poll.registry.deregister(right);
    write(left, "third");
    expectSilence(poll);
    assertEquals(readAvailable(right), "third");
  },
);

contractTest(
  "75",
  "Unix sockets are non-blocking and closed on exec",
  () => {
    using folder = new SocketFolder();
    const before = descriptors();
    using listener = UnixListener.bind({ path: folder.path() });
    using _client = UnixStream.connect({ path: folder.path() });
    using _server = acceptOne(listener);
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const opened = descriptorsSince(before);
    assertEquals(opened.length, 5);
    for (const { kind, isNonblocking, isCloseOnExec } of opened) {
      assert(isNonblocking && isCloseOnExec, kind);
    }
  },
  { ignore: NO_PROC },
);

contractTest(
  "75, 76",
  "an abstract name can be listened on and connected to, and is free again",
  (backend) => {
    const path = abstractName();
    for (let round = 0; round < 2; round++) {
      using poll = new Poll({ backend });
      using listener = UnixListener.bind({ path });
      assertEquals(listener.localAddress, { transport: "unix", path });
      poll.registry.register(listener, 1, READABLE);
      using client = UnixStream.connect({ path });
      assertEquals(client.peerAddress, { transport: "unix", path });
      expectEvent(poll, 1, Readiness.READABLE);
      using server = listener.accept();
      assert(server);
      assertEquals(server.localAddress, { transport: "unix", path });
    }
  },
  { ignore: NO_ABSTRACT },
);

contractTest(
  "76",
  "a Unix address is the path where there is one, and else is unnamed",
  () => {
    using folder = new SocketFolder();
    const path = folder.path();
    const named = { transport: "unix", path } as const;
    const unnamed = { transport: "unix", path: "" } as const;
    using listener = UnixListener.bind({ path });
    using client = UnixStream.connect({ path });
    using server = acceptOne(listener);
    assertEquals(listener.localAddress, named);
    assertEquals(client.peerAddress, named);
    assertEquals(client.localAddress, unnamed);
    assertEquals(server.localAddress, named);
    assertEquals(server.peerAddress, unnamed);
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    assertEquals(left.localAddress, unnamed);
    assertEquals(left.peerAddress, unnamed);
    assertThrows(() => UnixListener.bind({ path }), Deno.errors.AddrInUse);
  },
);

contractTest(
  "77",
  "a Unix stream whose peer is closed is readable and read-closed, and writes no more",
  (backend) => {
    using poll = new Poll({ backend });
    const [left, right] = UnixStream.pair();
    using _left = left;
    registerBoth(poll.registry, left, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    write(right, "last words");
    right.close();
    expectEvent(poll, 1, Readiness.READABLE | Readiness.READ_CLOSED);
    assertEquals(readAvailable(left), "last words");
    assertEquals(left.read(new Uint8Array(1)), 0);
    assertThrows(
      () => left.write(new Uint8Array(1)),
      Deno.errors.BrokenPipe,
    );
    expectQuiet(poll);
  },
);

contractTest(
  "77",
  "a Unix stream whose peer has closed over unread bytes reads what came, then a reset",
  (backend) => {
    using poll = new Poll({ backend });
    const [left, right] = UnixStream.pair();
    using _left = left;
    registerBoth(poll.registry, left, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    write(left, "never read");
    write(right, "last words");
    right.close();
    const end = Readiness.READABLE | Readiness.READ_CLOSED;
    expectEvent(poll, 1, end);
    const bytes = new Uint8Array(4);
    for (const count of [4, 4, 2]) assertEquals(left.read(bytes), count);
    assertThrows(() => left.read(bytes), Deno.errors.ConnectionReset);
    assertEquals(left.read(bytes), 0);
    expectQuiet(poll);
  },
);

contractTest(
  "77",
  "a Unix stream that shuts both down is closed both ways",
  (backend) => {
    using poll = new Poll({ backend });
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    registerBoth(poll.registry, left, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    left.shutdown("both");
    expectEvent(poll, 1, Readiness.READ_CLOSED | Readiness.WRITE_CLOSED);
    assertThrows(
      () => left.write(new Uint8Array(1)),
      Deno.errors.BrokenPipe,
    );
    expectQuiet(poll);
  },
);

contractTest(
  "77",
  "a Unix stream whose peer has shut down writing can still be written to",
  (backend) => {
    using poll = new Poll({ backend });
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    poll.registry.register(left, 1, READABLE);
    right.shutdown("write");
    const seen = expectEvent(
      poll,
      1,
      Readiness.READABLE | Readiness.READ_CLOSED,
    );
    assertEquals(seen & Readiness.WRITE_CLOSED, 0);
    assertEquals(left.read(new Uint8Array(1)), 0);
    poll.registry.reregister(left, 1, WRITABLE);
    expectEvent(poll, 1, Readiness.WRITABLE);
    write(left, "an answer");
    assertEquals(readAvailable(right), "an answer");
  },
);
