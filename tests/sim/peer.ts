/**
 * The far end of a simulated connection: it sends, reads and leaves by a plan,
 * whatever the server does.
 *
 * @module
 */

import type { FarEnd, MemoryStream } from "../../src/system/memory.ts";
import { concat } from "../util/http_bytes.ts";
import type { SimulatedSystem } from "./system.ts";
import type { World } from "./world.ts";

/** The longest time on the wire. */
const WIRE_MS = 2;

/** The plan of a peer. */
export interface PeerPlan {
  /** When the peer connects. */
  readonly connectMs: number;
  /** The bytes that the peer sends. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that the peer sends at once, at the most. */
  readonly sendBytesMax: number;
  /** The longest time between two sends. */
  readonly sendGapMs: number;
  /** After how many bytes the peer stops sending, without an end. */
  readonly mutesAt: number;
  /** Bytes that the peer reads at once, at the most. */
  readonly readBytesMax: number;
  /** The longest time between two reads. */
  readonly readGapMs: number;
  /** After how many bytes the peer stops reading. */
  readonly stallsAt: number;
  /** How long the peer then does not read; may be `Infinity`. */
  readonly stallMs: number;
  /** What the peer does at the end: nothing, or it closes one half or both. */
  readonly end: "stay" | "half" | "close";
  /** When the peer resets the connection, counted from its begin. */
  readonly resetMs: number;
}

/** Receives the bytes that a peer reads. */
export interface PeerEars {
  /** Bytes have come. */
  heard(bytes: Uint8Array<ArrayBuffer>): void;
}

/**
 * Returns a plan with one unusual trait, or with none.
 *
 * @param receives About how many bytes the server will send.
 */
export function planOf(
  world: World,
  bytes: Uint8Array<ArrayBuffer>,
  receives: number = bytes.byteLength,
): PeerPlan {
  const { byteLength } = bytes;
  const stalls = world.chance(0.2);
  return {
    connectMs: world.delayMs(20),
    bytes,
    sendBytesMax: world.pick([1 + byteLength / 20, 1_460, 65_536, 1_000_000]),
    sendGapMs: world.pick([0, 0.1, 5]),
    mutesAt: world.chance(0.1) ? world.whole(0, byteLength) : Infinity,
    readBytesMax: world.pick([1 + receives / 20, 65_536, 1_000_000]),
    readGapMs: world.pick([0, 0.1, 5]),
    stallsAt: stalls ? world.whole(0, receives) : Infinity,
    stallMs: world.pick([10, 1_000, Infinity]),
    end: world.pick(["stay", "half", "half", "half", "close"]),
    resetMs: world.chance(0.1) ? world.delayMs(50) : Infinity,
  };
}

/** One peer of a server. */
export class Peer implements FarEnd {
  /** The name in a trace. */
  readonly name: string;
  plan: PeerPlan;
  /** How the connection ended for the peer. */
  end: "end" | "reset" | undefined;
  /** Whether the peer has left, so that it need not get all bytes. */
  isGone = false;
  /** How many bytes the peer has sent. */
  sent = 0;
  /** How many bytes the peer has got. */
  received = 0;
  /** Called when the reactor has connected to the peer. */
  connected: (() => void) | undefined;
  /** The server's side of the connection, once accepted. */
  stream: MemoryStream | undefined;
  readonly #world: World;
  readonly #ears: PeerEars;
  #isReading = false;
  #isSending = false;
  #hasEnded = false;
  #hasStalled = false;

  constructor(
    world: World,
    options: { name: string; plan: PeerPlan; ears: PeerEars },
  ) {
    this.#world = world;
    this.name = options.name;
    this.plan = options.plan;
    this.#ears = options.ears;
  }

  /** Connects at the planned time. */
  start(system: SimulatedSystem, port: number): void {
    this.#world.inNetwork(this.plan.connectMs, () => {
      this.#log("connects");
      const isThere = system.arriveAt(port, (stream) => this.attach(stream));
      if (!isThere) this.end = "reset";
    });
  }

  /** Begins, as the far end of `stream`. */
  attach(stream: MemoryStream): FarEnd {
    this.stream = stream;
    this.#log(`is at the far end of ${stream.name}`);
    // It may have sent before it was accepted.
    if (this.#world.chance(0.5)) this.#send();
    else this.#sendSoon();
    if (this.plan.resetMs !== Infinity) {
      this.#world.inNetwork(this.plan.resetMs, () => this.reset());
    }
    return this;
  }

  /**
   * Whether its connection was broken by what the reactor is not to blame for.
   */
  get isBroken(): boolean {
    const { stream } = this;
    return stream !== undefined &&
      (stream.isReset || stream.isRefused || this.#world.broken.has(stream));
  }

  /** Takes note that the reactor is not to blame for what happens now. */
  excuse(): void {
    this.#world.broken.add(this.stream!);
  }

  /** Whether all that it should be sent must come. */
  get isOwed(): boolean {
    return !this.isGone && this.stream !== undefined && !this.isBroken &&
      !this.stream.hasReset;
  }

  /** Whether the server has reset it, and had no reason to. */
  get isWronged(): boolean {
    return !this.isGone && this.stream !== undefined && !this.isBroken &&
      this.stream.hasReset;
  }

  /** Whether the peer has ended what it sends. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether the peer never reads again. */
  get isStuck(): boolean {
    return this.#hasStalled && this.plan.stallMs === Infinity;
  }

  /** Whether it has sent all that it ever will. */
  get isSilent(): boolean {
    const { bytes, mutesAt } = this.plan;
    return this.sent >= Math.min(bytes.byteLength, mutesAt);
  }

  /** Sends bytes behind those of the plan, unless it has ended. */
  say(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.isGone || this.#hasEnded) return;
    this.plan = { ...this.plan, bytes: concat([this.plan.bytes, bytes]) };
    this.#sendSoon();
  }

  /** Resets the connection. */
  reset(): void {
    if (this.isGone || this.end !== undefined) return;
    this.#log("resets");
    this.isGone = true;
    this.stream?.receiveReset();
  }

  /** Closes both halves: what still comes is answered with a reset. */
  close(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#log("closes");
    this.#sendEnd();
    if (this.stream!.outputBytes > 0) this.#answerReset();
  }

  hasOutput(): void {
    if (this.isGone && this.stream!.outputBytes > 0) this.#answerReset();
    else this.#readSoon(this.plan.readGapMs);
  }

  hasRoom(): void {
    this.#sendSoon();
  }

  #answerReset(): void {
    const stream = this.stream!;
    this.#world.inNetwork(this.#world.delayMs(WIRE_MS), () => {
      stream.receiveReset();
    });
  }

  #sendSoon(): void {
    if (this.#isSending || this.#hasEnded || this.isGone) return;
    this.#isSending = true;
    this.#world.inNetwork(this.#world.delayMs(this.plan.sendGapMs), () => {
      this.#isSending = false;
      this.#send();
    });
  }

  #send(): void {
    const { bytes, mutesAt, sendBytesMax, end } = this.plan;
    const stream = this.stream!;
    if (this.isGone || this.end === "reset" || this.#hasEnded) return;
    const until = Math.min(bytes.byteLength, mutesAt);
    const length = Math.min(
      this.#world.size(sendBytesMax),
      until - this.sent,
      stream.inputRoom,
    );
    if (length > 0) {
      const start = this.sent;
      this.sent += length;
      stream.receive(bytes.slice(start, start + length));
      this.#makeUrgent(length);
    }
    if (this.sent < until) {
      // Without room it goes on when there is some.
      if (length > 0) this.#sendSoon();
      return;
    }
    if (until < bytes.byteLength || end === "stay") return;
    if (end === "close") this.close();
    else this.#sendEnd();
  }

  /** One of the last `length` bytes may be urgent. */
  #makeUrgent(length: number): void {
    const world = this.#world;
    const stream = this.stream!;
    const { urgent } = world.faults;
    if (stream.isReset || stream.isClosed || urgent === 0) return;
    if (world.chance(urgent)) stream.receiveUrgent(world.whole(0, length));
  }

  #sendEnd(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#log("ends");
    this.stream!.receiveEnd();
  }

  #readSoon(gapMs: number): void {
    if (this.#isReading || this.isGone) return;
    this.#isReading = true;
    this.#world.inNetwork(this.#world.delayMs(gapMs), () => {
      this.#isReading = false;
      this.#read();
    });
  }

  #read(): void {
    const { readBytesMax, readGapMs, stallsAt, stallMs } = this.plan;
    const stream = this.stream!;
    if (this.isGone || this.end !== undefined) return;
    if (!this.#hasStalled && this.received >= stallsAt) {
      this.#hasStalled = true;
      this.#log(`reads nothing for ${stallMs} ms`);
      if (stallMs === Infinity) return;
      this.#isReading = true;
      this.#world.inNetwork(stallMs, () => {
        this.#isReading = false;
        this.#read();
      });
      return;
    }
    if (this.isStuck) return;
    const length = this.#world.size(readBytesMax);
    const bytes = stream.take(length);
    if (bytes.byteLength > 0) {
      this.received += bytes.byteLength;
      this.#ears.heard(bytes);
      return this.#readSoon(readGapMs);
    }
    if (!stream.hasReset && !stream.isOutputDone) return;
    this.end = stream.hasReset ? "reset" : "end";
    this.#log(`gets the ${this.end}`);
    // As a client that needs nothing more; other peers stay without end.
    if (this.end === "end" && this.#world.chance(0.8)) {
      this.#world.inNetwork(this.#world.delayMs(WIRE_MS), () => this.close());
    }
  }

  #log(what: string): void {
    this.#world.log(this.name, what);
  }
}
