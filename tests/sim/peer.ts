/**
 * The far end of a simulated connection: sends, reads and leaves as its plan
 * says, whatever the server does.
 *
 * @module
 */

import type { FarEnd, MemoryStream } from "../../src/system/memory.ts";
import type { SimulatedSystem } from "./system.ts";
import type { World } from "./world.ts";

/** How long the wire takes at the most. */
const WIRE_MS = 2;

/** What a peer does. */
export interface PeerPlan {
  /** When it connects. */
  readonly connectMs: number;
  /** What it sends. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How much it sends at once, at the most. */
  readonly sendBytesMax: number;
  /** How long it waits between, at the most. */
  readonly sendGapMs: number;
  /** After how many bytes it sends no more, and does not say so. */
  readonly mutesAt: number;
  /** How much it reads at once, at the most. */
  readonly readBytesMax: number;
  /** How long it waits between, at the most. */
  readonly readGapMs: number;
  /** After how many bytes it stops reading. */
  readonly stallsAt: number;
  /** How long it does not read then; it may be for ever. */
  readonly stallMs: number;
  /** What it does when all is sent: nothing, or closes its half or both. */
  readonly end: "stay" | "half" | "close";
  /** When it resets the connection, counted from its beginning. */
  readonly resetMs: number;
}

/** What a peer takes down. */
export interface PeerEars {
  /** Bytes have come. */
  heard(bytes: Uint8Array<ArrayBuffer>): void;
}

/**
 * Returns a plan in which something is out of the ordinary, or nothing.
 *
 * @param receives How many bytes it will be sent, more or less.
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
  /** What it is called in a trace. */
  readonly name: string;
  readonly plan: PeerPlan;
  /** How it heard of the connection's end. */
  end: "end" | "reset" | undefined;
  /** Whether it has left, so that nothing it should have got is missed. */
  isGone = false;
  /** How many bytes it has sent. */
  sent = 0;
  /** How many bytes have come to it. */
  received = 0;
  /** Called when the reactor has connected to it. */
  connected: (() => void) | undefined;
  /** The other side of its connection, when that was accepted. */
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

  /** Connects when it is time. */
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

  /** Whether its connection was broken by what the reactor is not to blame for. */
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

  /** Whether it has stopped reading for ever. */
  get isStuck(): boolean {
    return this.#hasStalled && this.plan.stallMs === Infinity;
  }

  /** Whether it has sent all that it ever will. */
  get isSilent(): boolean {
    const { bytes, mutesAt } = this.plan;
    return this.sent >= Math.min(bytes.byteLength, mutesAt);
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
    this.#log(`hears the ${this.end}`);
    // As a client does that has nothing more to say; another stays for ever.
    if (this.end === "end" && this.#world.chance(0.8)) {
      this.#world.inNetwork(this.#world.delayMs(WIRE_MS), () => this.close());
    }
  }

  #log(what: string): void {
    this.#world.log(this.name, what);
  }
}
