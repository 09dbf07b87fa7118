/**
 * Watches what a reactor tells its handlers, and what it holds.
 *
 * @module
 */

import type { HostPort } from "../../src/net/address.ts";
import type { ListenOptions } from "../../src/net/tcp_listener.ts";
import type {
  Connection,
  ConnectionHandlers,
} from "../../src/reactor/connection.ts";
import type { TimeoutReason } from "../../src/stream/close_reason.ts";
import type { Listener } from "../../src/reactor/listener.ts";
import type { Reactor } from "../../src/reactor/reactor.ts";
import { engineOf } from "../util/engine.ts";
import { SimulationFailure, type World } from "./world.ts";

/** What `error` and `onError` may be told of: faults that worlds have. */
const FAULTS = new Set(["ECONNABORTED", "ENOTCONN"]);

/** The handlers as the reactor knows them, whatever their data is. */
type Handlers = ConnectionHandlers;

/** Where a connection is in its life. */
interface Life {
  isOpen: boolean;
  isEnding: boolean;
  isEnded: boolean;
  isBroken: boolean;
  hasFailed: boolean;
  /** Bytes that it was told. */
  told: number;
  /** Whether the program itself has ended it, and so may leave bytes unread. */
  isOurs: boolean;
  /** What it has failed by. */
  cause: unknown;
}

/** How a program ends a connection. */
const ENDINGS = [
  "close",
  "closeLingering",
  "closeIdle",
  "abort",
  "shutdown",
  "terminate",
] as const;
/** What a system fails by when nothing more can come. */
const SYSTEM_ERRORS = new Set(["ECONNRESET", "EPIPE"]);

/** The watch over one reactor. */
export class Audit {
  /** Bytes that may wait for one peer. */
  bufferedBytesMax = Infinity;
  /** Told of what is reported and is no fault of the world's. */
  expectsReport: ((error: unknown) => boolean) | undefined;
  readonly #world: World;
  readonly #arrivedAt: (handle: number) => number;
  readonly #live = new Map<Connection, Life>();

  /** @param arrivedAt How many bytes have come for a handle's stream. */
  constructor(world: World, arrivedAt: (handle: number) => number) {
    this.#world = world;
    this.#arrivedAt = arrivedAt;
  }

  /** Watches all connections that `reactor` makes from now on. */
  watch(reactor: Reactor): void {
    const { listen, connect } = reactor;
    const dial = connect as (
      this: Reactor,
      address: HostPort,
      handlers: Handlers,
    ) => Connection;
    const bind = listen as (
      this: Reactor,
      options: ListenOptions,
      handlers: Handlers,
    ) => Listener;
    reactor.listen = ((options: ListenOptions, handlers: Handlers) =>
      bind.call(
        reactor,
        options,
        this.#watched(handlers, true),
      )) as typeof listen;
    reactor.connect = ((address: HostPort, handlers: Handlers) => {
      const watched = this.#watched(handlers, false);
      const connection = dial.call(reactor, address, watched);
      this.#live.set(connection, newLife());
      return connection;
    }) as typeof connect;
  }

  /** Fails the run unless a reported error is one of the world's faults. */
  reported(error: unknown): void {
    this.#world.log("reactor", `reports ${error}`);
    // What was thrown to end the run comes by here, too.
    if (this.#world.failure !== undefined) return;
    const code = error instanceof Error && "code" in error && error.code;
    if (FAULTS.has(String(code)) || this.expectsReport?.(error)) return;
    const what = error instanceof Error ? error.stack : error;
    this.#world.failure = new SimulationFailure(`reported: ${what}`);
  }

  /** Checks what connections hold. */
  check(): void {
    for (const connection of this.#live.keys()) {
      engineOf(connection).audit();
      const { bufferedBytes } = connection;
      if (bufferedBytes <= this.bufferedBytesMax) continue;
      this.#fail(connection, `holds ${bufferedBytes} unsent bytes`);
    }
  }

  /** Checks that every connection has ended. */
  finish(): void {
    for (const connection of this.#live.keys()) {
      this.#fail(connection, "was never closed");
    }
  }

  #watched(handlers: Handlers, isAccepted: boolean): Handlers {
    const { open, end, drain, broken, ending, timeout, error } = handlers;
    return {
      ...handlers,
      open: (connection) => {
        const life = isAccepted ? newLife() : this.#live.get(connection);
        if (life === undefined || life.isOpen) {
          return this.#fail(connection, "is opened twice");
        }
        life.isOpen = true;
        noteEndings(connection, life);
        this.#watchUpgrades(connection, life);
        this.#live.set(connection, life);
        open?.call(handlers, connection);
      },
      data: (connection, bytes, start, stop) => {
        const life = this.#told(connection, "data");
        if (life.isEnded) this.#fail(connection, "has data after its end");
        if (!(start < stop && stop <= bytes.byteLength)) {
          this.#fail(connection, `has data from ${start} to ${stop}`);
        }
        life.told += stop - start;
        handlers.data(connection, bytes, start, stop);
      },
      ...end && {
        end: (connection: Connection) => {
          const life = this.#told(connection, "end");
          if (life.isEnded) this.#fail(connection, "ends twice");
          life.isEnded = true;
          end.call(handlers, connection);
        },
      },
      drain: (connection) => {
        this.#told(connection, "drain");
        drain?.call(handlers, connection);
      },
      ending: (connection) => {
        const life = this.#told(connection, "ending");
        if (life.isEnding) this.#fail(connection, "is ending twice");
        life.isEnding = true;
        ending?.call(handlers, connection);
      },
      broken: (connection, cause) => {
        const life = this.#told(connection, "broken");
        if (life.isBroken) this.#fail(connection, "breaks twice");
        life.isBroken = true;
        broken?.call(handlers, connection, cause);
      },
      ...timeout && {
        timeout: (connection: Connection, reason: TimeoutReason) => {
          this.#told(connection, "timeout");
          timeout.call(handlers, connection, reason);
        },
      },
      error: (connection, cause) => {
        const life = this.#live.get(connection);
        if (life === undefined) this.#fail(connection, "fails when closed");
        if (life!.hasFailed) this.#fail(connection, "fails twice");
        life!.hasFailed = true;
        life!.cause = cause;
        error?.call(handlers, connection, cause);
      },
      close: (connection, reason) => {
        const life = this.#live.get(connection) ??
          this.#fail(connection, "is closed twice");
        this.#live.delete(connection);
        this.#expectAllTold(connection, life);
        this.#expectNothingWritten(connection);
        handlers.close?.(connection, reason);
      },
    };
  }

  /** Watches the protocols that take over, which are told anew. */
  #watchUpgrades(connection: Connection, life: Life): void {
    const { upgrade } = connection;
    const watched = (
      protocol: Handlers,
      data: unknown,
      leftover?: Uint8Array<ArrayBuffer>,
    ): Connection => {
      life.told -= leftover?.byteLength ?? 0;
      life.isEnded = life.isEnding = life.isBroken = false;
      // It is open already.
      const { open: _, ...handlers } = this.#watched(protocol, false);
      return upgrade.call(connection, handlers, data, leftover) as Connection;
    };
    connection.upgrade = watched as typeof upgrade;
  }

  #told(connection: Connection, what: string): Life {
    const life = this.#live.get(connection);
    return life?.isOpen
      ? life
      : this.#fail(connection, `is told of ${what} and is not open`);
  }

  /** What came before the system failed must have been handed over. */
  #expectAllTold(connection: Connection, { told, isOurs, cause }: Life): void {
    const code = cause instanceof Error && "code" in cause && cause.code;
    if (isOurs || !SYSTEM_ERRORS.has(String(code))) return;
    const arrived = this.#arrivedAt(engineOf(connection).handle);
    if (told === arrived) return;
    this.#fail(connection, `is told ${told} of ${arrived} bytes, then ${code}`);
  }

  #expectNothingWritten(connection: Connection): void {
    const { runs } = engineOf(connection);
    if (runs === 0) return;
    this.#fail(connection, `has ${runs} runs in the write buffer`);
  }

  #fail(connection: Connection, what: string): never {
    const { handle } = engineOf(connection);
    return this.#world.fail(`connection ${handle} ${what}`);
  }
}

/** Takes note when the owner of a connection ends it. */
function noteEndings(connection: Connection, life: Life): void {
  for (const name of ENDINGS) {
    const end = connection[name];
    connection[name] = () => {
      life.isOurs = true;
      end.call(connection);
    };
  }
}

function newLife(): Life {
  return {
    isOpen: false,
    isEnding: false,
    isEnded: false,
    isBroken: false,
    hasFailed: false,
    told: 0,
    isOurs: false,
    cause: undefined,
  };
}
