import { assert, assertEquals } from "@std/assert";
import { loadLibrary } from "../../src/native/library.ts";
import { type Codec, codecFor } from "../../src/websocket/codec.ts";
import { Inflation, type Outcome } from "../../src/websocket/deflate.ts";
import {
  agreeOnDeflate,
  type CompressionOptions,
  compressionSettings,
} from "../../src/websocket/extension.ts";
import { deflateOnce, DeflatePeer, inflateOnce } from "../util/deflate_peer.ts";
import { randomBytes, randomNumbers, sameBytes } from "../util/random.ts";

loadLibrary();

const MESSAGE_MAX = 1 << 20;
const CORRUPT = 1007;
const TOO_LARGE = 1009;
const encoder = new TextEncoder();

function newCodec(options: CompressionOptions, offer = ""): Codec {
  const settings = compressionSettings(options)!;
  const header = `permessage-deflate; client_max_window_bits${offer}`;
  const agreement = agreeOnDeflate(header, settings);
  assert(typeof agreement === "object");
  return codecFor(agreement, settings);
}

function inflate(
  codec: Codec,
  payload: Uint8Array<ArrayBuffer>,
  bytesMax: number,
) {
  const options = { bytesMax, isText: false };
  const message = codec.inflate(payload, 0, payload.length, options);
  return message instanceof Inflation ? whole(message) : message;
}

/** Goes on with a long message, and with another one in between. */
function whole(inflation: Inflation): Outcome {
  const hello = Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
  for (;;) {
    assertEquals(inflateText(newCodec({}), hello), "Hello");
    const outcome = inflation.goOn(1);
    if (outcome !== undefined) return outcome;
  }
}

function inflateText(codec: Codec, payload: Uint8Array<ArrayBuffer>) {
  const options = { bytesMax: MESSAGE_MAX, isText: true };
  return codec.inflate(payload, 0, payload.length, options);
}

/** A part of a feed: messages that are alike, and now and then noise. */
function* feed(seed: number): Generator<Uint8Array<ArrayBuffer>> {
  const random = randomNumbers(seed);
  for (let index = 0; index < 60; index++) {
    const rows = Array.from({ length: random() * 40 }, () => ({
      id: Math.floor(random() * 1e6),
      symbol: ["AAPL", "MSFT", "\u20acUR"][Math.floor(random() * 3)],
    }));
    yield index % 9 === 0
      ? randomBytes(Math.floor(random() * 90_000), index)
      : encoder.encode(JSON.stringify(rows));
  }
}

Deno.test("codec reads messages of RFC 7692, when they are examples", () => {
  const codec = newCodec({});
  const hello = Uint8Array.of(9, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 9);
  const bytesMax = 5;
  const text = codec.inflate(hello, 1, 8, { bytesMax, isText: true });
  assertEquals(text, "Hello");
  const owned = codec.inflate(hello, 1, 8, { bytesMax, isText: false });
  assert(owned instanceof Uint8Array);
  assertEquals(owned, encoder.encode("Hello"));
  assertEquals(owned.buffer.byteLength, 5);
  assertEquals(inflateText(codec, Uint8Array.of(0)), "");
  assertEquals(inflate(codec, Uint8Array.of(), 0), new Uint8Array(0));
});

for (const windowBits of [8, 9, 10, 12, 15]) {
  Deno.test(`codec and zlib read each other, when windows have ${windowBits} bits`, () => {
    const codec = newCodec({}, `; server_max_window_bits=${windowBits}`);
    assert(codec.shared !== undefined && codec.memoryBytes === 0);
    let smaller = 0;
    for (const message of feed(windowBits)) {
      const payload = deflateOnce(message, { windowBits });
      const read = inflate(codec, payload, MESSAGE_MAX);
      assert(typeof read === "object" && sameBytes(read, message));
      const sent = codec.deflate(message, 0, message.length);
      if (sent === undefined) continue;
      smaller++;
      assert(sent.length < message.length);
      assert(sameBytes(inflateOnce(sent, windowBits), message));
    }
    assert(smaller > 30);
  });

  Deno.test(`codec takes over with zlib, when windows have ${windowBits} bits`, async () => {
    const codec = newCodec({
      serverContextTakeover: true,
      clientContextTakeover: true,
      serverWindowBits: windowBits,
      clientWindowBits: windowBits,
    });
    const peer = new DeflatePeer(windowBits, windowBits);
    for (const message of feed(windowBits)) {
      const payload = await peer.compress(message);
      const read = inflate(codec, payload, MESSAGE_MAX);
      assert(typeof read === "object" && sameBytes(read, message));
      const sent = codec.deflate(message, 0, message.length);
      assert(sent !== undefined, "each message is in the history");
      assert(sameBytes(await peer.decompress(sent), message));
    }
    peer.close();
    const windows = 2 * Math.max(2 ** windowBits, 512);
    assert(codec.memoryBytes >= 2 * 2 ** windowBits);
    assert(codec.memoryBytes <= windows + 1000);
  });
}

Deno.test("codec holds what was sent, when the context is taken over", () => {
  const codec = newCodec({ serverContextTakeover: true });
  const before = codec.memoryBytes;
  const message = encoder.encode("a small message with some names in it");
  const first = codec.deflate(message, 0, message.length)!.length;
  assert(codec.deflate(message, 0, message.length)!.length < first / 3);
  assertEquals(codec.memoryBytes - before, 512);
  codec.free();
  assertEquals(codec.memoryBytes, before);
  assertEquals(codec.shared, undefined);
});

Deno.test("codec is shared, when the agreement is the same", () => {
  assert(newCodec({}) === newCodec({ clientContextTakeover: false }));
  const others = [
    newCodec({ level: 4 }),
    newCodec({ thresholdBytes: 0 }),
    newCodec({}, "; server_max_window_bits=9"),
    newCodec({ serverContextTakeover: true }),
  ];
  for (const other of others) assert(other.shared !== newCodec({}).shared);
  // The client's side makes no difference for what is sent.
  const takesOver = newCodec({ clientContextTakeover: true });
  assert(takesOver !== newCodec({ clientContextTakeover: true }));
  assert(takesOver.shared === newCodec({}).shared);
  assert(newCodec({ clientWindowBits: 9 }).shared === takesOver.shared);
});

Deno.test("codec stops a bomb, when it reaches the bound", () => {
  const codec = newCodec({ clientContextTakeover: true });
  const before = codec.memoryBytes;
  const bomb = deflateOnce(new Uint8Array(32 << 20));
  assert(bomb.length < 40_000);
  for (const max of [0, 100, 16 * 1024, 16 * 1024 - 1, MESSAGE_MAX]) {
    assertEquals(inflate(codec, bomb, max), TOO_LARGE);
  }
  assertEquals(codec.memoryBytes, before);
});

Deno.test("codec takes a message, when it is as long as the bound", () => {
  const codec = newCodec({});
  for (const length of [1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 300_000]) {
    const message = randomBytes(length, length);
    const payload = deflateOnce(message);
    const read = inflate(codec, payload, length);
    assert(typeof read === "object" && sameBytes(read, message));
    assert(read.buffer.byteLength < 2 * length, "it takes no other's memory");
    assertEquals(inflate(codec, payload, length - 1), TOO_LARGE);
  }
});

Deno.test("codec refuses a message, when it is cut or changed", () => {
  const codec = newCodec({});
  const payload = deflateOnce(encoder.encode("some text ".repeat(9)));
  for (let end = 1; end < payload.length; end++) {
    assertEquals(inflate(codec, payload.slice(0, end), 999), CORRUPT);
  }
  assertEquals(inflate(codec, Uint8Array.of(0xff, 0xff), 999), CORRUPT);
  const back = Uint8Array.of(0xf2, 0x00, 0x11, 0x00, 0x00);
  assertEquals(inflate(codec, back, 999), CORRUPT);
});

Deno.test("codec refuses a text, when it is not UTF-8", () => {
  const codec = newCodec({});
  const bytes = Uint8Array.of(0x61, 0xed, 0xa0, 0x80);
  assertEquals(inflateText(codec, deflateOnce(bytes)), CORRUPT);
  assertEquals(inflate(codec, deflateOnce(bytes), 9), bytes);
  for (const text of ["", "\ufeffmark", "\u{1f600}".repeat(9000)]) {
    const payload = deflateOnce(encoder.encode(text));
    assert(inflateText(codec, payload) === text);
  }
});

Deno.test("codec sends a message as it is, when it gets no smaller", () => {
  const codec = newCodec({});
  const noise = randomBytes(5000, 1);
  assertEquals(codec.deflate(noise, 0, noise.length), undefined);
  assertEquals(codec.deflate(noise, 0, 0), undefined);
  const zeros = new Uint8Array(300_000);
  assert(codec.deflate(zeros, 0, zeros.length)!.length < 1000);
});
