/** A reactor beside Deno's loop: sharing the thread, owning it, and ending. */

// deno-lint-ignore-file no-console -- figures, for readers of the output

import {
  assertEquals,
  assertGreater,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  type Connection,
  type ConnectionHandlers,
  Reactor,
} from "../../mod.ts";
import { UnixStream } from "../../src/poll.ts";
import { joinChannel } from "../../src/server/worker/channel.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { writeText } from "../util/deno_client.ts";
import { MemorySystem } from "../../src/system/memory.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { RunningScript } from "../util/scripts.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

cleanTest("drain() waits for connections, and accepts no more", async () => {
  let reactor: Reactor;
  const log: string[] = [];
  {
    await using scoped = new Reactor();
    reactor = scoped;
    const listener = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        log.push(decoded(bytes, start, end));
        connection.close();
      },
      close: () => log.push("closed"),
    });
    using client = await Deno.connect(listener.addr);
    await eventually("the connection", () => reactor.size === 2);
    const drained = reactor.drain();
    assertEquals(listener.isClosed, true);
    await assertRejects(
      () => Deno.connect(listener.addr),
      Deno.errors.ConnectionRefused,
    );
    await writeText(client, "last");
    await within(drained, "the reactor to drain");
  }
  assertEquals(log, ["last", "closed"]);
  assertThrows(() => reactor.listen(LOOPBACK, { data() {} }));
});

cleanTest("drain() ends what is open, when its time is over", async () => {
  const reactor = new Reactor();
  const listener = reactor.listen(LOOPBACK, { data() {} });
  using _client = await Deno.connect(listener.addr);
  await eventually("the connection", () => reactor.size === 2);
  await within(reactor.drain(20), "the reactor to drain");
  assertEquals(reactor.size, 0);
});

cleanTest("drain() asks each protocol to finish, when it can", async () => {
  const errors: unknown[] = [];
  const log: string[] = [];
  const reactor = new Reactor({ onError: (error) => errors.push(error) });
  const listen = (name: string, shutdown: (connection: Connection) => void) =>
    reactor.listen(LOOPBACK, {
      data() {},
      shutdown,
      close: (_, reason) => log.push(`${name} ${reason}`),
    });
  const polite = listen("polite", (connection) => connection.closeIdle());
  const broken = listen("broken", () => {
    throw new Error("no shutdown");
  });
  const silent = reactor.listen(LOOPBACK, {
    data: (connection) => connection.close(),
    close: (_, reason) => log.push(`silent ${reason}`),
  });
  const clients = await Promise.all(
    [broken, polite, silent].map(({ addr }) => Deno.connect(addr)),
  );
  await eventually("the connections", () => reactor.size === 6);
  const drained = reactor.drain(60_000);
  await eventually("two ends", () => log.length === 2);
  assertEquals(log.sort(), ["broken error", "polite closed"]);
  assertEquals(errors.map(String), ["Error: no shutdown"]);
  await writeText(clients[2]!, "bye");
  await within(drained, "the reactor to drain");
  assertEquals(log.at(-1), "silent closed");
  for (const client of clients) client.close();
});

cleanTest("drain() closes at once, when nothing is open", async () => {
  const reactor = new Reactor();
  await within(reactor.drain(), "the reactor to drain");
  await within(reactor.drain(), "it again");
});

/** Moments at which a wait may begin, beside a reactor with work. */
const MOMENTS: [name: string, wait: (begin: () => void) => void][] = [
  ["in a turn", (begin) => begin()],
  ["behind a turn", (begin) => queueMicrotask(begin)],
  ["while it yields or parks", (begin) => void setTimeout(begin)],
];

for (const [when, wait] of MOMENTS) {
  Deno.test(`settled() resolves ${when}, when the reactor has other work`, async () => {
    const system = new MemorySystem();
    using reactor = new Reactor({ system });
    const { promise, resolve } = Promise.withResolvers<void>();
    reactor.listen(LOOPBACK, {
      data: () => wait(() => reactor.settled().then(resolve)),
    });
    system.arrive().receive("x");
    await within(promise, "the reactor to settle");
    assertEquals(reactor.size, 2);
  });
}

Deno.test("settled() resolves, when it is asked for between the last turn and parking", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ system });
  const waits: Promise<void>[] = [];
  system.policy = {
    call(call) {
      if (call === "poll.yieldToDeno") waits.push(reactor.settled());
    },
  };
  reactor.listen(LOOPBACK, { data() {} });
  await system.settle();
  // The reactor yields before its first turn and after it.
  assertEquals(waits.length, 2);
  await within(Promise.all(waits), "the reactor to settle");
});

cleanTest(
  "settled() resolves when the loop has stopped, without work or closed",
  async () => {
    const reactor = new Reactor();
    await within(reactor.settled(), "a reactor that never ran");
    reactor.listen(LOOPBACK, { data() {} }).close();
    await within(reactor.settled(), "a reactor without work");
    reactor.listen(LOOPBACK, { data() {} });
    reactor.close();
    const [first, second] = [reactor.settled(), reactor.settled()];
    await within(Promise.all([first, second]), "a closed reactor");
    // The poll is closed by now.
    await within(reactor.settled(), "it again");
  },
);

for (const isPosted of [false, true]) {
  const what = isPosted ? "its own clone" : "a stream";
  cleanTest(
    `Reactor.adopt() takes ${what} over, and gives its end`,
    async () => {
      using reactor = new Reactor();
      const [near, far] = UnixStream.pair();
      using _near = near;
      const log: string[] = [];
      if (isPosted) joinChannel(reactor, far.handle, echoing(log));
      else reactor.adopt(far, echoing(log));
      near.write(encoded("hello"));
      await eventually("the bytes", () => log.includes("hello"));
      near.close();
      await eventually("the end", () => log.includes("closed"));
      assertEquals(log, ["open", "hello", "closed"]);
    },
  );
}

function echoing(log: string[]): ConnectionHandlers {
  return {
    open: () => void log.push("open"),
    data: (_connection, bytes, start, end) => {
      log.push(decoded(bytes, start, end));
    },
    close: () => void log.push("closed"),
  };
}

cleanTest(
  "Deno's timers run beside an exclusive reactor, with and without pending work",
  async () => {
    using reactor = new Reactor({ exclusive: true });
    using _listener = reactor.listen(LOOPBACK, { data() {} });
    const tick = () => new Promise((resolve) => setTimeout(resolve, 5));
    reactor.beginWork();
    await within(tick(), "a timer of Deno's beside pending work");
    reactor.endWork();
    // Wakes the reactor, which parked for the work.
    reactor.setTimer(0, () => {});
    await within(tick(), "a timer of Deno's beside no work");
  },
);

Deno.test("an exclusive reactor blocks its thread for 250 ms, and not at all while work is pending", async () => {
  const waits = new Set<string>();
  const system = new MemorySystem({
    policy: {
      call(call, _, timeoutMs) {
        const isWait = call === "poll.poll" || call === "poll.park";
        if (isWait) waits.add(`${call} ${timeoutMs}`);
      },
    },
  });
  using reactor = new Reactor({ exclusive: true, system });
  reactor.listen(LOOPBACK, { data() {} });
  reactor.beginWork();
  await system.pass(1_000);
  assertEquals([...waits], ["poll.poll 0", "poll.park undefined"]);
  reactor.endWork();
  waits.clear();
  await system.pass(1_000);
  assertEquals([...waits], ["poll.poll 250", "poll.park 2"]);
});

Deno.test("an exclusive reactor that shares its thread parks as any other", async () => {
  const waits = new Set<string>();
  const call = (name: string, _: unknown, timeoutMs: number | undefined) => {
    if (name.startsWith("poll.p")) waits.add(`${name} ${timeoutMs}`);
  };
  const system = new MemorySystem({ policy: { call } });
  using reactor = new Reactor({ exclusive: true, system });
  reactor.listen(LOOPBACK, { data() {} });
  await system.pass(1_000);
  assertEquals([...waits], ["poll.poll 250", "poll.park 2"]);
  reactor.shareThread();
  await system.pass(300);
  waits.clear();
  await system.pass(1_000);
  assertEquals([...waits], ["poll.poll 1", "poll.park undefined"]);
});

Deno.test("an exclusive reactor's own timers are in time", async () => {
  const system = new MemorySystem();
  using reactor = new Reactor({ exclusive: true, system });
  // An open source, so that the loop goes on.
  reactor.listen(LOOPBACK, { data() {} });
  const setMs = system.nowMs();
  let ranMs = NaN;
  reactor.setTimer(10, () => void (ranMs = system.nowMs() - setMs));
  await system.pass(10);
  assertEquals(ranMs, 10);
});

/** Sends bytes back and forth on its own connections until it is closed. */
class Load implements Disposable {
  /** How long each answer took, in milliseconds. */
  readonly tookMs: number[] = [];
  readonly #reactor = new Reactor();

  constructor(port: number, connections: number) {
    for (let count = 0; count < connections; count++) {
      let sentMs = 0;
      const send = (connection: { write(bytes: Uint8Array): unknown }) => {
        sentMs = performance.now();
        connection.write(new Uint8Array(64));
      };
      this.#reactor.connect({ hostname: "127.0.0.1", port }, {
        open: send as ConnectionHandlers["open"] & object,
        data: (connection) => {
          this.tookMs.push(performance.now() - sentMs);
          send(connection as never);
        },
      });
    }
  }

  [Symbol.dispose](): void {
    this.#reactor.close();
  }
}

/** Returns the median and the 99th percentile. */
function percentiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`;
}

Deno.test("Deno's timers and sockets go on, while a reactor is under load", async () => {
  await using script = new RunningScript("beside.ts", { args: ["lateness"] });
  const port = await script.json<number>();
  using load = new Load(port, 32);
  await eventually("the load", () => load.tookMs.length > 1000);
  await script.write("go\n");
  const { timers, fetches } = await script.json<Record<string, number[]>>();
  console.log(`beside ${load.tookMs.length} messages:`);
  console.log(`  timers of 1 ms took ${percentiles(timers!)}`);
  console.log(`  fetches took ${percentiles(fetches!)}`);
  // Progress is enough: the machine may be busy with other work.
  assertEquals([timers!.length, fetches!.length], [100, 20]);
});

for (const loop of ["promises", "immediates"]) {
  Deno.test(`a reactor goes on, while Deno's loop is busy with ${loop}`, async () => {
    await using script = new RunningScript("beside.ts", { args: [loop] });
    const port = await script.json<number>();
    using load = new Load(port, 1);
    await eventually("answers", () => load.tookMs.length >= 200);
    console.log(`answers took ${percentiles(load.tookMs)}`);
    await script.write("go\n");
    const { rounds } = await script.json<{ rounds: number }>();
    assertGreater(rounds, 0);
  });
}
