/** Datagrams: item 79. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Interest,
  Poll,
  Readiness,
  UdpSocket,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { descriptors, descriptorsSince } from "../util/descriptors.ts";
import { NO_PROC } from "../util/machine.ts";
import {
  expectEvent,
  expectSilence,
  LOOPBACK,
  registerBoth,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const { READABLE } = Interest;
const buffer = new Uint8Array(64);

contractTest(
  "79",
  "a datagram is reported, received with its sender, and answered",
  (backend) => {
    using poll = new Poll({ backend });
    using server = UdpSocket.bind(LOOPBACK);
    using client = UdpSocket.bind(LOOPBACK);
    poll.registry.register(server, 1, READABLE);
    expectSilence(poll);
    assertEquals(server.receiveFrom(buffer), WOULD_BLOCK);
    assertEquals(client.sendTo(bytesOf("ping"), server.localAddress), 4);
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(textOf(server.receiveFrom(buffer)), "ping");
    assertEquals(server.sender, client.localAddress);
    assertEquals(server.receiveFrom(buffer), WOULD_BLOCK);

    poll.registry.register(client, 2, READABLE);
    assertEquals(server.sendTo(bytesOf("pong"), server.sender!), 4);
    expectEvent(poll, 2, Readiness.READABLE);
    assertEquals(textOf(client.receiveFrom(buffer)), "pong");
    assertEquals(client.sender, server.localAddress);
  },
);

contractTest(
  "79",
  "connected sockets send to each other, and receive from no other",
  (backend) => {
    using poll = new Poll({ backend });
    using left = UdpSocket.bind(LOOPBACK);
    using right = UdpSocket.bind(LOOPBACK);
    using stranger = UdpSocket.bind(LOOPBACK);
    assertThrows(() => left.peerAddress, Deno.errors.NotConnected);
    left.connect(right.localAddress);
    right.connect(left.localAddress);
    assertEquals(left.peerAddress, right.localAddress);
    poll.registry.register(right, 1, READABLE);
    stranger.sendTo(bytesOf("not for you"), right.localAddress);
    expectSilence(poll);
    assertEquals(left.send(bytesOf("hello")), 5);
    expectEvent(poll, 1, Readiness.READABLE);
    assertEquals(textOf(right.receive(buffer)), "hello");
    assertEquals(right.receive(buffer), WOULD_BLOCK);
  },
);

contractTest(
  "79",
  "a datagram of no bytes is reported and received",
  (backend) => {
    using poll = new Poll({ backend });
    using server = UdpSocket.bind(LOOPBACK);
    using client = UdpSocket.bind(LOOPBACK);
    poll.registry.register(server, 1, READABLE);
    for (let round = 0; round < 2; round++) {
      assertEquals(client.sendTo(new Uint8Array(0), server.localAddress), 0);
      const seen = expectEvent(poll, 1, Readiness.READABLE);
      assertEquals(seen & Readiness.READ_CLOSED, 0);
      assertEquals(server.receiveFrom(buffer), 0);
      assertEquals(server.sender, client.localAddress);
      assertEquals(server.receiveFrom(buffer), WOULD_BLOCK);
      expectSilence(poll);
    }
  },
);

contractTest(
  "41, 42, 79",
  "a datagram is reported once, when all are received, and the next one again",
  (backend) => {
    using poll = new Poll({ backend });
    using server = UdpSocket.bind(LOOPBACK);
    using client = UdpSocket.bind(LOOPBACK);
    client.connect(server.localAddress);
    poll.registry.register(server, 1, READABLE);
    for (let round = 0; round < 3; round++) {
      for (const text of ["one", "two"]) client.send(bytesOf(text));
      expectEvent(poll, 1, Readiness.READABLE);
      const texts = [];
      for (;;) {
        const count = server.receive(buffer);
        if (count !== WOULD_BLOCK) texts.push(textOf(count));
        else if (texts.length === 2) break;
      }
      assertEquals(texts, ["one", "two"]);
      // The second may have come after the poll: that was its own edge.
      poll.registry.reregister(server, 1, READABLE);
      expectSilence(poll);
    }
  },
);

contractTest(
  "41, 79",
  "a writable UDP socket is reported once, and is silent then",
  (backend) => {
    using poll = new Poll({ backend });
    using socket = UdpSocket.bind(LOOPBACK);
    using receiver = UdpSocket.bind(LOOPBACK);
    registerBoth(poll.registry, socket, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    expectSilence(poll);
    assertEquals(socket.sendTo(bytesOf("x"), receiver.localAddress), 1);
    poll.registry.deregister(socket);
    receiver.sendTo(bytesOf("x"), socket.localAddress);
    expectSilence(poll);
    assertEquals(socket.takeError(), undefined);
  },
);

contractTest(
  "79",
  "UDP sockets are non-blocking and closed on exec",
  () => {
    const before = descriptors();
    using _socket = UdpSocket.bind(LOOPBACK);
    const [opened, ...others] = descriptorsSince(before);
    assertEquals(others, []);
    assert(opened!.isNonblocking && opened!.isCloseOnExec);
  },
  { ignore: NO_PROC },
);

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function textOf(count: number): string {
  return new TextDecoder().decode(buffer.subarray(0, count));
}
