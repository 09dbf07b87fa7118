/**
 * Checks the calls of a reactor to its handlers, and the memory that it holds.
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

/** Errors that `error` and `onError` may get: the faults of worlds. */
const FAULTS = new Set(["ECONNABORTED", "ENOTCONN"]);

/** Handlers with any data. */
type Handlers = ConnectionHandlers;

/** The life of a connection so far. */
interface Life {
  isOpen: boolean;
  isEnding: boolean;
  isEnded: boolean;
  isBroken: boolean;
  hasFailed: boolean;
  /** Bytes that `data` got. */
  received: number;
  /** Whether the program has ended the connection: bytes may be left unread. */
  isEndedByUs: boolean;
  /** The error by which the connection has failed. */
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
/** Errors of a system after which no more bytes come. */
const SYSTEM_ERRORS = new Set(["ECONNRESET", "EPIPE"]);

/** The checks of one reactor. */
export class Audit {
  /** Bytes that may wait for one peer. */
  bufferedBytesMax = Infinity;
  /** Called with a reported error that is no fault of the world. */
  expectsReport: ((error: unknown) => boolean) | undefined;
  readonly #world: World;
  readonly #arrivedAt: (handle: number) => number;
  readonly #live = new Map<Connection, Life>();

  /**
   * @param arrivedAt Returns how many bytes have come for a handle's stream.
   */
  constructor(world: World, arrivedAt: (handle: number) => number) {
    this.#world = world;
    this.#arrivedAt = arrivedAt;
  }

  /** Checks all connections that `reactor` makes from now on. */
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
    // The error that ends the run comes here, too.
    if (this.#world.failure !== undefined) return;
    const code = error instanceof Error && "code" in error && error.code;
    if (FAULTS.has(String(code)) || this.expectsReport?.(error)) return;
    const what = error instanceof Error ? error.stack : error;
    this.#world.failure = new SimulationFailure(`reported: ${what}`);
  }

  /** Checks the memory that connections hold. */
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
        this.#watchPostponed(connection, life);
        this.#live.set(connection, life);
        open?.call(handlers, connection);
      },
      data: (connection, bytes, start, stop) => {
        const life = this.#called(connection, "data");
        if (life.isEnded) this.#fail(connection, "has data after its end");
        if (!(start < stop && stop <= bytes.byteLength)) {
          this.#fail(connection, `has data from ${start} to ${stop}`);
        }
        life.received += stop - start;
        handlers.data(connection, bytes, start, stop);
      },
      ...end && {
        end: (connection: Connection) => {
          const life = this.#called(connection, "end");
          if (life.isEnded) this.#fail(connection, "ends twice");
          life.isEnded = true;
          end.call(handlers, connection);
        },
      },
      drain: (connection) => {
        this.#called(connection, "drain");
        drain?.call(handlers, connection);
      },
      ending: (connection) => {
        const life = this.#called(connection, "ending");
        if (life.isEnding) this.#fail(connection, "is ending twice");
        life.isEnding = true;
        ending?.call(handlers, connection);
      },
      broken: (connection, cause) => {
        const life = this.#called(connection, "broken");
        if (life.isBroken) this.#fail(connection, "breaks twice");
        life.isBroken = true;
        broken?.call(handlers, connection, cause);
      },
      ...timeout && {
        timeout: (connection: Connection, reason: TimeoutReason) => {
          this.#called(connection, "timeout");
          timeout.call(handlers, connection, reason);
        },
      },
      error: (connection, cause) => {
        const life = this.#live.get(connection);
        if (life === undefined) this.#fail(connection, "fails when closed");
        if (life!.hasFailed) this.#fail(connection, "fails twice");
        life!.hasFailed = true;
        life!.cause = cause;
        if (error !== undefined) error.call(handlers, connection, cause);
        // Without this handler the reactor reports what is thrown.
        else if (!("code" in cause)) this.reported(cause);
      },
      close: (connection, reason) => {
        const life = this.#live.get(connection) ??
          this.#fail(connection, "is closed twice");
        this.#live.delete(connection);
        this.#expectAllReceived(connection, life);
        this.#expectNothingWritten(connection);
        handlers.close?.(connection, reason);
      },
    };
  }

  /** Checks the protocols that take over: their handlers are called anew. */
  #watchUpgrades(connection: Connection, life: Life): void {
    const { upgrade } = connection;
    const watched = (
      protocol: Handlers,
      data: unknown,
      leftover?: Uint8Array<ArrayBuffer>,
    ): Connection => {
      life.received -= leftover?.byteLength ?? 0;
      life.isEnded = life.isEnding = life.isBroken = false;
      // The connection is open already: only the protocol gets `open` anew.
      const { open: _, ...watched } = this.#watched(protocol, false);
      const { open } = protocol;
      const handlers = open === undefined ? watched : { ...watched, open };
      return upgrade.call(connection, handlers, data, leftover) as Connection;
    };
    connection.upgrade = watched as typeof upgrade;
  }

  /** Takes account of bytes that a protocol gives back: they come again. */
  #watchPostponed(connection: Connection, life: Life): void {
    const engine = engineOf(connection);
    const { postpone } = engine;
    engine.postpone = (bytes, start, end, calls) => {
      const takes = postpone.call(engine, bytes, start, end, calls);
      if (!takes) return false;
      life.received -= end - start;
      // It follows these bytes.
      life.isEnded = false;
      return true;
    };
  }

  #called(connection: Connection, what: string): Life {
    const life = this.#live.get(connection);
    return life?.isOpen
      ? life
      : this.#fail(connection, `gets ${what} and is not open`);
  }

  /** Checks that `data` got all bytes that came before the system failed. */
  #expectAllReceived(
    connection: Connection,
    { received, isEndedByUs, cause }: Life,
  ): void {
    const code = cause instanceof Error && "code" in cause && cause.code;
    if (isEndedByUs || !SYSTEM_ERRORS.has(String(code))) return;
    const arrived = this.#arrivedAt(engineOf(connection).handle);
    if (received === arrived) return;
    this.#fail(
      connection,
      `gets ${received} of ${arrived} bytes, then ${code}`,
    );
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

/** Notes when the program ends a connection. */
function noteEndings(connection: Connection, life: Life): void {
  for (const name of ENDINGS) {
    const end: (...reason: never[]) => void = connection[name];
    connection[name] = (...reason: unknown[]) => {
      life.isEndedByUs = true;
      end.apply(connection, reason as never[]);
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
    received: 0,
    isEndedByUs: false,
    cause: undefined,
  };
}
