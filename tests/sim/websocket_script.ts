/**
 * What a client of a simulated WebSocket sends: a handshake and frames, and how
 * it ends. Beside the bytes stands what the server must make of them.
 *
 * @module
 */

import {
  BINARY,
  CLOSE,
  CONTINUATION,
  FIN,
  PING,
  PONG,
  RSV1,
  TEXT,
} from "../../src/websocket/frames.ts";
import { deflateOnce } from "../util/deflate_peer.ts";
import { concat, latin1 } from "../util/http_bytes.ts";
import { maskedFrame } from "../util/websocket_frames.ts";
import { taggedBytes } from "./bytes.ts";
import { BREACHES, type ScriptLimits } from "./websocket_breaches.ts";
import type { World } from "./world.ts";

/** The key of RFC 6455 section 1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
/** What a text is made of: ASCII, or characters of one to four bytes. */
const ALPHABETS = [[..."abcdefghijklmnopqrstuvwxyz"], [..."aé€😀ß漢"]];
const TINY_BYTES_MAX = 20;
const SMALL_BYTES_MAX = 3_000;
/** A text of so many characters of four bytes is below every limit. */
const LARGE_BYTES_MAX = 60_000;
const FEW_MESSAGES = 12;
/** More frames than one call of the parser has rows for. */
const MANY_MESSAGES = 200;
const CONTROL_BYTES_MAX = 125;
/** The first byte of what a control frame of a client carries. */
export const CLIENTS = 1;

/** What the server must notice. */
export interface Delivery {
  /** What it is. */
  readonly kind: "text" | "binary" | "ping" | "pong";
  /** What it carries; a text as UTF-8. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many bytes the client has sent when it is whole. */
  readonly end: number;
}

/** How a client ends its messages. */
export interface Closing {
  /** The code that `close` gets. */
  readonly code: number;
  /** The reason; `undefined` for any that denio chooses. */
  readonly reason: string | undefined;
  /** Whether it is a close frame, and no breach of the protocol. */
  readonly isClean: boolean;
  /** Whether it shows only when a message is decompressed. */
  readonly isHidden?: boolean;
  /** How many bytes the client has sent before it. */
  readonly begin: number;
  /** How many bytes the client has sent when it is whole. */
  readonly end: number;
}

/** What one client sends. */
export class Script {
  /** What the server must notice, in order. */
  readonly deliveries: Delivery[] = [];
  /** The length of the handshake. */
  readonly headBytes: number;
  /** What ends the messages, if anything does. */
  closing: Closing | undefined;
  readonly #world: World;
  readonly #limits: ScriptLimits;
  readonly #client: number;
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  #length = 0;
  #messages = 0;
  #controls = 0;

  /** @param client The number of the client. */
  constructor(world: World, client: number, limits: ScriptLimits) {
    this.#world = world;
    this.#limits = limits;
    this.#client = client;
    const { offer } = limits;
    this.#add(latin1(
      `GET /${client} HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n` +
        "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        `Sec-WebSocket-Key: ${KEY}\r\n` +
        (offer === undefined ? "" : `Sec-WebSocket-Extensions: ${offer}\r\n`) +
        "\r\n",
    ));
    this.headBytes = this.#length;
    this.#writeMessages();
    if (world.chance(0.2)) this.#breach();
    else {
      // A message that never ends.
      if (world.chance(0.05)) this.#frame(TEXT, "never");
      if (world.chance(0.5)) this.#close();
    }
    // Bytes behind the end, which the server must not look at.
    if (this.closing !== undefined && world.chance(0.2)) {
      this.#add(taggedBytes(client, 0, world.size(SMALL_BYTES_MAX)));
    }
  }

  /** All bytes so far. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return concat(this.#parts);
  }

  /** Adds a pong, and returns its bytes. */
  pong(payload: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const frame = this.#frame(FIN | PONG, payload);
    this.#deliver("pong", payload);
    return frame;
  }

  /** Adds the answer to a close frame, and returns its bytes. */
  answer(payload: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const begin = this.#length;
    const frame = this.#frame(FIN | CLOSE, payload);
    const end = this.#length;
    this.closing = { ...parseClose(payload), isClean: true, begin, end };
    return frame;
  }

  #writeMessages(): void {
    const world = this.#world;
    const [count, bytesMax] = world.pick([
      [MANY_MESSAGES, TINY_BYTES_MAX],
      [FEW_MESSAGES, LARGE_BYTES_MAX],
      ...Array(8).fill([FEW_MESSAGES, SMALL_BYTES_MAX]),
    ] as [number, number][]);
    for (let left = world.size(count + 1) - 1; left > 0; left--) {
      this.#message(bytesMax);
      if (world.chance(0.1)) this.#control();
    }
  }

  #message(bytesMax: number): void {
    const world = this.#world;
    const isText = world.chance(0.5);
    const isLarge = bytesMax === LARGE_BYTES_MAX && world.chance(0.5);
    const least = isLarge ? SMALL_BYTES_MAX : 0;
    const size = least + world.size(bytesMax - least) - 1;
    const message = this.#payload(isText, size);
    const { fragmentsMax, offer } = this.#limits;
    const isCompressed = offer !== undefined && world.chance(0.7);
    const payload = isCompressed ? deflateOnce(message) : message;
    const first = (isCompressed ? RSV1 : 0) | (isText ? TEXT : BINARY);
    const pieces = world.chance(0.3) ? world.whole(2, 6) : 1;
    const cuts = Array.from(
      { length: Math.min(pieces, fragmentsMax) - 1 },
      () => world.whole(0, payload.byteLength),
    );
    const edges = [0, ...cuts.sort((a, b) => a - b), payload.byteLength];
    for (let index = 1; index < edges.length; index++) {
      const opcode = index > 1 ? CONTINUATION : first;
      const fin = index === edges.length - 1 ? FIN : 0;
      this.#frame(
        fin | opcode,
        payload.subarray(edges[index - 1], edges[index]),
      );
      if (fin === 0 && world.chance(0.2)) this.#control();
    }
    this.#deliver(isText ? "text" : "binary", message);
  }

  /** Returns a payload that no other message has, unless it is tiny. */
  #payload(isText: boolean, size: number): Uint8Array<ArrayBuffer> {
    const stream = this.#client * 1_000 + this.#messages++;
    const bytes = taggedBytes(stream, 0, size);
    if (!isText) return bytes;
    const letters = this.#world.pick(ALPHABETS);
    const text = Array.from(bytes, (byte) => letters[byte % letters.length]);
    return new TextEncoder().encode(text.join(""));
  }

  /** Adds a ping or a pong. */
  #control(): void {
    const world = this.#world;
    const payload = taggedBytes(
      this.#controls++,
      0,
      world.whole(1, CONTROL_BYTES_MAX),
    );
    payload[0] = CLIENTS;
    const isPing = world.chance(0.7);
    this.#frame(FIN | (isPing ? PING : PONG), payload);
    this.#deliver(isPing ? "ping" : "pong", payload);
  }

  #close(): void {
    const world = this.#world;
    if (world.chance(0.2)) return void this.answer(new Uint8Array(0));
    const code = world.pick([1000, 1001, 1011, 3000, 4999]);
    const reason = world.pick(["", "bye", "é".repeat(61)]);
    this.answer(closePayload(code, reason));
  }

  /** Breaks the protocol. */
  #breach(): void {
    const begin = this.#length;
    const breach = this.#world.pick(BREACHES);
    if (!breach.write(this.#limits, (bytes) => this.#add(bytes))) return;
    const end = this.#length;
    const { code, isHidden = false } = breach;
    const isClean = false;
    this.closing = { code, reason: undefined, isClean, isHidden, begin, end };
  }

  #frame(
    first: number,
    payload: Uint8Array | string,
  ): Uint8Array<ArrayBuffer> {
    const key = Array.from({ length: 4 }, () => this.#world.whole(0, 255));
    return this.#add(maskedFrame(first, payload, key));
  }

  #add(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    this.#parts.push(bytes);
    this.#length += bytes.byteLength;
    return bytes;
  }

  #deliver(kind: Delivery["kind"], bytes: Uint8Array<ArrayBuffer>): void {
    this.deliveries.push({ kind, bytes, end: this.#length });
  }
}

/** Returns the payload of a close frame. */
export function closePayload(
  code: number,
  reason: string,
): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(reason);
  return Uint8Array.of(code >>> 8, code, ...text);
}

/** Returns what a payload of a close frame says. */
export function parseClose(
  payload: Uint8Array<ArrayBuffer>,
): { code: number; reason: string } {
  if (payload.byteLength === 0) return { code: 1005, reason: "" };
  const code = payload[0]! << 8 | payload[1]!;
  return { code, reason: new TextDecoder().decode(payload.subarray(2)) };
}
