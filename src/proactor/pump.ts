/**
 * Moves operations into a proactor and their completions out, without blocking
 * Deno's event loop.
 *
 * Operations of one turn of microtasks are submitted together, at its end. Then
 * the pump looks once: a read of cached bytes is over by then. For others the
 * pump parks, and Deno's loop calls it when a completion has come.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { defer } from "../base/own.ts";
import { errnoNumber, errorFrom } from "../native/errors.ts";
import type { LoopPark } from "../park/loop_park.ts";
import { Completions } from "./completions.ts";
import { Operations } from "./operations.ts";
import { parkOf } from "./parking.ts";
import {
  parkableOf,
  Proactor,
  type ProactorOptions,
  type ProactorStats,
} from "./proactor.ts";
import type { Completed, Request } from "./request.ts";

const EMPTY = new Uint8Array(0);
const CANCELED = errnoNumber("ECANCELED");
/** The most bytes of one completion. */
export const BYTES_MAX = 256 * 1024;
/** Completions that one native call hands over. */
const COMPLETIONS = 256;
/**
 * Turns without a round of Deno's loop. A program whose reads are all cached
 * never waits, and would let Deno run no timer and no handler.
 */
const TURNS_MAX = 64;

/** Gets the completions of an operation. */
export interface Receiver {
  /** Takes a completion; the operation is over when `more` is false. */
  complete(completed: Completed): void;
  /** Hears that the proactor has closed, and that nothing follows. */
  fail(error: Error): void;
}

/** An operation of which completions are awaited. */
export class Operation implements Completed {
  readonly receiver: Receiver;
  /** Its number at the proactor; -1 while there is no room for it, or after. */
  token = -1;
  result = 0;
  handle = 0;
  more = false;
  bytes: Uint8Array<ArrayBuffer> = EMPTY;
  /** Kept until there is room for it. */
  request: Request | undefined;

  constructor(request: Request, receiver: Receiver) {
    this.request = request;
    this.receiver = receiver;
  }
}

/** The pump of one proactor. */
export class Pump {
  readonly #proactor: Proactor;
  readonly #park: LoopPark;
  /** By token. */
  readonly #operations: (Operation | undefined)[] = [];
  readonly #freeTokens: number[] = [];
  /** Those that there was no room for, oldest first. */
  #waiting: Operation[] = [];
  #pending = 0;
  #turns = 0;
  #isScheduled = false;
  #isRefed = true;
  #isClosed = false;
  #onIdle: (() => void) | undefined = undefined;
  /** The operation that is being submitted. */
  readonly #batch = new Operations(1);
  readonly #completions: Completions;

  constructor(options: ProactorOptions & { bufferBytes: number }) {
    this.#proactor = new Proactor(options);
    const bytes = Math.max(BYTES_MAX, options.bufferBytes);
    this.#completions = new Completions(COMPLETIONS, bytes);
    this.#park = parkOf(parkableOf(this.#proactor.handle));
  }

  /** Returns the counters of the proactor. */
  stats(): ProactorStats {
    return this.#proactor.stats();
  }

  /** Operations that are not over, and works of several. */
  get pending(): number {
    return this.#pending;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Begins an operation. Its bytes are copied now, unless there is no room for
   * it: then they are copied when there is.
   *
   * @throws {Deno.errors.BadResource} when the pump is closed.
   * @throws {Error} when native code cannot make the operation.
   */
  submit(request: Request, receiver: Receiver): Operation {
    if (this.#isClosed) {
      throw new Deno.errors.BadResource("Cannot use a proactor: it is closed");
    }
    const operation = new Operation(request, receiver);
    // Behind those that wait already.
    if (this.#waiting.length > 0 || !this.#enter(operation)) {
      this.#waiting.push(operation);
    }
    this.#hold();
    this.#schedule();
    return operation;
  }

  /**
   * Does work of several operations, one after the other. The pump is not idle
   * until it is over.
   */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#hold();
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  #hold(): void {
    if (this.#pending++ === 0) this.#setRef();
  }

  #release(): void {
    // A closed pump has none.
    if (this.#pending > 0 && --this.#pending === 0) this.#noteIdle();
  }

  /** Asks an operation to end: its last completion still comes. */
  cancel(operation: Operation): void {
    if (this.#isClosed) return;
    if (operation.token >= 0) {
      this.#proactor.cancel(operation.token);
      return this.#schedule();
    }
    const place = this.#waiting.indexOf(operation);
    if (place < 0) return;
    this.#waiting.splice(place, 1);
    this.#end(operation, -CANCELED);
  }

  /** Asks all operations on a source to end. */
  cancelSource(handle: number): void {
    // Operations without a source have 0.
    if (this.#isClosed || this.#pending === 0 || handle === 0) return;
    for (const operation of [...this.#waiting]) {
      if (operation.request?.source?.handle === handle) this.cancel(operation);
    }
    this.#proactor.cancelSource({ handle });
    this.#schedule();
  }

  /** Asks all operations to end. */
  cancelAll(): void {
    for (const operation of [...this.#waiting, ...this.#operations]) {
      if (operation !== undefined) this.cancel(operation);
    }
  }

  /** Lets pending operations keep the process alive, as at first, or not. */
  setRef(refed: boolean): void {
    this.#isRefed = refed;
    this.#setRef();
  }

  /** Resolves when no operation is pending. */
  idle(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#onIdle;
      this.#onIdle = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Closes the proactor. Receivers of pending operations fail. */
  close(error: Error = errorFrom(CANCELED, "use a closed proactor")): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#park.close();
    this.#proactor[Symbol.dispose]();
    const left = [...this.#operations, ...this.#waiting];
    this.#operations.length = this.#waiting.length = this.#pending = 0;
    for (const operation of left) operation?.receiver.fail(error);
    this.#noteIdle();
  }

  #setRef(): void {
    this.#park.setRef(this.#isRefed && this.#pending > 0);
  }

  /** Submits an operation; false when there is no room. */
  #enter(operation: Operation): boolean {
    const { add, bytes } = operation.request!;
    const token = this.#freeTokens.pop() ??
      this.#operations.push(undefined) - 1;
    const batch = this.#batch;
    try {
      batch.length = 0;
      add(batch, token);
      if (this.#proactor.submit(batch, bytes) === 1) {
        this.#operations[token] = operation;
        operation.token = token;
        operation.request = undefined;
        return true;
      }
    } finally {
      if (operation.token < 0) this.#freeTokens.push(token);
    }
    return false;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (this.#turns++ < TURNS_MAX) {
      Promise.resolve().then(this.#turn);
    } else {
      this.#turns = 0;
      defer(this.#turn);
    }
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    this.#collect();
    if (this.#isClosed || this.#pending === 0 || this.#isScheduled) return;
    const parked = this.#park.park(undefined, this.#isRefed, this.#woken);
    parked.then(this.#unparked);
  };

  /** Called by Deno's loop, as soon as it knows of a completion. */
  readonly #woken = (): void => {
    this.#turns = 0;
    this.#collect();
  };

  /** Called when a wait is over, behind what the completions have resolved. */
  readonly #unparked = (): void => {
    if (this.#isClosed || this.#pending === 0) return;
    this.#turns = 0;
    this.#schedule();
  };

  #collect(): void {
    if (this.#isClosed) return;
    try {
      this.#harvest();
      this.#enterWaiting();
    } catch (error) {
      this.close(error as Error);
    }
  }

  /** Submits what is staged, and hands over all completions that are there. */
  #harvest(): void {
    for (;;) {
      const count = this.#proactor.wait(this.#completions, 0);
      for (let index = 0; index < count; index++) this.#handOver(index);
      if (count === 0 || this.#isClosed) return;
    }
  }

  #handOver(index: number): void {
    const completions = this.#completions;
    // Room again: the end of the turn submits what waits.
    if (completions.isDrained(index)) return;
    const operation = this.#operations[completions.token(index)];
    assert(operation !== undefined, "a completion is of a pending operation");
    const start = completions.start(index);
    const end = completions.end(index);
    operation.handle = completions.handle(index);
    operation.bytes = start < end
      ? completions.bytes.subarray(start, end)
      : EMPTY;
    const result = completions.result(index);
    if (!completions.hasMore(index)) return this.#end(operation, result);
    operation.result = result;
    operation.more = true;
    operation.receiver.complete(operation);
  }

  #end(operation: Operation, result: number): void {
    const { token } = operation;
    if (token >= 0) {
      this.#operations[token] = undefined;
      this.#freeTokens.push(token);
      operation.token = -1;
    }
    operation.result = result;
    operation.more = false;
    operation.receiver.complete(operation);
    this.#release();
  }

  #noteIdle(): void {
    this.#setRef();
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  }

  #enterWaiting(): void {
    let entered = 0;
    const waiting = this.#waiting;
    while (entered < waiting.length) {
      const operation = waiting[entered]!;
      try {
        if (!this.#enter(operation)) break;
      } catch (error) {
        operation.receiver.fail(error as Error);
        this.#release();
      }
      entered++;
    }
    if (entered === 0) return;
    this.#waiting = waiting.slice(entered);
    this.#schedule();
  }
}
