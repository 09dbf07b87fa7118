/** Addresses, options and batches; a listener's events: `contract/`. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Reactor } from "../../mod.ts";
import {
  AcceptBatch,
  Interest,
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  UdpSocket,
} from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NO_IPV6 } from "../util/machine.ts";
import { acceptOne, expectEvent, LOOPBACK } from "../util/streams.ts";

const { READABLE } = Interest;
/** RFC 5737: an address that no machine has. */
const UNUSED = "192.0.2.1";

cleanTest(
  "sockets take addresses alone, and say so, when a name is given",
  () => {
    using udp = UdpSocket.bind(LOOPBACK);
    const bytes = new Uint8Array(1);
    const port = 1;
    for (const hostname of ["localhost", "name.invalid", "1.2.3.400", ""]) {
      for (
        const open of [
          () => TcpListener.bind({ hostname, port }),
          () => TcpStream.connect({ hostname, port }),
          () => UdpSocket.bind({ hostname, port }),
          () => udp.connect({ hostname, port }),
          () => udp.sendTo(bytes, { hostname, port }),
        ]
      ) assertThrows(open, TypeError, `Cannot use host "${hostname}"`);
    }
  },
);

cleanTest("a reactor listens at a name, when the system knows it", () => {
  using reactor = new Reactor();
  const at = (hostname: string) =>
    reactor.listen({ hostname, port: 0 }, { data() {} });
  assert(["127.0.0.1", "::1"].includes(at("localhost").addr.hostname));
  assertThrows(
    () => at("no-such-host.invalid"),
    Deno.errors.NotFound,
    '"no-such-host.invalid"',
  );
});

cleanTest(
  "TcpListener.bind() throws AddrNotAvailable, when the address is another machine's",
  () => {
    assertThrows(
      () => TcpListener.bind({ hostname: UNUSED, port: 0 }),
      Deno.errors.AddrNotAvailable,
      `"${UNUSED}:0"`,
    );
  },
);

cleanTest(
  "TcpListener.bind() throws RangeError, when port or backlog is out of range",
  () => {
    for (const port of [-1, 65_536, 1.5, NaN]) {
      assertThrows(
        () => TcpListener.bind({ ...LOOPBACK, port }),
        RangeError,
        `"${port}"`,
      );
    }
    for (const backlog of [-1, 2 ** 31, 1.5, NaN]) {
      assertThrows(
        () => TcpListener.bind({ ...LOOPBACK, backlog }),
        RangeError,
        `backlog "${backlog}"`,
      );
    }
  },
);

cleanTest(
  "TcpListener shares an address, when all of them ask for reusePort",
  () => {
    using first = TcpListener.bind({ ...LOOPBACK, reusePort: true });
    const { localAddress } = first;
    using _second = TcpListener.bind({ ...localAddress, reusePort: true });
    assertThrows(() => TcpListener.bind(localAddress), Deno.errors.AddrInUse);
  },
);

cleanTest(
  "TcpListener takes IPv4 through an IPv6 address by default",
  () => {
    const any = { hostname: "::", port: 0 };
    using both = TcpListener.bind(any);
    using client = TcpStream.connect({
      hostname: "127.0.0.1",
      port: both.localAddress.port,
    });
    using accepted = acceptOne(both);
    assertEquals(accepted.peerAddress, {
      ...client.localAddress,
      hostname: "::ffff:127.0.0.1",
    });

    using only = TcpListener.bind({ ...any, onlyV6: true });
    const { port } = only.localAddress;
    using _four = TcpListener.bind({ hostname: "0.0.0.0", port });
  },
  { ignore: NO_IPV6 },
);

cleanTest("TcpListener.accept() sets nodelay by default", () => {
  for (const nodelay of [undefined, true, false]) {
    using listener = TcpListener.bind({
      ...LOOPBACK,
      ...nodelay !== undefined && { nodelay },
    });
    using _client = TcpStream.connect(listener.localAddress);
    using accepted = acceptOne(listener);
    assertEquals(accepted.nodelay, nodelay ?? true);
  }
});

cleanTest("TcpListener.accept() throws BadResource, when it is closed", () => {
  const listener = TcpListener.bind(LOOPBACK);
  listener.close();
  assertThrows(
    () => listener.accept(),
    Deno.errors.BadResource,
    `accept from listener ${listener.handle}`,
  );
  assertThrows(() => listener.close(), Deno.errors.BadResource);
});

cleanTest(
  "TcpListener.acceptBatch() says why it stopped, when full and when drained",
  () => {
    using listener = TcpListener.bind(LOOPBACK);
    using poll = new Poll();
    poll.registry.register(listener, 1, READABLE);
    using clients = new DisposableStack();
    for (let count = 0; count < 3; count++) {
      clients.use(TcpStream.connect(listener.localAddress));
      expectEvent(poll, 1, Readiness.READABLE);
    }
    const batch = new AcceptBatch();
    assertEquals(listener.acceptBatch(batch, 2), 2);
    assertEquals(batch.stopped, 0);
    clients.use(batch.stream(0));
    clients.use(batch.stream(1));
    assertEquals(listener.acceptBatch(batch), 1);
    assertEquals(batch.stopped, errnoNumber("EAGAIN"));
    clients.use(batch.stream(0));
    assertEquals(listener.acceptBatch(batch), 0);
    assertEquals(batch.stopped, errnoNumber("EAGAIN"));
  },
);

cleanTest(
  "TcpListener.acceptBatch() throws RangeError, when the batch cannot hold so many",
  () => {
    using listener = TcpListener.bind(LOOPBACK);
    for (const capacity of [0, -1, 65, NaN, Infinity]) {
      assertThrows(
        () => listener.acceptBatch(new AcceptBatch(), capacity),
        RangeError,
        `"${capacity}"`,
      );
    }
  },
);

cleanTest(
  "TcpListener is closed once, when closed by hand inside of a using block",
  () => {
    using listener = TcpListener.bind(LOOPBACK);
    listener.close();
  },
);
