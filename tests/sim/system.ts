/**
 * The system that a reactor stands on in a simulation.
 *
 * @module
 */

import { errnoNumber } from "../../src/native/errors.ts";
import type { HostPort } from "../../src/net/address.ts";
import type { ListenOptions } from "../../src/net/tcp_listener.ts";
import type { StreamSocket, System } from "../../src/reactor/system.ts";
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
  readonly #world: World;
  readonly #listeners: Map<number, SimulatedListener> = new Map();

  /** @param world Where it stands. */
  constructor(world: World) {
    this.#world = world;
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

  #sizes(): BufferSizes {
    const size = () => this.#world.pick([1_000, 20_000, 100_000, 1_000_000]);
    return { inputBytes: size(), outputBytes: size() };
  }
}
