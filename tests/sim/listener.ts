/**
 * A simulated listening socket.
 *
 * @module
 */

import {
  errnoName,
  errnoNumber,
  WOULD_BLOCK,
} from "../../src/native/errors.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import { AcceptBatch } from "../../src/net/listener.ts";
import { Readiness } from "../../src/poll/events.ts";
import type { Batch, ListenerSocket } from "../../src/system/system.ts";
import { changed, type Pollable, type Registration } from "./poll.ts";
import type { SimulatedStream } from "./stream.ts";
import type { World } from "./world.ts";

const ACCEPT_MAX = 64;
/** How long the system may be out of descriptors. */
const SHORT_MS = 300;

/** A listening socket to which a world's peers connect. */
export class SimulatedListener implements ListenerSocket, Pollable {
  readonly handle: number;
  readonly name: string;
  readonly mayMislead = false;
  readonly localAddress: TcpAddress;
  registration: Registration | undefined;
  isBroken = false;
  isClosed = false;
  readonly #world: World;
  readonly #sources: Map<number, Pollable>;
  readonly #backlog: (() => SimulatedStream)[] = [];
  readonly #accepted: SimulatedStream[] = [];
  #shortUntilMs = 0;

  /** @param sources Where it is found by its handle while it is open. */
  constructor(world: World, sources: Map<number, Pollable>, port: number) {
    this.#world = world;
    this.#sources = sources;
    this.handle = world.nextHandle();
    this.name = `listener ${this.handle}`;
    this.localAddress = { transport: "tcp", hostname: "192.0.2.1", port };
    world.openSockets++;
    sources.set(this.handle, this);
  }

  /** Somebody connects; `open` makes the system's end when it is accepted. */
  arrive(open: () => SimulatedStream): void {
    this.#backlog.push(open);
    changed(this, Readiness.READABLE);
  }

  readiness(): number {
    return this.#backlog.length > 0 ? Readiness.READABLE : 0;
  }

  batch(): Batch {
    return new AcceptBatch();
  }

  acceptBatch(batch: Batch): number {
    if (this.isClosed) this.#world.fail(`${this.name}: accept when closed`);
    this.#world.call();
    const accepted = this.#accepted;
    accepted.length = 0;
    batch.words[0] = this.#accept();
    batch.stream = (index) => accepted[index]!;
    const stopped = batch.words[0] === 0 ? "full" : errnoName(batch.words[0]);
    this.#world.log(this.name, `accept ${accepted.length}, ${stopped}`);
    return accepted.length;
  }

  close(): void {
    if (this.isClosed) this.#world.fail(`${this.name} is closed twice`);
    this.isClosed = true;
    this.#world.openSockets--;
    this.#sources.delete(this.handle);
    this.registration?.poll.forget(this.registration);
    this.#world.log(this.name, "close");
    // Those that wait are made for a moment, so that they hear of the end.
    for (const open of this.#backlog.splice(0)) refuse(open());
  }

  [Symbol.dispose](): void {
    if (!this.isClosed) this.close();
  }

  /** Accepts, and returns why no more. */
  #accept(): number {
    const world = this.#world;
    const { faults } = world;
    const most = Math.min(ACCEPT_MAX, faults.acceptMax);
    while (this.#accepted.length < most) {
      if (this.#backlog.length === 0) return -WOULD_BLOCK;
      if (world.nowMs < this.#shortUntilMs) return errnoNumber("ENFILE");
      if (world.openSockets >= faults.socketsMax) return errnoNumber("EMFILE");
      if (world.chance(faults.noDescriptors)) {
        this.#shortUntilMs = world.nowMs + world.delayMs(SHORT_MS);
      } else if (world.chance(faults.oddAccept)) {
        refuse(this.#backlog.shift()!());
        return errnoNumber("ECONNABORTED");
      } else {
        this.#accepted.push(this.#backlog.shift()!());
      }
    }
    return 0;
  }
}

function refuse(stream: SimulatedStream): void {
  stream.isBroken = true;
  stream.resetOnClose = true;
  stream.close();
}
