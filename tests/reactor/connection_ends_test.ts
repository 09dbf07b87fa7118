/** How connections end: no byte that came, and none that was sent, is lost. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Connection,
  type ConnectionHandlers,
  Fibers,
  Reactor,
} from "../../mod.ts";
import { Poll, Readiness, TcpStream, UnixStream } from "../../src/poll.ts";
import { EngineConnection } from "../../src/reactor/connection/engine.ts";
import { setupOf } from "../../src/reactor/connection/record.ts";
import { DEFAULT_LIMITS } from "../../src/reactor/connection_options.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readExactly, readToEnd, writeAll } from "../util/deno_client.ts";
import { FakeHost } from "../util/fake_host.ts";
import {
  type MemoryPolicy,
  MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { eventually } from "../util/waiting.ts";

const MIB = 1024 * 1024;
const CLIENTS = 50;
const LAST_WORDS = "QUIT bye\n";

/** Logs the calls of each connection's handlers. */
function logging(log: Map<Connection, string>): ConnectionHandlers {
  const add = (connection: Connection, text: string) =>
    log.set(connection, (log.get(connection) ?? "") + text);
  return {
    data: (connection, bytes, start, end) =>
      void add(connection, decoded(bytes, start, end)),
    error: (connection, error) => void add(connection, error.name),
    close: (connection, reason) => void add(connection, ` ${reason}`),
  };
}

for (const backend of Poll.backends()) {
  cleanTest(
    `data gets the bytes before a reset first, by TCP and ${backend}`,
    async () => {
      using reactor = new Reactor({ backend });
      const log = new Map<Connection, string>();
      const { addr } = reactor.listen(LOOPBACK, logging(log));
      // All this comes before the server's first read.
      for (let index = 0; index < CLIENTS; index++) {
        const client = TcpStream.connect(addr);
        client.write(encoded(LAST_WORDS));
        client.resetOnClose = true;
        client.close();
      }
      await eventually("all to close", () => {
        const { closed } = reactor.stats();
        return closed.error === CLIENTS;
      });
      for (const text of log.values()) {
        assertEquals(text, `${LAST_WORDS}ConnectionReset error`);
      }
    },
  );

  cleanTest(
    `data gets the bytes before a reset first, by a Unix socket and ${backend}`,
    async () => {
      using reactor = new Reactor({ backend });
      using folder = new SocketFolder();
      const path = folder.path("end.sock");
      const log = new Map<Connection, string>();
      reactor.listen({ path }, {
        ...logging(log),
        // Unread bytes make the peer's close a reset.
        open: (connection) => void connection.write(encoded("welcome")),
      });
      const clients = Array.from(
        { length: CLIENTS },
        () => UnixStream.connect({ path }),
      );
      await eventually(
        "all to be welcomed",
        () => clients.every((client) => client.unreadBytes > 0),
      );
      for (const client of clients) {
        client.write(encoded(LAST_WORDS));
        client.close();
      }
      await eventually(
        "all to close",
        () => reactor.stats().open === 0 && log.size === CLIENTS,
      );
      for (const text of log.values()) {
        assert(text.startsWith(LAST_WORDS), text);
      }
    },
  );
}

cleanTest(
  "a fiber reads the bytes before a reset, and then gets the error",
  async () => {
    using reactor = new Reactor();
    const fibers = new Fibers(reactor);
    const words: string[] = [];
    await using server = fibers.serve(LOOPBACK, async (connection) => {
      const line = await connection.readUntil("\n", 100);
      await assertRejects(
        () => connection.read(new Uint8Array(1)),
        Deno.errors.ConnectionReset,
      );
      words.push(decoded(line!));
    });
    for (let index = 0; index < CLIENTS; index++) {
      const client = TcpStream.connect(server.addr);
      client.write(encoded(LAST_WORDS));
      client.resetOnClose = true;
      client.close();
    }
    await eventually("all words", () => words.length === CLIENTS);
    assertEquals(new Set(words), new Set([LAST_WORDS]));
  },
);

cleanTest(
  "broken is called while a connection is paused, and reading goes on when it resumes",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { addr } = reactor.listen(LOOPBACK, {
      open: (connection) => connection.pause(),
      data: (_, bytes, start, end) => void log.push(decoded(bytes, start, end)),
      ending: (connection) => {
        log.push("ending");
        assertEquals(connection.write(encoded("too late")), true);
        connection.resume();
      },
      broken: (_, error) => void log.push(`broken ${error.name}`),
      error: (_, error) => void log.push(error.name),
      close: (_, reason) => void log.push(reason),
    });
    const client = TcpStream.connect(addr);
    client.write(encoded(LAST_WORDS));
    client.resetOnClose = true;
    client.close();
    await eventually("the close", () => log.includes("error"));
    assertEquals(log, [
      "broken ConnectionReset",
      "ending",
      LAST_WORDS,
      "ConnectionReset",
      "error",
    ]);
  },
);

/** A server of Deno that answers, and closes over unread bytes. */
async function refusing(listener: Deno.Listener, answer: string) {
  for await (const client of listener) {
    await readExactly(client, 65_536);
    await writeAll(client, encoded(answer));
    client.close();
  }
}

cleanTest(
  "a fiber reads the answer that came before its write failed",
  async () => {
    using reactor = new Reactor();
    const fibers = new Fibers(reactor);
    const answer = `HTTP/1.1 413 Too Large\r\n\r\n${"-".repeat(10_000)}`;
    const listener = Deno.listen(LOOPBACK);
    const refused = refusing(listener, answer);
    const address = listener.addr as Deno.NetAddr;
    for (let round = 0; round < 10; round++) {
      using client = await fibers.connect(address);
      await assertRejects(() => client.write(new Uint8Array(8 * MIB)));
      // Writing again fails as well, and loses nothing.
      await assertRejects(() => client.write(new Uint8Array(1)));
      const bytes = new Uint8Array(answer.length);
      assertEquals(decoded((await client.readExactly(bytes))!), answer);
      await assertRejects(() => client.read(new Uint8Array(1)));
    }
    listener.close();
    await refused;
  },
);

cleanTest(
  "data gets the answer that came before a write failed",
  async () => {
    using reactor = new Reactor();
    const listener = Deno.listen(LOOPBACK);
    const refused = refusing(listener, "refused");
    const log: string[] = [];
    reactor.connect(listener.addr as Deno.NetAddr, {
      open: (connection) => void connection.write(new Uint8Array(8 * MIB)),
      data: (_, bytes, start, end) => void log.push(decoded(bytes, start, end)),
      error: () => void log.push("error"),
      close: (_, reason) => void log.push(reason),
    });
    await eventually("the close", () => log.length >= 3);
    assertEquals(log, ["refused", "error", "error"]);
    listener.close();
    await refused;
  },
);

for (const how of ["a fiber that returns", "Connection.close()"]) {
  cleanTest(
    `all that was written arrives after ${how}, over unread input`,
    async () => {
      using reactor = new Reactor();
      const fibers = new Fibers(reactor);
      const answer = new Uint8Array(4 * MIB).fill(1);
      const serve = {
        "a fiber that returns": () =>
          fibers.serve(LOOPBACK, async (connection) => {
            await connection.read(new Uint8Array(1));
            await connection.write(answer);
          }),
        "Connection.close()": () =>
          reactor.listen(LOOPBACK, {
            data(connection) {
              connection.write(answer);
              connection.close();
            },
          }),
      }[how]!;
      const { addr } = serve();
      // This client asks for all at once, and sends while it reads.
      const client = await Deno.connect(addr);
      const sent = writeAll(client, new Uint8Array(2 * MIB)).catch(() => {});
      const bytes = await readToEnd(client);
      assertEquals(bytes.byteLength, answer.byteLength);
      await sent;
      client.close();
    },
  );
}

/** A connection that has answered, and lingers while its peer sends. */
function lingering() {
  const system = new MemorySystem();
  const host = new FakeHost();
  const stream = new MemoryStream(system);
  const reasons: string[] = [];
  const connection = new EngineConnection(
    host,
    stream,
    setupOf(
      { data() {}, close: (_, reason) => void reasons.push(reason) },
      DEFAULT_LIMITS,
      { isRefed: true },
    ),
  );
  connection.write(encoded("answer"));
  connection.closeLingering();
  return { host, stream, connection, reasons };
}

Deno.test("a lingering close lasts for five seconds after the last byte, and for thirty", () => {
  const silent = lingering();
  silent.host.pass(4_999);
  assertEquals(silent.reasons, []);
  silent.host.pass(1);
  assertEquals(silent.reasons, ["closed"]);

  const talking = lingering();
  for (let second = 4; second < 30; second += 4) {
    talking.host.pass(4_000);
    assertEquals(talking.reasons, [], `after ${second} s`);
    talking.stream.receive("more");
    talking.connection.onReady(Readiness.READABLE);
  }
  talking.host.pass(1_999);
  assertEquals(talking.reasons, []);
  talking.host.pass(1);
  assertEquals(talking.reasons, ["closed"]);
});

Deno.test("five resets are five closes, when the system refuses to set an option", () => {
  const reasons: string[] = [];
  const policy: MemoryPolicy = {
    call(call) {
      if (call !== "stream.resetOnClose") return;
      throw new Deno.errors.InvalidData("EINVAL");
    },
  };
  for (let index = 0; index < 5; index++) {
    const stream = new MemoryStream(new MemorySystem({ policy }));
    const connection = new EngineConnection(
      new FakeHost(),
      stream,
      setupOf(
        { data() {}, close: (_, reason) => void reasons.push(reason) },
        DEFAULT_LIMITS,
        { isRefed: true },
      ),
    );
    connection.abort();
    assert(stream.isClosed);
  }
  assertEquals(reasons, new Array(5).fill("aborted"));
});
