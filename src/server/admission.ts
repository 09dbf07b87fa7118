/**
 * Admission: how many connections there may be, and which of them close when one
 * more is wanted.
 *
 * @module
 */

import type { Connection } from "../reactor/connection.ts";

/** How many connections a server may have. */
export interface AdmissionOptions {
  /**
   * Connections in all. When there are so many, the server closes connections
   * to make room for a new one, as nginx does: those that have waited longest
   * for a request, or for the rest of a request's head, and for a second at
   * least. When there is no such connection, the new one is closed. 65,536 when
   * left out; an idle connection takes less than a KiB of memory, so choose more
   * only when there is memory for what so many clients ask. From 1, or
   * `Infinity`.
   */
  connectionsMax?: number;
  /**
   * Connections from one IPv4 address or one IPv6 network (/64); more are
   * closed as they come. 16,384 when left out: a quarter of all, so that nobody
   * fills the server alone, and more than a proxy keeps open from one address,
   * which has ports for 28,232. From 1, or `Infinity`.
   */
  connectionsPerAddressMax?: number;
}

/**
 * The share of idle connections that makes room: looking for them takes a look
 * at all, which must be worth it.
 */
const SPARED_SHARE = 1 / 32;

/** A client that was accepted or answered just now may have asked already. */
const QUIET_MS = 1_000;

/** The connections of one server. */
export class Admission {
  /** How many there are. */
  open = 0;
  readonly #max: number;
  readonly #perAddressMax: number;
  readonly #all: () => Iterable<Connection>;
  readonly #perAddress = new Map<number, number>();

  /** @param all Returns the connections there are. */
  constructor(
    { connectionsMax, connectionsPerAddressMax }: Required<AdmissionOptions>,
    all: () => Iterable<Connection>,
  ) {
    this.#max = connectionsMax;
    this.#perAddressMax = connectionsPerAddressMax;
    this.#all = all;
  }

  /**
   * Counts a connection until it leaves.
   *
   * @returns Whether it may stay. One too many must be closed.
   */
  enter(connection: Connection): boolean {
    this.open++;
    if (!this.#enterAddress(connection)) return false;
    return this.open <= this.#max || this.makeRoom();
  }

  /** Uncounts a connection that has closed. */
  leave(connection: Connection): void {
    this.open--;
    if (this.#perAddressMax === Infinity) return;
    const key = connection.peerKey;
    const count = this.#perAddress.get(key) ?? 0;
    if (count > 1) this.#perAddress.set(key, count - 1);
    else this.#perAddress.delete(key);
  }

  /**
   * Closes those that wait for a request and have been quiet for longest, a
   * second at least.
   *
   * @returns Whether there was one.
   */
  makeRoom(): boolean {
    const idle: Connection[] = [];
    const since: number[] = [];
    for (const connection of this.#all()) {
      if (!connection.isIdle) continue;
      const { nowMs, quietSinceMs } = connection;
      if (nowMs - quietSinceMs < QUIET_MS) continue;
      idle.push(connection);
      since.push(quietSinceMs);
    }
    const before = this.open;
    let left = Math.ceil(idle.length * SPARED_SHARE);
    const latestMs = Float64Array.from(since).sort()[left - 1]!;
    for (let index = 0; left > 0; index++) {
      if (since[index]! > latestMs) continue;
      const connection = idle[index]!;
      // A request that has come meanwhile is answered.
      if (connection.readNow() === 0) connection.shutdown();
      left--;
    }
    return this.open < before;
  }

  /** Counts it for its address; returns whether that has room for it. */
  #enterAddress(connection: Connection): boolean {
    if (this.#perAddressMax === Infinity) return true;
    const key = connection.peerKey;
    const count = this.#perAddress.get(key) ?? 0;
    this.#perAddress.set(key, count + 1);
    // Peers of a Unix socket are processes of this machine: there is no address.
    return key === 0 || count < this.#perAddressMax;
  }
}
