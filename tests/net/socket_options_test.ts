/** Socket options, vectored reading and writing, peeking: on each backend. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  UdpSocket,
  UnixListener,
  UnixStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { lacks, NO_IPV6 } from "../util/machine.ts";
import {
  acceptOne,
  connectedPair,
  expectEvent,
  expectSilence,
  LOOPBACK,
  readAvailable,
  whenReadable,
  write,
} from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";

const NO_LINUX = lacks("Linux", () => Deno.build.os === "linux");
const MIB = 1024 * 1024;
const NO_NUMBERS = [-1, 1.5, NaN, Infinity];

cleanTest("TcpStream.keepalive is what it was set to", () => {
  using pair = connectedPair();
  const { client } = pair;
  assertEquals(client.keepalive, false);
  const all = { idle: 60, interval: 10, count: 5 };
  client.keepalive = all;
  assertEquals(client.keepalive, all);
  client.keepalive = { interval: 7 };
  assertEquals(client.keepalive, { ...all, interval: 7 });
  client.keepalive = false;
  assertEquals(client.keepalive, false);
  // The numbers outlast it.
  client.keepalive = true;
  assertEquals(client.keepalive, { ...all, interval: 7 });
});

cleanTest(
  "TcpStream.keepalive takes the edges of each range, and sets nothing beyond",
  () => {
    using pair = connectedPair();
    const { client } = pair;
    const least = { idle: 1, interval: 1, count: 1 };
    const most = { idle: 32_767, interval: 32_767, count: 127 };
    for (const all of [least, most]) {
      client.keepalive = all;
      assertEquals(client.keepalive, all);
    }
    const wrong = [
      ...[...NO_NUMBERS, 0, 32_768].flatMap((seconds) => [
        { idle: seconds },
        { interval: seconds },
      ]),
      { count: 0 },
      { count: 128 },
    ];
    for (const numbers of wrong) {
      const [name, value] = Object.entries(numbers)[0]!;
      assertThrows(
        () => client.keepalive = { idle: 5, ...numbers },
        RangeError,
        `Cannot set keepalive ${name} to "${value}"`,
      );
    }
    for (const none of ["on", 1, null, undefined]) {
      assertThrows(() => client.keepalive = none as unknown as true, TypeError);
    }
    assertThrows(
      () => client.keepalive = { idle: "5" as unknown as number },
      TypeError,
    );
    assertEquals(client.keepalive, most);
  },
);

cleanTest("TcpStream.linger is what it was set to, and 0 resets", () => {
  using pair = connectedPair();
  const { client, server } = pair;
  assertEquals(client.linger, undefined);
  for (const seconds of [5, 32_767, undefined, 0]) {
    client.linger = seconds;
    assertEquals(client.linger, seconds);
  }
  for (const seconds of [...NO_NUMBERS, 32_768]) {
    assertThrows(
      () => client.linger = seconds,
      RangeError,
      `Cannot set linger to "${seconds}"`,
    );
  }
  client.close();
  whenReadable(server);
  assertThrows(
    () => server.read(new Uint8Array(1)),
    Deno.errors.ConnectionReset,
  );
});

cleanTest("TcpStream.resetOnClose is a linger of 0", () => {
  using pair = connectedPair();
  pair.client.resetOnClose = true;
  assertEquals(pair.client.linger, 0);
  pair.client.resetOnClose = false;
  assertEquals(pair.client.linger, undefined);
});

for (const hostname of ["127.0.0.1", "::1"]) {
  cleanTest(
    `ttl of each socket is what it was set to, at ${hostname}`,
    () => {
      using pair = connectedPair(hostname);
      using udp = UdpSocket.bind({ hostname, port: 0 });
      for (const socket of [pair.listener, pair.client, udp]) {
        for (const hops of [1, 64, 255]) {
          socket.ttl = hops;
          assertEquals(socket.ttl, hops);
        }
        for (const hops of [...NO_NUMBERS, 0, 256]) {
          assertThrows(
            () => socket.ttl = hops,
            RangeError,
            `Cannot set ttl to "${hops}": it must be an integer from 1 to 255`,
          );
        }
        assertEquals(socket.ttl, 255);
      }
    },
    { ignore: hostname === "::1" && NO_IPV6 },
  );
}

cleanTest("buffers of each socket grow and shrink, when asked to", () => {
  using folder = new SocketFolder();
  using tcp = connectedPair();
  using udp = UdpSocket.bind(LOOPBACK);
  using listener = UnixListener.bind({ path: folder.path() });
  using unix = UnixStream.connect(listener.localAddress);
  for (const socket of [tcp.listener, tcp.client, udp, listener, unix]) {
    for (const name of ["receiveBuffer", "sendBuffer"] as const) {
      const sizes = [8_192, 65_536].map((bytes) => {
        socket[name] = bytes;
        // Linux grants twice as much, for its bookkeeping.
        assert(socket[name] >= bytes, `${name}: ${socket[name]}`);
        return socket[name];
      });
      assert(sizes[0]! < sizes[1]!, `${name}: ${sizes}`);
      for (const bytes of [...NO_NUMBERS, 0, 2 ** 31]) {
        assertThrows(() => socket[name] = bytes, RangeError, `"${bytes}"`);
      }
      assertEquals(socket[name], sizes[1]);
    }
  }
});

cleanTest("TcpStream.userTimeout is what it was set to", () => {
  using pair = connectedPair();
  assertEquals(pair.client.userTimeout, 0);
  for (const ms of [1, 30_000, 0x7fff_ffff, 0]) {
    pair.client.userTimeout = ms;
    assertEquals(pair.client.userTimeout, ms);
  }
  for (const ms of [...NO_NUMBERS, 2 ** 31]) {
    assertThrows(
      () => pair.client.userTimeout = ms,
      RangeError,
      `"${ms}"`,
    );
  }
}, { ignore: NO_LINUX });

cleanTest("TcpListener.deferAccept waits for the first bytes", () => {
  using listener = TcpListener.bind(LOOPBACK);
  assertEquals(listener.deferAccept, 0);
  listener.deferAccept = 5;
  // Rounded up to the time of a retransmission.
  assert(listener.deferAccept >= 5, `${listener.deferAccept}`);
  using poll = new Poll();
  poll.registry.register(listener, 1, Interest.READABLE);
  using client = TcpStream.connect(listener.localAddress);
  expectSilence(poll);
  write(client, "hello");
  expectEvent(poll, 1, Readiness.READABLE);
  using server = listener.accept();
  assertEquals(readAvailable(server!), "hello");
  for (const seconds of [...NO_NUMBERS, 2 ** 31]) {
    assertThrows(
      () => listener.deferAccept = seconds,
      RangeError,
      `"${seconds}"`,
    );
  }
  listener.deferAccept = 0;
  assertEquals(listener.deferAccept, 0);
}, { ignore: NO_LINUX });

cleanTest("what the system has not got is NotSupported", () => {
  using pair = connectedPair();
  if (Deno.build.os !== "darwin") {
    assertThrows(() => pair.client.userTimeout, Deno.errors.NotSupported);
  }
  assertThrows(() => pair.listener.deferAccept, Deno.errors.NotSupported);
}, { ignore: Deno.build.os === "linux" });

cleanTest("TcpListener knows whether it was bound with reusePort", () => {
  for (const reusePort of [true, false]) {
    using listener = TcpListener.bind({ ...LOOPBACK, reusePort });
    assertEquals(listener.reusePort, reusePort);
  }
});

cleanTest("TcpListener knows whether it refuses IPv4", () => {
  for (const onlyV6 of [true, false]) {
    using listener = TcpListener.bind({ hostname: "::", port: 0, onlyV6 });
    assertEquals(listener.onlyV6, onlyV6);
  }
  using four = TcpListener.bind(LOOPBACK);
  assertThrows(() => four.onlyV6, TypeError, "get only IPv6");
}, { ignore: NO_IPV6 });

cleanTest("UdpSocket's own options are what they were set to", () => {
  using socket = UdpSocket.bind(LOOPBACK);
  assertEquals(socket.multicastTtl, 1);
  for (const hops of [0, 255]) {
    socket.multicastTtl = hops;
    assertEquals(socket.multicastTtl, hops);
  }
  for (const hops of [...NO_NUMBERS, 256]) {
    assertThrows(() => socket.multicastTtl = hops, RangeError, `"${hops}"`);
  }
  for (const name of ["broadcast", "multicastLoop"] as const) {
    for (const isOn of [true, false]) {
      socket[name] = isOn;
      assertEquals(socket[name], isOn);
    }
  }
});

cleanTest("UdpSocket sends no broadcast, unless that is on", () => {
  using socket = UdpSocket.bind({ hostname: "0.0.0.0", port: 0 });
  const address = { hostname: "127.255.255.255", port: 9 };
  const bytes = new Uint8Array(1);
  assertThrows(
    () => socket.sendTo(bytes, address),
    Deno.errors.PermissionDenied,
  );
  socket.broadcast = true;
  assertEquals(socket.sendTo(bytes, address), 1);
});

cleanTest("an option of another kind of socket is refused", () => {
  using socket = UdpSocket.bind(LOOPBACK);
  const stream = new TcpStream(socket.handle);
  assertThrows(() => stream.nodelay, TypeError, "get nodelay");
  assertThrows(() => stream.nodelay = true, TypeError, "set nodelay");
});

cleanTest("options throw BadResource, when the socket is closed", () => {
  const listener = TcpListener.bind(LOOPBACK);
  listener.close();
  assertThrows(() => listener.ttl, Deno.errors.BadResource, "get ttl");
  assertThrows(() => listener.ttl = 1, Deno.errors.BadResource, "set ttl to 1");
});

cleanTest("hostnames may have brackets, when they are IPv6", () => {
  using listener = TcpListener.bind({ hostname: "[::1]", port: 0 });
  const { port } = listener.localAddress;
  using client = TcpStream.connect({ hostname: "[::1]", port });
  using _server = acceptOne(listener);
  assertEquals(client.peerAddress.hostname, "::1");
  for (const hostname of ["[127.0.0.1]", "[::1", "[localhost]", "[]"]) {
    assertThrows(() => TcpListener.bind({ hostname, port: 0 }));
  }
}, { ignore: NO_IPV6 });

cleanTest(
  "TCP sockets are cloned: the clone stays when the first closes",
  () => {
    using pair = connectedPair();
    const { listener, client, server } = pair;
    using stream = client.tryClone();
    client.close();
    write(stream, "still here");
    whenReadable(server);
    assertEquals(readAvailable(server), "still here");

    using clone = listener.tryClone();
    listener.close();
    using again = TcpStream.connect(clone.localAddress);
    using accepted = acceptOne(clone);
    assertEquals(accepted.peerAddress, again.localAddress);
  },
);

for (const backend of Poll.backends()) {
  for (
    const [kind, pairOf] of Object.entries({ tcp: tcpPair, unix: unixPair })
  ) {
    cleanTest(`peek() of ${kind} leaves what it reads, on ${backend}`, () => {
      using poll = new Poll({ backend });
      using pair = pairOf();
      const { here, there } = pair;
      poll.registry.register(there, 1, Interest.READABLE);
      const buffer = new Uint8Array(8).fill(46);
      assertEquals(there.peek(buffer), WOULD_BLOCK);
      write(here, "abc");
      expectEvent(poll, 1, Readiness.READABLE);
      assertEquals(there.peek(buffer, 1, 3), 2);
      assertEquals(text(buffer), ".ab.....");
      assertEquals(there.peek(buffer), 3);
      assertEquals(readAvailable(there), "abc");
      assertEquals(there.peek(buffer), WOULD_BLOCK);
      expectSilence(poll);
      here.close();
      expectEvent(poll, 1, Readiness.READ_CLOSED);
      assertEquals(there.peek(buffer), 0);
      assertThrows(() => there.peek(buffer, 8, 9), RangeError);
    });

    cleanTest(`vectored calls of ${kind} fill in order, on ${backend}`, () => {
      using poll = new Poll({ backend });
      using pair = pairOf();
      const { here, there } = pair;
      poll.registry.register(there, 1, Interest.READABLE);
      const parts = ["ab", "", "cde", "f", "g", "h", "i", "j"].map((part) =>
        new TextEncoder().encode(part)
      );
      assertEquals(here.writeVectored(parts), 10);
      expectEvent(poll, 1, Readiness.READABLE);
      const first = new Uint8Array(4).fill(46);
      const second = new Uint8Array(3);
      const third = new Uint8Array(8).fill(46);
      const buffers = [first.subarray(1, 3), new Uint8Array(0), second, third];
      assertEquals(there.readVectored(buffers), 10);
      assertEquals(text(first), ".ab.");
      assertEquals(text(second), "cde");
      assertEquals(text(third), "fghij...");
      assertEquals(there.readVectored(buffers), WOULD_BLOCK);
      here.shutdown("write");
      expectEvent(poll, 1, Readiness.READ_CLOSED);
      assertEquals(there.readVectored(buffers), 0);
    });
  }
}

cleanTest(
  "vectored writing ends within a buffer, when there is no more room",
  () => {
    using pair = tcpPair();
    const { here, there } = pair;
    const part = new Uint8Array(16 * MIB);
    const count = here.writeVectored([part, part, part, part]);
    assert(count > 0 && count < 4 * part.length, `${count}`);
    assertEquals(here.writeVectored([part]), WOULD_BLOCK);
    whenReadable(there);
    assert(there.readVectored([part]) > 0);
  },
);

cleanTest(
  "vectored calls take up to eight buffers, which do not overlap",
  () => {
    using pair = unixPair();
    const { here, there } = pair;
    const one = new Uint8Array(1);
    for (const stream of [here, there]) {
      assertEquals(stream.writeVectored([]), 0);
      assertThrows(
        () => stream.writeVectored(Array(9).fill(one)),
        RangeError,
        'Cannot use "9" buffers at once: the most is 8',
      );
      assertThrows(() => stream.readVectored(Array(9).fill(one)), RangeError);
      assertThrows(() => stream.readVectored([one, one]), TypeError);
    }
    // What is only read may be there twice.
    assertEquals(here.writeVectored([one, one]), 2);
  },
);

/** Two ends of one connection. */
interface Ends extends Disposable {
  readonly here: TcpStream | UnixStream;
  readonly there: TcpStream | UnixStream;
}

function tcpPair(): Ends {
  const { client, server, listener } = connectedPair();
  listener.close();
  return ends(client, server);
}

function unixPair(): Ends {
  return ends(...UnixStream.pair());
}

function ends(here: Ends["here"], there: Ends["there"]): Ends {
  return {
    here,
    there,
    [Symbol.dispose]() {
      here[Symbol.dispose]();
      there[Symbol.dispose]();
    },
  };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
