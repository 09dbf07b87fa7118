/** Datagrams, on each backend. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  Events,
  Interest,
  Poll,
  Readiness,
  UdpSocket,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { lacks, NO_IPV6 } from "../util/machine.ts";
import {
  expectEvent,
  expectSilence,
  LOOPBACK,
  whenReadable,
} from "../util/streams.ts";

const GROUP = "239.255.77.1";
const GROUP_V6 = "ff02::77:1";
const HELLO = new TextEncoder().encode("hello");
/** RFC 768: what 16 bits of length leave beside the headers of UDP and IPv4. */
const DATAGRAM_MAX = 65_507;

const NO_MULTICAST = lacks("multicast on loopback", () => {
  using socket = UdpSocket.bind({ hostname: "0.0.0.0", port: 0 });
  try {
    socket.joinMulticast(GROUP, "127.0.0.1");
    return true;
  } catch {
    return false;
  }
});

for (const backend of Poll.backends()) {
  for (const hostname of ["127.0.0.1", "::1"]) {
    cleanTest(
      `UdpSocket.receiveFrom() returns the sender, at ${hostname}, on ${backend}`,
      () => {
        using poll = new Poll({ backend });
        using server = UdpSocket.bind({ hostname, port: 0 });
        using client = UdpSocket.bind({ hostname, port: 0 });
        assertEquals(server.localAddress.transport, "udp");
        assertEquals(server.localAddress.hostname, hostname);
        assertEquals(server.sender, undefined);
        poll.registry.register(server, 1, Interest.READABLE);
        expectSilence(poll);

        assertEquals(client.sendTo(HELLO, server.localAddress), 5);
        expectEvent(poll, 1, Readiness.READABLE);
        const buffer = new Uint8Array(16);
        assertEquals(server.receiveFrom(buffer), 5);
        assertEquals(buffer.subarray(0, 5), HELLO);
        assertEquals(server.sender, client.localAddress);
        assertEquals(server.sendTo(HELLO, server.sender!, 1, 4), 3);
        whenReadable(client);
        assertEquals(client.receiveFrom(buffer, 4), 3);
        assertEquals(client.sender, server.localAddress);
      },
      { ignore: hostname === "::1" && NO_IPV6 },
    );
  }

  cleanTest(
    `UdpSocket has another event, when it has been drained, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      using pair = connectedSockets();
      const { client, server } = pair;
      poll.registry.register(server, 1, Interest.READABLE);
      const buffer = new Uint8Array(16);
      assertEquals(server.receive(buffer), WOULD_BLOCK);
      for (let round = 0; round < 3; round++) {
        assertEquals(client.send(HELLO), 5);
        expectEvent(poll, 1, Readiness.READABLE);
        assertEquals(server.receive(buffer), 5);
        assertEquals(server.receive(buffer), WOULD_BLOCK);
        expectSilence(poll);
      }
    },
  );

  cleanTest(
    `UdpSocket receives a datagram of no bytes, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      using pair = connectedSockets();
      const { client, server } = pair;
      poll.registry.register(server, 1, Interest.READABLE);
      assertEquals(client.send(new Uint8Array(0)), 0);
      expectEvent(poll, 1, Readiness.READABLE);
      assertEquals(server.receiveFrom(new Uint8Array(4)), 0);
      assertEquals(server.sender, client.localAddress);
      assertEquals(server.receive(new Uint8Array(4)), WOULD_BLOCK);
    },
  );

  cleanTest(
    `UdpSocket.peek() leaves the datagram where it is, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      using pair = connectedSockets();
      const { client, server } = pair;
      poll.registry.register(server, 1, Interest.READABLE);
      client.send(HELLO);
      expectEvent(poll, 1, Readiness.READABLE);
      const buffer = new Uint8Array(16);
      assertEquals(server.peek(buffer, 0, 2), 2);
      assertEquals(server.peekFrom(buffer), 5);
      assertEquals(server.sender, client.localAddress);
      assertEquals(server.receive(buffer, 8), 5);
      assertEquals(server.peek(buffer), WOULD_BLOCK);
      assertEquals(server.peekFrom(buffer), WOULD_BLOCK);
      assertEquals(server.sender, client.localAddress);
    },
  );

  cleanTest(
    `UdpSocket throws that no program receives, when it is connected, on ${backend}`,
    () => {
      using poll = new Poll({ backend });
      using client = UdpSocket.bind(LOOPBACK);
      client.connect(freeAddress());
      poll.registry.register(client, 1, Interest.READABLE);
      client.send(HELLO);
      expectEvent(poll, 1, Readiness.ERROR);
      assertThrows(
        () => client.receive(new Uint8Array(1)),
        Deno.errors.ConnectionRefused,
        `receive from UDP socket ${client.handle}`,
      );
    },
    { ignore: Deno.build.os !== "linux" },
  );
}

for (const backend of Poll.backends()) {
  cleanTest(`UdpSocket has datagrams behind an error, on ${backend}`, () => {
    using poll = new Poll({ backend });
    using socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
    const peer = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
    const address = peer.localAddress;
    socket.connect(address);
    poll.registry.register(socket, 1, Interest.READABLE);
    peer.close();
    socket.send(HELLO);
    using next = UdpSocket.bind(address);
    next.sendTo(HELLO, socket.localAddress);
    next.sendTo(HELLO, socket.localAddress);

    const buffer = new Uint8Array(16);
    for (const whole of [[5, 5], [5]]) {
      expectEvent(poll, 1, Readiness.READABLE);
      if (whole.length === 2) {
        const { ConnectionRefused } = Deno.errors;
        assertThrows(() => socket.receive(buffer), ConnectionRefused);
      }
      for (const count of whole) assertEquals(socket.receive(buffer), count);
      assertEquals(socket.receive(buffer), WOULD_BLOCK);
      expectSilence(poll);
      next.sendTo(HELLO, socket.localAddress);
    }
  });
}

cleanTest(
  "UdpSocket cuts a datagram off and says so, when the buffer is shorter",
  () => {
    using pair = connectedSockets();
    const { client, server } = pair;
    client.send(HELLO);
    client.send(HELLO, 4);
    whenReadable(server);
    const buffer = new Uint8Array(8).fill(46);
    assertEquals(server.isCut, false);
    assertEquals([server.peek(buffer, 1, 2), server.isCut], [1, true]);
    assertEquals([server.peekFrom(buffer), server.isCut], [5, false]);
    buffer.fill(46);
    assertEquals([server.receive(buffer, 1, 3), server.isCut], [2, true]);
    assertEquals(new TextDecoder().decode(buffer), ".he.....");
    // The rest of the first is lost, and not the start of the second.
    assertEquals([server.receive(buffer), server.isCut], [1, false]);
    assertEquals(buffer[0], HELLO[4]);
  },
);

cleanTest("UdpSocket.connect() takes datagrams of its peer alone", () => {
  using pair = connectedSockets();
  using stranger = UdpSocket.bind(LOOPBACK);
  const { client, server } = pair;
  assertEquals(client.peerAddress, server.localAddress);
  stranger.sendTo(HELLO, client.localAddress);
  server.sendTo(HELLO, client.localAddress, 0, 1);
  whenReadable(client);
  assertEquals(client.receiveFrom(new Uint8Array(8)), 1);
  assertEquals(client.sender, server.localAddress);
  assertEquals(client.receive(new Uint8Array(8)), WOULD_BLOCK);

  client.connect(stranger.localAddress);
  assertEquals(client.peerAddress, stranger.localAddress);
});

cleanTest("UdpSocket needs a destination, when it is not connected", () => {
  using socket = UdpSocket.bind(LOOPBACK);
  assertThrows(() => socket.peerAddress, Deno.errors.NotConnected);
  const error = assertThrows(() => socket.send(HELLO), Error);
  assertEquals((error as { code?: string }).code, "EDESTADDRREQ");
});

cleanTest(
  "UdpSocket.sendTo() takes IPv4, and IPv6 in brackets or without",
  () => {
    using socket = UdpSocket.bind(LOOPBACK);
    const { port } = socket.localAddress;
    socket.sendTo(HELLO, { hostname: "127.0.0.1", port });
    whenReadable(socket);
    assertEquals(socket.receive(new Uint8Array(8)), 5);
    if (NO_IPV6) return;
    using six = UdpSocket.bind({ hostname: "[::1]", port: 0 });
    assertEquals(six.localAddress.hostname, "::1");
    const address = { hostname: "[::1]", port: six.localAddress.port };
    six.sendTo(HELLO, address);
    six.sendTo(HELLO, { ...address, hostname: "::1" });
    whenReadable(six);
    for (let count = 0; count < 2; count++) {
      assertEquals(six.receive(new Uint8Array(8)), 5);
    }
  },
);

cleanTest("UdpSocket.sendTo() sends to each address, when it changes", () => {
  using one = UdpSocket.bind(LOOPBACK);
  using other = UdpSocket.bind(LOOPBACK);
  using client = UdpSocket.bind(LOOPBACK);
  for (const socket of [one, other, one]) {
    client.sendTo(HELLO, socket.localAddress);
    whenReadable(socket);
    assertEquals(socket.receive(new Uint8Array(8)), 5);
  }
});

cleanTest("UdpSocket refuses what is no datagram and no address", () => {
  using pair = connectedSockets();
  const { client } = pair;
  const tooLong = new Uint8Array(DATAGRAM_MAX + 1);
  const error = assertThrows(() => client.send(tooLong), Error);
  assertEquals((error as { code?: string }).code, "EMSGSIZE");
  const bytes = new Uint8Array(8);
  for (const [start, end] of [[9, 9], [0, 9], [-1, 0], [NaN, 1]] as const) {
    const address = client.localAddress;
    const ways = [
      () => client.send(bytes, start, end),
      () => client.sendTo(bytes, address, start, end),
      () => client.receive(bytes, start, end),
      () => client.receiveFrom(bytes, start, end),
      () => client.peek(bytes, start, end),
      () => client.peekFrom(bytes, start, end),
    ];
    for (const way of ways) assertThrows(way, RangeError, "the buffer has 8");
  }
  for (const port of [-1, 65_536, 1.5, NaN]) {
    const address = { ...LOOPBACK, port };
    assertThrows(() => UdpSocket.bind(address), RangeError, `"${port}"`);
    assertThrows(() => client.connect(address), RangeError, `"${port}"`);
    assertThrows(() => client.sendTo(bytes, address), RangeError, `"${port}"`);
  }
});

cleanTest("UdpSocket.bind() shares an address, when all ask for it", () => {
  using alone = UdpSocket.bind(LOOPBACK);
  assertThrows(
    () => UdpSocket.bind(alone.localAddress),
    Deno.errors.AddrInUse,
    `Cannot bind "127.0.0.1:${alone.localAddress.port}"`,
  );
  for (const way of ["reusePort", "reuseAddress"]) {
    using first = UdpSocket.bind({ ...LOOPBACK, [way]: true });
    using _other = UdpSocket.bind({ ...first.localAddress, [way]: true });
    assertEquals(first.reusePort, way === "reusePort");
  }
});

cleanTest(
  "UdpSocket takes IPv4 through an IPv6 address by default",
  () => {
    using both = UdpSocket.bind({ hostname: "::", port: 0 });
    assertEquals(both.onlyV6, false);
    using client = UdpSocket.bind(LOOPBACK);
    const { port } = both.localAddress;
    client.sendTo(HELLO, { hostname: "127.0.0.1", port });
    whenReadable(both);
    both.receiveFrom(new Uint8Array(8));
    assertEquals(both.sender?.hostname, "::ffff:127.0.0.1");

    using only = UdpSocket.bind({ hostname: "::", port: 0, onlyV6: true });
    assertEquals(only.onlyV6, true);
  },
  { ignore: NO_IPV6 },
);

cleanTest(
  "UdpSocket.joinMulticast() receives what is sent to the group, until it leaves",
  () => {
    using listener = UdpSocket.bind({ hostname: "0.0.0.0", port: 0 });
    using sender = UdpSocket.bind(LOOPBACK);
    sender.multicastLoop = true;
    const { port } = listener.localAddress;
    listener.joinMulticast(GROUP, "127.0.0.1");
    assertThrows(
      () => listener.joinMulticast(GROUP, "127.0.0.1"),
      Deno.errors.AddrInUse,
      `join multicast group "${GROUP}"`,
    );
    sendToGroup(sender, { hostname: GROUP, port });
    whenReadable(listener);
    assertEquals(listener.receiveFrom(new Uint8Array(8)), 5);
    assertEquals(listener.sender, sender.localAddress);

    listener.leaveMulticast(GROUP, "127.0.0.1");
    assertThrows(
      () => listener.leaveMulticast(GROUP, "127.0.0.1"),
      Deno.errors.AddrNotAvailable,
      `leave multicast group "${GROUP}"`,
    );
    sendToGroup(sender, { hostname: GROUP, port });
    expectNothing(listener);
  },
  { ignore: NO_MULTICAST },
);

cleanTest(
  "UdpSocket joins and leaves an IPv6 group by the interface's index",
  () => {
    using socket = UdpSocket.bind({ hostname: "::", port: 0 });
    const LOOPBACK_INDEX = 1;
    socket.joinMulticast(`[${GROUP_V6}]`, LOOPBACK_INDEX);
    socket.leaveMulticast(GROUP_V6, LOOPBACK_INDEX);
    const error = assertThrows(
      () => socket.joinMulticast(GROUP_V6, 0x7fff_ffff),
      Error,
    );
    assertEquals((error as { code?: string }).code, "ENODEV");
  },
  { ignore: NO_IPV6 || Deno.build.os !== "linux" },
);

cleanTest(
  "UdpSocket.joinMulticast() throws, when there is no such group",
  () => {
    using socket = UdpSocket.bind({ hostname: "0.0.0.0", port: 0 });
    for (
      const group of [
        "",
        "127.0.0.1",
        "240.0.0.1",
        "::1",
        "localhost",
        "2.3",
        ":",
      ]
    ) {
      for (const way of ["joinMulticast", "leaveMulticast"] as const) {
        assertThrows(() => socket[way](group), TypeError, `group "${group}"`);
      }
    }
    for (const wrong of ["lo", "::1", 1]) {
      assertThrows(
        () => socket.joinMulticast(GROUP, wrong),
        TypeError,
        `network interface "${wrong}"`,
      );
    }
    assertThrows(
      () => socket.joinMulticast(GROUP_V6, "127.0.0.1"),
      TypeError,
      'network interface "127.0.0.1"',
    );
    for (const index of [-1, 1.5, 2 ** 32]) {
      assertThrows(() => socket.joinMulticast(GROUP_V6, index), RangeError);
    }
  },
);

cleanTest("UdpSocket.tryClone() shares the socket", () => {
  using pair = connectedSockets();
  const { client, server } = pair;
  using clone = server.tryClone();
  assertEquals(clone.localAddress, server.localAddress);
  server.close();
  client.send(HELLO);
  whenReadable(clone);
  assertEquals(clone.receive(new Uint8Array(8)), 5);
  assertThrows(
    () => server.receive(new Uint8Array(8)),
    Deno.errors.BadResource,
  );
});

cleanTest("UdpSocket.takeError() is undefined, when it is well", () => {
  using socket = UdpSocket.bind(LOOPBACK);
  assertEquals(socket.takeError(), undefined);
});

interface Sockets extends Disposable {
  readonly client: UdpSocket;
  readonly server: UdpSocket;
}

/** Returns two sockets; the client is connected to the server. */
function connectedSockets(): Sockets {
  const server = UdpSocket.bind(LOOPBACK);
  const client = UdpSocket.bind(LOOPBACK);
  client.connect(server.localAddress);
  return {
    client,
    server,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      server[Symbol.dispose]();
    },
  };
}

function sendToGroup(
  socket: UdpSocket,
  address: { hostname: string; port: number },
): void {
  assertEquals(socket.sendTo(HELLO, address), HELLO.length);
}

function expectNothing(socket: UdpSocket): void {
  using poll = new Poll();
  poll.registry.register(socket, 1, Interest.READABLE);
  assertEquals(poll.poll(new Events(), 20), 0);
}

/** An address where no program receives. */
function freeAddress(): Deno.NetAddr {
  using socket = UdpSocket.bind(LOOPBACK);
  return socket.localAddress;
}
