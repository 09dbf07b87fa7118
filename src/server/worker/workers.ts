/**
 * Several reactors, one a Worker, on one address, with one socket that all
 * accept from or with a socket each: see {@linkcode Balance}.
 *
 * Whoever dies is started again. A request is never handed from one to another.
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

/** How long the first restart waits; each further one twice as long. */
const RESTART_MS = 100;
/** The longest wait: somebody may be repairing what is wrong. */
const RESTART_MAX_MS = 5_000;
/** Who has lived that long starts anew at the shortest wait. */
const STABLE_MS = 10_000;
/** Starts in a row that may fail before all is given up. */
const FAILED_STARTS_MAX = 5;
/** What a container has until it is killed, as for an echo server. */
const GRACE_MS_DEFAULT = 30_000;
/** What systemd gives a service to start (`systemd-system.conf(5)`). */
const START_MS_DEFAULT = 90_000;
/** Connections that may wait for each Worker: as many as for any listener. */
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
  /** Connections that each Worker, and its successors, have accepted so far. */
  readonly accepted: readonly number[];
  /**
   * Resolves when the server has shut down and its last connection closed.
   * Rejects with `Deno.errors.TimedOut` when Workers had to be terminated, since
   * they had not ended `graceMs` after `shutdown()`, and with an `Error` when a
   * Worker cannot be started again.
   *
   * A Worker that runs JavaScript which never returns (`for (;;);`) is closed to
   * its clients, but Deno 2.9 cannot end its thread, which keeps a core busy and
   * the process alive until `Deno.exit()` (denoland/deno#35657).
   */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, answers what has come, and settles as `finished` does: some
   * `graceMs` later at the latest.
   */
  shutdown(): Promise<void>;
}

/**
 * Serves on Workers. The first is started alone: what fails there fails for all.
 *
 * @throws {RangeError} when the number of Workers, or a limit, is out of range.
 * @throws {TypeError} when an option is of a wrong type, or names nothing that
 * there is.
 * @throws {Deno.errors.NotSupported} when the system has not got the backend.
 * @throws {Deno.errors.TimedOut} when the first has not started in `startMs`.
 * @throws {Error} what the module throws, or binding does.
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

/** One Worker after the other, in the same place. */
interface Place {
  readonly index: number;
  thread: MemberThread | undefined;
  servingMs: number | undefined;
  /** Deaths in a row, and failed starts in a row. */
  deaths: number;
  failedStarts: number;
  restart: DenoTimer | undefined;
}

class Group implements WorkersServer<ServeAddress> {
  readonly finished: Promise<void>;
  readonly #options: GroupOptions;
  readonly #table: AcceptTable;
  readonly #places: Place[];
  readonly #reactor = Reactor.shared;
  readonly #started = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<void>();
  /** What all accept from, when they share it. */
  readonly #shared: ListenerSocket | undefined = undefined;
  /** Where members listen: port 0 until the first has. */
  #where: Where;
  #serving: { addr: ServeAddress; backend: string } | undefined = undefined;
  #failure: Error | undefined = undefined;
  /** Workers that have neither served nor died yet. */
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
      // What is accepted inherits both from the socket that all share.
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
    // Whoever waits is told; whoever does not is no reason to end the process.
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

  /** Starts the first, then the others, and waits until each serves or died. */
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

  /** Closes what all accept from; a path that cannot be removed stays. */
  #closeShared(): void {
    try {
      this.#shared?.close();
    } catch (error) {
      // The way out goes on, and nobody else is told.
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

  /** Ends at once, also when it is shutting down. */
  readonly #abort = (): void => {
    // Resolved already, unless it is still starting.
    this.#started.reject(this.#options.signal!.reason);
    this.shutdown();
    for (const { thread } of this.#places) thread?.terminate();
  };

  /** Ends the Workers that have had their time to end. */
  #endLate(): void {
    const late = this.#places.filter(({ thread }) =>
      thread !== undefined && !thread.isClosed
    );
    // Those that are left have ended, and are looked at for their errors.
    if (late.length === 0) return;
    const names = late.map(({ index }) => index).join(", ");
    this.#failure ??= new Deno.errors.TimedOut(
      `Cannot stop worker${late.length > 1 ? "s" : ""} ${names} within ` +
        `${this.#graceMs} ms: terminated`,
    );
    for (const { thread } of late) thread!.terminate();
  }

  /** Starts a Worker that is not the first: what fails is its death. */
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
      hear: (report) => this.#hear(place, report),
      left: () => this.#passOn(place),
      ended: () => this.#ended(place),
    });
  }

  /** Has the others accept whom the one that has ended was told of. */
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
      // Asking for it takes a permission, which a URL does not need.
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
    };
  }

  #hear(place: Place, report: Report): void {
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

  /** Starts one again later, unless that has failed too often. */
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

/** Where the first member is to listen. */
function whereOf(options: GroupOptions): Where {
  if (hasPath(options)) return { path: options.path };
  const { hostname, port } = options;
  return { hostname, port: portOf(port) };
}

/** Where the others are to, when the first listens. */
function whereFor(where: Where, addr: ServeAddress): Where {
  return "port" in where && "port" in addr
    ? { ...where, port: addr.port }
    : where;
}

function logEnd({ index, error, restartMs }: WorkerEnd): void {
  // Nobody else is told of it, and it must not go unseen.
  // deno-lint-ignore no-console
  console.error(
    `Worker ${index} has died (${error.message}); ` +
      `starting it again in ${restartMs} ms`,
  );
}
