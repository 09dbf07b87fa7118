/** Connecting to a name with handlers: the lookup does not block the thread. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Connection, Fibers, type Lookup, Reactor } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";

const NAME = "name.example";
/** Loopback addresses without a listener. */
const REFUSING = ["127.0.0.7", "127.0.0.8"];
/** More bytes than a socket's buffer takes at once. */
const MUCH = 4_000_000;

/** Handlers that record their calls, and a promise of the end. */
function recording(onOpen: (connection: Connection) => void = () => {}) {
  const calls: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let error: Error | undefined;
  return {
    calls,
    closed,
    error: () => error!,
    handlers: {
      open(connection: Connection) {
        calls.push("open");
        onOpen(connection);
      },
      data() {},
      error(_: Connection, cause: Error) {
        error = cause;
        calls.push("error");
      },
      close(_: Connection, reason: string) {
        calls.push(reason);
        resolve();
      },
    },
  };
}

/** A server that counts the bytes that come until the end. */
function counting(reactor: Reactor) {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  let count = 0;
  const { addr } = reactor.listen(LOOPBACK, {
    data(_connection, bytes, start, end) {
      count += end - start;
      if (count <= 100) {
        text += new TextDecoder().decode(bytes.subarray(start, end));
      }
    },
    end(connection) {
      resolve(count <= 100 ? text : String(count));
      connection.close();
    },
  });
  return { port: addr.port, received: promise };
}

/** A lookup that the test answers. */
function gate(): { lookup: Lookup; answer: (found: string[]) => void } {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  return { lookup: () => promise, answer: resolve };
}

for (const isMuch of [false, true]) {
  const what = isMuch ? "many bytes" : "bytes";
  cleanTest(
    `connect() with handlers returns at once, and sends ${what} written meanwhile first`,
    async () => {
      const { lookup, answer } = gate();
      using reactor = new Reactor({ lookup });
      const fibers = new Fibers(reactor);
      const { port, received } = counting(reactor);
      const { calls, handlers, closed } = recording((connection) => {
        assertEquals(connection.peerAddress, {
          transport: "tcp",
          hostname: "127.0.0.1",
          port,
        });
        connection.write(encoded("second"));
        connection.close();
      });
      const connection = reactor.connect({ hostname: NAME, port }, handlers);
      assertThrows(
        () => connection.peerAddress,
        Deno.errors.NotConnected,
      );
      connection.write(isMuch ? new Uint8Array(MUCH) : encoded("first "));
      assertEquals(reactor.size, 2);
      await fibers.sleep(0);
      assertEquals(calls, []);
      answer([...REFUSING, "127.0.0.1"]);
      assertEquals(
        await within(received, "the bytes"),
        isMuch ? String(MUCH + 6) : "first second",
      );
      await within(closed, "the end");
      assertEquals(calls, ["open", "closed"]);
      assertEquals(reactor.size, 1);
      assertEquals(reactor.stats().connected, 1);
      assertEquals(reactor.stats().listeners, 1);
    },
  );
}

cleanTest(
  "connect() with handlers reports the error of all addresses, when all refuse",
  async () => {
    using reactor = new Reactor({ lookup: () => Promise.resolve(REFUSING) });
    const { port } = counting(reactor);
    const { calls, handlers, closed, error } = recording();
    reactor.connect({ hostname: NAME, port }, handlers);
    await within(closed, "the end");
    assertEquals(calls, ["error", "error"]);
    assert(error() instanceof Deno.errors.ConnectionRefused);
    for (const part of [NAME, ...REFUSING]) {
      assert(error().message.includes(part), error().message);
    }
    assertEquals(reactor.size, 1);
  },
);

const FAILING: Record<string, Lookup> = {
  "rejects": () => Promise.reject(new Deno.errors.NotFound("no such name")),
  "finds nothing": () => Promise.resolve([]),
  "throws": () => {
    throw new Deno.errors.NotFound("on purpose");
  },
};

for (const [how, lookup] of Object.entries(FAILING)) {
  cleanTest(
    `connect() with handlers reports the error, when the lookup ${how}`,
    async () => {
      using reactor = new Reactor({ lookup });
      const { calls, handlers, closed, error } = recording();
      reactor.connect({ hostname: NAME, port: 1 }, handlers);
      assertEquals(calls, []);
      await within(closed, "the end");
      assertEquals(calls, ["error", "error"]);
      assert(error() instanceof Deno.errors.NotFound);
      assertEquals(reactor.size, 0);
    },
  );
}

const ENDS: Record<string, (connection: Connection, of: Reactor) => void> = {
  "close()": (connection) => connection.close(),
  "abort()": (connection) => connection.abort(),
  "a timeout": (connection) => connection.setDeadline(0),
  "the reactor's close()": (_, reactor) => reactor.close(),
};

for (const [what, end] of Object.entries(ENDS)) {
  for (const isLookedUp of [false, true]) {
    const when = isLookedUp ? "attempts" : "the lookup";
    cleanTest(
      `${what} ends a connection to a name in the middle of ${when}`,
      async () => {
        const { lookup, answer } = gate();
        using reactor = new Reactor({ lookup });
        const fibers = new Fibers(reactor);
        const { calls, handlers, closed } = recording();
        const connection = reactor.connect(
          { hostname: NAME, port: 9 },
          handlers,
        );
        if (isLookedUp) {
          // No machine has these addresses: RFC 5737, TEST-NET-1.
          answer(["192.0.2.1", "192.0.2.2"]);
          await fibers.sleep(0);
        }
        end(connection, reactor);
        await within(closed, "the end");
        answer(["192.0.2.1"]);
        // On a machine without a network the attempt fails at once.
        const reasons = ["closed", "aborted", "deadline", "error"];
        assert(reasons.includes(calls.at(-1)!), calls.join());
        assert(connection.isClosed);
        if (!reactor.isClosed) await fibers.sleep(0);
        assertEquals(reactor.size, 0);
        assertEquals(reactor.stats().listeners, 0);
      },
    );
  }
}

Deno.test({
  name: "connect() with handlers asks for the permission of a name at once",
  permissions: { net: ["other.example:1"], ffi: "inherit", env: "inherit" },
  fn() {
    using reactor = new Reactor();
    assertThrows(
      () => reactor.connect({ hostname: NAME, port: 1 }, { data() {} }),
      Deno.errors.NotCapable,
      `${NAME}:1`,
    );
    assertEquals(reactor.size, 0);
  },
});
