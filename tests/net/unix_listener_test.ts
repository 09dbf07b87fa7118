/** Listening and accepting within the machine. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  AcceptBatch,
  Interest,
  Poll,
  Readiness,
  UnixListener,
  UnixStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { cleanTest } from "../util/clean_tests.ts";
import {
  acceptOne,
  expectEvent,
  expectSilence,
  readAvailable,
  whenReadable,
  write,
} from "../util/streams.ts";
import { abstractName, NO_ABSTRACT, SocketFolder } from "../util/unix_paths.ts";

const { READABLE } = Interest;

cleanTest(
  "UnixListener.bind() makes a path, which stays when it is closed",
  () => {
    using folder = new SocketFolder();
    const path = folder.path();
    const listener = UnixListener.bind({ path });
    assertEquals(listener.localAddress, { transport: "unix", path });
    assert(Deno.statSync(path).isSocket);
    listener.close();
    assert(Deno.statSync(path).isSocket);
    assertThrows(
      () => UnixListener.bind({ path }),
      Deno.errors.AddrInUse,
      `Cannot listen on "${path}"`,
    );
    assertThrows(
      () => UnixStream.connect({ path }),
      Deno.errors.ConnectionRefused,
      `Cannot connect to "${path}"`,
    );
  },
);

cleanTest(
  "UnixListener.bind() takes the longest path there is, and its bytes count",
  () => {
    using folder = new SocketFolder();
    const bytesMax = Deno.build.os === "linux" ? 107 : 103;
    const stem = folder.path("é");
    const rest = bytesMax - new TextEncoder().encode(stem).length;
    const path = stem + "x".repeat(rest);
    using listener = UnixListener.bind({ path });
    assertEquals(listener.localAddress.path, path);
    using _client = UnixStream.connect({ path });
    for (const open of [UnixListener.bind, UnixStream.connect]) {
      assertThrows(
        () => open({ path: `${path}x` }),
        TypeError,
        `it has ${bytesMax + 1} bytes, the most is ${bytesMax}`,
      );
    }
  },
);

cleanTest("a Unix path is refused, when it is none", () => {
  for (const open of [UnixListener.bind, UnixStream.connect]) {
    assertThrows(() => open({ path: "" }), TypeError, "must not be empty");
    for (const path of ["/tmp/a\0b", "\0a\0"]) {
      const shown = path.replaceAll("\0", "\\0");
      assertThrows(() => open({ path }), TypeError, `"${shown}"`);
    }
  }
  using folder = new SocketFolder();
  const path = folder.path("missing/a.sock");
  assertThrows(() => UnixListener.bind({ path }), Deno.errors.NotFound, path);
  assertThrows(() => UnixStream.connect({ path }), Deno.errors.NotFound, path);
  Deno.writeTextFileSync(folder.path("file"), "");
  assertThrows(
    () => UnixListener.bind({ path: folder.path("file/a.sock") }),
    Deno.errors.NotADirectory,
  );
});

cleanTest(
  "UnixListener.bind() throws RangeError, when the backlog is out of range",
  () => {
    using folder = new SocketFolder();
    for (const backlog of [-1, 2 ** 31, 1.5, NaN]) {
      assertThrows(
        () => UnixListener.bind({ path: folder.path(), backlog }),
        RangeError,
        `backlog "${backlog}"`,
      );
    }
  },
);

cleanTest(
  "UnixListener has an abstract name, when the path begins with a NUL",
  () => {
    const path = abstractName();
    const listener = UnixListener.bind({ path });
    assertEquals(listener.localAddress, { transport: "unix", path });
    assertThrows(
      () => UnixListener.bind({ path }),
      Deno.errors.AddrInUse,
      `"\\0denio-test-`,
    );
    {
      using client = UnixStream.connect({ path });
      using server = acceptOne(listener);
      assertEquals(client.peerAddress, { transport: "unix", path });
      write(client, "hello");
      whenReadable(server);
      assertEquals(readAvailable(server), "hello");
    }
    // The name ends with its socket.
    listener.close();
    UnixListener.bind({ path }).close();
  },
  { ignore: NO_ABSTRACT },
);

cleanTest(
  "UnixListener takes an abstract name of 107 bytes, and none longer",
  () => {
    const path = abstractName().padEnd(108, "x");
    using listener = UnixListener.bind({ path });
    assertEquals(listener.localAddress.path, path);
    assertThrows(() => UnixListener.bind({ path: `${path}x` }), TypeError);
  },
  { ignore: NO_ABSTRACT },
);

for (const backend of Poll.backends()) {
  cleanTest(
    `UnixListener has an event for each connection, when it is drained between, on ${backend}`,
    () => {
      using folder = new SocketFolder();
      const path = folder.path();
      using poll = new Poll({ backend });
      using listener = UnixListener.bind({ path });
      poll.registry.register(listener, 1, READABLE);
      expectSilence(poll);
      for (let round = 0; round < 3; round++) {
        using client = UnixStream.connect({ path });
        expectEvent(poll, 1, Readiness.READABLE);
        using accepted = listener.accept();
        assert(accepted instanceof UnixStream);
        assertEquals(accepted.localAddress.path, path);
        assertEquals(accepted.peerAddress, { transport: "unix", path: "" });
        assertEquals(client.peerAddress.path, path);
        assertEquals(accepted.read(new Uint8Array(1)), WOULD_BLOCK);
        assertEquals(listener.accept(), undefined);
        expectSilence(poll);
      }
    },
  );
}

cleanTest("UnixListener.acceptBatch() makes streams of its kind", () => {
  using folder = new SocketFolder();
  using listener = UnixListener.bind({ path: folder.path() });
  using streams = new DisposableStack();
  for (let count = 0; count < 3; count++) {
    streams.use(UnixStream.connect(listener.localAddress));
  }
  const batch = new AcceptBatch(UnixStream);
  assertEquals(listener.acceptBatch(batch, 2), 2);
  assertEquals(batch.stopped, 0);
  for (const index of [0, 1]) {
    assert(streams.use(batch.stream(index)) instanceof UnixStream);
  }
  assertEquals(listener.acceptBatch(batch), 1);
  streams.use(batch.stream(0));
  assertEquals(batch.stopped, errnoNumber("EAGAIN"));
});

cleanTest("UnixListener throws BadResource, when it is closed", () => {
  using folder = new SocketFolder();
  const listener = UnixListener.bind({ path: folder.path() });
  assertEquals(listener.takeError(), undefined);
  listener.close();
  assertThrows(() => listener.accept(), Deno.errors.BadResource);
  assertThrows(() => listener.localAddress, Deno.errors.BadResource);
  assertThrows(() => listener.tryClone(), Deno.errors.BadResource);
  assertThrows(() => listener.takeError(), Deno.errors.BadResource);
});

cleanTest("UnixListener.tryClone() accepts from the same socket", () => {
  using folder = new SocketFolder();
  const listener = UnixListener.bind({ path: folder.path() });
  using clone = listener.tryClone();
  listener.close();
  using _client = UnixStream.connect(clone.localAddress);
  using accepted = clone.accept();
  assert(accepted);
});
