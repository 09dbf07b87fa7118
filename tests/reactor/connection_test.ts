/** One connection: reading, writing, backpressure and every way to end. */

import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type CloseReason,
  type ConnectionHandlers,
  type Listener,
  Reactor,
  type StreamAddress,
} from "../../mod.ts";
import {
  Poll,
  Readiness,
  TcpListener,
  TcpStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import type { Connection } from "../../src/reactor/connection.ts";
import { EngineConnection } from "../../src/reactor/connection/engine.ts";
import { setupOf } from "../../src/reactor/connection/record.ts";
import {
  DEFAULT_LIMITS,
  HIGH_WATER_BYTES,
  limitsOf,
  LOW_WATER_BYTES,
  TURN_READ_BYTES,
} from "../../src/reactor/connection_options.ts";
import { READ_BUFFER_BYTES } from "../../src/bytes/read_buffer.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { lacks } from "../util/machine.ts";
import {
  readExactly,
  readText,
  readTextToEnd,
  readToEnd,
  writeAll,
  writeText,
} from "../util/deno_client.ts";
import { engineOf } from "../util/engine.ts";
import { decoded, ECHO, encoded, logged } from "../util/handlers.ts";
import { FakeHost } from "../util/fake_host.ts";
import { MemoryStream, MemorySystem } from "../../src/system/memory.ts";
import { randomBytes, sameBytes } from "../util/random.ts";
import {
  acceptOne,
  connectedPair,
  LOOPBACK,
  type Pair,
  write,
} from "../util/streams.ts";
import { DEADLINE_MS, eventually, within } from "../util/waiting.ts";

const MIB = 1024 * 1024;

/** Listens, and connects Deno's own client. */
async function served(
  reactor: Reactor,
  handlers: ConnectionHandlers,
): Promise<{ client: Deno.TcpConn; listener: Listener }> {
  const listener = reactor.listen(LOOPBACK, handlers);
  return { client: await Deno.connect(listener.addr), listener };
}

/** Returns the first connection that opens. */
function opened(log: string[], handlers: Partial<ConnectionHandlers> = {}): {
  handlers: ConnectionHandlers;
  connection: Promise<Connection>;
} {
  const { promise, resolve } = Promise.withResolvers<Connection>();
  return {
    handlers: logged(log, {
      ...handlers,
      open(connection) {
        handlers.open?.(connection);
        resolve(connection);
      },
    }),
    connection: within(promise, "the connection to open"),
  };
}

/**
 * poll and select report nothing more of a source that is not used after its
 * event (`src/poll/poll.ts`), so whether they report an end depends on when it
 * comes.
 */
const REPORTS_ONCE = lacks(
  "a backend that reports untouched sources again",
  () => {
    using poll = new Poll();
    return poll.backend === "epoll" || poll.backend === "kqueue";
  },
);

cleanTest(
  "open, data and close are called in this order",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { client } = await served(reactor, logged(log));
    await writeText(client, "hello");
    await eventually("the data", () => log.length === 2);
    client.close();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "data hello", "close"]);
  },
);

cleanTest("Connection.data is the user's own, one a connection", async () => {
  using reactor = new Reactor();
  let count = 0;
  const { client, listener } = await served(reactor, {
    open: (connection) => connection.data = ++count,
    data: (connection) => void connection.write(encoded(`${connection.data}`)),
  });
  using first = client;
  using second = await Deno.connect(listener.addr);
  await writeText(second, "?");
  assertEquals(await readText(second, 1), "2");
  await writeText(first, "?");
  assertEquals(await readText(first, 1), "1");
});

cleanTest(
  "a connection knows both addresses, the handle and its listener",
  async () => {
    using reactor = new Reactor();
    const { handlers, connection } = opened([]);
    const { client, listener } = await served(reactor, handlers);
    using _client = client;
    const accepted = await connection;
    const { hostname, port } = client.localAddr as Deno.NetAddr;
    assertEquals(accepted.peerAddress, { transport: "tcp", hostname, port });
    assertEquals(accepted.localAddress, listener.addr);
    assert(engineOf(accepted).listener === listener);
    assertEquals([...reactor.connections(listener)], [accepted]);
  },
);

cleanTest(
  "a connection still knows its addresses, when close is called",
  async () => {
    using reactor = new Reactor();
    const addresses: StreamAddress[] = [];
    const { client } = await served(reactor, {
      data() {},
      close: ({ localAddress, peerAddress }) => {
        addresses.push(localAddress, peerAddress);
      },
    });
    const { localAddr, remoteAddr } = client;
    client.close();
    await eventually("the close", () => addresses.length > 0);
    assertEquals(addresses, [remoteAddr, localAddr] as StreamAddress[]);
  },
);

cleanTest(
  "a connection is read to the last byte, when one read cannot hold all",
  async () => {
    using reactor = new Reactor();
    const { client } = await served(reactor, ECHO);
    using _client = client;
    const sent = randomBytes(3 * READ_BUFFER_BYTES + 1, 1);
    const [received] = await Promise.all([
      readExactly(client, sent.byteLength),
      writeAll(client, sent),
    ]);
    assert(sameBytes(sent, received));
  },
);

cleanTest(
  "a connection is read to its end, when the end came with exactly a buffer of data",
  async () => {
    using reactor = new Reactor();
    for (const size of [READ_BUFFER_BYTES, 2 * READ_BUFFER_BYTES, 1, 0]) {
      let received = 0;
      const log: string[] = [];
      const listener = reactor.listen(LOOPBACK, {
        data: (_connection, _bytes, start, end) => {
          received += end - start;
        },
        end: (connection) => {
          log.push("end");
          connection.close();
        },
        close: () => void log.push("close"),
      });
      using client = TcpStream.connect(listener.addr);
      assertEquals(client.write(new Uint8Array(size)), size);
      client.shutdown("write");
      await eventually(`the end behind ${size} bytes`, () => log.length === 2);
      assertEquals(received, size);
      assertEquals(log, ["end", "close"]);
      listener.close();
    }
  },
);

cleanTest(
  "Connection.close() in data drops the other bytes that were read",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const listener = reactor.listen(LOOPBACK, {
      data: (connection) => {
        log.push("data");
        connection.close();
      },
      close: () => void log.push("close"),
    });
    using client = TcpStream.connect(listener.addr);
    client.write(new Uint8Array(4 * READ_BUFFER_BYTES));
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["data", "close"]);
  },
);

cleanTest(
  "Connection.close() sends all that was written, then the end",
  async () => {
    using reactor = new Reactor();
    const sent = randomBytes(4 * MIB, 2);
    const { client } = await served(reactor, {
      open: (connection) => {
        connection.write(sent);
        connection.close();
        assertEquals(connection.isClosed, false);
      },
      data() {},
    });
    using _client = client;
    assert(sameBytes(await readToEnd(client), sent));
  },
);

cleanTest("Connection.write() sends nothing, when it is closing", async () => {
  using reactor = new Reactor();
  const sent = randomBytes(4 * MIB, 3);
  for (const end of ["close", "closeWrite", "closeLingering"] as const) {
    const listener = reactor.listen(LOOPBACK, {
      open: (connection) => {
        connection.write(sent);
        connection[end]();
        connection.write(encoded("too late"));
      },
      drain: (connection) => void connection.write(encoded("too late")),
      data() {},
    });
    using client = await Deno.connect(listener.addr);
    assert(sameBytes(await readToEnd(client), sent), end);
    listener.close();
  }
});

cleanTest("Connection.write() does nothing, when it is closed", async () => {
  using reactor = new Reactor();
  const log: string[] = [];
  const { handlers, connection } = opened(log);
  const { client } = await served(reactor, handlers);
  client.close();
  const closed = await connection;
  await eventually("the close", () => closed.isClosed);
  assertEquals(closed.write(encoded("no peer is there")), true);
  closed.close();
  closed.closeWrite();
  closed.closeLingering();
  closed.abort();
  closed.pause();
  closed.resume();
  assertEquals(log, ["open", "close"]);
});

cleanTest(
  "Connection.write() throws RangeError, when the range lies outside of the bytes",
  async () => {
    using reactor = new Reactor();
    const { handlers, connection } = opened([]);
    const { client } = await served(reactor, handlers);
    using _client = client;
    const accepted = await connection;
    for (const _state of ["empty", "with an outbox"]) {
      for (const [start, end] of [[0, 5], [-1, 2], [3, 2], [NaN, 1]]) {
        assertThrows(
          () => accepted.write(new Uint8Array(4), start!, end!),
          RangeError,
        );
      }
      fill(accepted);
    }
    accepted.abort();
  },
);

cleanTest(
  "Connection.write() of nothing does no harm, when bytes wait before and after it",
  async () => {
    using reactor = new Reactor();
    const { handlers, connection } = opened([]);
    const { client } = await served(reactor, handlers);
    using _client = client;
    const accepted = await connection;
    const length = fill(accepted);
    accepted.write(new Uint8Array(0));
    accepted.write(encoded("the rest"));
    accepted.close();
    const received = await readToEnd(client);
    assertEquals(received.byteLength, length + "the rest".length);
    assertEquals(decoded(received, length), "the rest");
  },
);

cleanTest(
  "Connection.write() returns false at the high-water mark, and drain follows at the low",
  async () => {
    using reactor = new Reactor();
    const drained: number[] = [];
    const { handlers, connection } = opened([], {
      drain: (each) => void drained.push(each.bufferedBytes),
    });
    const { client } = await served(reactor, handlers);
    using _client = client;
    const accepted = await connection;
    assertEquals(accepted.write(encoded("a little")), true);
    assertEquals(accepted.bufferedBytes, 0);
    const length = fill(accepted);
    assert(accepted.bufferedBytes >= HIGH_WATER_BYTES);
    assertEquals(drained, []);
    await readExactly(client, "a little".length + length);
    await eventually("the drain", () => drained.length > 0);
    assertEquals(drained.length, 1);
    assert(drained[0]! <= LOW_WATER_BYTES, `${drained[0]}`);
  },
);

cleanTest(
  "Connection.reserve() sends in one call with the writes before and after it",
  async () => {
    using reactor = new Reactor();
    const put = (connection: Connection, text: string) => {
      const room = engineOf(connection).reserve(text.length)!;
      new TextEncoder().encodeInto(text, room.bytes.subarray(room.length));
      room.length += text.length;
    };
    const { client } = await served(reactor, {
      data: (connection) => {
        put(connection, "one ");
        connection.write(encoded("two "));
        put(connection, "three ");
        put(connection, "four");
        connection.close();
      },
    });
    using _client = client;
    await writeText(client, "go");
    assertEquals(await readTextToEnd(client), "one two three four");
  },
);

cleanTest(
  "Connection.reserve() reaches the peer, when it is used outside of a turn",
  async () => {
    using reactor = new Reactor();
    const { handlers, connection } = opened([]);
    const { client } = await served(reactor, handlers);
    using _client = client;
    const room = engineOf(await connection).reserve(4)!;
    room.bytes.set(encoded("late"), room.length);
    room.length += 4;
    assertEquals(await readText(client, 4), "late");
  },
);

cleanTest(
  "Connection.reserve() is undefined, when the buffer never holds so much",
  async () => {
    using reactor = new Reactor();
    const { handlers, connection } = opened([]);
    const { client } = await served(reactor, handlers);
    using _client = client;
    assertEquals(engineOf(await connection).reserve(MIB), undefined);
  },
);

cleanTest(
  "Connection.pause() leaves bytes in the system, until resume()",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { handlers, connection } = opened(log, {
      data: (each) => each.pause(),
    });
    const { client } = await served(reactor, handlers);
    using _client = client;
    await writeText(client, "first");
    await eventually("the first", () => log.includes("data first"));
    await writeText(client, "second");
    await roundTrip(reactor);
    assertEquals(log, ["open", "data first"]);
    (await connection).resume();
    await eventually("the second", () => log.includes("data second"));
  },
);

cleanTest(
  "Connection.resume() reads the rest, when data paused in the middle",
  async () => {
    using reactor = new Reactor();
    let received = 0;
    let pauses = 0;
    const listener = reactor.listen(LOOPBACK, {
      data: (connection, _bytes, start, end) => {
        received += end - start;
        connection.pause();
        pauses++;
        setTimeout(() => connection.resume());
      },
    });
    using client = TcpStream.connect(listener.addr);
    const size = client.write(new Uint8Array(4 * READ_BUFFER_BYTES));
    await eventually("all", () => received === size);
    assert(pauses >= size / READ_BUFFER_BYTES);
  },
);

cleanTest(
  "ending is called while a connection is paused, and end when it resumes",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { handlers, connection } = opened(log, {
      open: (each) => each.pause(),
    });
    const { client } = await served(reactor, handlers);
    await writeText(client, "unread");
    const paused = await connection;
    assertEquals(paused.peerHasEnded, false);
    client.close();
    await eventually("the end to be there", () => log.includes("ending"));
    assertEquals(paused.peerHasEnded, true);
    await roundTrip(reactor);
    assertEquals(log, ["open", "ending"]);
    paused.resume();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "ending", "data unread", "close"]);
  },
  { ignore: REPORTS_ONCE },
);

cleanTest(
  "ending is called once, when data pauses in the middle",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { handlers, connection } = opened(log, {
      data: (each) => each.pause(),
      end: () => {},
    });
    const { client } = await served(reactor, handlers);
    const paused = await connection;
    await writeText(client, "a");
    await eventually("the data", () => log.includes("data a"));
    await writeText(client, "b");
    client.closeWrite();
    await eventually("the end to be there", () => log.includes("ending"));
    paused.resume();
    await eventually("more data", () => log.includes("data b"));
    await roundTrip(reactor);
    assertEquals(log, ["open", "data a", "ending", "data b"]);
    paused.resume();
    await eventually("the end", () => log.includes("end"));
    paused.close();
    client.close();
  },
  { ignore: REPORTS_ONCE },
);

cleanTest(
  "ending is called, when the peer ends and does not read",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { handlers, connection } = opened(log);
    const { client } = await served(reactor, handlers);
    const congested = await connection;
    while (congested.write(new Uint8Array(MIB)));
    assertEquals(congested.peerHasEnded, false);
    await client.closeWrite();
    await eventually("the end to be there", () => log.includes("ending"));
    assertEquals(log, ["open", "ending"]);
    client.close();
    await eventually("the close", () => log.includes("close"));
  },
);

cleanTest(
  "a connection that reads gets end without ending",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { client } = await served(reactor, logged(log, { end() {} }));
    await writeText(client, "a");
    await client.closeWrite();
    await eventually("the end", () => log.includes("end"));
    assertEquals(log, ["open", "data a", "end"]);
    client.close();
  },
);

cleanTest("a paused connection gets a reset at once", async () => {
  using reactor = new Reactor();
  const log: string[] = [];
  const listener = reactor.listen(
    LOOPBACK,
    logged(log, { open: (connection) => connection.pause() }),
  );
  const client = TcpStream.connect(listener.addr);
  await eventually("the open", () => log.length === 1);
  client.resetOnClose = true;
  client.close();
  await eventually("the close", () => log.includes("close"));
  assertEquals(log, ["open", "error ConnectionReset", "close"]);
});

cleanTest(
  "a peer that does not read is not read from until it reads",
  async () => {
    using reactor = new Reactor();
    let received = 0;
    let bufferedMax = 0;
    const listener = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        received += end - start;
        connection.write(bytes, start, end);
        bufferedMax = Math.max(bufferedMax, connection.bufferedBytes);
      },
    });
    using client = await Deno.connect(listener.addr);
    const sent = randomBytes(64 * MIB, 4);
    let isSent = false;
    const sending = writeAll(client, sent).then(() => isSent = true);
    await eventually("backpressure", () => bufferedMax >= HIGH_WATER_BYTES);
    const atStop = received;
    await roundTrip(reactor);
    assertEquals(received, atStop);
    assertEquals(isSent, false);
    assert(bufferedMax < HIGH_WATER_BYTES + 2 * READ_BUFFER_BYTES);

    assert(sameBytes(await readExactly(client, sent.byteLength), sent));
    await sending;
    assertEquals(received, sent.byteLength);
  },
);

cleanTest(
  "Connection.closeWrite() sends the end, and goes on reading",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { client } = await served(
      reactor,
      logged(log, {
        open: (connection) => {
          connection.write(encoded("that is all"));
          connection.closeWrite();
          connection.closeWrite();
          connection.write(encoded("no more"));
        },
      }),
    );
    assertEquals(await readTextToEnd(client), "that is all");
    await writeText(client, "and I?");
    await eventually("the data", () => log.includes("data and I?"));
    client.close();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "data and I?", "close"]);
  },
);

cleanTest(
  "a connection goes on writing after its peer's end, when end is handled",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const sent = randomBytes(4 * MIB, 5);
    const { client } = await served(
      reactor,
      logged(log, {
        end: (connection) => {
          connection.write(sent);
          connection.close();
        },
      }),
    );
    using _client = client;
    await writeText(client, "question");
    await client.closeWrite();
    assert(sameBytes(await readToEnd(client), sent));
    await eventually("the close", () => log.includes("close"));
    assertEquals(log.filter((line) => line !== "drain"), [
      "open",
      "data question",
      "end",
      "close",
    ]);
  },
);

cleanTest("a connection is closed, when both halves have ended", async () => {
  using reactor = new Reactor();
  const log: string[] = [];
  const listener = reactor.listen(
    LOOPBACK,
    logged(log, { end: (connection) => connection.closeWrite() }),
  );
  using first = await Deno.connect(listener.addr);
  await first.closeWrite();
  await eventually("the close", () => log.includes("close"));
  assertEquals(log, ["open", "end", "close"]);
  assertEquals(reactor.size, 1);
  listener.close();

  log.length = 0;
  const other = reactor.listen(
    LOOPBACK,
    logged(log, {
      open: (connection) => connection.closeWrite(),
      end() {},
    }),
  );
  using second = await Deno.connect(other.addr);
  assertEquals(await readTextToEnd(second), "");
  await second.closeWrite();
  await eventually("the close", () => log.includes("close"));
  assertEquals(log, ["open", "end", "close"]);
});

cleanTest(
  "a peer's end closes the connection after the last byte is sent, when end is not handled",
  async () => {
    using reactor = new Reactor();
    const { client } = await served(reactor, ECHO);
    using _client = client;
    const sent = randomBytes(MIB, 6);
    const received = readToEnd(client);
    await writeAll(client, sent);
    await client.closeWrite();
    assert(sameBytes(await received, sent));
  },
);

cleanTest(
  "Connection.closeLingering() lets the peer read the answer, though it still sends",
  async () => {
    using reactor = new Reactor();
    let reads = 0;
    const { client } = await served(reactor, {
      data: (connection) => {
        if (reads++ > 0) return;
        connection.write(encoded("enough"));
        connection.closeLingering();
      },
    });
    using _client = client;
    await writeAll(client, new Uint8Array(8 * MIB));
    assertEquals(await readTextToEnd(client), "enough");
    assertEquals(reads, 1);
  },
);

cleanTest(
  "Connection.closeLingering() closes, when the peer ends",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { client } = await served(
      reactor,
      logged(log, { data: (connection) => connection.closeLingering() }),
    );
    await writeText(client, "bye");
    assertEquals(await readTextToEnd(client), "");
    assertEquals(log, ["open", "data bye"]);
    await writeText(client, "not heard");
    client.close();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "data bye", "close"]);
  },
);

cleanTest(
  "Connection.abort() resets the peer, whatever was written",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const { handlers, connection } = opened(log);
    const { client } = await served(reactor, handlers);
    using _client = client;
    const accepted = await connection;
    accepted.abort();
    accepted.abort();
    assertEquals(log, ["open", "close"]);
    const error = await client.read(new Uint8Array(1)).catch((error) => error);
    assert(error instanceof Deno.errors.ConnectionReset, `${error}`);
  },
);

cleanTest("a peer's reset is an error and a close", async () => {
  using reactor = new Reactor();
  const log: string[] = [];
  const listener = reactor.listen(LOOPBACK, logged(log));
  const client = TcpStream.connect(listener.addr);
  await eventually("the open", () => log.length === 1);
  client.resetOnClose = true;
  client.close();
  await eventually("the close", () => log.includes("close"));
  assertEquals(log, ["open", "error ConnectionReset", "close"]);
});

for (const call of ["open", "data", "end", "drain"] as const) {
  cleanTest(
    `an error in ${call} calls error, and closes that connection alone`,
    async () => {
      const reported: unknown[] = [];
      using reactor = new Reactor({ onError: (error) => reported.push(error) });
      const log: string[] = [];
      let got: Error | undefined;
      const fails = () => {
        throw new RangeError("on purpose");
      };
      const bad = reactor.listen(
        LOOPBACK,
        logged(log, {
          data: call === "drain" ? (connection) => fill(connection) : () => {},
          [call]: fails,
          error: (_connection, error) => got = error,
        }),
      );
      const good = reactor.listen(LOOPBACK, ECHO);
      using healthy = await Deno.connect(good.addr);
      using client = TcpStream.connect(bad.addr);
      if (call !== "open") await eventually("the open", () => log.length > 0);
      client.tryWrite(encoded("x"), 0, 1);
      if (call === "end") client.shutdown("write");
      if (call === "drain") {
        await eventually("the end", () => isDrained(client));
      }
      await eventually("the close", () => log.includes("close"));
      assertEquals(log.slice(-3), [
        call === "data" ? "data x" : call,
        "error RangeError",
        "close",
      ]);
      assertEquals(got?.message, "on purpose");
      await writeText(healthy, "still here");
      assertEquals(await readText(healthy, 10), "still here");
      assertEquals(reported, []);
    },
  );
}

cleanTest(
  "an error in a handler is reported, when there is no error handler",
  async () => {
    const reported: unknown[] = [];
    using reactor = new Reactor({ onError: (error) => reported.push(error) });
    const error = new Error("on purpose");
    const { client } = await served(reactor, {
      data: () => {
        throw error;
      },
    });
    using _client = client;
    await writeText(client, "x");
    await eventually("the report", () => reported.length > 0);
    assertEquals(reported, [error]);
  },
);

cleanTest(
  "an error in a handler is reported, when the connection is closed by then",
  async () => {
    const reported: unknown[] = [];
    using reactor = new Reactor({ onError: (error) => reported.push(error) });
    const log: string[] = [];
    const { client } = await served(
      reactor,
      logged(log, {
        data: (connection) => {
          connection.close();
          throw new Error("too late");
        },
      }),
    );
    using _client = client;
    await writeText(client, "x");
    await eventually("the report", () => reported.length > 0);
    assertEquals(`${reported[0]}`, "Error: too late");
    assertEquals(log, ["open", "data x", "close"]);
  },
);

cleanTest(
  "a reset is not reported, when there is no error handler",
  async () => {
    const reported: unknown[] = [];
    using reactor = new Reactor({ onError: (error) => reported.push(error) });
    const listener = reactor.listen(LOOPBACK, ECHO);
    const client = TcpStream.connect(listener.addr);
    await eventually("the connection", () => reactor.size === 2);
    client.resetOnClose = true;
    client.close();
    await eventually("the close", () => reactor.size === 1);
    assertEquals(reported, []);
  },
);

cleanTest(
  "an error in error or close is reported, and the connection is closed all the same",
  async () => {
    const reported: string[] = [];
    using reactor = new Reactor({
      onError: (error) => void reported.push(`${error}`),
    });
    const { client } = await served(reactor, {
      data: () => {
        throw new Error("data");
      },
      error: () => {
        throw new Error("error");
      },
      close: () => {
        throw new Error("close");
      },
    });
    using _client = client;
    await writeText(client, "x");
    await eventually("the reports", () => reported.length === 2);
    assertEquals(reported, ["Error: error", "Error: close"]);
    assertEquals(reactor.size, 1);
  },
);

cleanTest(
  "error is called once, when it writes to a connection that is gone",
  async () => {
    using reactor = new Reactor();
    const log: string[] = [];
    const listener = reactor.listen(
      LOOPBACK,
      logged(log, {
        error: (connection) => void connection.write(encoded("what now?")),
      }),
    );
    const client = TcpStream.connect(listener.addr);
    await eventually("the open", () => log.length === 1);
    client.resetOnClose = true;
    client.close();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "error ConnectionReset", "close"]);
  },
);

cleanTest(
  "error gets an Error, when a handler throws another value",
  async () => {
    using reactor = new Reactor();
    let got: unknown;
    const { client } = await served(reactor, {
      data: () => {
        throw "a text";
      },
      error: (_connection, error) => got = error,
    });
    using _client = client;
    await writeText(client, "x");
    await eventually("the error", () => got !== undefined);
    assert(got instanceof Error);
    assertEquals(got.message, "a text");
  },
);

cleanTest(
  "Reactor.connect() opens, sends, receives and gets the end",
  async () => {
    using reactor = new Reactor();
    const listener = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        connection.write(bytes, start, end);
        connection.close();
      },
    });
    const log: string[] = [];
    const connection = reactor.connect(
      listener.addr,
      logged(log, { open: (each) => void each.write(encoded("hello")) }),
    );
    assertEquals(log, []);
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "data hello", "close"]);
    assert(connection.isClosed);
    assertEquals(engineOf(connection).listener, undefined);
  },
);

cleanTest(
  "Reactor.connect() sends bytes that were written before it opened",
  async () => {
    using reactor = new Reactor();
    const listener = reactor.listen(LOOPBACK, ECHO);
    const log: string[] = [];
    const connection = reactor.connect(listener.addr, logged(log));
    connection.write(encoded("early"));
    await eventually("the echo", () => log.length === 2);
    assertEquals(log, ["open", "data early"]);
    connection.close();
  },
);

cleanTest(
  "Reactor.connect() sends the end after it opened, when closeWrite() came before",
  async () => {
    using reactor = new Reactor();
    const listener = reactor.listen(LOOPBACK, ECHO);
    const log: string[] = [];
    reactor.connect(listener.addr, logged(log)).closeWrite();
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "close"]);
  },
);

cleanTest(
  "Reactor.connect() calls close alone, when the connection closes before it opened",
  async () => {
    using reactor = new Reactor();
    const listener = reactor.listen(LOOPBACK, ECHO);
    for (const end of ["close", "abort"] as const) {
      const log: string[] = [];
      const connection = reactor.connect(listener.addr, logged(log));
      connection[end]();
      assertEquals(log, ["close"]);
      await roundTrip(reactor);
      assertEquals(log, ["close"]);
    }
  },
);

cleanTest(
  "Reactor.connect() calls error and close, when no listener is there",
  async () => {
    using reactor = new Reactor();
    const free = TcpListener.bind(LOOPBACK);
    const { localAddress } = free;
    free.close();
    const log: string[] = [];
    let got: Error | undefined;
    reactor.connect(
      localAddress,
      logged(log, { error: (_connection, error) => got = error }),
    );
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["error ConnectionRefused", "close"]);
    assertStringIncludes(got!.message, "connection refused (ECONNREFUSED");
  },
);

cleanTest(
  "Reactor.connect() hands over the bytes before a reset, when both come at once",
  async () => {
    using reactor = new Reactor();
    using listener = TcpListener.bind(LOOPBACK);
    const log: string[] = [];
    // The first turn runs at the next `await`.
    reactor.connect(listener.localAddress, logged(log));
    {
      using server = acceptOne(listener);
      write(server, "bye");
      const endMs = performance.now() + DEADLINE_MS;
      while (server.unackedBytes > 0) assert(performance.now() < endMs);
      server.resetOnClose = true;
    }
    await eventually("the close", () => log.includes("close"));
    assertEquals(log, ["open", "data bye", "error ConnectionReset", "close"]);
  },
);

cleanTest(
  "events of a connection that closed in the same batch are dropped",
  async () => {
    using reactor = new Reactor();
    const connections: Connection[] = [];
    const log: string[] = [];
    const listener = reactor.listen(
      LOOPBACK,
      logged(log, {
        open: (connection) => void connections.push(connection),
        data: (connection) => {
          for (const other of connections) {
            if (other !== connection) other.abort();
          }
        },
      }),
    );
    using clients = new DisposableStack();
    const streams = [1, 2, 3, 4].map(() =>
      clients.use(TcpStream.connect(listener.addr))
    );
    await eventually("all to open", () => connections.length === 4);
    log.length = 0;
    // All in one task: the next poll returns them in one batch.
    for (const stream of streams) stream.write(encoded("x"));
    await eventually("the closes", () => log.length >= 4);
    assertEquals(log, ["data x", "close", "close", "close"]);
  },
);

cleanTest("a connection that floods lets others have their turn", async () => {
  using reactor = new Reactor();
  let flooding: Connection | undefined;
  let flooded = 0;
  let floodedBefore: number | undefined;
  const listener = reactor.listen(LOOPBACK, {
    open: (connection) => flooding ??= connection,
    data: (_connection, _bytes, start, end) => {
      if (end - start === 1) floodedBefore = flooded;
      else flooded += end - start;
    },
  });
  using flood = TcpStream.connect(listener.addr);
  using other = TcpStream.connect(listener.addr);
  // Until the system has grown the buffer of this fast reader.
  const bytes = new Uint8Array(MIB);
  let sent = 0;
  await eventually(
    "64 MiB",
    () => (sent += writeAvailable(flood, bytes)) > 64 * MIB,
  );
  await eventually("all of them", () => flooded === sent);
  flooding!.pause();
  flooded = sent = 0;
  await eventually("a flood", () => {
    const count = writeAvailable(flood, bytes);
    sent += count;
    return count === 0 && sent > 4 * TURN_READ_BYTES;
  });

  // Both in one task: the next turn reads the flood first, then the other.
  flooding!.resume();
  other.write(new Uint8Array(1));
  await eventually("all", () => flooded === sent);
  assertEquals(floodedBefore, TURN_READ_BYTES);
});

cleanTest(
  "Connection.retain() keeps bytes, while other connections read on",
  async () => {
    using reactor = new Reactor();
    const kept: { bytes: Uint8Array; start: number; end: number }[] = [];
    const listener = reactor.listen(LOOPBACK, {
      data: (connection, bytes, start, end) => {
        engineOf(connection).retain(end);
        kept.push({ bytes, start, end });
      },
    });
    using client = await Deno.connect(listener.addr);
    for (let round = 0; round < 20; round++) {
      await writeText(client, `${round} `.repeat(2_000));
      await eventually("the data", () => kept.length > round);
    }
    const text = kept.map(({ bytes, start, end }) => decoded(bytes, start, end))
      .join("");
    const expected = Array.from(
      { length: 20 },
      (_, round) => `${round} `.repeat(2_000),
    ).join("");
    assert(text === expected);
  },
);

/** An accepted connection, on a reactor that does nothing by itself. */
function accepted(
  host: FakeHost,
  { server }: Pair,
  protocol: ConnectionHandlers,
): EngineConnection {
  const listener = { isRefed: true } as Listener;
  return new EngineConnection(
    host,
    server,
    setupOf(protocol, DEFAULT_LIMITS, listener),
  );
}

/** Writes until the high-water mark; returns how many bytes. */
function fill(connection: Connection): number {
  const bytes = new Uint8Array(MIB);
  let length = 0;
  do length += bytes.byteLength; while (connection.write(bytes));
  return length;
}

/** Writes as many bytes as there is room for; returns the number. */
function writeAvailable(
  stream: TcpStream,
  bytes: Uint8Array<ArrayBuffer>,
): number {
  for (let written = 0;;) {
    const count = stream.write(bytes);
    if (count === WOULD_BLOCK) return written;
    written += count;
  }
}

/** Reads all bytes that are there; returns whether the end has come. */
function isDrained(stream: TcpStream): boolean {
  const bytes = new Uint8Array(MIB);
  for (;;) {
    const count = stream.tryRead(bytes, 0, bytes.byteLength);
    if (count <= 0) return count !== WOULD_BLOCK;
  }
}

/** Returns when the reactor has acted on all events before this call. */
async function roundTrip(reactor: Reactor): Promise<void> {
  const listener = reactor.listen(LOOPBACK, ECHO);
  using client = await Deno.connect(listener.addr);
  await writeText(client, "x");
  await readText(client, 1);
  listener.close();
}

cleanTest(
  "Connection.closeLingering() gives up, when the peer stays too long after all is sent",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const log: string[] = [];
    const connection = accepted(host, pair, logged(log));
    const sent = fill(connection);
    connection.closeLingering();
    host.pass(60_000);
    assertEquals(log, [], "it waits for a peer that reads slowly");

    let received = 0;
    const bytes = new Uint8Array(MIB);
    for (let isEnded = false; !isEnded;) {
      const count = pair.client.read(bytes);
      if (count === WOULD_BLOCK) connection.onReady(Readiness.WRITABLE);
      else received += count;
      isEnded = count === 0;
    }
    assertEquals(received, sent);
    host.pass(1_000);
    assertEquals(log, ["drain"]);
    host.pass(10_000);
    assertEquals(log, ["drain", "close"]);
    assertEquals(host.timers.size, 0);
  },
);

cleanTest(
  "Connection.closeLingering() forgets its timer, when the peer's end comes first",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const log: string[] = [];
    const connection = accepted(host, pair, logged(log));
    connection.closeLingering();
    assertEquals(host.timers.size, 1);
    pair.client.close();
    connection.onReady(Readiness.READABLE | Readiness.READ_CLOSED);
    assertEquals(log, ["close"]);
    assertEquals(host.timers.size, 0);
  },
);

cleanTest(
  "Connection.closeLingering() sends all, though the peer's end comes before",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const log: string[] = [];
    const connection = accepted(host, pair, logged(log));
    // Below the high-water mark: above it the end would not be read.
    const piece = new Uint8Array(16_384);
    let sent = 0;
    for (; connection.bufferedBytes === 0; sent += piece.byteLength) {
      connection.write(piece);
    }
    connection.closeLingering();
    pair.client.shutdown("write");
    connection.onReady(Readiness.READABLE | Readiness.READ_CLOSED);
    assertEquals(log, []);

    let received = 0;
    const bytes = new Uint8Array(MIB);
    for (let isEnded = false; !isEnded;) {
      const count = pair.client.read(bytes);
      if (count === WOULD_BLOCK) connection.onReady(Readiness.WRITABLE);
      else received += count;
      isEnded = count === 0;
    }
    assertEquals(received, sent);
    assertEquals(log, ["close"]);
    assertEquals(host.timers.size, 0);
  },
);

cleanTest(
  "a connect reads bytes whose event came before its own",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const log: string[] = [];
    const connection = new EngineConnection(
      host,
      pair.client,
      setupOf(logged(log), DEFAULT_LIMITS),
    );
    pair.server.write(encoded("early"));
    connection.onReady(Readiness.READABLE);
    assertEquals(log, []);
    connection.onReady(Readiness.WRITABLE);
    assertEquals(log, ["open", "data early"]);
  },
);

cleanTest(
  "Connection.closeWrite() leaves the socket alone, until it is connected",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const log: string[] = [];
    const connection = new EngineConnection(
      host,
      pair.client,
      setupOf(logged(log), DEFAULT_LIMITS),
    );
    connection.closeWrite();
    assertEquals(pair.server.read(new Uint8Array(1)), WOULD_BLOCK);
    connection.onReady(Readiness.WRITABLE);
    assertEquals(log, ["open"]);
    assertEquals(pair.server.read(new Uint8Array(1)), 0);
  },
);

cleanTest(
  "a connection asks the poll for room once, however often it is full",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const connection = accepted(host, pair, ECHO);
    fill(connection);
    fill(connection);
    assertEquals(host.log.filter((line) => line === "reregister").length, 1);
    connection.abort();
  },
);

cleanTest(
  "a connection is counted for the process once, however often ref() and unref() are called",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const connection = accepted(host, pair, ECHO);
    connection.ref();
    connection.unref();
    connection.unref();
    connection.ref();
    connection.ref();
    connection.abort();
    connection.unref();
    assertEquals(host.log, ["countRef -1", "countRef 1", "forget"]);
  },
);

/** How a connection ends, and the reason that `close` gets. */
const ENDS: Record<string, (connection: EngineConnection, pair: Pair) => void> =
  {
    "closed by close()": (connection) => connection.close(),
    "closed by closeLingering()": (connection, { client }) => {
      connection.closeLingering();
      client.close();
      connection.onReady(Readiness.READABLE | Readiness.READ_CLOSED);
    },
    "closed by close() with bytes unsent": (connection, { client }) => {
      fill(connection);
      connection.close();
      while (!isDrained(client)) connection.onReady(Readiness.WRITABLE);
      // The close may wait for the peer's system to acknowledge the last bytes.
      client.close();
      connection.onReady(Readiness.READABLE | Readiness.READ_CLOSED);
    },
    "ended by the peer": (connection, { client }) => {
      client.close();
      connection.onReady(Readiness.READABLE | Readiness.READ_CLOSED);
    },
    "ended by the peer after closeWrite()": (connection, { client }) => {
      connection.closeWrite();
      client.close();
      connection.onReady(Readiness.READABLE | Readiness.READ_CLOSED);
    },
    "aborted by abort()": (connection) => connection.abort(),
    "write by abort()": (connection) => connection.abort("write"),
    "error by a handler": (connection) => connection.fail(new Error("x")),
    "error by the socket": (connection, { client }) => {
      client.resetOnClose = true;
      client.close();
      connection.onReady(Readiness.READABLE | Readiness.ERROR);
    },
    "idle by the sweep": (connection) => connection.expire("idle"),
    "shed by the host": (connection) => connection.evict("shed"),
  };

for (const [scene, end] of Object.entries(ENDS)) {
  cleanTest(`close gets the reason: ${scene}`, () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const reasons: CloseReason[] = [];
    const connection = accepted(host, pair, {
      data() {},
      error() {},
      close: (_, reason) => void reasons.push(reason),
    });
    end(connection, pair);
    connection.abort();
    assertEquals(reasons, [scene.split(" ")[0]!]);
    assertEquals(host.memoryBytes, 0, "what waited is not counted any more");
  });
}

cleanTest(
  "Connection.heldBytes counts for the reactor, until it closes",
  () => {
    using pair = connectedPair();
    const host = new FakeHost();
    const connection = accepted(host, pair, { data() {} });
    assertEquals(connection.look().heldBytes, 0);
    host.pass(7);
    connection.heldBytes = 100;
    connection.heldBytes = 60;
    assertEquals([host.memoryBytes, connection.heldBytes], [60, 60]);
    const looks = () => connection.look().heldLooks;
    assertEquals([looks(), looks()], [0, 1]);
    connection.heldBytes = 60;
    assertEquals([looks(), looks()], [0, 1]);
    host.pass(1);
    fill(connection);
    assert(host.memoryBytes >= 60 + connection.bufferedBytes);
    assertEquals(connection.look().heldBytes, 60);
    connection.abort();
    assertEquals(host.memoryBytes, 0);
    connection.heldBytes = 5;
    assertEquals(host.memoryBytes, 0);
  },
);

cleanTest("water marks and the share of a turn are a listener's own", () => {
  const system = new MemorySystem();
  const host = new FakeHost();
  const limits = limitsOf({ highWaterBytes: 10, turnReadBytes: 100_000 });
  assertEquals(limits.lowWaterBytes, 2);
  const listener = { isRefed: true } as Listener;
  const stream = new MemoryStream(system);
  const counts: number[] = [];
  let drains = 0;
  const connection = new EngineConnection(
    host,
    stream,
    setupOf(
      {
        data: (_, _bytes, start, end) => void counts.push(end - start),
        drain: () => void drains++,
      },
      limits,
      listener,
    ),
  );
  stream.room = 0;
  assertEquals(connection.write(new Uint8Array(9)), true);
  assertEquals(connection.write(new Uint8Array(1)), false);
  stream.receive(1);
  connection.onReady(Readiness.READABLE);
  assertEquals(counts, [], "it is not read from");
  stream.makeRoom(7);
  connection.onReady(Readiness.WRITABLE);
  assertEquals(drains, 0);
  stream.makeRoom(1);
  connection.onReady(Readiness.WRITABLE);
  assertEquals(drains, 1);
  stream.receive(1_000_000 - 1);
  connection.onReady(Readiness.READABLE);
  assertEquals(counts, [1], "it waits in the queue");
  connection.onReady(0);
  assertEquals(counts, [1, READ_BUFFER_BYTES, READ_BUFFER_BYTES]);
  assertEquals(host.log.filter((line) => line === "requeue").length > 0, true);
  connection.abort();
});

Deno.test("limitsOf() throws RangeError, when an option is out of range", () => {
  const wrong = [
    { highWaterBytes: 0 },
    { highWaterBytes: NaN },
    { highWaterBytes: 10, lowWaterBytes: 11 },
    { lowWaterBytes: -1 },
    { turnReadBytes: 0 },
  ];
  for (const options of wrong) {
    assertThrows(() => limitsOf(options), RangeError, "Cannot use");
  }
  assertEquals(limitsOf({}), limitsOf({ timeouts: {} }));
});

cleanTest(
  "Connection.abort() throws TypeError, when the reason is none",
  () => {
    using pair = connectedPair();
    const connection = accepted(new FakeHost(), pair, { data() {} });
    for (const reason of ["shed", "closed", 5, {}]) {
      const strange = reason as unknown as "idle";
      assertThrows(() => connection.abort(strange), TypeError, "Cannot use");
    }
    assertEquals(connection.isClosed, false);
    connection.abort();
  },
);
