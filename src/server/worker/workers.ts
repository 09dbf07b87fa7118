/**
 * A server on several Workers, each with its own reactor, on one address. They
 * accept from one socket, or from a socket each: see {@linkcode Balance}.
 *
 * The group starts a Worker again that has died. Requests are never handed from
 * one Worker to another.
 *
 * @module
 */

import { after, cancelAfter, type DenoTimer, nowMs } from "../../base/own.ts";
import type { ServeAddress } from "../../http/transport.ts";
import { AcceptTable } from "./accept_table.ts";
import { Reactor } from "../../reactor/reactor.ts";
import { NATIVE } from "../../system/readiness.ts";
import { userTimeoutOf } from "../../system/stream_options.ts";
import type { ListenerSocket } from "../../system/system.ts";
import type { Timer } from "../../reactor/timers.ts";
import type { Assignment, MemberOptions, Report, Where } from "./control.ts";
import {
  type Balance,
  balanceOf,
  checkGroup,
  countOf,
  type GroupOptions,
  type WorkerEnd,
} from "./group_options.ts";
import { givenLimits, settingsOf } from "../option_table.ts";
import { MemberThread } from "./member_thread.ts";
import { checkSignal, hasPath, portOf } from "../serve_options.ts";
import type { Sendable } from "../../websocket/socket.ts";
import { checkTopic, newOrigin } from "../../websocket/topics.ts";
import { type RelayCounts, TopicRelay } from "./topic_relay.ts";

/**
 * Milliseconds before the first restart; twice as long for each further one.
 */
const RESTART_MS = 100;
/** The longest wait before a restart: the cause may be repaired meanwhile. */
const RESTART_MAX_MS = 5_000;
/** A Worker that has served for so long restarts after the shortest wait. */
const STABLE_MS = 10_000;
/** After so many failed starts of a Worker in a row, the group shuts down. */
const FAILED_STARTS_MAX = 5;
/** The time that a container has until it is killed, as for an echo server. */
const GRACE_MS_DEFAULT = 30_000;
/**
 * The time that systemd gives a service to start (`systemd-system.conf(5)`).
 */
const START_MS_DEFAULT = 90_000;
/** Connections that may wait for each Worker, as for any listener. */
const BACKLOG_DEFAULT = 511;

/**
 * A server that runs on Workers.
 *
 * @typeParam Addr The form of its address.
 */
export interface WorkersServer<Addr extends ServeAddress = Deno.NetAddr>
  extends AsyncDisposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Addr;
  /** The backend in use. */
  readonly backend: string;
  /** Connections that each Worker and its successors have accepted. */
  readonly accepted: readonly number[];
  /**
   * Resolves when the server has shut down and its last connection has closed.
   * Rejects with `Deno.errors.TimedOut` when Workers were terminated because
   * they had not ended `graceMs` after `shutdown()`, and with an `Error` when a
   * Worker cannot be started again.
   *
   * When a Worker never returns to its event loop (`for (;;);`), the group
   * closes its connections, but Deno 2.9 cannot end its thread. The thread
   * keeps a core busy and the process alive until `Deno.exit()`
   * (denoland/deno#35657).
   */
  readonly finished: Promise<void>;
  /** Counts of messages for topics that went from Worker to Worker. */
  readonly relayed: Readonly<RelayCounts>;
  /**
   * Publishes a message to the WebSockets on all Workers that have subscribed to
   * a topic, and to other machines when the module has `topics`. A Worker that
   * does not read while 4 MiB wait for it loses the message; `relayed.lost`
   * counts that.
   *
   * @param topic From 1 to 255 characters.
   * @param message A text, or bytes for a binary message.
   * @throws {TypeError} when `topic` is no string, or `message` is neither text
   * nor bytes.
   * @throws {RangeError} when `topic` is empty or too long.
   */
  publish(topic: string, message: Sendable): void;
  /**
   * Stops accepting, answers received requests, and settles as `finished` does,
   * about `graceMs` later at the latest.
   */
  shutdown(): Promise<void>;
}

/**
 * Serves on Workers. The first Worker is started alone: its error would be the
 * error of all.
 *
 * @throws {RangeError} when the number of Workers, or a limit, is out of range.
 * @throws {TypeError} when an option is of a wrong type, or names something
 * unknown.
 * @throws {Deno.errors.NotSupported} when the system does not have the backend.
 * @throws {Deno.errors.TimedOut} when the first has not started in `startMs`.
 * @throws {Error} an error of the module, or of binding the address.
 */
export async function serveOnWorkers(
  options: GroupOptions,
): Promise<WorkersServer<ServeAddress>> {
  const count = countOf(options.workers);
  const balance = balanceOf(options);
  checkGroup(options);
  checkSignal(options.signal)?.throwIfAborted();
  const group = new Group(options, count, balance);
  await group.start();
  return group;
}

/** One of the group's indices, and the Worker that has it now. */
interface Place {
  readonly index: number;
  thread: MemberThread | undefined;
  servingMs: number | undefined;
  /** Deaths in a row. */
  deaths: number;
  /** Failed starts in a row. */
  failedStarts: number;
  restart: DenoTimer | undefined;
}

class Group implements WorkersServer<ServeAddress> {
  readonly finished: Promise<void>;
  readonly #options: GroupOptions;
  readonly #table: AcceptTable;
  readonly #places: Place[];
  readonly #reactor = Reactor.shared;
  readonly #relay = new TopicRelay(this.#reactor);
  /** Names the group to other machines. */
  readonly #origin = newOrigin();
  readonly #started = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<void>();
  /** The socket that all Workers accept from, if they share one. */
  readonly #shared: ListenerSocket | undefined = undefined;
  /** The address of the members: the port may be 0 until the first listens. */
  #where: Where;
  #serving: { addr: ServeAddress; backend: string } | undefined = undefined;
  #failure: Error | undefined = undefined;
  /** Places of Workers that have neither served nor died yet. */
  readonly #unsettled: Set<Place>;
  readonly #graceMs: number;
  #grace: Timer | undefined = undefined;
  #isStopping = false;

  constructor(options: GroupOptions, count: number, balance: Balance) {
    this.#options = options;
    this.#graceMs = options.graceMs ?? GRACE_MS_DEFAULT;
    this.#where = whereOf(options);
    if (balance === "shared-listener") {
      const { tcpBacklog, tcpKeepalive: keepalive, writeMs } = settingsOf(
        options,
      );
      const backlog = tcpBacklog ?? BACKLOG_DEFAULT * count;
      // Accepted connections inherit both from the shared socket.
      const userTimeout = userTimeoutOf(writeMs);
      this.#shared = NATIVE.listen({
        ...this.#where,
        backlog,
        keepalive,
        userTimeout,
      });
    }
    this.#table = AcceptTable.of(count);
    this.#places = Array.from({ length: count }, (_, index) => placeAt(index));
    this.#unsettled = new Set(this.#places);
    this.finished = this.#end.promise;
    // A program that does not wait for it must not end by the rejection.
    this.finished.catch(() => {});
  }

  get addr(): ServeAddress {
    return this.#serving!.addr;
  }

  get backend(): string {
    return this.#serving!.backend;
  }

  get accepted(): readonly number[] {
    return this.#places.map(({ index }) => this.#table.accepted(index));
  }

  get relayed(): Readonly<RelayCounts> {
    return this.#relay.counts;
  }

  publish(topic: string, message: Sendable): void {
    checkTopic(topic);
    this.#relay.publish(topic, message);
  }

  /**
   * Starts the first Worker, then the others; resolves when each served or
   * died.
   */
  async start(): Promise<void> {
    const { signal } = this.#options;
    signal?.addEventListener("abort", this.#abort);
    try {
      this.#startAt(this.#places[0]!);
      await this.#started.promise;
    } catch (error) {
      await this.shutdown().catch(() => {});
      throw error;
    }
  }

  /** Closes the shared socket; a path that cannot be removed stays. */
  #closeShared(): void {
    try {
      this.#shared?.close();
    } catch (error) {
      // The shutdown goes on, and the error is reported nowhere else.
      // deno-lint-ignore no-console
      console.error(error);
    }
  }

  shutdown(): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#closeShared();
      const force = () => this.#endLate();
      this.#grace = this.#reactor.setTimer(this.#graceMs, force);
      // The Workers keep the process alive.
      this.#grace.unref();
      for (const { restart, thread } of this.#places) {
        cancelAfter(restart);
        thread?.stop();
      }
      this.#checkEnd();
    }
    return this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Ends the group at once, also during a shutdown. */
  readonly #abort = (): void => {
    // Without effect unless the group is still starting.
    this.#started.reject(this.#options.signal!.reason);
    this.shutdown();
    for (const { thread } of this.#places) thread?.terminate();
  };

  /** Terminates the Workers that have not ended in time. */
  #endLate(): void {
    const late = this.#places.filter(({ thread }) =>
      thread !== undefined && !thread.isClosed
    );
    // The last Workers have ended, and only their errors may still arrive.
    if (late.length === 0) return;
    const names = late.map(({ index }) => index).join(", ");
    this.#failure ??= new Deno.errors.TimedOut(
      `Cannot stop worker${late.length > 1 ? "s" : ""} ${names} within ` +
        `${this.#graceMs} ms: terminated`,
    );
    for (const { thread } of late) thread!.terminate();
  }

  /** Starts a Worker that is not the first: an error counts as its death. */
  #startNext(place: Place): void {
    try {
      this.#startAt(place);
    } catch (error) {
      this.#died(place, error as Error);
    }
  }

  #startAt(place: Place): void {
    const { index } = place;
    const { module, startMs = START_MS_DEFAULT } = this.#options;
    place.servingMs = undefined;
    place.thread = new MemberThread({
      reactor: this.#reactor,
      table: this.#table,
      index,
      startMs,
      lateStart: () =>
        new Deno.errors.TimedOut(
          `Cannot start "${module ?? "echo"}" within ${startMs} ms: worker ` +
            `${index} was terminated`,
        ),
      assignment: (control) => this.#assignment(index, control),
      relay: this.#relay,
      receive: (report) => this.#receive(place, report),
      left: () => this.#passOn(place),
      ended: () => this.#ended(place),
    });
  }

  /** Notifies the others of connections that the ended Worker left waiting. */
  #passOn({ index: ended }: Place): void {
    this.#table.leave(ended);
    for (let index = 0; index < this.#table.size; index++) {
      if (this.#table.isPresent(index)) this.#table.recall(index);
    }
  }

  #assignment(index: number, control: number): Assignment {
    const { backend, echo } = this.#options;
    const module = echo ? undefined : this.#options.module;
    return {
      control,
      module: module?.toString(),
      // `Deno.cwd` needs a permission, which a URL does not need.
      folder: this.#options.folder ??
        (module instanceof URL || module === undefined ? "/" : Deno.cwd()),
      backend,
      where: this.#where,
      shared: this.#shared && {
        handle: this.#shared.handle,
        transport: this.#shared.localAddress.transport,
      },
      options: givenLimits(this.#options) as MemberOptions,
      table: this.#table.words,
      index,
      origin: this.#origin,
    };
  }

  #receive(place: Place, report: Report): void {
    if (report.kind !== "serving") return;
    place.servingMs = nowMs();
    place.failedStarts = 0;
    if (this.#serving === undefined) {
      const { addr, backend } = report;
      this.#serving = { addr, backend };
      this.#where = whereFor(this.#where, addr);
      for (const other of this.#places.slice(1)) this.#startNext(other);
    }
    this.#settle(place);
  }

  #settle(place: Place): void {
    this.#unsettled.delete(place);
    if (this.#unsettled.size === 0) this.#started.resolve();
  }

  #ended(place: Place): void {
    const { error = new Error("it ended without an error") } = place.thread!;
    place.thread = undefined;
    if (this.#isStopping) return void this.#checkEnd();
    if (this.#serving === undefined) return this.#started.reject(error);
    this.#died(place, error);
  }

  /** Starts a Worker again later, unless its start has failed too often. */
  #died(place: Place, error: Error): void {
    this.#settle(place);
    if (place.servingMs === undefined) place.failedStarts++;
    if (place.failedStarts >= FAILED_STARTS_MAX) {
      return this.#fail(place, error);
    }
    const livedMs = nowMs() - (place.servingMs ?? Infinity);
    if (livedMs > STABLE_MS) place.deaths = 0;
    const restartMs = Math.min(RESTART_MS * 2 ** place.deaths, RESTART_MAX_MS);
    place.deaths++;
    place.restart = after(restartMs, () => this.#startNext(place));
    const { onWorkerEnd = logEnd } = this.#options;
    onWorkerEnd({ index: place.index, error, restartMs });
  }

  #fail({ index, failedStarts }: Place, error: Error): void {
    this.#failure = new Error(
      `Cannot start worker ${index}: it failed ${failedStarts} times in a ` +
        `row: ${error.message}`,
      { cause: error },
    );
    this.shutdown();
  }

  async #checkEnd(): Promise<void> {
    if (this.#places.some(({ thread }) => thread !== undefined)) return;
    if (this.#grace !== undefined) this.#reactor.clearTimer(this.#grace);
    this.#options.signal?.removeEventListener("abort", this.#abort);
    await this.#reactor.settled();
    if (this.#failure === undefined) this.#end.resolve();
    else this.#end.reject(this.#failure);
  }
}

function placeAt(index: number): Place {
  return {
    index,
    thread: undefined,
    servingMs: undefined,
    deaths: 0,
    failedStarts: 0,
    restart: undefined,
  };
}

/** Returns the address that the first member listens on. */
function whereOf(options: GroupOptions): Where {
  if (hasPath(options)) return { path: options.path };
  const { hostname, port } = options;
  return { hostname, port: portOf(port) };
}

/** Returns the address for the others, when the first member listens. */
function whereFor(where: Where, addr: ServeAddress): Where {
  return "port" in where && "port" in addr
    ? { ...where, port: addr.port }
    : where;
}

function logEnd({ index, error, restartMs }: WorkerEnd): void {
  // The death is reported nowhere else.
  // deno-lint-ignore no-console
  console.error(
    `Worker ${index} has died (${error.message}); ` +
      `starting it again in ${restartMs} ms`,
  );
}
