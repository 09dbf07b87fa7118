/** The loop: turns, parks beside Deno's loop, timers, the end. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type Connection, Reactor, type TcpAddress } from "../../mod.ts";
import { type AcceptBatch, TcpListener, TcpStream } from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { ACCEPT_MAX } from "../../src/net/tcp_listener.ts";
import { Host } from "../../src/reactor/host.ts";
import { EngineListener } from "../../src/reactor/listener/engine.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readExactly, readText, writeText } from "../util/deno_client.ts";
import { engineOf } from "../util/engine.ts";
import { FakeHost } from "../util/fake_host.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { decoded, ECHO, encoded, logged } from "../util/handlers.ts";
import { NO_PROC } from "../util/machine.ts";
import { isIdle, ownCpuMs, residentBytesOf } from "../util/process_figures.ts";
import { RunningScript, runScript } from "../util/scripts.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

const MIB = 1024 * 1024;

/** Waits until a reactor has parked more than `since` times. */
function untilParked(reactor: Reactor, since = 0): Promise<void> {
  const hasParked = () => reactor.stats().parks > since;
  return eventually("the reactor to park", hasParked);
}

/** Two connections on one reactor send the same bytes back and forth. */
function startTraffic(reactor: Reactor, pairs: number): { messages: number } {
  const traffic = { messages: 0 };
  const listener = reactor.listen(LOOPBACK, ECHO);
  for (let pair = 0; pair < pairs; pair++) {
    reactor.connect(listener.addr, {
      open: (connection) => void connection.write(new Uint8Array(64)),
      data: (connection, bytes, start, end) => {
        traffic.messages++;
        connection.write(bytes, start, end);
      },
    });
  }
  return traffic;
}

cleanTest(
  "Reactor.shared is the same for the thread, until it is closed",
  () => {
    const { shared } = Reactor;
    assertStrictEquals(Reactor.shared, shared);
    shared.close();
    using next = Reactor.shared;
    assert(next !== shared);
  },
);

cleanTest("Reactor.backend is the backend of the options", () => {
  using reactor = new Reactor();
  const { backend } = reactor;
  using same = new Reactor({ backend });
  assertEquals(same.backend, backend);
  const absent = Deno.build.os === "linux" ? "kqueue" : "epoll";
  assertThrows(
    () => new Reactor({ backend: absent }),
    Deno.errors.NotSupported,
  );
});

cleanTest(
  "Reactor.size counts listeners and connections that are open",
  async () => {
    using reactor = new Reactor();
    assertEquals(reactor.size, 0);
    const listener = reactor.listen(LOOPBACK, ECHO);
    assertEquals(reactor.size, 1);
    const connection = reactor.connect(listener.addr, ECHO);
    assertEquals(reactor.size, 2);
    await eventually("the accept", () => reactor.size === 3);
    connection.close();
    await eventually("the close", () => reactor.size === 1);
    listener.close();
    assertEquals(reactor.size, 0);
  },
);

cleanTest("a slot is used again, when its connection has closed", async () => {
  using reactor = new Reactor();
  const tokens = new Set<number>();
  const listener = reactor.listen(LOOPBACK, {
    open: (connection) => void tokens.add(engineOf(connection).token),
    data() {},
  });
  const ROUNDS = 20;
  for (let round = 1; round <= ROUNDS; round++) {
    using client = TcpStream.connect(listener.addr);
    await eventually("the open", () => tokens.size === round);
    client.close();
    await eventually("the close", () => reactor.size === 1);
  }
  const slots = new Set([...tokens].map((token) => token % 2 ** 20));
  assertLess(slots.size, 3);
});

cleanTest(
  "Reactor.connections() yields the connections of a listener, which may close meanwhile",
  async () => {
    using reactor = new Reactor();
    const first = reactor.listen(LOOPBACK, ECHO);
    const second = reactor.listen(LOOPBACK, ECHO);
    for (const { addr } of [first, first, first, second]) {
      reactor.connect(addr, ECHO);
    }
    await eventually("all accepts", () => reactor.size === 10);
    assertEquals([...reactor.connections(second)].length, 1);
    let count = 0;
    for (const connection of reactor.connections(first)) {
      connection.close();
      count++;
    }
    assertEquals(count, 3);
    assertEquals([...reactor.connections(first)], []);
  },
);

cleanTest("a Deno timer keeps firing, while there is heavy load", async () => {
  using reactor = new Reactor();
  const traffic = startTraffic(reactor, 16);
  const TICKS = 30;
  const seen: number[] = [];
  const timer = setInterval(() => void seen.push(traffic.messages), 10);
  // The load goes on meanwhile.
  await eventually(
    "ticks and messages",
    () => seen.length >= TICKS && seen.at(-1)! - seen[0]! > 1_000,
  );
  clearInterval(timer);
});

cleanTest(
  "Deno's own sockets are served, while there is heavy load",
  async () => {
    using reactor = new Reactor();
    startTraffic(reactor, 16);
    using listener = Deno.listen(LOOPBACK);
    const serving = (async () => {
      using conn = await listener.accept();
      await conn.readable.pipeTo(conn.writable);
    })();
    using client = await Deno.connect(listener.addr as TcpAddress);
    const startMs = ownCpuMs();
    for (let round = 0; round < 20; round++) {
      await writeText(client, "x");
      await readExactly(client, 1);
    }
    // A fraction of the time that they take when Deno gets only short rounds.
    // It is processor time, since other processes may run meanwhile.
    assertLess(ownCpuMs() - startMs, 4_000);
    await client.closeWrite();
    await serving;
  },
);

cleanTest(
  "a handler's fetch to another server on Deno's loop is answered, while there is load",
  async () => {
    using reactor = new Reactor();
    startTraffic(reactor, 4);
    await using server = Deno.serve(
      { ...LOOPBACK, onListen() {} },
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return new Response("fetched");
      },
    );
    using http = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const listener = reactor.listen(LOOPBACK, {
      data: async (connection) => {
        const { port } = server.addr;
        const response = await fetch(`http://127.0.0.1:${port}/`, {
          client: http,
        });
        connection.write(encoded(await response.text()));
      },
    });
    using client = await Deno.connect(listener.addr);
    await writeText(client, "?");
    assertEquals(await readText(client, "fetched".length), "fetched");
  },
);

cleanTest("a handler's promises go on, while there is load", async () => {
  using reactor = new Reactor();
  startTraffic(reactor, 4);
  const listener = reactor.listen(LOOPBACK, {
    data: async (connection) => {
      for (let round = 0; round < 100; round++) await undefined;
      await new Promise((resolve) => setImmediate(resolve));
      await crypto.subtle.digest("SHA-256", new Uint8Array(1));
      connection.write(encoded("done"));
    },
  });
  using client = await Deno.connect(listener.addr);
  await writeText(client, "?");
  assertEquals(await readText(client, 4), "done");
});

cleanTest(
  "work that was begun has Deno's loop go on, also without an event",
  async () => {
    using reactor = new Reactor();
    const listener = reactor.listen(LOOPBACK, {
      data: async (connection) => {
        reactor.beginWork();
        await new Promise((resolve) => setTimeout(resolve, 1));
        reactor.endWork();
        connection.write(encoded("done"));
      },
    });
    using client = await Deno.connect(listener.addr);
    for (let round = 0; round < 20; round++) {
      await writeText(client, "?");
      assertEquals(await readText(client, 4), "done");
    }
  },
);

cleanTest("a parked reactor wakes, when a connection comes", async () => {
  using reactor = new Reactor();
  const listener = reactor.listen(LOOPBACK, ECHO);
  let parks = 0;
  for (let round = 0; round < 3; round++) {
    await untilParked(reactor, parks);
    ({ parks } = reactor.stats());
    using client = await Deno.connect(listener.addr);
    await writeText(client, "hello");
    assertEquals(await readText(client, 5), "hello");
  }
});

cleanTest(
  "a parked reactor wakes, when a listener or a connection is added",
  async () => {
    using reactor = new Reactor();
    reactor.listen(LOOPBACK, ECHO);
    await untilParked(reactor);
    const { parks } = reactor.stats();
    const listener = reactor.listen(LOOPBACK, ECHO);
    await untilParked(reactor, parks);
    const log: string[] = [];
    reactor.connect(
      listener.addr,
      logged(log, {
        open: (connection) => void connection.write(encoded("x")),
      }),
    );
    await eventually("the echo", () => log.length === 2);
    assertEquals(log, ["open", "data x"]);
  },
);

cleanTest("a parked reactor wakes, when a timer is added", async () => {
  using reactor = new Reactor();
  reactor.listen(LOOPBACK, ECHO);
  await untilParked(reactor);
  const { promise, resolve } = Promise.withResolvers<void>();
  reactor.setTimer(5, resolve);
  await within(promise, "the timer");
});

cleanTest(
  "a parked reactor wakes, when an earlier timer is added",
  async () => {
    using reactor = new Reactor();
    const late = reactor.setTimer(600_000, () => {});
    await untilParked(reactor);
    const { promise, resolve } = Promise.withResolvers<void>();
    reactor.setTimer(5, resolve);
    await within(promise, "the earlier timer");
    reactor.clearTimer(late);
  },
);

cleanTest(
  "a parked reactor wakes, when a paused connection resumes",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    let accepted: Connection | undefined;
    let parks = Infinity;
    const listener = reactor.listen(
      LOOPBACK,
      logged(log, {
        open: (connection) => {
          accepted = connection;
          connection.pause();
          ({ parks } = reactor.stats());
        },
      }),
    );
    using client = await Deno.connect(listener.addr);
    await writeText(client, "waits");
    await eventually("the open", () => log.length === 1);
    await untilParked(reactor, parks);
    accepted!.resume();
    await eventually("the data", () => log.includes("data waits"));
  },
);

cleanTest("a parked reactor closes all, when it is closed", async () => {
  const reactor = new Reactor();
  const log: string[] = [];
  let parks = Infinity;
  const open = () => void ({ parks } = reactor.stats());
  const listener = reactor.listen(LOOPBACK, logged(log, { open }));
  using client = await Deno.connect(listener.addr);
  await eventually("the open", () => log.length === 1);
  await untilParked(reactor, parks);
  reactor.close();
  assertEquals(log, ["open", "close"]);
  assertEquals(reactor.size, 0);
  const error = await client.read(new Uint8Array(1)).catch((error) => error);
  assertInstanceOf(error, Deno.errors.ConnectionReset);
});

cleanTest(
  "a reactor runs again, when it had nothing to do for a while",
  async () => {
    using reactor = new Reactor();
    for (let round = 0; round < 3; round++) {
      const listener = reactor.listen(LOOPBACK, ECHO);
      using client = await Deno.connect(listener.addr);
      await writeText(client, "hello");
      assertEquals(await readText(client, 5), "hello");
      listener.close();
      client.close();
      await eventually("nothing to do", () => reactor.size === 0);
      await reactor.settled();
    }
  },
);

cleanTest("Reactor.close() closes once, and later calls throw", () => {
  const reactor = new Reactor();
  const { addr } = reactor.listen(LOOPBACK, ECHO);
  reactor.close();
  reactor.close();
  for (
    const call of [
      () => reactor.listen(LOOPBACK, ECHO),
      () => reactor.connect(addr, ECHO),
    ]
  ) assertThrows(call, Deno.errors.BadResource, "closed reactor");
});

cleanTest(
  "Reactor.close() in a handler ends all, those that wait to be accepted too",
  async () => {
    const reactor = new Reactor();
    const log: string[] = [];
    const listener = reactor.listen(
      LOOPBACK,
      logged(log, { open: () => reactor.close() }),
    );
    using clients = new DisposableStack();
    // All in one task, so all are in one batch.
    for (let count = 0; count < 5; count++) {
      clients.use(TcpStream.connect(listener.addr));
    }
    await eventually("the close", () => log.length > 1);
    assertEquals(log, ["open", "close"]);
    assertEquals(reactor.size, 0);
  },
);

cleanTest(
  "Reactor.close() comes to its end, when a close handler connects again",
  async () => {
    const reported: unknown[] = [];
    const reactor = new Reactor({ onError: (error) => reported.push(error) });
    const listener = reactor.listen(LOOPBACK, ECHO);
    let connects = 0;
    const connect = () => {
      connects++;
      reactor.connect(listener.addr, { data() {}, close: connect });
    };
    connect();
    await eventually("the accept", () => reactor.size === 3);
    reactor.close();
    assertEquals(reactor.size, 0);
    assertEquals(connects, 2);
    assertInstanceOf(reported[0], Deno.errors.BadResource);
  },
);

cleanTest(
  "Reactor.listen() throws AddrInUse and keeps nothing, when another listener has the address",
  () => {
    using reactor = new Reactor();
    const { addr } = reactor.listen(LOOPBACK, ECHO);
    assertThrows(() => reactor.listen(addr, ECHO), Deno.errors.AddrInUse);
    assertEquals(reactor.size, 1);
  },
);

cleanTest("Listener.close() leaves its connections open", async () => {
  using reactor = new Reactor();
  const listener = reactor.listen(LOOPBACK, ECHO);
  using client = await Deno.connect(listener.addr);
  await writeText(client, "a");
  await readExactly(client, 1);
  listener.close();
  listener.close();
  assert(listener.isClosed);
  await writeText(client, "still");
  assertEquals(await readText(client, 5), "still");
});

cleanTest(
  "Listener.close() in open refuses those of the same batch",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const listener = reactor.listen(
      LOOPBACK,
      logged(log, { open: () => listener.close() }),
    );
    using clients = new DisposableStack();
    const streams = [1, 2, 3].map(() =>
      clients.use(TcpStream.connect(listener.addr))
    );
    await eventually(
      "the others' end",
      () =>
        streams.slice(1).every((stream) =>
          stream.tryRead(new Uint8Array(1), 0, 1) === 0
        ),
    );
    assertEquals(log, ["open"]);
    assertEquals(reactor.size, 1);
  },
);

cleanTest(
  "a listener accepts all, when more come than one batch holds",
  async () => {
    const reported: unknown[] = [];
    using reactor = new Reactor({ onError: (error) => reported.push(error) });
    const COUNT = 3 * ACCEPT_MAX + 1;
    const listener = reactor.listen(LOOPBACK, ECHO);
    using clients = new DisposableStack();
    // All in one task, so the first turn finds all of them.
    for (let count = 0; count < COUNT; count++) {
      clients.use(TcpStream.connect(listener.addr));
    }
    await eventually("all accepts", () => reactor.size === COUNT + 1);
    assertEquals(reported, []);
  },
);

cleanTest(
  "Reactor.setTimer() runs its callback once, and not before its time",
  async () => {
    using reactor = new Reactor();
    for (const delayMs of [0, 1, 5, 30]) {
      const startMs = performance.now();
      const { promise, resolve } = Promise.withResolvers<number>();
      let runs = 0;
      reactor.setTimer(delayMs, () => {
        runs++;
        resolve(performance.now() - startMs);
      });
      const elapsedMs = await within(promise, "the timer");
      assertGreaterOrEqual(elapsedMs, delayMs);
      assertEquals(runs, 1);
    }
  },
);

cleanTest(
  "Reactor.setTimer() bounds the wait, when nothing else happens and when much does",
  async () => {
    for (const pairs of [0, 4]) {
      using reactor = new Reactor();
      const traffic = startTraffic(reactor, pairs);
      if (pairs === 0) await untilParked(reactor);
      else await eventually("messages", () => traffic.messages > 100);
      const { promise, resolve } = Promise.withResolvers<void>();
      reactor.setTimer(20, resolve);
      await within(promise, "the timer");
    }
  },
);

cleanTest(
  "Reactor.setTimer() runs callbacks in the order of their deadlines",
  async () => {
    const system = new MemorySystem();
    using reactor = new Reactor({ system });
    // An open source, so that the loop goes on.
    reactor.listen(LOOPBACK, ECHO);
    const order: number[] = [];
    for (const delayMs of [15, 5, 10, 1]) {
      reactor.setTimer(delayMs, () => void order.push(delayMs));
    }
    await system.pass(15);
    assertEquals(order, [1, 5, 10, 15]);
  },
);

cleanTest(
  "Reactor.setTimer() lets others go on, when a callback sets the next for now",
  async () => {
    using reactor = new Reactor();
    const listener = reactor.listen(LOOPBACK, ECHO);
    let rounds = 0;
    let isOver = false;
    const again = () => {
      rounds++;
      if (!isOver) reactor.setTimer(0, again);
    };
    again();
    using client = await Deno.connect(listener.addr);
    await writeText(client, "hello");
    assertEquals(await readText(client, 5), "hello");
    isOver = true;
    assertGreater(rounds, 1);
  },
);

cleanTest(
  "Reactor.setTimer() throws RangeError, when the delay is no number",
  () => {
    using reactor = new Reactor();
    assertThrows(() => reactor.setTimer(NaN, () => {}), RangeError, '"NaN"');
  },
);

cleanTest(
  "Reactor.setTimer() never runs, when the delay is infinite",
  async () => {
    using reactor = new Reactor();
    const timer = reactor.setTimer(Infinity, () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    reactor.setTimer(-1, resolve);
    await within(promise, "a timer of the past");
    reactor.clearTimer(timer);
  },
);

cleanTest(
  "Reactor.clearTimer() keeps a callback from running, also when it is due in the same turn",
  async () => {
    using reactor = new Reactor();
    const ran: string[] = [];
    const cleared = reactor.setTimer(5, () => void ran.push("cleared"));
    reactor.clearTimer(cleared);
    reactor.clearTimer(cleared);
    const first = reactor.setTimer(1, () => {
      ran.push("first");
      reactor.clearTimer(second);
      reactor.clearTimer(first);
    });
    const second = reactor.setTimer(1, () => void ran.push("second"));
    reactor.setTimer(10, () => void ran.push("last"));
    await eventually("the last", () => ran.includes("last"));
    assertEquals(ran, ["first", "last"]);
  },
);

cleanTest("an error in a timer is reported, and others run", async () => {
  const reported: string[] = [];
  using reactor = new Reactor({
    onError: (error) => void reported.push(`${error}`),
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  reactor.setTimer(1, () => {
    throw new Error("on purpose");
  });
  reactor.setTimer(1, resolve);
  await within(promise, "the other");
  assertEquals(reported, ["Error: on purpose"]);
});

/** A listener whose next accepts are given by the test. */
class ShortListener extends TcpListener {
  readonly answers: string[] = [];

  override acceptBatch(batch: AcceptBatch, capacity?: number): number {
    const name = this.answers.shift();
    if (name === undefined) return super.acceptBatch(batch, capacity);
    batch.words[0] = errnoNumber(name as "EMFILE");
    return 0;
  }
}

cleanTest(
  "a listener rests in silence and goes on, when descriptors or memory are short",
  () => {
    for (const name of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
      using socket = new ShortListener(TcpListener.bind(LOOPBACK).handle);
      using _client = TcpStream.connect(socket.localAddress);
      const host = new FakeHost();
      const listener = new EngineListener(host, socket, { handlers: ECHO });
      socket.answers.push(name, name);
      listener.onReady(1);
      assertEquals(host.log, ["awaitRoom"]);
      host.pass(1_000);
      assertEquals(host.log, ["awaitRoom", "awaitRoom"]);
      listener.retry();
      assertEquals(host.log.pop(), "requeue");
      listener.onReady(0);
      assertEquals(host.log.pop(), "accept");
      assertEquals(host.timers.size, 0);
      listener.retry();
      assertEquals(host.log.length, 2);
      assertEquals(host.reported, []);
      listener.close();
    }
  },
);

cleanTest(
  "a listener calls shortage, and survives an error that it throws",
  () => {
    using socket = new ShortListener(TcpListener.bind(LOOPBACK).handle);
    const host = new FakeHost();
    let shortages = 0;
    const shortage = () => {
      shortages++;
      throw new Error("on purpose");
    };
    const handlers = { ...ECHO, shortage };
    const listener = new EngineListener(host, socket, { handlers });
    socket.answers.push("EMFILE", "EAGAIN");
    listener.onReady(1);
    assertEquals(host.log, ["awaitRoom"]);
    listener.onReady(0);
    assertEquals(shortages, 1, "an empty backlog is no shortage");
    assertEquals(host.reported.map(String), ["Error: on purpose"]);
    listener.close();
  },
);

cleanTest(
  "a listener rests without a report, when a new connection cannot be registered for now",
  () => {
    using socket = TcpListener.bind(LOOPBACK);
    using _client = TcpStream.connect(socket.localAddress);
    const host = new FakeHost();
    host.hasRoom = false;
    const listener = new EngineListener(host, socket, { handlers: ECHO });
    listener.onReady(1);
    assertEquals(host.log, ["accept", "awaitRoom"]);
    assertEquals(host.reported, []);
    listener.close();
    assertEquals(host.timers.size, 0);
  },
);

cleanTest(
  "a listener reports and goes on, when accepting fails otherwise",
  () => {
    using socket = new ShortListener(TcpListener.bind(LOOPBACK).handle);
    const host = new FakeHost();
    const listener = new EngineListener(host, socket, { handlers: ECHO });
    socket.answers.push("EPERM");
    listener.onReady(1);
    assertEquals(host.reported.length, 1);
    assertStringIncludes(`${host.reported[0]}`, 'accept from "127.0.0.1"');
    assertEquals(host.timers.size, 1);
    listener.close();
    assertEquals(host.timers.size, 0);
  },
);

Deno.test({
  name: "an idle reactor uses no processor time, with connections open",
  ignore: NO_PROC,
  async fn() {
    await using script = new RunningScript("idle_reactor.ts");
    assertEquals(await script.line(), "idle");
    // Less than one turn a millisecond would cost, and far less than spinning.
    assert(await isIdle(script.pid, 0.01));
  },
});

Deno.test({
  name: "memory stays flat, while a client sends 200 MiB and reads nothing",
  ignore: NO_PROC,
  async fn() {
    await using script = new RunningScript("echo_server.ts");
    const { port } = await script.json<{ port: number }>();
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    await writeText(client, "warm");
    await readExactly(client, 4);
    const before = residentBytesOf(script.pid);

    const TOTAL = 200 * MIB;
    const chunk = new Uint8Array(MIB);
    let sent = 0;
    const sending = (async () => {
      while (sent < TOTAL) sent += await client.write(chunk);
    })();
    // It stops for good: the echo of its bytes fills both directions.
    for (let last = -1; last !== sent;) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assertLess(sent, TOTAL);
    assertLess(residentBytesOf(script.pid) - before, 32 * MIB);

    // All bytes come, once the client reads.
    const bytes = new Uint8Array(MIB);
    for (let received = 0; received < TOTAL;) {
      const count = await within(client.read(bytes), "more of the echo");
      assert(count !== null);
      received += count;
    }
    await sending;
    assertLess(residentBytesOf(script.pid) - before, 64 * MIB);
  },
});

/** The output of a scene of `process_end.ts` that ends by itself. */
const ENDS: Record<string, string> = {
  "nothing open": "set\nended\n",
  "listener closed": "set\nended\n",
  "reactor closed": "set\nended\n",
  "reactor closed while parked": "set\nended\n",
  "listener unrefed": "set\nended\n",
  "listener unrefed while parked": "set\nended\n",
  "connections unrefed": "set\naccepted\nended\n",
  "connection closed beside an unrefed listener": "set\naccepted\nended\n",
  "timer": "set\nrang\nended\n",
  "timer cleared": "set\nended\n",
  "timer unrefed": "set\nended\n",
  "interval unrefed while parked": "set\nended\n",
  "interval cleared in its callback": "set\nrang\nended\n",
  "timer beside an unrefed listener": "set\nrang\nended\n",
};

Deno.test("the process ends by itself, when nothing keeps it alive", async () => {
  const scenes = Object.keys(ENDS);
  const results = await Promise.all(scenes.map(runScene));
  scenes.forEach((scene, index) => {
    const { code, stdout, stderr } = results[index]!;
    assertEquals(
      { code, stdout, stderr },
      { code: 0, stdout: ENDS[scene]!, stderr: "" },
      scene,
    );
  });
});

/** Scenes that go on, and the line that they print last. */
const STAYS: Record<string, string> = {
  "listener": "set",
  "listener refed again": "set",
  "listener refed again while parked": "set",
  "connection of an unrefed listener": "accepted",
  "timer refed again": "set",
  "interval": "set",
};

Deno.test("the process stays, while something keeps it alive", async () => {
  await Promise.all(
    Object.entries(STAYS).map(async ([scene, last]) => {
      await using script = new RunningScript("process_end.ts", {
        args: [scene, "stays"],
      });
      while (await script.line() !== last);
      // Printed by a timer that does not keep the process alive.
      assertEquals(await script.line(), "stays", scene);
    }),
  );
});

Deno.test("the process lives on, when Workers end while their reactors are parked", async () => {
  const { stdout, stderr, code } = await runScript("terminates_workers.ts");
  assertEquals({ stdout, stderr, code }, {
    stdout: "alive\n",
    stderr: "",
    code: 0,
  });
});

Deno.test({
  name:
    "an unrefed reactor is as quick as another, when something else keeps the process alive",
  async fn() {
    await using script = new RunningScript("unrefed_echo_server.ts");
    const { port } = await script.json<{ port: number }>();
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    for (let round = 0; round < 500; round++) {
      await writeText(client, "x");
      await readExactly(client, 1);
    }
  },
});

function runScene(scene: string) {
  return runScript("process_end.ts", { args: [scene] });
}

cleanTest(
  "a listener's bytes are those of its own handlers, when two share a reactor",
  async () => {
    using reactor = new Reactor();
    const answer = (text: string) =>
      reactor.listen(LOOPBACK, {
        data: (connection, bytes, start, end) => {
          const question = decoded(bytes, start, end);
          connection.write(encoded(`${text} to ${question}`));
        },
      });
    const [yes, no] = [answer("yes"), answer("no")];
    using first = await Deno.connect(yes.addr);
    using second = await Deno.connect(no.addr);
    await writeText(first, "1");
    await writeText(second, "2");
    assertEquals(await readText(second, 7), "no to 2");
    assertEquals(await readText(first, 8), "yes to 1");
  },
);

cleanTest(
  "Reactor.setTimer() is not early, when the callback that sets it takes long",
  async () => {
    using reactor = new Reactor();
    const { promise, resolve } = Promise.withResolvers<number>();
    reactor.setTimer(0, () => {
      const busyUntilMs = performance.now() + 20;
      while (performance.now() < busyUntilMs);
      const setMs = performance.now();
      reactor.setTimer(10, () => resolve(performance.now() - setMs));
    });
    assertGreaterOrEqual(await within(promise, "the timer"), 10);
  },
);

cleanTest(
  "the loop goes on, when onError throws its error again",
  async () => {
    using reactor = new Reactor({
      onError: (error) => {
        throw error;
      },
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    using _logs = silenceConsole();
    reactor.setTimer(0, () => {
      throw new Error("reported twice");
    });
    reactor.setTimer(1, resolve);
    await within(promise, "the second timer");
  },
);

/** Keeps expected errors out of the tests' output. */
function silenceConsole(): Disposable {
  const { error } = console;
  // deno-lint-ignore no-console -- the last resort is what is tested
  console.error = () => {};
  return {
    [Symbol.dispose]() {
      // deno-lint-ignore no-console -- as above
      console.error = error;
    },
  };
}

Deno.test("a source without a slot takes no other source's slot, when there are no more slots", () => {
  const system = new MemorySystem();
  const host = new Host({ poll: system.openPoll(), system, start() {} });
  const listener = () =>
    new EngineListener(host, system.listen(MEMORY_ADDRESS), { handlers: ECHO });
  const first = listener();
  host.add(first, { handle: 1, [Symbol.dispose]() {} }, 1);
  host.slots.insert = () => {
    throw new RangeError("Cannot register more");
  };
  let isDisposed = false;
  const socket = {
    handle: 2,
    [Symbol.dispose]: () => void (isDisposed = true),
  };
  assertThrows(() => host.add(listener(), socket, 1), RangeError);
  assertEquals(isDisposed, true);
  assertStrictEquals(host.slots.get(first.token), first);
  assertEquals(host.slots.size, 1);
});
