/**
 * The system that a reactor stands on in a simulation.
 *
 * @module
 */

import { errnoNumber } from "../../src/native/errors.ts";
import type { HostPort } from "../../src/net/address.ts";
import type { ReadBatch, WriteBatch } from "../../src/net/batches.ts";
import type { ListenOptions } from "../../src/net/tcp_listener.ts";
import type { StreamSocket, System } from "../../src/system/system.ts";
import { SimulatedListener } from "./listener.ts";
import { type Pollable, SimulatedPoll } from "./poll.ts";
import { type BufferSizes, type FarEnd, SimulatedStream } from "./stream.ts";
import type { World } from "./world.ts";

/** Where a system's ports begin that it chooses by itself. */
const PORT_FIRST = 49_152;
/** How long connecting takes at the most. */
const CONNECT_MS = 30;

/** Makes the far end of a connection, when there is one. */
export type FarEndOf = (stream: SimulatedStream) => FarEnd;

/** Sockets and one poll, in a world. */
export class SimulatedSystem implements System {
  /** What is open, by handle. */
  readonly sources: Map<number, Pollable> = new Map();
  /** The only poll, when it was opened. */
  poll: SimulatedPoll | undefined;
  /** What runs when all that runs now is done. */
  readonly deferred: (() => void)[] = [];
  /** Who answers at an address that nobody listens on; refused if nobody. */
  answer: FarEndOf | undefined;
  /** Reads several streams, in a world where that can be done. */
  readonly readAll?: NonNullable<System["readAll"]>;
  /** Writes to several streams, in a world where that can be done. */
  readonly writeAll?: NonNullable<System["writeAll"]>;
  readonly #world: World;
  readonly #listeners: Map<number, SimulatedListener> = new Map();

  /** @param world Where it stands. */
  constructor(world: World) {
    this.#world = world;
    if (!world.faults.batches) return;
    this.readAll = this.#readAll;
    this.writeAll = this.#writeAll;
  }

  openPoll(): SimulatedPoll {
    if (this.poll !== undefined) this.#world.fail("there are two polls");
    return this.poll = new SimulatedPoll(this.#world, this.sources);
  }

  listen({ port }: ListenOptions): SimulatedListener {
    const bound = port === 0 ? PORT_FIRST + this.#listeners.size : port;
    const listener = new SimulatedListener(this.#world, this.sources, bound);
    this.#listeners.set(bound, listener);
    return listener;
  }

  connect(_address: HostPort): StreamSocket {
    const world = this.#world;
    const stream = new SimulatedStream(world, this.sources, this.#sizes());
    stream.isConnecting = true;
    world.log(stream.name, "connects");
    const { answer } = this;
    stream.farEnd = answer?.(stream);
    world.inNetwork(world.delayMs(CONNECT_MS), () => {
      if (answer !== undefined) stream.arriveConnected();
      else stream.arriveReset(errnoNumber("ECONNREFUSED"));
    });
    return stream;
  }

  defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  /** A peer connects to a port; refused when nobody listens. */
  arrive(port: number, farEndOf: FarEndOf): boolean {
    const listener = this.#listeners.get(port);
    if (listener === undefined || listener.isClosed) return false;
    const sizes = this.#sizes();
    listener.arrive(() => {
      const stream = new SimulatedStream(this.#world, this.sources, sizes);
      stream.farEnd = farEndOf(stream);
      return stream;
    });
    return true;
  }

  #readAll(
    batch: ReadBatch,
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    roomMin: number,
  ): number {
    this.#expectSome("read", batch);
    for (let index = 0, at = offset; index < batch.length; index++) {
      const room = bytes.byteLength - at;
      if (room < roomMin) return index;
      const stream = this.#stream("read", batch.handle(index));
      const count = stream.tryRead(bytes, at, room);
      batch.setCount(index, count);
      at += Math.max(0, count);
    }
    return batch.length;
  }

  #writeAll(batch: WriteBatch, bytes: Uint8Array<ArrayBuffer>): void {
    this.#expectSome("write to", batch);
    for (let index = 0; index < batch.length; index++) {
      const stream = this.#stream("write to", batch.handle(index));
      const start = batch.start(index);
      const length = batch.end(index) - start;
      batch.setCount(index, stream.tryWrite(bytes, start, length));
    }
  }

  /** Nothing would be done, for ever. */
  #expectSome(call: string, { length, capacity }: ReadBatch | WriteBatch) {
    if (length > 0 && length <= capacity) return;
    this.#world.fail(`${call} ${length} streams at once`);
  }

  /** How many bytes have come for a stream. */
  arrivedAt(handle: number): number {
    return this.#stream("count the bytes of", handle).arrived;
  }

  #stream(call: string, handle: number): SimulatedStream {
    const source = this.sources.get(handle);
    if (source instanceof SimulatedStream) return source;
    return this.#world.fail(`cannot ${call} source ${handle}: it is closed`);
  }

  #sizes(): BufferSizes {
    const size = () => this.#world.pick([1_000, 20_000, 100_000, 1_000_000]);
    return { inputBytes: size(), outputBytes: size() };
  }
}
