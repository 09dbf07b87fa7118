/**
 * Several reactors, one a Worker, on one address: the system shares connections
 * out among their listeners (`SO_REUSEPORT`, `socket(7)`).
 *
 * Whoever dies is started again. Nothing is shared but the counts of accepted
 * connections; a request is never handed from one to another.
 *
 * @module
 */

import { openChannel } from "../reactor/channel.ts";
import type { Connection } from "../reactor/connection.ts";
import { Reactor } from "../reactor/reactor.ts";
import {
  type Assignment,
  listening,
  type MemberOptions,
  memberOptions,
  type Report,
  tell,
} from "./control.ts";

/** The most Workers. More is a slip: no machine has as many cores. */
export const WORKERS_MAX = 1024;
/** How long the first restart waits; each further one twice as long. */
const RESTART_MS = 100;
/** The longest wait: somebody may be repairing what is wrong. */
const RESTART_MAX_MS = 5_000;
/** Who has lived that long starts anew at the shortest wait. */
const STABLE_MS = 10_000;
/** Starts in a row that may fail before all is given up. */
const FAILED_STARTS_MAX = 5;
/**
 * How long the end of a Worker waits for the error that caused it, which comes
 * another way.
 */
const CAUSE_MS = 20;

/** What a server on Workers is made of. */
export interface ServeModuleOptions extends MemberOptions {
  /**
   * A module with `export default { fetch }`: a URL, or a path from the
   * program's folder. Each Worker imports it for itself.
   */
  module: URL | string;
  /** How many Workers; `"auto"`, one a core, when left out. */
  workers?: number | "auto";
  /** From 0 to 65535; 8000 when left out, 0 for one of the system's choosing. */
  port?: number;
  /** An address or a name; `0.0.0.0` when left out. */
  hostname?: string;
  /** What to wait with; the environment's when left out. */
  backend?: string;
  /** Told of a Worker that has died; left out, it is printed. */
  onWorkerEnd?: (end: WorkerEnd) => void;
}

/** A Worker that has died. */
export interface WorkerEnd {
  /** Which, from 0. */
  readonly index: number;
  /** Why, as far as it is known. */
  readonly error: Error;
  /** When it is started again. */
  readonly restartMs: number;
}

/** What is to be served, and who is told. */
export interface GroupOptions
  extends Omit<ServeModuleOptions, "module" | "port" | "hostname"> {
  /** The module; echoes when there is none. */
  module: URL | string | undefined;
  /** The folder from which a path leads; the program's when left out. */
  folder?: string;
  /** From 0 to 65535. */
  port: number;
  /** An address or a name. */
  hostname: string;
}

/** A server that runs on Workers. */
export interface WorkersServer extends AsyncDisposable {
  /** The bound address, with the port that the system chose for port 0. */
  readonly addr: Deno.NetAddr;
  /** The backend in use. */
  readonly backend: string;
  /** Connections that each Worker, and its successors, have accepted so far. */
  readonly accepted: readonly number[];
  /**
   * Resolves when the server has shut down and its last connection closed;
   * rejects when a Worker cannot be started again.
   */
  readonly finished: Promise<void>;
  /** Stops accepting, answers what has come, and resolves when all is closed. */
  shutdown(): Promise<void>;
}

/**
 * Serves on Workers. The first is started alone: what fails there fails for all.
 *
 * @throws {RangeError} when the number of Workers is none.
 * @throws {Error} what the module throws, or binding does.
 */
export async function serveOnWorkers(
  options: GroupOptions,
): Promise<WorkersServer> {
  const count = countOf(options.workers);
  const group = new Group(options, count);
  await group.start();
  return group;
}

/** One Worker after the other, in the same place. */
interface Place {
  readonly index: number;
  worker: Worker | undefined;
  control: Connection | undefined;
  /** Why the Worker ends, when that is known. */
  error: Error | undefined;
  servingMs: number | undefined;
  /** Deaths in a row, and failed starts in a row. */
  deaths: number;
  failedStarts: number;
  restart: ReturnType<typeof setTimeout> | undefined;
}

class Group implements WorkersServer {
  readonly finished: Promise<void>;
  readonly #options: GroupOptions;
  readonly #accepted: Int32Array<SharedArrayBuffer>;
  readonly #places: Place[];
  readonly #reactor = Reactor.shared;
  readonly #started = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<void>();
  #serving: { addr: Deno.NetAddr; backend: string } | undefined = undefined;
  #failure: Error | undefined = undefined;
  /** Workers that have neither served nor died yet. */
  readonly #unsettled: Set<Place>;
  #isStopping = false;

  constructor(options: GroupOptions, count: number) {
    this.#options = options;
    const bytes = count * Int32Array.BYTES_PER_ELEMENT;
    this.#accepted = new Int32Array(new SharedArrayBuffer(bytes));
    this.#places = Array.from({ length: count }, (_, index) => placeAt(index));
    this.#unsettled = new Set(this.#places);
    this.finished = this.#end.promise;
    // Whoever waits is told; whoever does not is no reason to end the process.
    this.finished.catch(() => {});
  }

  get addr(): Deno.NetAddr {
    return this.#serving!.addr;
  }

  get backend(): string {
    return this.#serving!.backend;
  }

  get accepted(): readonly number[] {
    return this.#places.map(({ index }) =>
      Atomics.load(this.#accepted, index) >>> 0
    );
  }

  /** Starts the first, then the others, and waits until each serves or died. */
  async start(): Promise<void> {
    this.#startAt(this.#places[0]!);
    await this.#started.promise;
  }

  shutdown(): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      for (const place of this.#places) {
        clearTimeout(place.restart);
        if (place.control) tell(place.control, { kind: "stop" });
      }
      this.#checkEnd();
    }
    return this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #startAt(place: Place): void {
    const { connection, handle, abandon } = openChannel(
      this.#reactor,
      listening<Report>(
        (report) => this.#hear(place, report),
        // The error that ended it comes another way, and may come after.
        () => setTimeout(() => this.#ended(place), CAUSE_MS),
      ),
    );
    const worker = new Worker(new URL("./member.ts", import.meta.url), {
      type: "module",
      name: `denio worker ${place.index}`,
    });
    worker.onerror = (event) => {
      // Else it would end the whole process; Deno has printed it.
      event.preventDefault();
      place.error ??= new Error(event.message);
      // It may have died before it took its end over.
      abandon();
    };
    place.worker = worker;
    place.control = connection;
    place.error = place.servingMs = undefined;
    worker.postMessage(this.#assignment(place.index, handle));
  }

  #assignment(index: number, control: number): Assignment {
    const { module, hostname, port, backend } = this.#options;
    return {
      control,
      module: module?.toString(),
      // Asking for it takes a permission, which a URL does not need.
      folder: this.#options.folder ??
        (module instanceof URL || module === undefined ? "/" : Deno.cwd()),
      backend,
      hostname,
      port: this.#serving?.addr.port ?? port,
      options: memberOptions(this.#options),
      accepted: this.#accepted,
      index,
    };
  }

  #hear(place: Place, report: Report): void {
    if (report.kind === "failed") place.error = errorOf(report);
    if (report.kind !== "serving") return;
    place.servingMs = performance.now();
    place.failedStarts = 0;
    if (this.#serving === undefined) {
      const { addr, backend } = report;
      this.#serving = { addr, backend };
      for (const other of this.#places.slice(1)) this.#startAt(other);
    }
    this.#settle(place);
  }

  #settle(place: Place): void {
    this.#unsettled.delete(place);
    if (this.#unsettled.size === 0) this.#started.resolve();
  }

  #ended(place: Place): void {
    place.worker?.terminate();
    place.worker = place.control = undefined;
    if (this.#isStopping) return this.#checkEnd();
    const error = place.error ?? new Error("it ended without an error");
    if (this.#serving === undefined) return this.#started.reject(error);
    this.#settle(place);
    if (place.servingMs === undefined) place.failedStarts++;
    if (place.failedStarts >= FAILED_STARTS_MAX) {
      return this.#fail(place, error);
    }
    const livedMs = performance.now() - (place.servingMs ?? Infinity);
    if (livedMs > STABLE_MS) place.deaths = 0;
    const restartMs = Math.min(RESTART_MS * 2 ** place.deaths, RESTART_MAX_MS);
    place.deaths++;
    place.restart = setTimeout(() => this.#startAt(place), restartMs);
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

  #checkEnd(): void {
    if (this.#places.some(({ worker }) => worker !== undefined)) return;
    if (this.#failure === undefined) this.#end.resolve();
    else this.#end.reject(this.#failure);
  }
}

function placeAt(index: number): Place {
  return {
    index,
    worker: undefined,
    control: undefined,
    error: undefined,
    servingMs: undefined,
    deaths: 0,
    failedStarts: 0,
    restart: undefined,
  };
}

function countOf(workers: number | "auto" = "auto"): number {
  if (workers === "auto") return navigator.hardwareConcurrency;
  if (Number.isInteger(workers) && workers >= 1 && workers <= WORKERS_MAX) {
    return workers;
  }
  throw new RangeError(
    `Cannot serve on "${workers}" workers: it must be "auto" or an integer ` +
      `from 1 to ${WORKERS_MAX}`,
  );
}

/** The error that a Worker told of, of the same class where Deno has it. */
function errorOf({ name, message }: { name: string; message: string }): Error {
  const classes = { ...Deno.errors, RangeError, TypeError };
  const type = Object.hasOwn(classes, name)
    ? classes[name as keyof typeof classes]
    : Error;
  return new type(message);
}

function logEnd({ index, error, restartMs }: WorkerEnd): void {
  // Nobody else is told of it, and it must not go unseen.
  // deno-lint-ignore no-console
  console.error(
    `Worker ${index} has died (${error.message}); ` +
      `starting it again in ${restartMs} ms`,
  );
}
