/** Peers that vanish: what listeners and connections have the system watch. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ConnectionHandlers, Reactor, serve } from "../../mod.ts";
import {
  type Keepalive,
  type ListenOptions,
  TcpListener,
  TcpStream,
} from "../../src/poll.ts";
import { getOption, SocketOption } from "../../src/net/options.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { engineOf } from "../util/engine.ts";
import { lacks } from "../util/machine.ts";
import { runProgram } from "../util/program.ts";
import { acceptOne, LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

const NO_LINUX = lacks("Linux", () => Deno.build.os === "linux");
/** Whether no link can be cut here without others being cut off. */
const NO_DEAD_LINK = lacks("a network namespace and tc", () => {
  const cut = "ip link set lo up && tc qdisc add dev lo root blackhole";
  const args = ["--map-root-user", "--net", "sh", "-c", cut];
  try {
    return new Deno.Command("unshare", { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
});
/** States and timers of `/proc/net/tcp`. */
const ESTABLISHED = "01";
const NO_TIMER = "00";
const KEEPALIVE_TIMER = "02";
/** What Go has. */
const DEFAULT: Keepalive = { idle: 15, interval: 15, count: 9 };

/** Returns a stream that a listener with options has accepted. */
function accepted(options: Omit<ListenOptions, "hostname" | "port">) {
  using listener = TcpListener.bind({ ...LOOPBACK, ...options });
  using _client = TcpStream.connect(listener.localAddress);
  return acceptOne(listener);
}

cleanTest("TcpListener.bind() has silent peers of its streams probed", () => {
  const table: [ListenOptions["keepalive"], Keepalive | false][] = [
    [undefined, DEFAULT],
    [true, DEFAULT],
    [{}, DEFAULT],
    [{ idle: 60 }, { ...DEFAULT, idle: 60 }],
    [{ idle: 1, interval: 2, count: 3 }, { idle: 1, interval: 2, count: 3 }],
    [false, false],
  ];
  for (const [keepalive, expected] of table) {
    using stream = accepted(keepalive === undefined ? {} : { keepalive });
    assertEquals(stream.keepalive, expected);
  }
});

cleanTest("TcpListener.bind() has its streams given up in time", () => {
  for (const userTimeout of [0, 1, 45_000]) {
    using stream = accepted({ userTimeout });
    assertEquals(stream.userTimeout, userTimeout);
  }
}, { ignore: NO_LINUX });

cleanTest("TcpListener.bind() refuses numbers that are out of range", () => {
  const bind = (options: object) => () =>
    TcpListener.bind({ ...LOOPBACK, ...options }).close();
  for (const idle of [0, -1, 1.5, NaN, 32_768]) {
    assertThrows(bind({ keepalive: { idle } }), RangeError, `"${idle}"`);
  }
  for (const keepalive of [null, 1, "on"]) {
    assertThrows(bind({ keepalive }), TypeError, `"${keepalive}"`);
  }
  for (const userTimeout of [-1, 1.5, NaN, Infinity, 2 ** 31]) {
    assertThrows(bind({ userTimeout }), RangeError, `"${userTimeout}"`);
  }
});

/** What a connection of a reactor is known by to the system. */
interface Watched {
  /** Whether silent peers are probed, and after how many seconds. */
  readonly idle: number | false;
  /** The milliseconds for which bytes may stay unacknowledged. */
  readonly userTimeout: number;
}

function watched(handle: number): Watched {
  const isOn = getOption(handle, SocketOption.KEEPALIVE) > 0;
  return {
    idle: isOn && getOption(handle, SocketOption.KEEPALIVE_IDLE),
    userTimeout: getOption(handle, SocketOption.USER_TIMEOUT),
  };
}

/** Handlers that read the options of the first connection. */
function watching(): {
  first: Promise<Watched>;
  handlers: ConnectionHandlers;
} {
  const { promise, resolve } = Promise.withResolvers<Watched>();
  const handlers: ConnectionHandlers = {
    open: (connection) => resolve(watched(engineOf(connection).handle)),
    data() {},
  };
  return { first: promise, handlers };
}

cleanTest(
  "Reactor.listen() has the system watch what it accepts, as its options say",
  async () => {
    const table = [
      [{}, { idle: 15, userTimeout: 0 }],
      [{ timeouts: { writeMs: 7_000 } }, { idle: 15, userTimeout: 7_000 }],
      [{ timeouts: { writeMs: 1.5 } }, { idle: 15, userTimeout: 2 }],
      [{ timeouts: { idleMs: 7_000 } }, { idle: 15, userTimeout: 0 }],
      [{ keepalive: false }, { idle: false, userTimeout: 0 }],
      [
        { timeouts: { writeMs: 7_000 }, userTimeout: 9_000 },
        { idle: 15, userTimeout: 9_000 },
      ],
    ] as const;
    for (const [options, expected] of table) {
      using reactor = new Reactor();
      const { first, handlers } = watching();
      const { addr } = reactor.listen({ ...LOOPBACK, ...options }, handlers);
      using _client = await Deno.connect(addr);
      assertEquals(await within(first, "a connection"), expected);
    }
  },
  { ignore: NO_LINUX },
);

cleanTest(
  "Reactor.connect() has silent peers probed, and writing watched once it is connected",
  async () => {
    using listener = TcpListener.bind(LOOPBACK);
    for (const writeMs of [Infinity, 7_000]) {
      using reactor = new Reactor();
      const { first, handlers } = watching();
      const timeouts = { writeMs };
      reactor.connect({ ...listener.localAddress, timeouts }, handlers);
      const userTimeout = writeMs === Infinity ? 0 : writeMs;
      const expected = { idle: 15, userTimeout };
      assertEquals(await within(first, "the connect"), expected);
    }
  },
  { ignore: NO_LINUX },
);

cleanTest(
  "Connection.setTimeouts() has the system watch writing, or no longer",
  async () => {
    using reactor = new Reactor();
    const { promise, resolve } = Promise.withResolvers<number[]>();
    const { addr } = reactor.listen(LOOPBACK, {
      open(connection) {
        const all = [{ writeMs: 3_000 }, { idleMs: 1 }, undefined].map(
          (timeouts) => {
            connection.setTimeouts(timeouts);
            return watched(engineOf(connection).handle).userTimeout;
          },
        );
        resolve(all);
      },
      data() {},
    });
    using _client = await Deno.connect(addr);
    assertEquals(await within(promise, "a connection"), [3_000, 0, 0]);
  },
  { ignore: NO_LINUX },
);

/** A reactor that reads the options of its first connection. */
class WatchedReactor extends Reactor {
  readonly #first = Promise.withResolvers<Watched>();

  get first(): Promise<Watched> {
    return this.#first.promise;
  }

  // deno-lint-ignore no-explicit-any -- whichever of the overloads it is
  override listen(options: any, handlers: ConnectionHandlers<any>): any {
    return super.listen(options, {
      ...handlers,
      open: (connection) => {
        this.#first.resolve(watched(engineOf(connection).handle));
        handlers.open?.(connection);
      },
    });
  }
}

cleanTest(
  "serve() has clients probed, and given up when they take nothing",
  async () => {
    const table = [
      [{}, { idle: 15, userTimeout: 60_000 }],
      [{ writeMs: Infinity }, { idle: 15, userTimeout: 0 }],
      [{ writeMs: 9_000 }, { idle: 15, userTimeout: 9_000 }],
      [{ tcpKeepalive: false }, { idle: false, userTimeout: 60_000 }],
      [{ tcpKeepalive: { idle: 99 } }, { idle: 99, userTimeout: 60_000 }],
    ] as const;
    for (const [options, expected] of table) {
      using reactor = new WatchedReactor();
      await using server = serve(
        { ...LOOPBACK, ...options, reactor, onListen() {} },
        () => new Response(),
      );
      const { port } = server.addr;
      using _client = await Deno.connect({ port });
      assertEquals(await within(reactor.first, "a client"), expected);
    }
  },
  { ignore: NO_LINUX },
);

Deno.test({
  name: "a connection with a dead link ends after writeMs, and not before",
  ignore: NO_DEAD_LINK,
  async fn() {
    const writeMs = 1_500;
    const script =
      new URL("../fixtures/dead_link.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await runProgram([
      ...["unshare", "--map-root-user", "--net"],
      ...[Deno.execPath(), "run", "--quiet", "-A", script, `${writeMs}`],
    ] as [string, ...string[]]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    const { reason, failure, ms } = JSON.parse(stdout);
    assertEquals({ reason, failure }, { reason: "error", failure: "TimedOut" });
    assert(ms >= writeMs, `${ms}`);
  },
});

for (const balance of ["shared-listener", "reuse-port"] as const) {
  // Not clean: the reactor that talks to Workers is the thread's, and stays.
  Deno.test({
    name: `serve() on Workers probes clients by default (${balance})`,
    ignore: NO_LINUX,
    async fn() {
      for (const tcpKeepalive of [true, false]) {
        await using server = await serve({
          module: new URL("../fixtures/named_worker.ts", import.meta.url),
          ...{ ...LOOPBACK, workers: 1, balance, tcpKeepalive },
        });
        const { port } = server.addr;
        using client = await Deno.connect({ port });
        const { port: clientPort } = client.localAddr as Deno.NetAddr;
        const timer = () => timerOf(port, clientPort);
        await eventually("the connection", () => timer() !== undefined);
        assertEquals(timer(), tcpKeepalive ? KEEPALIVE_TIMER : NO_TIMER);
      }
    },
  });
}

/** The timer that runs for a connection of this machine: `proc(5)`. */
function timerOf(port: number, peerPort: number): string | undefined {
  const hex = (number: number) =>
    number.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(
    `:${hex(port)} \\w+:${hex(peerPort)} ${ESTABLISHED} \\w+:\\w+ (\\w+):`,
  );
  return line.exec(Deno.readTextFileSync("/proc/net/tcp"))?.[1];
}
