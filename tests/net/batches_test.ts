/** Several streams in one native call: order, room, errors, ranges. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Events,
  Interest,
  pipe,
  Poll,
  TcpListener,
  UdpSocket,
  UnixStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";
import { errnoNumber } from "../../src/native/errors.ts";
import { ReadBatch, WriteBatch } from "../../src/net/batches.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { connectedPair, whenReadable, write } from "../util/streams.ts";

/** A handle that was never given out. */
const NEVER_GIVEN = 0x7fff_ffff;

const EBADF = -errnoNumber("EBADF");
const EINVAL = -errnoNumber("EINVAL");
const EPIPE = -errnoNumber("EPIPE");

type Ends = [near: UnixStream, far: UnixStream];

/** Unix pairs that are closed together. */
class Pairs implements Disposable {
  readonly all: Ends[];

  constructor(count: number) {
    this.all = Array.from({ length: count }, () => UnixStream.pair());
  }

  [Symbol.dispose](): void {
    for (const ends of this.all) {
      for (const end of ends) end[Symbol.dispose]();
    }
  }
}

function readBatch(...handles: number[]): ReadBatch {
  const batch = new ReadBatch(handles.length);
  for (const handle of handles) batch.add(handle);
  return batch;
}

/** What the first `length` streams of a batch gave. */
function countsOf(batch: ReadBatch | WriteBatch, length: number): number[] {
  return Array.from({ length }, (_, index) => batch.count(index));
}

cleanTest("ReadBatch.read() reads each stream behind the other", () => {
  using tcp = connectedPair();
  using pairs = new Pairs(2);
  const [[first, farFirst], [silent]] = pairs.all as [Ends, Ends];
  write(farFirst, "one");
  write(tcp.client, "three");
  whenReadable(tcp.server);
  const batch = readBatch(first.handle, silent.handle, tcp.server.handle);
  const bytes = new Uint8Array(12).fill(46);
  assertEquals(batch.read(bytes, 2, 1), 3);
  assertEquals(countsOf(batch, 3), [3, WOULD_BLOCK, 5]);
  assertEquals(decoded(bytes), "..onethree..");
  assertEquals(batch.handle(2), tcp.server.handle);
});

cleanTest("ReadBatch.read() can be asked again, with other streams", () => {
  using pairs = new Pairs(2);
  const batch = new ReadBatch(2);
  const bytes = new Uint8Array(8);
  for (const [near, far] of [...pairs.all, ...pairs.all]) {
    write(far, "x");
    batch.length = 0;
    batch.add(near.handle);
    assertEquals(batch.read(bytes, 7, 1), 1);
    assertEquals(batch.count(0), 1);
    assertEquals(bytes[7], 120);
  }
});

cleanTest(
  "ReadBatch.read() stops before a stream that would have too little room",
  () => {
    using pairs = new Pairs(3);
    for (const [, far] of pairs.all) write(far, "four");
    const handles = pairs.all.map(([near]) => near.handle);
    const batch = readBatch(...handles);
    const bytes = new Uint8Array(10);
    assertEquals(batch.read(bytes, 0, 11), 0);
    assertEquals(batch.read(bytes, 10, 0), 0);
    assertEquals(batch.read(bytes, 0, 3), 2);
    assertEquals(decoded(bytes, 0, 8), "fourfour");
    assertEquals(readBatch(handles[2]!).read(bytes, 0, 10), 1);
  },
);

cleanTest(
  "ReadBatch.read() reads the others, when one has ended or is none",
  () => {
    using pairs = new Pairs(2);
    const [[ended, gone], [last, far]] = pairs.all as [Ends, Ends];
    const { reader, writer } = pipe();
    using _reader = reader;
    using _writer = writer;
    write(writer, "pipe");
    write(far, "last");
    gone.close();
    const batch = readBatch(
      ended.handle,
      NEVER_GIVEN,
      reader.handle,
      last.handle,
    );
    const bytes = new Uint8Array(8);
    assertEquals(batch.read(bytes, 0, 1), 4);
    assertEquals(countsOf(batch, 4), [0, EBADF, EINVAL, 4]);
    assertEquals(decoded(bytes, 0, 4), "last");
  },
);

cleanTest("WriteBatch.write() sends each stream its part", () => {
  using tcp = connectedPair();
  using pairs = new Pairs(1);
  const [near, far] = pairs.all[0]!;
  const batch = new WriteBatch(3);
  batch.add(tcp.client.handle, 0, 3);
  batch.add(near.handle, 3, 8);
  batch.add(near.handle, 9, 10);
  batch.write(encoded("onethree-!"));
  assertEquals(countsOf(batch, 3), [3, 5, 1]);
  assertEquals([batch.start(1), batch.end(1), batch.handle(1)], [
    3,
    8,
    near.handle,
  ]);
  whenReadable(tcp.server);
  const bytes = new Uint8Array(8);
  assertEquals(tcp.server.read(bytes), 3);
  assertEquals(decoded(bytes, 0, 3), "one");
  assertEquals(far.read(bytes), 6);
  assertEquals(decoded(bytes, 0, 6), "three!");
});

cleanTest(
  "WriteBatch.write() writes to the others, when one is full, gone or none",
  () => {
    using pairs = new Pairs(3);
    const [[full], [gone, farGone], [last, far]] = pairs.all as [
      Ends,
      Ends,
      Ends,
    ];
    farGone.close();
    const bytes = new Uint8Array(1 << 20);
    const batch = new WriteBatch(7);
    batch.add(full.handle, 0, bytes.byteLength);
    batch.add(full.handle, 0, 1);
    batch.add(gone.handle, 0, 1);
    batch.add(NEVER_GIVEN, 0, 1);
    batch.add(last.handle, 0, bytes.byteLength + 1);
    batch.add(last.handle, 2, 1);
    batch.add(last.handle, 0, 2);
    batch.write(bytes);
    const [taken, ...others] = countsOf(batch, 7);
    assert(taken! > 0 && taken! < bytes.byteLength, `${taken}`);
    assertEquals(others, [WOULD_BLOCK, EPIPE, EBADF, EINVAL, EINVAL, 2]);
    assertEquals(far.read(new Uint8Array(4)), 2);
  },
);

cleanTest(
  "a batch throws RangeError and touches nothing, when a range or its length is wrong",
  () => {
    using pairs = new Pairs(1);
    const [near, far] = pairs.all[0]!;
    write(far, "waits");
    const bytes = new Uint8Array(8);
    const reads = readBatch(near.handle);
    for (const start of [-1, 9, NaN]) {
      assertThrows(() => reads.read(bytes, start, 1), RangeError);
    }
    const writes = new WriteBatch(1);
    writes.add(near.handle, 0, 8);
    for (const length of [2, -1, NaN, 2 ** 31]) {
      reads.length = writes.length = length;
      assertThrows(() => reads.read(bytes, 0, 1), RangeError, `"${length}"`);
      assertThrows(() => writes.write(bytes), RangeError, `"${length}"`);
    }
    assertEquals(bytes, new Uint8Array(8));
    assertEquals(far.read(bytes), WOULD_BLOCK);
    assertEquals(near.read(bytes), 5);
  },
);

cleanTest("native code is handed no memory that another thread has", () => {
  using pairs = new Pairs(1);
  using udp = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = pairs.all[0]!;
  write(far, "waits");
  const shared = new Uint8Array(new SharedArrayBuffer(8)) as Uint8Array;
  const bytes = shared as Uint8Array<ArrayBuffer>;
  const reads = readBatch(near.handle);
  const writes = new WriteBatch(1);
  writes.add(near.handle, 0, 8);
  const own = new Uint8Array(8);
  const calls: Record<string, () => unknown> = {
    read: () => near.read(bytes),
    peek: () => near.peek(bytes),
    write: () => near.write(bytes),
    readVectored: () => near.readVectored([own, bytes]),
    writeVectored: () => near.writeVectored([own, bytes]),
    "read of several": () => reads.read(bytes, 0, 1),
    "write to several": () => writes.write(bytes),
    send: () => udp.sendTo(bytes, udp.localAddress),
    receive: () => udp.receive(bytes),
  };
  for (const [name, call] of Object.entries(calls)) {
    // Also when arrays of the thread's own were seen before.
    near.peek(own);
    assertThrows(call, TypeError, "SharedArrayBuffer", name);
  }
  assertEquals(far.read(own), WOULD_BLOCK);
  assertEquals([near.read(own), shared.every((byte) => byte === 0)], [5, true]);
});

cleanTest(
  "a batch holds what it was made for, whatever its capacity is set to",
  () => {
    using pairs = new Pairs(1);
    const [near] = pairs.all[0]!;
    const bytes = new Uint8Array(8);
    const reads = readBatch(near.handle);
    const writes = new WriteBatch(1);
    for (const batch of [reads, writes]) {
      Object.assign(batch, { capacity: 1000, length: 1000 });
    }
    assertThrows(() => reads.read(bytes, 0, 1), RangeError, '"1000"');
    assertThrows(() => writes.write(bytes), RangeError, '"1000"');

    using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
    const accepted = listener.batch();
    Object.assign(accepted, { words: new Float64Array(3) });
    assertThrows(() => listener.acceptBatch(accepted, 2), RangeError, '"2"');
    using poll = new Poll();
    poll.registry.register(listener, 1, Interest.READABLE);
    const events = new Events(1);
    Object.assign(events, { capacity: 1000 });
    assertEquals(poll.poll(events, 0), 0);
  },
);
