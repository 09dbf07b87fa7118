/**
 * A client of a simulated WebSocket: it sends its script, answers pings and
 * close frames, and checks each frame that comes.
 *
 * @module
 */

import {
  BINARY,
  CLOSE,
  FIN,
  PING,
  PONG,
  RSV1,
  TEXT,
} from "../../src/websocket/frames.ts";
import { concat, toLatin1 } from "../util/http_bytes.ts";
import { sameBytes } from "../util/random.ts";
import { Peer, planOf } from "./peer.ts";
import type { ScriptLimits } from "./websocket_breaches.ts";
import { Inflater } from "./websocket_deflate.ts";
import {
  CLIENTS,
  type Delivery,
  parseClose,
  Script,
} from "./websocket_script.ts";
import type { World } from "./world.ts";

const HEAD_END = "\r\n\r\n";
/** The answer to the key of every client: RFC 6455 section 1.3. */
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const READ_BYTES_MIN = 500;
/** The latest reset, when much may wait on both sides. */
const RESET_MS = 300;
/** How often a client answers a close frame. */
const ANSWER_CHANCE = 0.8;

/** A frame that the server's program sends. */
export interface Sent {
  /** FIN and the opcode. */
  readonly first: number;
  /** What it carries. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** Whether it may be dropped, since the client reads too slowly. */
  readonly isLossy?: boolean;
}

/** What a client needs to know of its server. */
export interface ClientLimits extends ScriptLimits {
  /** Whether the server sends pings by itself. */
  readonly hasIdleTime: boolean;
  /** About how many bytes the server sends; as many as come, otherwise. */
  readonly receives: number | undefined;
}

/** One client. */
export class Client {
  /** The number that its path names. */
  readonly number: number;
  readonly peer: Peer;
  readonly script: Script;
  /** What the server's program has sent, in order. */
  readonly sent: Sent[] = [];
  /** The close frames that the server may send: code, space and reason. */
  readonly closings: Set<string> = new Set();
  /** Whether the server sends pings by itself. */
  readonly hasIdleTime: boolean;
  /** How many frames of the program have come, or were dropped. */
  heard = 0;
  /** How many of them were dropped. */
  dropped = 0;
  /** The close frame that has come. */
  closing: { code: number; reason: string } | undefined;
  readonly #world: World;
  readonly #pings: readonly Delivery[];
  readonly #offer: string | undefined;
  #inflater: Inflater | undefined;
  #pongs = 0;
  #hasHead = false;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** @param number What its path names. */
  constructor(world: World, number: number, limits: ClientLimits) {
    this.#world = world;
    this.number = number;
    this.hasIdleTime = limits.hasIdleTime;
    this.#offer = limits.offer;
    this.script = new Script(world, number, limits);
    this.#pings = this.script.deliveries.filter(({ kind }) => kind === "ping");
    const { bytes } = this.script;
    const plan = planOf(world, bytes, limits.receives ?? bytes.byteLength);
    // Most ends are close frames.
    const end = world.pick([plan.end, "stay"] as const);
    // Others publish, whatever this client sends itself.
    const readBytesMax = Math.max(plan.readBytesMax, READ_BYTES_MIN);
    const resetMs = Math.min(
      plan.resetMs,
      world.chance(0.1) ? world.delayMs(RESET_MS) : Infinity,
    );
    this.peer = new Peer(world, {
      name: `client ${number}`,
      plan: { ...plan, end, resetMs, readBytesMax },
      ears: { heard: (bytes) => this.#hear(bytes) },
    });
  }

  /** Whether the server's 101 has come. */
  get isOpen(): boolean {
    return this.#hasHead;
  }

  /** Whether the client has sent what ends its messages. */
  get hasClosed(): boolean {
    const { closing } = this.script;
    return closing !== undefined && this.peer.sent >= closing.end;
  }

  /** Whether the server may have noticed it: a breach shows early. */
  get mayHaveClosed(): boolean {
    const { closing } = this.script;
    if (closing === undefined || closing.isClean) return this.hasClosed;
    return this.peer.sent > closing.begin;
  }

  #hear(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = concat([this.#bytes, bytes]);
    if (!this.#hasHead && !this.#takeHead()) return;
    for (let frame = this.#take(); frame; frame = this.#take()) {
      this.#hearFrame(frame);
    }
  }

  #takeHead(): boolean {
    const text = toLatin1(this.#bytes.subarray(0, 1_000));
    const end = text.indexOf(HEAD_END);
    if (end < 0) return false;
    this.#expect(
      text.startsWith("HTTP/1.1 101 ") && text.includes(ACCEPT),
      () => `is answered ${text.slice(0, end)}`,
    );
    this.#bytes = this.#bytes.slice(end + HEAD_END.length);
    const [, answer] = /Sec-WebSocket-Extensions: (.*)/i.exec(text) ?? [];
    const isWanted = (answer !== undefined) === (this.#offer !== undefined);
    this.#expect(isWanted, () => `is answered ${answer}`);
    if (answer !== undefined) this.#inflater = new Inflater(answer);
    return this.#hasHead = true;
  }

  /** Takes the next whole frame: RFC 6455 section 5.2. */
  #take(): Sent | undefined {
    const bytes = this.#bytes;
    if (bytes.byteLength < 2) return undefined;
    const short = bytes[1]!;
    this.#expect(short < 128, () => "gets a masked frame");
    const wide = short === 127 ? 8 : short === 126 ? 2 : 0;
    const start = 2 + wide;
    if (bytes.byteLength < start) return undefined;
    let length = wide === 0 ? short : 0;
    for (const byte of bytes.subarray(2, start)) length = length * 256 + byte;
    const least = wide === 8 ? 65_536 : wide === 2 ? 126 : 0;
    this.#expect(length >= least, () => "gets a length that is not minimal");
    if (bytes.byteLength < start + length) return undefined;
    this.#bytes = bytes.slice(start + length);
    return { first: bytes[0]!, payload: bytes.slice(start, start + length) };
  }

  #hearFrame({ first, payload }: Sent): void {
    this.#expect(this.closing === undefined, () => "gets a frame at the end");
    const opcode = first & 0xf;
    const isCompressed = (first & RSV1) !== 0 && opcode < CLOSE &&
      this.#inflater !== undefined;
    const flags = isCompressed ? FIN | RSV1 : FIN;
    const isRight = (first & 0xf0) === flags;
    this.#expect(isRight, () => `gets a frame that begins with ${first}`);
    if (isCompressed) payload = this.#inflater!.inflate(payload);
    if (opcode === CLOSE) return this.#hearClose(payload);
    if (opcode === PONG && payload[0] === CLIENTS) {
      return this.#hearPong(payload);
    }
    if (opcode === PING) this.#answerPing(payload);
    if (opcode === PING && payload.byteLength === 0) {
      return this.#expect(this.hasIdleTime, () => "gets a ping of no program");
    }
    const isKnown = [TEXT, BINARY, PING, PONG].includes(opcode);
    this.#expect(isKnown, () => `gets a frame of opcode ${opcode}`);
    this.#hearSent(FIN | opcode, payload);
  }

  #hearSent(first: number, payload: Uint8Array<ArrayBuffer>): void {
    for (;;) {
      const sent = this.sent[this.heard++];
      const isNext = sent?.first === first && sameBytes(sent.payload, payload);
      if (isNext) return;
      this.#expect(
        sent?.isLossy === true,
        () => `gets a frame that is not number ${this.heard} of what was sent`,
      );
      this.dropped++;
    }
  }

  #hearPong(payload: Uint8Array<ArrayBuffer>): void {
    const ping = this.#pings[this.#pongs++];
    this.#expect(
      ping !== undefined && this.peer.sent >= ping.end &&
        sameBytes(ping.bytes, payload),
      () => `gets a pong that does not answer ping ${this.#pongs}`,
    );
  }

  #hearClose(payload: Uint8Array<ArrayBuffer>): void {
    this.closing = parseClose(payload);
    const { code, reason } = this.closing;
    this.#world.log(this.peer.name, `hears close ${code} ${reason}`);
    this.#expect(
      this.closings.has(`${code} ${reason}`) || this.#mirrors(code, reason),
      () => `gets close ${code} ${reason}, not ${[...this.closings]}`,
    );
    if (this.script.closing !== undefined) return;
    if (this.#world.chance(ANSWER_CHANCE)) {
      this.peer.say(this.script.answer(payload));
    }
  }

  /** Whether a close frame answers what the client has sent. */
  #mirrors(code: number, reason: string): boolean {
    const { closing } = this.script;
    return closing !== undefined && this.mayHaveClosed &&
      closing.code === code &&
      (closing.reason === undefined || closing.reason === reason);
  }

  #answerPing(payload: Uint8Array<ArrayBuffer>): void {
    if (this.script.closing !== undefined) return;
    if (this.#world.chance(ANSWER_CHANCE)) {
      this.peer.say(this.script.pong(payload));
    }
  }

  #expect(isSo: boolean, message: () => string): void {
    if (!isSo) this.#world.fail(`${this.peer.name} ${message()}`);
  }
}
