/**
 * Reads that stop short although more waits: at urgent bytes, and behind
 * messages with descriptors.
 */

import { assertMatch } from "@std/assert";
import {
  type Connection,
  type ConnectionHandlers,
  Fibers,
  Reactor,
  serve,
} from "../../mod.ts";
import { type Backend, Poll } from "../../src/poll.ts";
import type { StreamAddress } from "../../src/net/address.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NO_RAW_SOCKETS, RawSocket } from "../util/raw_socket.ts";
import { LOOPBACK } from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { within } from "../util/waiting.ts";

/** Several are read in one call, and one is not. */
const CROWDS = [1, 3];

/** What stops a read. */
interface Stop {
  readonly name: string;
  readonly transport: "tcp" | "unix";
  /** Sends "before", what stops a read, and "behind". */
  readonly send: (socket: RawSocket) => void;
  /** What the peer is to get. */
  readonly expected: RegExp;
}

const STOPS: readonly Stop[] = [
  {
    name: "an urgent byte",
    transport: "tcp",
    send: sendUrgent,
    expected: /^beforebehind$/,
  },
  {
    name: "an urgent byte",
    transport: "unix",
    send: sendUrgent,
    // Some versions of Linux hand it out in its place.
    expected: /^before!?behind$/,
  },
  {
    name: "descriptors",
    transport: "unix",
    send(socket) {
      socket.send("before");
      socket.sendWithDescriptor("1");
      socket.sendWithDescriptor("2");
      socket.send("behind");
    },
    expected: /^before12behind$/,
  },
];

function sendUrgent(socket: RawSocket): void {
  socket.send("before");
  socket.sendUrgent("!");
  socket.send("behind");
}

/** A reactor that listens, and clients that send what its reads stop at. */
class Crowd implements Disposable {
  readonly #reactor: Reactor;
  readonly #folder = new SocketFolder();
  readonly #to: number | string;
  readonly #clients: RawSocket[] = [];

  constructor(backend: Backend, stop: Stop, handlers: ConnectionHandlers) {
    this.#reactor = new Reactor({ backend });
    if (stop.transport === "tcp") {
      this.#to = this.#reactor.listen(LOOPBACK, handlers).addr.port;
    } else {
      this.#to = this.#folder.path();
      this.#reactor.listen({ path: this.#to }, handlers);
    }
  }

  /** How many clients there are. */
  get size(): number {
    return this.#clients.length;
  }

  /** Connects a client. */
  connect(): RawSocket {
    const client = new RawSocket(this.#to);
    this.#clients.push(client);
    return client;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client[Symbol.dispose]();
    this.#reactor.close();
    this.#folder[Symbol.dispose]();
  }
}

/** Collects the bytes of connections, until they have sent "behind". */
class Ear {
  readonly #texts = new Map<Connection, string>();
  readonly #ended = new Map<Connection, string>();
  #awaited = Promise.withResolvers<void>();

  collect(
    connection: Connection,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const received = new TextDecoder().decode(bytes.subarray(start, end));
    const text = (this.#texts.get(connection) ?? "") + received;
    this.#texts.set(connection, text);
    if (text.endsWith("behind")) this.#ended.set(connection, text);
    this.#awaited.resolve();
  }

  /** Resolves to what `count` connections said. */
  async all(count: number): Promise<string[]> {
    while (this.#ended.size < count) {
      const texts = [...this.#texts.values()].join(", ");
      await within(this.#awaited.promise, `more than "${texts}"`);
      this.#awaited = Promise.withResolvers();
    }
    return [...this.#ended.values()];
  }
}

/** Registers a test for each backend and each stop. */
function shortTest(
  name: string,
  run: (backend: Backend, stop: Stop) => Promise<void>,
): void {
  for (const backend of Poll.backends()) {
    for (const stop of STOPS) {
      const title = `${name}: ${stop.name}, ${stop.transport}, on ${backend}`;
      const ignore = NO_RAW_SOCKETS;
      cleanTest(title, () => run(backend, stop), { ignore });
    }
  }
}

shortTest("a connection receives every byte behind a short read", async (
  backend,
  stop,
) => {
  for (const count of CROWDS) {
    const ear = new Ear();
    using crowd = new Crowd(backend, stop, {
      data: (...what) => ear.collect(...what),
    });
    for (let index = 0; index < count; index++) stop.send(crowd.connect());
    for (const text of await ear.all(count)) assertMatch(text, stop.expected);
  }
});

shortTest(
  "a connection receives all bytes, when it was paused meanwhile",
  async (
    backend,
    stop,
  ) => {
    const ear = new Ear();
    const { promise, resolve } = Promise.withResolvers<Connection>();
    using crowd = new Crowd(backend, stop, {
      open(connection) {
        if (crowd.size === 1) connection.pause();
        resolve(connection);
      },
      data: (...what) => ear.collect(...what),
    });
    const client = crowd.connect();
    const connection = await within(promise, "a connection");
    stop.send(client);
    // When its bytes have arrived, the other's event has come, too.
    crowd.connect().send("behind");
    await ear.all(1);
    connection.resume();
    const [, text] = await ear.all(2);
    assertMatch(text!, stop.expected);
  },
);

shortTest("a fiber reads all of what stops reads", async (backend, stop) => {
  using reactor = new Reactor({ backend });
  const fibers = new Fibers(reactor);
  using folder = new SocketFolder();
  const where = stop.transport === "tcp" ? LOOPBACK : { path: folder.path() };
  using listener = fibers.listen(where as typeof LOOPBACK);
  const addr = listener.addr as StreamAddress;
  using client = new RawSocket("port" in addr ? addr.port : addr.path);
  stop.send(client);
  using connection = await within(listener.accept(), "a connection");
  const read = within(connection.readUntil("behind", 100), "all of it");
  assertMatch(new TextDecoder().decode((await read)!), stop.expected);
});

for (const backend of Poll.backends()) {
  cleanTest(
    `serve() answers a head with an urgent byte in it, on ${backend}`,
    async () => {
      using reactor = new Reactor({ backend });
      const { promise, resolve } = Promise.withResolvers<string>();
      await using server = serve(
        { ...LOOPBACK, reactor, onListen() {} },
        (request) => {
          resolve(new URL(request.url).pathname);
          return new Response();
        },
      );
      using client = new RawSocket(server.addr.port);
      client.send("GET /a");
      client.sendUrgent("!");
      client.send("b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      assertMatch(await within(promise, "a request"), /^\/ab$/);
    },
    { ignore: NO_RAW_SOCKETS },
  );
}
