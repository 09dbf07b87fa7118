/** Connecting by name: the address used, the time it takes, the errors. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { AttemptsFailed, Fibers, Reactor } from "../../mod.ts";
import {
  type Attempt,
  ATTEMPT_DELAY_MS,
  interleave,
  Race,
} from "../../src/reactor/happy_eyeballs.ts";
import { isAddress } from "../../src/net/address.ts";
import { systemLookup } from "../../src/net/lookup.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readText } from "../util/deno_client.ts";
import { FakeHost } from "../util/fake_host.ts";
import { onReactor } from "../util/fibers.ts";
import { encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";

/** No machine has this address: RFC 5737, TEST-NET-1. */
const SILENT = "192.0.2.1";

/** An attempt that the test settles. */
class FakeAttempt implements Attempt {
  isGivenUp = false;
  readonly #opened = Promise.withResolvers<void>();
  readonly opened = this.#opened.promise;

  async open(): Promise<void> {
    this.#opened.resolve();
    await settled();
  }

  async fail(message: string): Promise<void> {
    this.#opened.reject(new Deno.errors.ConnectionRefused(message));
    await settled();
  }

  giveUp(): void {
    this.isGivenUp = true;
  }
}

/** Lets the callbacks of settled promises run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** A race on a clock that stands still. */
function race(...addresses: string[]) {
  const host = new FakeHost();
  const begun = new Map<string, FakeAttempt>();
  const running = new Race(host, addresses, (address) => {
    const attempt = new FakeAttempt();
    begun.set(address, attempt);
    return attempt;
  });
  const won = running.run();
  // The test looks at a rejection later.
  won.catch(() => {});
  return { host, begun, running, won, names: () => [...begun.keys()] };
}

/** A port without a listener. */
function freePort(): number {
  using listener = Deno.listen(LOOPBACK);
  return (listener.addr as Deno.NetAddr).port;
}

/** A reactor that resolves every name to `addresses`. */
function knowing(...addresses: string[]): Reactor {
  return new Reactor({ lookup: () => Promise.resolve(addresses) });
}

Deno.test("interleave() alternates the families, and begins with the first address", () => {
  assertEquals(interleave(["::1", "::2", "1.1.1.1", "::3", "2.2.2.2"]), [
    "::1",
    "1.1.1.1",
    "::2",
    "2.2.2.2",
    "::3",
  ]);
  assertEquals(interleave(["1.1.1.1", "::1", "::2", "::3"]), [
    "1.1.1.1",
    "::1",
    "::2",
    "::3",
  ]);
  assertEquals(interleave(["1.1.1.1"]), ["1.1.1.1"]);
});

Deno.test("Race begins the next attempt when 250 ms are over", async () => {
  const { host, begun, won, names } = race("a", "b", "c");
  assertEquals(names(), ["a"]);
  host.pass(ATTEMPT_DELAY_MS - 1);
  assertEquals(names(), ["a"]);
  host.pass(1);
  assertEquals(names(), ["a", "b"]);
  host.pass(ATTEMPT_DELAY_MS);
  assertEquals(names(), ["a", "b", "c"]);
  await begun.get("b")!.open();
  assertStrictEquals(await won, begun.get("b"));
  assert(begun.get("a")!.isGivenUp);
  assert(begun.get("c")!.isGivenUp);
  assertEquals(begun.get("b")!.isGivenUp, false);
  assertEquals(host.timers.size, 0);
});

Deno.test("Race begins the next attempt at once, when one fails", async () => {
  const { host, begun, won, names } = race("a", "b", "c");
  await begun.get("a")!.fail("no");
  assertEquals(names(), ["a", "b"]);
  host.pass(ATTEMPT_DELAY_MS - 1);
  assertEquals(names(), ["a", "b"]);
  host.pass(1);
  assertEquals(names(), ["a", "b", "c"]);
  await begun.get("b")!.fail("no");
  await begun.get("c")!.open();
  assertStrictEquals(await won, begun.get("c"));
});

Deno.test("Race rejects with every failure, when the last has failed", async () => {
  const { host, begun, won } = race("a", "b");
  host.pass(ATTEMPT_DELAY_MS);
  await begun.get("b")!.fail("second");
  await begun.get("a")!.fail("first");
  const error = await assertRejects(() => won, AttemptsFailed);
  assertEquals(error.failures.map(({ address }) => address), ["b", "a"]);
  assertEquals(error.message, "b: second; a: first");
  assertEquals(host.timers.size, 0);
});

Deno.test("Race gives all attempts up, when it is stopped", async () => {
  const { host, begun, running, won } = race("a", "b");
  host.pass(ATTEMPT_DELAY_MS);
  running.stop(new RangeError("stop"));
  await assertRejects(() => won, RangeError);
  assert(begun.get("a")!.isGivenUp && begun.get("b")!.isGivenUp);
  await begun.get("a")!.open();
});

cleanTest(
  "connect() reaches a name that the system's resolver knows",
  () =>
    onReactor(async ({ fibers }) => {
      using listener = Deno.listen(LOOPBACK);
      const { port } = listener.addr as Deno.NetAddr;
      using conn = await fibers.connect({ hostname: "localhost", port });
      using peer = await listener.accept();
      await conn.write(encoded("hi"));
      assertEquals(await readText(peer, 2), "hi");
      assertEquals(conn.remoteAddr.port, port);
    }),
);

cleanTest("connect() resolves no name, when it has an address", async () => {
  using reactor = new Reactor({
    lookup: () => Promise.reject(new Error("asked")),
  });
  const fibers = new Fibers(reactor);
  using listener = Deno.listen(LOOPBACK);
  using _conn = await fibers.connect(listener.addr as Deno.NetAddr);
});

cleanTest(
  "connect() goes on to the next address, when one refuses",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.2", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    using reactor = knowing("127.0.0.1", "127.0.0.2");
    const fibers = new Fibers(reactor);
    using conn = await within(
      fibers.connect({ hostname: "two.example", port }),
      "the second address",
    );
    assertEquals(conn.remoteAddr.hostname, "127.0.0.2");
  },
);

cleanTest("connect() names each address and why, when all refuse", async () => {
  const port = freePort();
  using reactor = knowing("127.0.0.1", "127.0.0.2");
  const fibers = new Fibers(reactor);
  const error = await assertRejects(
    () => fibers.connect({ hostname: "two.example", port }),
    Deno.errors.ConnectionRefused,
    `Cannot connect to "two.example:${port}": 127.0.0.1: `,
  );
  assertStringIncludes(error.message, "; 127.0.0.2: ");
  assert(error.cause instanceof AttemptsFailed);
  assertEquals(
    error.cause.failures.map(({ address }) => address),
    ["127.0.0.1", "127.0.0.2"],
  );
  assertEquals(error.cause.errors.length, 2);
});

cleanTest("connect() throws NotFound, when the name is unknown", async () => {
  using empty = knowing();
  await assertRejects(
    () => new Fibers(empty).connect({ hostname: "none.example", port: 1 }),
    Deno.errors.NotFound,
  );
  await assertRejects(
    () => systemLookup({ hostname: "name.invalid", port: 1 }),
    Deno.errors.NotFound,
    'Cannot resolve "name.invalid"',
  );
});

Deno.test({
  name:
    "a name is looked up on Deno's threads, when it is permitted for one port alone",
  permissions: { net: ["localhost:7"], read: "inherit" },
  async fn() {
    const found = await systemLookup({ hostname: "localhost", port: 7 });
    assert(found.length > 0);
    assert(found.every(isAddress), found.join());
    await assertRejects(
      () => systemLookup({ hostname: "localhost", port: 8 }),
      Deno.errors.NotCapable,
      'Cannot resolve "localhost"',
    );
  },
});

cleanTest(
  "connect() throws TimedOut, when no answer comes in time",
  async () => {
    using reactor = knowing(SILENT);
    const fibers = new Fibers(reactor);
    await assertRejects(
      () => fibers.connect({ hostname: "slow.example", port: 1, timeoutMs: 5 }),
      // On a machine without a network the attempt fails at once.
      Error,
      "slow.example",
    );
    assertEquals(reactor.size, 0);
    using deaf = new Reactor({ lookup: () => new Promise(() => {}) });
    await assertRejects(
      () =>
        new Fibers(deaf).connect({
          hostname: "slow.example",
          port: 1,
          timeoutMs: 5,
        }),
      Deno.errors.TimedOut,
      "no answer in 5 ms",
    );
  },
);

cleanTest(
  "connect() ends when its signal aborts, in the lookup too",
  async () => {
    using deaf = new Reactor({ lookup: () => new Promise(() => {}) });
    const controller = new AbortController();
    const { signal } = controller;
    const connecting = new Fibers(deaf).connect({
      hostname: "a.example",
      port: 1,
      signal,
    });
    controller.abort(new RangeError("stop"));
    await assertRejects(() => connecting, RangeError);
    await assertRejects(
      () => new Fibers(deaf).connect({ ...LOOPBACK, port: 1, signal }),
      RangeError,
    );
    assertEquals(deaf.size, 0);
  },
);

cleanTest(
  "connect() refuses a port out of range",
  () =>
    onReactor(async ({ fibers }) => {
      await assertRejects(
        () => fibers.connect({ hostname: "localhost", port: 65_536 }),
        RangeError,
      );
    }),
);

cleanTest(
  "a fiber owns the connections that it opens",
  () =>
    onReactor(async ({ fibers }) => {
      using listener = Deno.listen(LOOPBACK);
      const conn = await fibers.spawn((fiber) =>
        fiber.connect(listener.addr as Deno.NetAddr)
      ).finished;
      assert(conn.isClosed);
      (await listener.accept()).close();
    }),
);
