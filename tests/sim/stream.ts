/**
 * A simulated TCP connection: what a reactor calls on one side, what the
 * network does to it on the other, and the kernel's two buffers between them.
 *
 * @module
 */

import {
  errnoName,
  errnoNumber,
  errorFrom,
  WOULD_BLOCK,
} from "../../src/native/errors.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import type { Shutdown } from "../../src/net/stream.ts";
import { BUFFERS_MAX } from "../../src/net/transfer.ts";
import { Readiness } from "../../src/poll/events.ts";
import type { StreamSocket } from "../../src/system/system.ts";
import { concat } from "../util/http_bytes.ts";
import { ByteQueue } from "./byte_queue.ts";
import { changed, type Pollable, type Registration } from "./poll.ts";
import type { World } from "./world.ts";

/** How long what is late may be so. */
const LATE_MS = 5;
/** The share of a send buffer that must be free for an event: `tcp(7)`. */
const ROOM_SHARE = 1 / 3;
const ECONNRESET = errnoNumber("ECONNRESET");
const EPIPE = errnoNumber("EPIPE");
const ENOBUFS = errnoNumber("ENOBUFS");

/** The far end of a connection, which hears what this end does. */
export interface FarEnd {
  /** Bytes, the end or a reset can be taken. */
  hasOutput(): void;
  /** There is room for more. */
  hasRoom(): void;
}

/** How large the kernel's buffers are. */
export interface BufferSizes {
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** The system's end of a connection. */
export class SimulatedStream implements StreamSocket, Pollable {
  readonly handle: number;
  readonly name: string;
  registration: Registration | undefined;
  resetOnClose = false;
  /** Whether it is not known yet whether there is a connection. */
  isConnecting = false;
  isClosed = false;
  /** Something has broken it that the reactor is not to blame for. */
  isBroken = false;
  /** Whether the far end was sent a reset. */
  hasReset = false;
  /** Hears what happens; set before anything does. */
  farEnd: FarEnd | undefined;
  /** Called when a connect has worked. */
  whenConnected: (() => void) | undefined;
  readonly #world: World;
  readonly #sources: Map<number, Pollable>;
  readonly #sizes: BufferSizes;
  /** What has come and was not read. */
  readonly #input = new ByteQueue();
  /** What was written and not taken. */
  readonly #output = new ByteQueue();
  /** How many bytes have come, and how many of them were read. */
  #arrived = 0;
  #taken = 0;
  /** Where reads end: behind so many bytes, or nowhere. */
  #mark = -1;
  #isInputEnded = false;
  #isOutputEnded = false;
  #isReset = false;
  #errno = 0;
  /** Whether a write found no room, so that room is to be told of. */
  #wantsRoom = false;
  #fullUntilMs = 0;

  /** @param sources Where it is found by its handle while it is open. */
  constructor(
    world: World,
    sources: Map<number, Pollable>,
    sizes: BufferSizes,
  ) {
    this.#world = world;
    this.#sources = sources;
    this.#sizes = sizes;
    this.handle = world.nextHandle();
    this.name = `stream ${this.handle}`;
    world.openSockets++;
    sources.set(this.handle, this);
  }

  // What the reactor calls.

  get localAddress(): TcpAddress {
    this.#enter("localAddress");
    return { transport: "tcp", hostname: "192.0.2.1", port: 80 };
  }

  get peerAddress(): TcpAddress {
    this.#enter("peerAddress");
    const isLost = this.#isReset &&
      this.#world.chance(this.#world.faults.noAddress);
    if (this.isConnecting || isLost) {
      throw errorFrom(errnoNumber("ENOTCONN"), "get the peer's address");
    }
    return { transport: "tcp", hostname: "192.0.2.2", port: this.handle };
  }

  get peerKey(): number {
    this.#enter("peerKey");
    return 1;
  }

  get unreadBytes(): number {
    this.#enter("unreadBytes");
    return this.#input.length;
  }

  get unackedBytes(): number {
    this.#enter("unackedBytes");
    return this.#output.length;
  }

  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    this.#enter("read");
    if (!(length > 0 && offset + length <= buffer.byteLength)) {
      this.#world.fail(`${this.name}: read ${length} bytes at ${offset}`);
    }
    const count = this.#read(buffer, offset, length);
    this.#log(
      `read ${outcome(count)} of ${this.#input.length + Math.max(count, 0)}`,
    );
    if (count > 0) this.farEnd?.hasRoom();
    return count;
  }

  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    this.#enter("write");
    if (!(length > 0 && offset + length <= bytes.byteLength)) {
      this.#world.fail(`${this.name}: write ${length} bytes at ${offset}`);
    }
    const count = this.#write(length);
    this.#log(`write ${outcome(count)} of ${length}`);
    if (count <= 0) return count;
    this.#output.push(bytes.slice(offset, offset + count));
    this.farEnd?.hasOutput();
    return count;
  }

  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    if (!(buffers.length > 0 && buffers.length <= BUFFERS_MAX)) {
      this.#world.fail(`${this.name}: write ${buffers.length} buffers`);
    }
    const bytes = concat(buffers);
    return this.tryWrite(bytes, 0, bytes.byteLength);
  }

  shutdown(how: Shutdown): void {
    this.#enter(`shutdown ${how}`);
    if (how !== "write") this.#world.fail(`${this.name}: shutdown ${how}`);
    this.#log("shutdown write");
    if (this.#isReset || this.isConnecting) {
      throw errorFrom(errnoNumber("ENOTCONN"), "shut down");
    }
    this.#isOutputEnded = true;
    this.farEnd?.hasOutput();
    changed(this, Readiness.WRITABLE | Readiness.WRITE_CLOSED);
  }

  takeError(): Error | undefined {
    this.#enter("takeError");
    const errno = this.#errno;
    this.#errno = 0;
    return errno === 0 ? undefined : errorFrom(errno, "connect or transfer");
  }

  close(): void {
    if (this.isClosed) this.#world.fail(`${this.name} is closed twice`);
    this.#world.call();
    this.isClosed = true;
    this.#world.openSockets--;
    this.#sources.delete(this.handle);
    // For those accepted with it there is no room, either.
    const isRefused = this.registration === undefined;
    if (isRefused && this.#world.faults.noWatches > 0) this.isBroken = true;
    this.registration?.poll.forget(this.registration);
    this.registration = undefined;
    this.#isOutputEnded = true;
    const destroys = this.resetOnClose || this.#input.length > 0;
    this.#log(destroys ? "close with a reset" : "close");
    if (destroys && !this.#isReset) this.#sendReset();
    this.farEnd?.hasOutput();
  }

  [Symbol.dispose](): void {
    if (!this.isClosed) this.close();
  }

  // What its poll asks.

  get mayMislead(): boolean {
    // Before a connection is there, WRITABLE is how it is told of.
    return !this.isConnecting;
  }

  readiness(): number {
    let bits = 0;
    if (this.isConnecting) return bits;
    const isEnded = this.#isInputEnded || this.#isReset;
    if (this.#input.length > 0 || isEnded) bits |= Readiness.READABLE;
    if (isEnded) bits |= Readiness.READ_CLOSED;
    if (this.#mark >= 0) bits |= Readiness.READABLE | Readiness.PRIORITY;
    if (this.#errno !== 0) bits |= Readiness.ERROR;
    if (this.#isReset || this.#isOutputEnded || this.#hasRoom) {
      bits |= Readiness.WRITABLE;
    }
    const isOver = this.#isInputEnded && this.#isOutputEnded;
    if (this.#isReset || isOver) bits |= Readiness.WRITE_CLOSED;
    return bits;
  }

  /** How many bytes have come. */
  get arrived(): number {
    return this.#arrived;
  }

  // What the network does.

  /** How many more bytes may come. */
  get room(): number {
    if (this.isClosed || this.#isReset) return Infinity;
    return this.#sizes.inputBytes - this.#input.length;
  }

  /** How many bytes can be taken. */
  get outputLength(): number {
    return this.#output.length;
  }

  /** Whether all was taken, and no more will come. */
  get isOutputDone(): boolean {
    return this.#isOutputEnded && this.#output.length === 0;
  }

  /** Bytes come, for which there must be room. */
  arrive(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#isReset) return;
    if (this.isClosed) return this.#refuse();
    this.#log(`${bytes.byteLength} bytes come`);
    this.#input.push(bytes);
    this.#arrived += bytes.byteLength;
    changed(this, Readiness.READABLE);
    const { faults } = this.#world;
    if (faults.urgent > 0 && this.#world.chance(faults.urgent)) {
      this.#arriveUrgent(bytes.byteLength);
    }
  }

  /**
   * One of the last `length` bytes was urgent. It takes the place of an earlier
   * one, as in Linux; what no read gives is left out here.
   */
  #arriveUrgent(length: number): void {
    this.#mark = this.#arrived - this.#world.whole(0, length);
    this.#log(`an urgent byte comes behind ${this.#mark} bytes`);
    changed(this, Readiness.PRIORITY);
  }

  /** The far end sends no more. */
  arriveEnd(): void {
    if (this.#isReset || this.isClosed) return;
    this.#log("the end comes");
    this.#isInputEnded = true;
    changed(this, READ_END);
  }

  /** The far end has gone; what is on its way to it is lost. */
  arriveReset(errno: number = ECONNRESET): void {
    if (this.#isReset) return;
    this.isBroken = true;
    this.#isReset = true;
    this.#output.cut(0);
    if (this.isClosed) return;
    this.#log(`${errnoName(errno)} comes`);
    this.#errno = errno;
    this.isConnecting = false;
    changed(this, READ_END | Readiness.WRITABLE | Readiness.ERROR);
  }

  /** The connect has worked. */
  arriveConnected(): void {
    if (this.isClosed || this.#isReset) return;
    this.#log("connected");
    this.isConnecting = false;
    changed(this, Readiness.WRITABLE);
    this.whenConnected?.();
  }

  /** Takes what was written, and makes room by that. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#output.take(length);
    if (this.#wantsRoom && this.#hasRoom) this.#tellRoom();
    return bytes;
  }

  #read(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    const { faults } = this.#world;
    const input = this.#input;
    if (this.isConnecting) return WOULD_BLOCK;
    if (this.#mark === this.#taken) this.#mark = -1;
    if (input.length > 0) {
      // A system that knows of a reset has all that ever came.
      if (!this.#isReset && this.#world.chance(faults.lateRead)) {
        const lateMs = this.#world.delayMs(LATE_MS);
        this.#world.inNetwork(lateMs, () => changed(this, READ_END));
        return WOULD_BLOCK;
      }
      // No event tells of what is behind the mark.
      if (this.#mark >= 0) length = Math.min(length, this.#mark - this.#taken);
      if (!this.#world.chance(faults.shortRead)) {
        return this.#takeInto(buffer, offset, length);
      }
      // The rest has come a moment later: that is an event of its own.
      const part = this.#world.whole(1, Math.min(length, input.length));
      const count = this.#takeInto(buffer, offset, part);
      changed(this, READ_END);
      return count;
    }
    if (this.#errno !== 0) return this.#fail();
    return this.#isInputEnded || this.#isReset ? 0 : WOULD_BLOCK;
  }

  #takeInto(
    buffer: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): number {
    const count = this.#input.takeInto(buffer, offset, length);
    this.#taken += count;
    return count;
  }

  /** Returns how many bytes there is room for, or why there is none. */
  #write(length: number): number {
    const world = this.#world;
    const { faults } = world;
    if (this.isConnecting) return WOULD_BLOCK;
    if (this.#errno !== 0) return this.#fail();
    if (this.#isReset || this.#isOutputEnded) return -EPIPE;
    if (world.chance(faults.noBuffers)) {
      this.isBroken = true;
      return -ENOBUFS;
    }
    if (world.chance(faults.lateWrite)) {
      const lateMs = world.delayMs(LATE_MS);
      this.#fullUntilMs = world.nowMs + lateMs;
      this.#wantsRoom = true;
      world.inNetwork(lateMs, () => this.#tellRoom());
      return world.chance(0.2) ? 0 : WOULD_BLOCK;
    }
    const room = world.nowMs < this.#fullUntilMs
      ? 0
      : this.#sizes.outputBytes - this.#output.length;
    let count = Math.max(0, Math.min(room, length));
    if (count > 1 && world.chance(faults.shortWrite)) {
      count = world.whole(1, count - 1);
      world.inNetwork(world.delayMs(LATE_MS), () => this.#tellRoom());
    }
    if (count < length) this.#wantsRoom = true;
    return count === 0 ? WOULD_BLOCK : count;
  }

  /** The error is told once; then the connection is just over. */
  #fail(): number {
    const errno = this.#errno;
    this.#errno = 0;
    return -errno;
  }

  get #hasRoom(): boolean {
    const { outputBytes } = this.#sizes;
    const room = outputBytes - this.#output.length;
    return this.#world.nowMs >= this.#fullUntilMs &&
      room >= outputBytes * ROOM_SHARE;
  }

  #tellRoom(): void {
    if (!this.#hasRoom) return;
    this.#wantsRoom = false;
    changed(this, Readiness.WRITABLE);
  }

  /** Bytes for a socket that is closed: the answer is a reset. */
  #refuse(): void {
    if (!this.hasReset) this.#sendReset();
    this.farEnd?.hasOutput();
  }

  /** The far end may have received a part of what is on its way. */
  #sendReset(): void {
    this.hasReset = true;
    this.#output.cut(this.#world.whole(0, this.#output.length));
  }

  #enter(call: string): void {
    if (this.isClosed) this.#world.fail(`${this.name}: ${call} when closed`);
    this.#world.call();
  }

  #log(what: string): void {
    this.#world.log(this.name, what);
  }
}

const READ_END = Readiness.READABLE | Readiness.READ_CLOSED;

function outcome(count: number): string {
  return count < 0 ? errnoName(-count) : String(count);
}
