/** Registering: items 15 to 33, and with 34 which numbers tokens are. */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { TOKEN_MAX } from "../../src/poll/token.ts";
import {
  type Backend,
  type CustomSource,
  Events,
  Interest,
  Poll,
  Readiness,
  type Registry,
  type Source,
  TcpListener,
  TcpStream,
  UdpSocket,
  Waker,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { runScript } from "../util/scripts.ts";
import {
  acceptOne,
  connectedPair,
  expectEvent,
  expectSilence,
  expectTokens,
  LOOPBACK,
  readAvailable,
  registerBoth,
  whenReadable,
  write,
} from "../util/streams.ts";
import { contractTest } from "./contract.ts";

const { READABLE, WRITABLE } = Interest;
const BOTH = READABLE | WRITABLE;

contractTest(
  "15",
  "readiness carries the token that its source was registered under",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    using other = connectedPair();
    poll.registry.register(pair.listener, 10, READABLE);
    poll.registry.register(pair.server, 20, READABLE);
    poll.registry.register(other.server, 30, READABLE);
    write(other.client, "x");
    expectEvent(poll, 30, Readiness.READABLE);
    write(pair.client, "x");
    expectEvent(poll, 20, Readiness.READABLE);
    using _client = TcpStream.connect(pair.listener.localAddress);
    expectEvent(poll, 10, Readiness.READABLE);
  },
);

contractTest(
  "15",
  "hundreds of streams are reported by their own tokens",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    using pairs = new DisposableStack();
    const servers: TcpStream[] = [];
    for (let index = 0; index < 250; index++) {
      const client = pairs.use(TcpStream.connect(listener.localAddress));
      const server = pairs.use(acceptOne(listener));
      poll.registry.register(server, index, READABLE);
      servers.push(server);
      write(client, `${index}`);
    }
    const events = new Events(64);
    const texts = new Set<string>();
    while (texts.size < servers.length && poll.poll(events, 10_000) > 0) {
      for (const { token } of events) {
        const read = readAvailable(servers[token]!);
        assertEquals(read, `${token}`);
        texts.add(read);
      }
    }
    assertEquals(texts.size, servers.length);
  },
);

contractTest(
  "16",
  "a source is refused, when it is registered already",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    for (const source of [pair.client, pair.listener]) {
      poll.registry.register(source, 1, BOTH);
      for (const token of [1, 2]) {
        assertThrows(
          () => poll.registry.register(source, token, BOTH),
          Deno.errors.AlreadyExists,
          `register source ${source.handle}`,
        );
      }
      poll.registry.deregister(source);
    }
    // The registration that there is stays as it was.
    poll.registry.register(pair.client, 1, WRITABLE);
    assertThrows(() => poll.registry.register(pair.client, 2, READABLE));
    expectEvent(poll, 1, Readiness.WRITABLE);
    expectSilence(poll);
  },
);

contractTest(
  "17",
  "reregister() throws NotFound, when the source is not registered",
  (backend) =>
    expectNotFound(
      backend,
      "reregister",
      (registry, source) => registry.reregister(source, 1, READABLE),
    ),
);

contractTest(
  "18",
  "deregister() throws NotFound, when the source is not registered",
  (backend) =>
    expectNotFound(
      backend,
      "deregister",
      (registry, source) => registry.deregister(source),
    ),
);

contractTest(
  "19",
  "reregister() replaces token and interest, and drops what is not asked again",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.client, 1, READABLE);
    poll.registry.reregister(pair.client, 2, WRITABLE);
    assertEquals(
      expectEvent(poll, 2, Readiness.WRITABLE),
      Readiness.WRITABLE,
    );
    write(pair.server, "not asked for any more");
    expectSilence(poll);
    poll.registry.reregister(pair.client, 3, BOTH);
    expectEvent(poll, 3, Readiness.READABLE | Readiness.WRITABLE);
  },
);

contractTest(
  "20",
  "reregister() with what is registered already is fine, over and over",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    poll.registry.register(pair.server, 1, READABLE);
    for (let round = 0; round < 5; round++) {
      poll.registry.reregister(pair.server, 1, READABLE);
    }
    expectSilence(poll);
    write(pair.client, "x");
    expectEvent(poll, 1, Readiness.READABLE);
    expectSilence(poll);
  },
);

contractTest(
  "21",
  "reregister() reports readiness again that was reported before",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.client, 1);
    write(pair.server, "left unread");
    expectEvent(poll, 1, Readiness.READABLE | Readiness.WRITABLE);
    expectSilence(poll);
    for (const [token, interest] of [[1, WRITABLE], [2, READABLE]] as const) {
      for (let round = 0; round < 2; round++) {
        poll.registry.reregister(pair.client, token, interest);
        assertEquals(expectEvent(poll, token, interest), interest);
        expectSilence(poll);
      }
    }
  },
);

contractTest(
  "21, 65",
  "reregister() for reading reports what a peer wrote before it closed or was deregistered",
  (backend) => {
    for (const end of ["close", "deregister"] as const) {
      using poll = new Poll({ backend });
      using pair = connectedPair();
      poll.registry.register(pair.server, 1, WRITABLE);
      expectEvent(poll, 1, Readiness.WRITABLE);
      poll.registry.register(pair.client, 3, WRITABLE);
      expectEvent(poll, 3, Readiness.WRITABLE);
      write(pair.server, "1234");
      if (end === "close") pair.server.close();
      else poll.registry.deregister(pair.server);
      poll.registry.reregister(pair.client, 4, READABLE);
      expectEvent(poll, 4, Readiness.READABLE);
      assertEquals(readAvailable(pair.client), "1234");
    }
  },
);

contractTest(
  "22",
  "reregister() for what is not ready takes back the event that was not polled yet",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    using client = TcpStream.connect(listener.localAddress);
    poll.registry.register(listener, 1, READABLE);
    expectEvent(poll, 1, Readiness.READABLE);
    // The replaced registration would report it again.
    poll.registry.reregister(listener, 1, READABLE);
    poll.registry.reregister(listener, 1, WRITABLE);
    expectSilence(poll);

    poll.registry.register(client, 2, WRITABLE);
    poll.registry.reregister(client, 2, READABLE);
    expectSilence(poll);
  },
);

contractTest(
  "23, 24",
  "deregister() silences a stream with data, which can be read and written all the same",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    registerBoth(poll.registry, pair.server, 1);
    expectEvent(poll, 1, Readiness.WRITABLE);
    write(pair.client, "pending");
    poll.registry.deregister(pair.server);
    whenReadable(pair.server);
    expectSilence(poll);
    assertEquals(readAvailable(pair.server), "pending");
    assertEquals(pair.server.read(new Uint8Array(1)), WOULD_BLOCK);
    write(pair.server, "answer");
    whenReadable(pair.client);
    assertEquals(readAvailable(pair.client), "answer");
    write(pair.client, "more");
    whenReadable(pair.server);
    expectSilence(poll);
  },
);

contractTest(
  "23, 24",
  "deregister() silences a listener with a connection, which can be accepted all the same",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    using _client = TcpStream.connect(listener.localAddress);
    poll.registry.deregister(listener);
    expectSilence(poll);
    using _accepted = acceptOne(listener);
    assertEquals(listener.accept(), undefined);
    expectSilence(poll);
  },
);

contractTest(
  "25",
  "register() works again after deregister, and is silent for an idle listener",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    for (let round = 0; round < 3; round++) {
      poll.registry.register(listener, round, READABLE);
      expectSilence(poll);
      poll.registry.deregister(listener);
    }
    poll.registry.register(listener, 9, READABLE);
    using _client = TcpStream.connect(listener.localAddress);
    expectEvent(poll, 9, Readiness.READABLE);
  },
);

contractTest(
  "26",
  "a second poll refuses a listener and a stream, until the first lets go",
  (backend) => {
    using first = new Poll({ backend });
    using second = new Poll({ backend });
    using pair = connectedPair();
    for (const source of [pair.listener, pair.client]) {
      first.registry.register(source, 1, BOTH);
      assertThrows(
        () => second.registry.register(source, 2, BOTH),
        Deno.errors.AlreadyExists,
        "already registered",
      );
    }
    expectEvent(first, 1, Readiness.WRITABLE);
    expectSilence(second);

    for (const source of [pair.listener, pair.client]) {
      first.registry.deregister(source);
    }
    second.registry.register(pair.listener, 2, READABLE);
    using _client = TcpStream.connect(pair.listener.localAddress);
    expectEvent(second, 2, Readiness.READABLE);
    expectSilence(first);
  },
);

contractTest(
  "26",
  "a source that one backend has is refused by every other",
  (backend) => {
    using first = new Poll({ backend });
    using pair = connectedPair();
    first.registry.register(pair.client, 1, WRITABLE);
    for (const other of Poll.backends()) {
      using second = new Poll({ backend: other });
      assertThrows(
        () => second.registry.register(pair.client, 2, WRITABLE),
        Deno.errors.AlreadyExists,
      );
    }
  },
);

contractTest(
  "26",
  "a second poll refuses a UDP socket, until the first lets go",
  (backend) => {
    using first = new Poll({ backend });
    using second = new Poll({ backend });
    using socket = UdpSocket.bind(LOOPBACK);
    first.registry.register(socket, 1, BOTH);
    assertThrows(
      () => second.registry.register(socket, 2, BOTH),
      Deno.errors.AlreadyExists,
      "already registered",
    );
    expectEvent(first, 1, Readiness.WRITABLE);
    expectSilence(second);
    first.registry.deregister(socket);
    second.registry.register(socket, 2, BOTH);
    expectEvent(second, 2, Readiness.WRITABLE);
  },
);

contractTest(
  "27",
  "an error of a custom source's own comes out as it was thrown",
  (backend) => {
    using poll = new Poll({ backend });
    const error = new Error("the source's own");
    const fail = () => {
      throw error;
    };
    const source: CustomSource = {
      register: fail,
      reregister: fail,
      deregister: fail,
    };
    const { registry } = poll;
    for (
      const call of [
        () => registry.register(source, 1, READABLE),
        () => registry.reregister(source, 1, READABLE),
        () => registry.deregister(source),
      ]
    ) assertStrictEquals(assertThrows(call), error);
  },
);

contractTest(
  "28",
  "a custom source is called once for each call, with what was given",
  (backend) => {
    using poll = new Poll({ backend });
    const { registry } = poll;
    const calls: unknown[][] = [];
    const source: CustomSource = {
      register: (...args) => void calls.push(["register", ...args]),
      reregister: (...args) => void calls.push(["reregister", ...args]),
      deregister: (...args) => void calls.push(["deregister", ...args]),
    };
    const options = { mode: "level" } as const;
    registry.register(source, 2, READABLE, options);
    registry.reregister(source, 3, WRITABLE);
    registry.deregister(source);
    assertEquals(calls.map(([name, _, ...rest]) => [name, ...rest]), [
      ["register", 2, READABLE, options],
      ["reregister", 3, WRITABLE, undefined],
      ["deregister"],
    ]);
    for (const call of calls) assertStrictEquals(call[1], registry);
  },
);

contractTest(
  "28",
  "a custom source has the events of the source that it registers",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const wrapper: CustomSource = {
      register: (registry, ...rest) => registry.register(pair.client, ...rest),
      reregister: (registry, ...rest) =>
        registry.reregister(pair.client, ...rest),
      deregister: (registry) => registry.deregister(pair.client),
    };
    poll.registry.register(wrapper, 1, WRITABLE);
    expectEvent(poll, 1, Readiness.WRITABLE);
    poll.registry.reregister(wrapper, 2, WRITABLE);
    expectEvent(poll, 2, Readiness.WRITABLE);
    poll.registry.deregister(wrapper);
    assertThrows(
      () => poll.registry.deregister(wrapper),
      Deno.errors.NotFound,
    );
  },
);

contractTest(
  "29",
  "a cloned registry means the same poll, by a handle of its own",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    using clone = poll.registry.tryClone();
    using cloneOfClone = clone.tryClone();
    assertNotEquals(clone.handle, poll.handle);
    clone.register(pair.client, 1, WRITABLE);
    cloneOfClone.reregister(pair.client, 2, WRITABLE);
    expectEvent(poll, 2, Readiness.WRITABLE);
    clone.close();
    cloneOfClone.register(pair.server, 3, WRITABLE);
    expectTokens(poll, 3);
    poll.registry.deregister(pair.client);
  },
);

contractTest(
  "29, 30, 31",
  "two threads register thousands of sockets while the poll waits, and nothing is lost, doubled or misattributed",
  async (backend) => {
    const result = await runScript("registry_on_threads.ts", {
      args: [backend],
    });
    assertEquals(result, {
      code: 0,
      stdout: "2 threads, 8000 sockets, " +
        "0 lost, 0 doubled, 0 misattributed\n",
      stderr: "",
    });
  },
);

contractTest(
  "32",
  "a connection is reported by the new token alone, when the listener was reregistered after a poll",
  (backend) => {
    using poll = new Poll({ backend });
    using listener = TcpListener.bind(LOOPBACK);
    poll.registry.register(listener, 1, READABLE);
    poll.poll(new Events(), 0);
    poll.registry.reregister(listener, 2, READABLE);
    using _first = TcpStream.connect(listener.localAddress);
    assertEquals(
      expectEvent(poll, 2, Readiness.READABLE),
      Readiness.READABLE,
    );
    expectSilence(poll);

    using accepted = listener.accept();
    assert(accepted);
    poll.registry.reregister(listener, 3, READABLE);
    using _second = TcpStream.connect(listener.localAddress);
    expectEvent(poll, 3, Readiness.READABLE);
    expectSilence(poll);
  },
);

contractTest(
  "33",
  "only the waker is reported, when a listener is deregistered with a connection in its queue",
  (backend) => {
    for (const isTold of [true, false]) {
      using poll = new Poll({ backend });
      using listener = TcpListener.bind(LOOPBACK);
      using waker = new Waker(poll.registry, 9);
      poll.registry.register(listener, 1, READABLE);
      using _client = TcpStream.connect(listener.localAddress);
      if (isTold) expectEvent(poll, 1, Readiness.READABLE);
      poll.registry.deregister(listener);
      waker.wake();
      expectEvent(poll, 9, Readiness.READABLE);
      expectSilence(poll);
      using _accepted = acceptOne(listener);
    }
  },
);

contractTest(
  "34",
  "a token comes back as it was given, whichever 32-bit number that is",
  (backend) => {
    for (
      const token of [0, 1, 2 ** 31 - 1, 2 ** 31, TOKEN_MAX - 1, TOKEN_MAX]
    ) {
      using poll = new Poll({ backend });
      using pair = connectedPair();
      poll.registry.register(pair.client, token, WRITABLE);
      expectEvent(poll, token, Readiness.WRITABLE);
      poll.registry.reregister(pair.client, TOKEN_MAX - token, WRITABLE);
      expectEvent(poll, TOKEN_MAX - token, Readiness.WRITABLE);
      using waker = new Waker(poll.registry, token);
      waker.wake();
      expectEvent(poll, token, Readiness.READABLE);
    }
  },
);

contractTest(
  "34",
  "a token is refused, when a 32-bit number would not hold it without loss",
  (backend) => {
    using poll = new Poll({ backend });
    using pair = connectedPair();
    const { registry } = poll;
    const bad = [-1, 0.5, 2 ** 32, 2 ** 53, NaN, Infinity, 1n, 2n ** 63n, "1"];
    for (const token of bad as number[]) {
      for (
        const call of [
          () => registry.register(pair.client, token, READABLE),
          () => registry.reregister(pair.client, token, READABLE),
          () => new Waker(registry, token),
        ]
      ) assertThrows(call, RangeError, `Cannot use token "${token}"`);
    }
    registry.register(pair.client, 1, WRITABLE);
    expectEvent(poll, 1, Readiness.WRITABLE);
  },
);

function expectNotFound(
  backend: Backend,
  verb: string,
  call: (registry: Registry, source: Source) => void,
): void {
  using poll = new Poll({ backend });
  using other = new Poll({ backend });
  using pair = connectedPair();
  other.registry.register(pair.server, 1, READABLE);
  poll.registry.register(pair.listener, 1, READABLE);
  poll.registry.deregister(pair.listener);
  // Never, with another, and no longer.
  for (const source of [pair.client, pair.server, pair.listener]) {
    assertThrows(
      () => call(poll.registry, source),
      Deno.errors.NotFound,
      `${verb} source ${source.handle}`,
    );
  }
  write(pair.client, "the other poll has its event as before");
  expectEvent(other, 1, Readiness.READABLE);
}
