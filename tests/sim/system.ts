/**
 * The system of a simulated reactor: in memory, in a world that moves the clock
 * and decides the result of each call.
 *
 * @module
 */

import {
  errnoNumber,
  errorFrom,
  WOULD_BLOCK,
} from "../../src/native/errors.ts";
import type { HostPort } from "../../src/net/address.ts";
import type { ListenOptions } from "../../src/net/tcp_listener.ts";
import { Readiness } from "../../src/poll/events.ts";
import {
  changed,
  type FarEnd,
  type MemoryCall,
  type MemoryListener,
  type MemoryPolicy,
  type MemoryPoll,
  type MemorySource,
  MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { SimulatedPoll } from "./poll.ts";
import type { World } from "./world.ts";

/** The first port that the system chooses for port 0. */
const PORT_FIRST = 49_152;
/** The longest time of a connect. */
const CONNECT_MS = 30;
/** The longest delay of a late event. */
const LATE_MS = 5;
/** The longest shortage of descriptors. */
const SHORT_MS = 300;
/** The share of a send buffer that must be free for an event: `tcp(7)`. */
const ROOM_SHARE = 1 / 3;
/** How far the clock jumps when a run has failed, so that the loop ends. */
const LET_GO_MS = 50;
/** Calls that take no time, or that a trace does not show. */
const FREE: ReadonlySet<MemoryCall> = new Set<MemoryCall>([
  "poll.park",
  "poll.yieldToDeno",
  "poll.ref",
  "poll.rest",
  "poll.wake",
  "poll.close",
  "listener.close",
  "batch.stream",
  "stream.resetOnClose",
]);

/** Makes the far end of a connection. */
export type FarEndOf = (stream: MemoryStream) => FarEnd;

/** The sizes of the kernel's buffers. */
export interface BufferSizes {
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Sockets and one poll, in a world. */
export class SimulatedSystem extends MemorySystem {
  /** The only poll, once it is open. */
  poll: SimulatedPoll | undefined;
  /** Callbacks that run after the present code. */
  readonly deferred: (() => void)[] = [];
  /** Makes the far end of a connect; without this, connects are refused. */
  answer: FarEndOf | undefined;
  readonly #world: World;

  /** @param world The world of the system. */
  constructor(world: World) {
    super({ batches: world.faults.batches });
    this.#world = world;
    this.policy = new Weather(world, this.sources);
  }

  override nowMs(): number {
    return this.#world.nowMs;
  }

  override openPoll(): SimulatedPoll {
    if (this.poll !== undefined) this.#world.fail("there are two polls");
    return this.poll = new SimulatedPoll(this.#world, this);
  }

  override listen(options: ListenOptions): MemoryListener {
    const port = options.port || PORT_FIRST + this.listeners.length;
    const listener = super.listen({ ...options, port });
    listener.acceptMax = Math.min(
      listener.acceptMax,
      this.#world.faults.acceptMax,
    );
    return listener;
  }

  override connect(_address: HostPort): MemoryStream {
    const world = this.#world;
    const stream = this.stream(this.#sizes());
    stream.isConnecting = true;
    world.log(stream.name, "connects");
    const { answer } = this;
    stream.farEnd = answer?.(stream);
    world.inNetwork(world.delayMs(CONNECT_MS), () => {
      if (answer !== undefined) stream.connected();
      else stream.receiveReset(errnoNumber("ECONNREFUSED"));
    });
    return stream;
  }

  override defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  override block(poll: MemoryPoll, timeoutMs: number): void {
    const world = this.#world;
    if (world.failure !== undefined) return;
    const untilMs = world.nowMs + timeoutMs;
    while (!poll.isReady && world.nowMs < untilMs) {
      world.advanceTo(Math.min(world.network.nextMs, untilMs));
    }
  }

  /** The simulation ends waits. */
  override waits(): void {}

  override changed(): void {}

  override misuse(message: string): never {
    return this.#world.fail(message);
  }

  /** Makes a stream. */
  stream({ inputBytes, outputBytes }: BufferSizes): MemoryStream {
    const stream = new MemoryStream(this);
    stream.inputMax = inputBytes;
    stream.room = outputBytes;
    stream.roomMin = outputBytes * ROOM_SHARE;
    return stream;
  }

  /** Connects a peer to a port; refused when no listener is there. */
  arriveAt(port: number, farEndOf: FarEndOf): boolean {
    const listener = this.listeners.find(({ localAddress, isClosed }) =>
      localAddress.port === port && !isClosed
    );
    if (listener === undefined) return false;
    const sizes = this.#sizes();
    listener.arrive(() => {
      const stream = this.stream(sizes);
      stream.farEnd = farEndOf(stream);
      return stream;
    });
    return true;
  }

  /** How many bytes have come for a stream. */
  arrivedAt(handle: number): number {
    return this.find(handle).arrived;
  }

  #sizes(): BufferSizes {
    const size = () => this.#world.pick([1_000, 20_000, 100_000, 1_000_000]);
    return { inputBytes: size(), outputBytes: size() };
  }
}

/** Decides the results of a system's calls in a world. */
class Weather implements MemoryPolicy {
  readonly #world: World;
  readonly #sources: ReadonlyMap<number, MemorySource>;
  /** Until then the system is out of descriptors. */
  #shortUntilMs = 0;

  constructor(world: World, sources: ReadonlyMap<number, MemorySource>) {
    this.#world = world;
    this.#sources = sources;
  }

  wakesAtOnce(): boolean {
    return this.#world.chance(0.5);
  }

  room(_stream: MemoryStream, left: number): number {
    return Math.min(left, this.#world.faults.batchRoomMax);
  }

  call(call: MemoryCall, source: MemorySource | undefined): void {
    const world = this.#world;
    if (call === "poll.poll" && world.failure !== undefined) {
      // The loop must stop, but nothing may be thrown into it.
      world.nowMs += LET_GO_MS;
      return;
    }
    if (FREE.has(call)) return;
    world.call();
    if (!(source instanceof MemoryStream)) return;
    const { faults } = world;
    switch (call) {
      case "poll.register":
        if (source.isConnecting || !world.chance(faults.noWatches)) return;
        world.log(source.name, "register: ENOSPC");
        world.broken.add(source);
        throw errorFrom(errnoNumber("ENOSPC"), "register");
      case "stream.peerAddress":
        if (!source.isReset || !world.chance(faults.noAddress)) return;
        throw errorFrom(errnoNumber("ENOTCONN"), "get the peer's address");
      case "stream.close": {
        // The connections accepted with it cannot be registered either.
        const isRefused = source.registration === undefined;
        if (isRefused && faults.noWatches > 0) world.broken.add(source);
      }
    }
  }

  read(stream: MemoryStream, most: number): number | undefined {
    const world = this.#world;
    if (most === 0) return undefined;
    // After a reset the system has all bytes that ever come.
    if (!stream.isReset && world.chance(world.faults.lateRead)) {
      const bits = Readiness.READABLE | Readiness.READ_CLOSED;
      world.inNetwork(world.delayMs(LATE_MS), () => changed(stream, bits));
      return WOULD_BLOCK;
    }
    if (world.chance(world.faults.shortRead)) return world.whole(1, most);
  }

  write(stream: MemoryStream, most: number): number | undefined {
    const world = this.#world;
    const { faults } = world;
    if (world.chance(faults.noBuffers)) {
      world.broken.add(stream);
      return -errnoNumber("ENOBUFS");
    }
    if (world.chance(faults.lateWrite)) {
      const lateMs = world.delayMs(LATE_MS);
      stream.fullUntilMs = world.nowMs + lateMs;
      world.inNetwork(lateMs, () => stream.announceRoom());
      return world.chance(0.2) ? 0 : WOULD_BLOCK;
    }
    if (most <= 1 || !world.chance(faults.shortWrite)) return undefined;
    const count = world.whole(1, most - 1);
    world.inNetwork(world.delayMs(LATE_MS), () => stream.announceRoom());
    return count;
  }

  accept(listener: MemoryListener): number {
    const world = this.#world;
    const { faults } = world;
    if (world.nowMs < this.#shortUntilMs) {
      return errnoNumber("ENFILE");
    }
    if (this.#sources.size >= faults.socketsMax) return errnoNumber("EMFILE");
    if (world.chance(faults.noDescriptors)) {
      this.#shortUntilMs = world.nowMs + world.delayMs(SHORT_MS);
      return this.accept(listener);
    }
    if (!world.chance(faults.oddAccept)) return 0;
    listener.refuse();
    return errnoNumber("ECONNABORTED");
  }

  /** The far end may have received a part of what is on its way. */
  reset(_stream: MemoryStream, unsent: number): number {
    return this.#world.whole(0, unsent);
  }

  log(name: string, what: string): void {
    this.#world.log(name, what);
  }
}
