/** Connections and bytes by `for await`: order, back pressure, ends. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { TcpListener, TcpStream, UnixStream } from "../../src/poll.ts";
import { AsyncProactor } from "../../src/proactor/async_proactor.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { runScript } from "../util/scripts.ts";
import { LOOPBACK } from "../util/streams.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { bytesOf, proactorTest, textOf } from "../util/proactors.ts";
import { eventually } from "../util/waiting.ts";

const STREAM_BYTES = 64 * 1024 * 1024;
/** What waits for a consumer before the operation ends, and what may come. */
const WAITING_BYTES = 64 * 1024;
const BUFFERS = 16;
const BUFFER_BYTES = 4096;

proactorTest(
  "accept() brings every connection, receive() all bytes",
  async (proactor) => {
    const CLIENTS = 300;
    using listener = TcpListener.bind({ ...LOOPBACK, backlog: CLIENTS });
    const echo = async (stream: TcpStream) => {
      using _ = stream;
      for await (const bytes of proactor.receive(stream)) {
        await proactor.send(stream, bytes);
      }
    };
    const serve = async () => {
      const served: Promise<void>[] = [];
      for await (const stream of proactor.accept(listener)) {
        served.push(echo(stream));
        if (served.length === CLIENTS) break;
      }
      await Promise.all(served);
    };
    const ask = async (index: number) => {
      using stream = await proactor.connect(listener.localAddress);
      await proactor.send(stream, bytesOf(`client ${index}`));
      await proactor.shutdown(stream);
      let text = "";
      for await (const bytes of proactor.receive(stream)) text += textOf(bytes);
      assertEquals(text, `client ${index}`);
    };
    const clients = Array.from({ length: CLIENTS }, (_, index) => ask(index));
    await Promise.all([serve(), ...clients]);
  },
);

proactorTest(
  "connections and bytes that nobody took stay for the next",
  async (proactor) => {
    using listener = TcpListener.bind(LOOPBACK);
    const clients = Array.from(
      { length: 5 },
      () => TcpStream.connect(listener.localAddress),
    );
    const streams: TcpStream[] = [];
    for await (const stream of proactor.accept(listener)) {
      streams.push(stream);
      break;
    }
    while (streams.length < 3) streams.push(await proactor.acceptOne(listener));
    for await (const stream of proactor.accept(listener)) {
      streams.push(stream);
      if (streams.length === 5) break;
    }
    const [stream] = streams;
    const client = clients.find((client) =>
      client.localAddress.port === stream!.peerAddress.port
    )!;
    const chunks = proactor.receive(stream!);
    const first = chunks.next();
    await proactor.send(client, bytesOf("a"));
    assertEquals(textOf((await first).value!), "a");
    await proactor.send(client, bytesOf("bcd"));
    await proactor.nop();
    await chunks.return!();
    assertEquals(await chunks.next(), { done: true, value: undefined });
    const buffer = new Uint8Array(2);
    assertEquals(await proactor.receive(stream!, buffer), 2);
    assertEquals(textOf(buffer), "bc");
    await proactor.send(client, bytesOf("e"));
    client.shutdown("write");
    let rest = "";
    for await (const bytes of proactor.receive(stream!)) rest += textOf(bytes);
    assertEquals(rest, "de");
    for (const end of [...clients, ...streams]) end.close();
  },
);

cleanTest(
  "connections that nobody took are closed with the proactor",
  async () => {
    const proactor = new AsyncProactor();
    using listener = TcpListener.bind(LOOPBACK);
    const clients = Array.from(
      { length: 4 },
      () => TcpStream.connect(listener.localAddress),
    );
    for await (const stream of proactor.accept(listener)) {
      stream.close();
      break;
    }
    proactor.close();
    for (const client of clients) client.close();
  },
  { ignore: NO_PROACTOR },
);

cleanTest(
  "a slow consumer holds up its peer, and memory stays small",
  async () => {
    await using proactor = new AsyncProactor({
      buffers: BUFFERS,
      bufferBytes: BUFFER_BYTES,
    });
    const [left, right] = UnixStream.pair();
    using _left = left;
    let sent = 0;
    const sending = (async () => {
      using _ = right;
      const chunk = new Uint8Array(65_536);
      while (sent < STREAM_BYTES) {
        await proactor.send(right, chunk);
        sent += chunk.byteLength;
      }
    })();
    // What the system holds for the peer, and what the proactor may hold.
    const systemBytes = 2 * (left.receiveBuffer + right.sendBuffer);
    const held = systemBytes + WAITING_BYTES + BUFFERS * BUFFER_BYTES;
    let received = 0;
    let rounds = 0;
    for await (const bytes of proactor.receive(left)) {
      received += bytes.byteLength;
      // So the peer goes on as far as it can.
      if (++rounds % 64 === 0) {
        for (let round = 0; round < 20; round++) await proactor.nop();
      }
      assert(sent - received <= held, `${sent - received} bytes are held`);
    }
    await sending;
    assertEquals(received, STREAM_BYTES);
  },
  { ignore: NO_PROACTOR },
);

cleanTest("a consumer that stops lets the peer send no more", async () => {
  await using proactor = new AsyncProactor({
    buffers: BUFFERS,
    bufferBytes: BUFFER_BYTES,
  });
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  const chunks = proactor.receive(left);
  const first = chunks.next();
  let sent = 0;
  const controller = new AbortController();
  const { signal } = controller;
  const sending = (async () => {
    const chunk = new Uint8Array(4_096);
    for (;;) {
      await proactor.send(right, chunk, { signal });
      sent += chunk.byteLength;
    }
  })();
  await first;
  // A second proactor's operations: this one must not be needed.
  let before = -1;
  await eventually("the peer to stop", () => {
    const isStill = before === sent;
    before = sent;
    return isStill && sent > WAITING_BYTES;
  });
  const systemBytes = 2 * (left.receiveBuffer + right.sendBuffer);
  const held = systemBytes + WAITING_BYTES + BUFFERS * BUFFER_BYTES;
  assert(sent <= held, `${sent} bytes were sent`);
  controller.abort();
  await assertRejects(() => sending, DOMException);
  // It goes on where it stopped.
  right.shutdown("write");
  let received = (await first).value!.byteLength;
  for await (const bytes of chunks) received += bytes.byteLength;
  assert(received >= sent);
}, { ignore: NO_PROACTOR });

proactorTest(
  "one iterator at a time takes the bytes of a stream",
  async (proactor) => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const chunks = proactor.receive(left);
    const first = chunks.next();
    const Busy = Deno.errors.Busy;
    await assertRejects(() => proactor.receive(left).next(), Busy);
    await assertRejects(() => proactor.receive(left, new Uint8Array(1)), Busy);
    await proactor.send(right, bytesOf("x"));
    await first;
    await chunks.return!();
    const second = proactor.receive(left, new Uint8Array(1));
    await assertRejects(() => proactor.receive(left).next(), Busy);
    await proactor.send(right, bytesOf("y"));
    assertEquals(await second, 1);
  },
);

proactorTest(
  "an iterator ends with the error of its stream",
  async (proactor) => {
    using listener = TcpListener.bind(LOOPBACK);
    const [client, server] = await Promise.all([
      proactor.connect(listener.localAddress),
      proactor.acceptOne(listener),
    ]);
    using _client = client;
    const chunks = proactor.receive(client);
    const next = chunks.next();
    // Closing with bytes unread resets the connection.
    await proactor.send(client, bytesOf("unread"));
    server.close();
    await assertRejects(() => next, Deno.errors.ConnectionReset, "receive");
    assertEquals(await chunks.next(), { done: true, value: undefined });
  },
);

proactorTest(
  "closing a stream or a listener ends its iterators",
  async (proactor) => {
    const listener = TcpListener.bind(LOOPBACK);
    const accepting = proactor.accept(listener);
    const connecting = proactor.connect(listener.localAddress);
    const server = (await accepting.next()).value!;
    const client = await connecting;
    const received = proactor.receive(client).next();
    const into = proactor.receive(server, new Uint8Array(1));
    const next = accepting.next();
    await proactor.nop();
    client.close();
    server[Symbol.dispose]();
    await proactor.closeSource(listener);
    for (const end of [received, into, next]) {
      await assertRejects(() => end, Deno.errors.Interrupted);
    }
    assertEquals(proactor.pending, 0);
  },
);

Deno.test({
  name: "accept() rests while no descriptor is left, and goes on",
  ignore: NO_PROACTOR,
  async fn() {
    const { stdout, stderr } = await runScript("accepts_in_shortage.ts", {
      before: "ulimit -n 256",
    });
    assertEquals(stdout, "echo\necho\necho\n", stderr);
  },
});

proactorTest(
  "an iterator whose last completion brings bytes heeds its signal",
  async (proactor) => {
    for (let round = 0; round < 100; round++) {
      const [left, right] = UnixStream.pair();
      using _left = left;
      using _right = right;
      const controller = new AbortController();
      const chunks = proactor.receive(left, { signal: controller.signal });
      const first = chunks.next();
      if (round % 2 > 0) await Promise.resolve();
      const sending = proactor.send(right, bytesOf("x"));
      if (round % 4 > 1) await Promise.resolve();
      controller.abort("enough");
      const ends = await Promise.allSettled([first, chunks.next()]);
      await sending;
      const thrown = ends.filter(({ status }) => status === "rejected");
      assertEquals(thrown.length, 1);
      assertEquals(await chunks.next(), { done: true, value: undefined });
    }
    assertEquals(proactor.pending, 0);
  },
);
