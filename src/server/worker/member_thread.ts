/**
 * One Worker of a group as the group sees it: its thread, the channel to it,
 * and its end, which either side may cause.
 *
 * The end of the channel is the end of the Worker. A Worker is never waited for
 * without a limit once it is terminated: see `FORCE_MS`.
 *
 * @module
 */

import { after } from "../../base/own.ts";
import type { AcceptTable } from "./accept_table.ts";
import { type Channel, openChannel } from "./channel.ts";
import type { Connection } from "../../reactor/connection.ts";
import type { Reactor } from "../../reactor/reactor.ts";
import type { Timer } from "../../reactor/timers.ts";
import { type Assignment, listening, type Report, tell } from "./control.ts";

/**
 * How long the end of a Worker waits for the error that caused it, which comes
 * another way.
 */
const CAUSE_MS = 20;
/**
 * How long a Worker that is terminated has to end. One whose reactor blocks its
 * thread notices within 250 ms. Deno does not end a Worker that runs JavaScript
 * without ever returning to its event loop (`for (;;);`, Deno 2.9), so after
 * this time the Worker's sockets are closed from here.
 */
const FORCE_MS = 1_000;

/** What a member's thread is made of. */
export interface MemberThreadOptions {
  /** The group's reactor. */
  readonly reactor: Reactor;
  /** Where the group's members are counted. */
  readonly table: AcceptTable;
  /** The member's place there. */
  readonly index: number;
  /** Milliseconds from the start to the first report. */
  readonly startMs: number;
  /** Why it ends, when it has not reported by then. */
  readonly lateStart: () => Error;
  /** Returns what the Worker is to do, with its end of the channel. */
  readonly assignment: (control: number) => Assignment;
  /** Called with what the Worker says. */
  readonly hear: (report: Report) => void;
  /** Called when the Worker accepts nothing any more. */
  readonly left: () => void;
  /** Called at last, when `error` says why, as far as that is known. */
  readonly ended: () => void;
}

/** A Worker that runs `member.ts`. */
export class MemberThread {
  /** Why it ends, when that is known. */
  error: Error | undefined = undefined;
  readonly #options: MemberThreadOptions;
  readonly #worker: Worker;
  readonly #control: Connection;
  readonly #abandon: () => void;
  /** Ends a start that takes too long, then a termination that does. */
  #limit: Timer;
  #isTerminated = false;
  /** Whether it has ended as it was asked to. */
  #hasStopped = false;
  #isClosed = false;

  /** Whether the Worker has ended: at most its error is waited for. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Starts the Worker.
   *
   * @throws {Error} when a system call fails, or the assignment cannot be
   * posted. The Worker has ended then, and nothing is called.
   */
  constructor(options: MemberThreadOptions) {
    this.#options = options;
    const { reactor, index, startMs } = options;
    this.#worker = new Worker(new URL("./member.ts", import.meta.url), {
      type: "module",
      name: `denio worker ${index}`,
    });
    const { connection, handle, abandon } = this.#openChannel();
    this.#control = connection;
    this.#abandon = abandon;
    this.#limit = reactor.setTimer(
      startMs,
      () => this.terminate(options.lateStart()),
    );
    // The Worker keeps the process alive.
    this.#limit.unref();
    this.#worker.onerror = (event) => {
      // Else it would end the whole process; Deno has printed it.
      event.preventDefault();
      this.error ??= new Error(event.message);
      // It may have died before it took its end over.
      abandon();
    };
    try {
      this.#worker.postMessage(options.assignment(handle));
    } catch (error) {
      this.#giveUp();
      throw error;
    }
  }

  /** Asks the Worker to answer what has come, and to end. */
  stop(): void {
    if (!this.#isClosed) tell(this.#control, { kind: "stop" });
  }

  /**
   * Ends the Worker, whatever it does.
   *
   * @param error Why, unless it is known already.
   */
  terminate(error?: Error): void {
    if (this.#isClosed || this.#isTerminated) return;
    this.#isTerminated = true;
    this.error ??= error;
    this.#worker.terminate();
    // Nobody may have joined, and nobody will.
    this.#abandon();
    const { reactor } = this.#options;
    reactor.clearTimer(this.#limit);
    this.#limit = reactor.setTimer(FORCE_MS, () => this.#force());
  }

  /** Undoes a start that has failed on this side. */
  #giveUp(): void {
    this.#isClosed = true;
    this.#options.reactor.clearTimer(this.#limit);
    this.#worker.terminate();
    this.#abandon();
    this.#control.abort();
  }

  #openChannel(): Channel {
    try {
      return openChannel(
        this.#options.reactor,
        listening<Report>(
          (report) => this.#hear(report),
          () => this.#closed(),
        ),
      );
    } catch (error) {
      this.#worker.terminate();
      throw error;
    }
  }

  #force(): void {
    const { table, index } = this.#options;
    table.closeAllOf(index);
    this.#control.abort();
  }

  #hear(report: Report): void {
    const { reactor, hear } = this.#options;
    if (!this.#isTerminated) reactor.clearTimer(this.#limit);
    if (report.kind === "failed") this.error ??= errorOf(report);
    this.#hasStopped ||= report.kind === "stopped";
    hear(report);
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { reactor, left, ended } = this.#options;
    reactor.clearTimer(this.#limit);
    left();
    const end = () => {
      this.#worker.terminate();
      ended();
    };
    if (this.#isTerminated || this.#hasStopped) return end();
    // The error that ended it comes another way, and may come after.
    after(CAUSE_MS, end);
  }
}

/** The error that a Worker told of, of the same class where Deno has it. */
function errorOf({ name, message }: { name: string; message: string }): Error {
  const classes = { ...Deno.errors, RangeError, TypeError };
  const type = Object.hasOwn(classes, name)
    ? classes[name as keyof typeof classes]
    : Error;
  return new type(message);
}
