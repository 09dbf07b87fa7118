/**
 * Admission: how many connections a server may have, and which of them it
 * closes to accept one more.
 *
 * @module
 */

import type { Connection } from "../reactor/connection.ts";

/** How many connections a server may have. */
export interface AdmissionOptions {
  /**
   * Connections in all. Beyond that number, the server makes room for a new
   * connection, as nginx does: it closes those that have waited longest for a
   * request or for the rest of a head, and for a second at least. Without such
   * a connection, as when all are WebSockets, it closes the new one. 65,536 when left out; an idle
   * connection takes less than a KiB of memory, but the requests of so many
   * clients take more. From 1, or `Infinity`.
   */
  connectionsMax?: number;
  /**
   * Connections from one IPv4 address or one IPv6 network (/64); the server
   * closes any more at once. 16,384 when left out: a quarter of all, so that no
   * client fills the server alone, and enough for a proxy, which has ports for
   * 28,232 connections from one address. From 1, or `Infinity`.
   */
  connectionsPerAddressMax?: number;
}

/**
 * The share of idle connections that is closed to make room: finding them means
 * reading all connections, which must be worth it.
 */
const SPARED_SHARE = 1 / 32;

/** A client that was accepted or answered just now may have sent a request. */
const QUIET_MS = 1_000;

/** The connections of one server. */
export class Admission {
  /** The number of connections. */
  open = 0;
  readonly #max: number;
  readonly #perAddressMax: number;
  readonly #all: () => Iterable<Connection>;
  readonly #perAddress = new Map<number, number>();

  /** @param all Returns all connections. */
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
   * @returns Whether it may stay; otherwise the caller must close it.
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
   * Closes the connections that have waited longest for a request, and for a
   * second at least.
   *
   * @returns Whether a connection was closed.
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
      // A request that has arrived meanwhile is answered.
      if (connection.readNow() === 0) connection.shutdown();
      left--;
    }
    return this.open < before;
  }

  /** Counts a connection for its address; returns whether it may stay. */
  #enterAddress(connection: Connection): boolean {
    if (this.#perAddressMax === Infinity) return true;
    const key = connection.peerKey;
    const count = this.#perAddress.get(key) ?? 0;
    this.#perAddress.set(key, count + 1);
    // Peers of a Unix socket have no address.
    return key === 0 || count < this.#perAddressMax;
  }
}
