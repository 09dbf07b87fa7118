/** Listening and accepting: items 54 to 60. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Backend,
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
} from "../../src/poll.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { NO_IPV6, NO_PROC } from "../util/machine.ts";
import {
  connectedPair,
  expectEvent,
  expectSilence,
  LOOPBACK,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE } = Interest;

contractTest(
  "54",
  "a listener on port 0 has a port, which no other listener can have",
  () => {
    using listener = TcpListener.bind(LOOPBACK);
    const { localAddress } = listener;
    assertEquals(localAddress.hostname, "127.0.0.1");
    assert(localAddress.port > 0 && localAddress.port < 65_536);
    assertThrows(
      () => TcpListener.bind(localAddress),
      Deno.errors.AddrInUse,
      `Cannot listen on "127.0.0.1:${localAddress.port}"`,
    );
  },
);

contractTest(
  "54",
  "an address can be listened on again, when its connections have just closed",
  () => {
    const { client, server, listener } = connectedPair();
    const { localAddress } = listener;
    // The side that closes first keeps the address in TIME_WAIT.
    server.close();
    listener.close();
    client.close();
    using _again = TcpListener.bind(localAddress);
  },
);

contractTest(
  "55",
  "listeners and streams are non-blocking and closed on exec",
  () => {
    const before = descriptors();
    using _pair = connectedPair();
    const opened = descriptorsSince(before);
    assertEquals(opened.length, 3);
    for (const { kind, isNonblocking, isCloseOnExec } of opened) {
      assert(isNonblocking && isCloseOnExec, kind);
    }
  },
  { ignore: NO_PROC },
);

contractTest(
  "56",
  "accept() would block, before connections come and after all are taken",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    assertEquals(listener.accept(), undefined);
    expectSilence(poll);
    using clients = new DisposableStack();
    for (let count = 0; count < 3; count++) {
      clients.use(TcpStream.connect(listener.localAddress));
    }
    for (let count = 0; count < 3;) {
      expectEvent(poll, 1, Readiness.READABLE);
      for (;;) {
        const accepted = listener.accept();
        if (accepted === undefined) break;
        clients.use(accepted);
        count++;
      }
    }
    assertEquals(listener.accept(), undefined);
    expectSilence(poll);
  },
);

contractTest(
  "57",
  "accept() knows both addresses, of IPv4",
  (backend) => expectBothAddresses(backend, "127.0.0.1"),
);

contractTest(
  "57",
  "accept() knows both addresses, of IPv6",
  (backend) => expectBothAddresses(backend, "::1"),
  { ignore: NO_IPV6 },
);

contractTest(
  "58",
  "a listener has an event for each connection, when it is drained between",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    for (let round = 0; round < 3; round++) {
      using _client = TcpStream.connect(listener.localAddress);
      expectEvent(poll, 1, Readiness.READABLE);
      using accepted = listener.accept();
      assert(accepted);
      assertEquals(listener.accept(), undefined);
      expectSilence(poll);
    }
  },
);

contractTest(
  "59",
  "a listener that is well has no error, before and after it has served",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    assertEquals(pair.listener.takeError(), undefined);
    poll.registry.register(pair.listener, 1, READABLE);
    using _client = TcpStream.connect(pair.listener.localAddress);
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(pair.listener.takeError(), undefined);
  },
);

contractTest(
  "59, 72",
  "the ttl of a listener and of a stream is what it was set to",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    for (const [token, source] of [pair.listener, pair.client].entries()) {
      poll.registry.register(source, token, READABLE);
      for (const ttl of [1, 10, 255]) {
        source.ttl = ttl;
        assertEquals(source.ttl, ttl);
      }
      assertEquals(source.takeError(), undefined);
    }
  },
);

contractTest(
  "59",
  "a handle makes the same listener and stream again",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const listener = new TcpListener(pair.listener.handle);
    const stream = new TcpStream(pair.client.handle);
    assertEquals(listener.localAddress, pair.listener.localAddress);
    assertEquals(stream.localAddress, pair.client.localAddress);
    poll.registry.register(stream, 1, WRITABLE);
    assertThrows(
      () => poll.registry.register(pair.client, 1, WRITABLE),
      Deno.errors.AlreadyExists,
    );
    expectEvent(poll, 1, Readiness.WRITABLE);
  },
);

contractTest(
  "60",
  "a listener that is closed with connections in its queue is reported no more",
  (backend) => {
    for (const isTold of [true, false]) {
      using poll = new Poll({ backend });
      const listener = TcpListener.bind(LOOPBACK);
      poll.registry.register(listener, 1, READABLE);
      using client = TcpStream.connect(listener.localAddress);
      using _second = TcpStream.connect(listener.localAddress);
      if (isTold) expectEvent(poll, 1, Readiness.READABLE);
      listener.close();
      expectSilence(poll);
      // The connections that waited are refused.
      poll.registry.register(client, 2, READABLE);
      expectEvent(poll, 2, Readiness.READ_CLOSED);
      assertThrows(
        () => client.read(new Uint8Array(1)),
        Deno.errors.ConnectionReset,
      );
    }
  },
);

function expectBothAddresses(backend: Backend, hostname: string): void {
  using poll = new Poll({ backend });
  using listener = TcpListener.bind({ hostname, port: 0 });
  poll.registry.register(listener, 1, READABLE);
  using client = TcpStream.connect(listener.localAddress);
  expectEvent(poll, 1, Readiness.READABLE);
  using server = listener.accept();
  assert(server);
  assertEquals(server.localAddress, listener.localAddress);
  assertEquals(server.peerAddress, client.localAddress);
  assertEquals(client.peerAddress, listener.localAddress);
  assertEquals(client.localAddress.hostname, hostname);
}
