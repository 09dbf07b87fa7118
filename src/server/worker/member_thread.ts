/**
 * One Worker of a group, as the group sees it: its thread, the channel to it,
 * and its end, which either side may cause.
 *
 * The end of the channel is the end of the Worker. The group waits for the end
 * of a terminated Worker for a limited time only: see `FORCE_MS`.
 *
 * @module
 */

import { after } from "../../base/own.ts";
import type { AcceptTable } from "./accept_table.ts";
import { type Channel, openChannel } from "./channel.ts";
import type { Connection } from "../../reactor/connection.ts";
import type { Reactor } from "../../reactor/reactor.ts";
import type { Timer } from "../../reactor/timers.ts";
import { type Assignment, receiving, type Report, send } from "./control.ts";
import type { TopicRelay } from "./topic_relay.ts";

/**
 * Milliseconds that the end of a Worker waits for its error, which arrives by
 * another way.
 */
const CAUSE_MS = 20;
/**
 * Milliseconds that a terminated Worker has to end. A Worker with a blocking
 * reactor ends within 250 ms. Deno 2.9 does not end a Worker that never returns
 * to its event loop (`for (;;);`), so after this time the group closes the
 * Worker's sockets.
 */
const FORCE_MS = 1_000;

/** Options of a member's thread. */
export interface MemberThreadOptions {
  /** The group's reactor. */
  readonly reactor: Reactor;
  /** The group's table. */
  readonly table: AcceptTable;
  /** The member's row of the table. */
  readonly index: number;
  /** Milliseconds that the first report may take. */
  readonly startMs: number;
  /** Returns the error of a first report that is late. */
  readonly lateStart: () => Error;
  /** Returns the Worker's assignment, with its end of the channel. */
  readonly assignment: (control: number) => Assignment;
  /** Passes messages for topics on. */
  readonly relay: TopicRelay;
  /** Called with each report of the Worker. */
  readonly receive: (report: Report) => void;
  /** Called when the Worker accepts no more. */
  readonly left: () => void;
  /** Called at last; `error` has the reason then, if it is known. */
  readonly ended: () => void;
}

/** A Worker that runs `member.ts`. */
export class MemberThread {
  /** Why the Worker ends, once that is known. */
  error: Error | undefined = undefined;
  readonly #options: MemberThreadOptions;
  readonly #worker: Worker;
  readonly #control: Connection;
  readonly #abandon: () => void;
  /** Ends a start that takes too long, and later a termination that does. */
  #limit: Timer;
  #isTerminated = false;
  /** Whether the Worker has ended after `stop`. */
  #hasStopped = false;
  #isClosed = false;

  /** Whether the Worker has ended, though its error may still arrive. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Starts the Worker.
   *
   * @throws {Error} when a system call fails, or the assignment cannot be
   * posted. The Worker is terminated then, and no option is called.
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
      // An error of a Worker would end the process. Deno has printed it
      // already.
      event.preventDefault();
      this.error ??= new Error(event.message);
      // The Worker may have died before it joined the channel.
      abandon();
    };
    try {
      this.#worker.postMessage(options.assignment(handle));
    } catch (error) {
      this.#giveUp();
      throw error;
    }
  }

  /** Asks the Worker to answer received requests, and to end. */
  stop(): void {
    if (!this.#isClosed) send(this.#control, { kind: "stop" });
  }

  /**
   * Terminates the Worker.
   *
   * @param error The reason, unless an earlier error is known.
   */
  terminate(error?: Error): void {
    if (this.#isClosed || this.#isTerminated) return;
    this.#isTerminated = true;
    this.error ??= error;
    this.#worker.terminate();
    // The Worker may not have joined the channel, and never will.
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
    const { reactor, relay } = this.#options;
    try {
      return openChannel(
        reactor,
        receiving<Report>({
          message: (report) => this.#receive(report),
          topic: (frame) => relay.receive(this.#control, frame),
          end: () => this.#closed(),
        }),
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

  #receive(report: Report): void {
    const { reactor, receive } = this.#options;
    if (!this.#isTerminated) reactor.clearTimer(this.#limit);
    if (report.kind === "failed") this.error ??= errorOf(report);
    this.#hasStopped ||= report.kind === "stopped";
    receive(report);
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { reactor, relay, left, ended } = this.#options;
    reactor.clearTimer(this.#limit);
    relay.leave(this.#control);
    left();
    const end = () => {
      this.#worker.terminate();
      ended();
    };
    if (this.#isTerminated || this.#hasStopped) return end();
    // The error of the Worker arrives by another way, and may arrive later.
    after(CAUSE_MS, end);
  }
}

/** Returns the error of a report, of the same class if Deno has the class. */
function errorOf({ name, message }: { name: string; message: string }): Error {
  const classes = { ...Deno.errors, RangeError, TypeError };
  const type = Object.hasOwn(classes, name)
    ? classes[name as keyof typeof classes]
    : Error;
  return new type(message);
}
