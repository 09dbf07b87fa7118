/** Each operation of a proactor, as a promise. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Interest,
  pipe,
  Readiness,
  TcpListener,
  UnixListener,
  UnixStream,
} from "../../src/poll.ts";
import { AsyncProactor } from "../../src/proactor/async_proactor.ts";
import { LOOPBACK } from "../util/streams.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { bytesOf, proactorTest, textOf } from "../util/proactors.ts";

const BIG_BYTES = 3 * 1024 * 1024;

proactorTest("nop() resolves", async (proactor) => {
  await proactor.nop();
  assertEquals(proactor.pending, 0);
});

proactorTest(
  "sleep() resolves after its time, the shortest first",
  async (proactor) => {
    const order: number[] = [];
    const sleep = async (ms: number) => {
      const startMs = performance.now();
      await proactor.sleep(ms);
      assert(performance.now() - startMs >= ms);
      order.push(ms);
    };
    await Promise.all([sleep(60), sleep(30), sleep(0), sleep(-1)]);
    assertEquals(order.at(-1), 60);
    assertEquals(order.at(-2), 30);
    await assertRejects(() => proactor.sleep(NaN), RangeError, "NaN");
  },
);

proactorTest(
  "connect(), acceptOne(), send() and receive() carry bytes",
  async (proactor) => {
    using listener = TcpListener.bind(LOOPBACK);
    const [client, server] = await Promise.all([
      proactor.connect(listener.localAddress),
      proactor.acceptOne(listener),
    ]);
    using _client = client;
    using _server = server;
    assertEquals(client.peerAddress, listener.localAddress);
    await proactor.send(client, bytesOf("hello"));
    const buffer = new Uint8Array(16);
    assertEquals(await proactor.receive(server, buffer), 5);
    assertEquals(textOf(buffer.subarray(0, 5)), "hello");
    await proactor.shutdown(client);
    assertEquals(await proactor.receive(server, buffer), null);
  },
);

proactorTest("connect() finds the addresses of a name", async (proactor) => {
  using listener = TcpListener.bind(LOOPBACK);
  const { port } = listener.localAddress;
  using client = await proactor.connect({ hostname: "localhost", port });
  assertEquals(client.peerAddress.port, port);
});

proactorTest("connect() says which address refuses", async (proactor) => {
  const { port } = (() => {
    using listener = TcpListener.bind(LOOPBACK);
    return listener.localAddress;
  })();
  await assertRejects(
    () => proactor.connect({ hostname: "127.0.0.1", port }),
    Deno.errors.ConnectionRefused,
    `connect to "127.0.0.1:${port}"`,
  );
});

proactorTest("Unix sockets are accepted, and receive", async (proactor) => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  using listener = UnixListener.bind({ path });
  using client = UnixStream.connect({ path });
  using server = await proactor.acceptOne(listener);
  await proactor.send(server, bytesOf("unix"));
  const buffer = new Uint8Array(8);
  assertEquals(await proactor.receive(client, buffer), 4);
  await Deno.remove(folder, { recursive: true });
});

proactorTest(
  "send() sends all bytes, several arrays in their order",
  async (proactor) => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const big = new Uint8Array(BIG_BYTES).map((_, index) => index % 251);
    const arrays = [bytesOf("a"), big, bytesOf(""), bytesOf("b"), bytesOf("c")];
    const sent = Promise.all([
      proactor.send(left, arrays),
      proactor.send(left, bytesOf("later")),
    ]).then(() => proactor.shutdown(left));
    const parts: Uint8Array[] = [];
    for await (const bytes of proactor.receive(right)) parts.push(bytes);
    await sent;
    const all = new Uint8Array(
      await new Blob(parts as BlobPart[]).arrayBuffer(),
    );
    assertEquals(all.byteLength, BIG_BYTES + 3 + 5);
    assertEquals(textOf(all.subarray(0, 1)), "a");
    assert(big.every((byte, index) => all[index + 1] === byte));
    assertEquals(textOf(all.subarray(BIG_BYTES + 1)), "bclater");
  },
);

proactorTest("send() throws what the system says", async (proactor) => {
  const [left, right] = UnixStream.pair();
  using _left = left;
  right.close();
  await assertRejects(
    () => proactor.send(left, bytesOf("x")),
    Deno.errors.BrokenPipe,
    "send to",
  );
});

proactorTest("poll() resolves to the readiness", async (proactor) => {
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  const readable = proactor.poll(left, Interest.READABLE);
  assertEquals(
    await proactor.poll(left, Interest.WRITABLE) & Readiness.WRITABLE,
    Readiness.WRITABLE,
  );
  await proactor.send(right, bytesOf("x"));
  assertEquals(await readable & Readiness.READABLE, Readiness.READABLE);
  await assertRejects(() => proactor.poll(left, 0), RangeError);
});

proactorTest("read(), write() and splice() work on pipes", async (proactor) => {
  const first = pipe();
  const second = pipe();
  using _ends = first.reader;
  using _others = second.reader;
  using _writer = second.writer;
  await proactor.write(first.writer, bytesOf("through"));
  first.writer.close();
  assertEquals(await proactor.splice(first.reader, second.writer, 100), 7);
  assertEquals(await proactor.splice(first.reader, second.writer, 100), 0);
  const buffer = new Uint8Array(16);
  assertEquals(await proactor.read(second.reader, buffer), 7);
  assertEquals(textOf(buffer.subarray(0, 7)), "through");
  for (const length of [-1, 0, 0.5, 2 ** 31, NaN]) {
    await assertRejects(
      () => proactor.splice(first.reader, second.writer, length),
      RangeError,
      String(length),
    );
  }
});

proactorTest(
  "nothing happens to bytes that are not there",
  async (proactor) => {
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    await proactor.send(left, new Uint8Array(0));
    await proactor.send(left, []);
    assertEquals(await proactor.receive(right, new Uint8Array(0)), 0);
    assertEquals(proactor.pending, 0);
  },
);

proactorTest(
  "more operations than there is room for happen all the same",
  async (proactor) => {
    const COUNT = 5_000;
    const done = Array.from({ length: COUNT }, () => proactor.nop());
    assertEquals(proactor.pending, COUNT);
    assertEquals((await Promise.all(done)).length, COUNT);
  },
);

proactorTest(
  "operations of closed sources and wrong numbers reject",
  async (proactor) => {
    const { reader, writer } = pipe();
    reader.close();
    writer.close();
    const BadResource = Deno.errors.BadResource;
    await assertRejects(
      () => proactor.read(reader, new Uint8Array(1)),
      BadResource,
    );
    await assertRejects(
      () => proactor.write(writer, bytesOf("x")),
      BadResource,
    );
    await assertRejects(() => proactor.closeSource(writer), BadResource);
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    await assertRejects(
      () => proactor.shutdown(left, "up" as "read"),
      TypeError,
      '"up"',
    );
    await assertRejects(
      () => proactor.shutdown(left, "read", { signal: "now" as never }),
      TypeError,
      "signal",
    );
  },
);

cleanTest(
  "a closed proactor rejects what is pending, and what comes",
  async () => {
    const proactor = new AsyncProactor();
    const [left, right] = UnixStream.pair();
    using _left = left;
    using _right = right;
    const pending = [
      proactor.sleep(1e6),
      proactor.receive(left, new Uint8Array(1)),
      proactor.receive(right).next(),
      proactor.poll(left, Interest.READABLE),
      ...Array.from({ length: 2_000 }, () => proactor.nop()),
      proactor.settled(),
    ];
    proactor.close();
    proactor.close();
    const ends = await Promise.allSettled(pending);
    assertEquals(ends.pop()?.status, "fulfilled");
    for (const end of ends) {
      assert(end.status === "rejected");
      assert(end.reason instanceof Deno.errors.Interrupted, String(end.reason));
    }
    await assertRejects(
      () => proactor.nop(),
      Deno.errors.BadResource,
      "closed",
    );
    await assertRejects(
      () => proactor.receive(left).next(),
      Deno.errors.BadResource,
    );
  },
  { ignore: NO_PROACTOR },
);

cleanTest("await using ends what is pending, and waits for it", async () => {
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  let pending: Promise<unknown>[];
  {
    await using proactor = new AsyncProactor();
    pending = [
      proactor.sleep(1e6),
      proactor.receive(left, new Uint8Array(1)),
      proactor.receive(right).next(),
    ];
    await proactor.nop();
  }
  for (const end of await Promise.allSettled(pending)) {
    assert(end.status === "rejected");
    assert(end.reason instanceof Deno.errors.Interrupted);
  }
}, { ignore: NO_PROACTOR });

proactorTest("settled() waits for all parts of a send", async (proactor) => {
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  let isSent = false;
  proactor.send(left, new Uint8Array(BIG_BYTES)).then(() => isSent = true);
  const settled = proactor.settled().then(() => isSent);
  const receiver = new AsyncProactor();
  let received = 0;
  for await (const bytes of receiver.receive(right)) {
    received += bytes.byteLength;
    if (received === BIG_BYTES) break;
  }
  receiver.close();
  assertEquals(await settled, true);
});
