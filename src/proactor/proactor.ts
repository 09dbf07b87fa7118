/**
 * Completions: the program says what it wants done, and hears when it is done.
 *
 * A program adds operations to an {@linkcode Operations}, each under a
 * {@linkcode Token}, and submits them. {@linkcode Proactor.wait} waits until
 * some have ended, and fills a {@linkcode Completions}. The kernel itself
 * accepts, reads and writes meanwhile: `io_uring(7)`, Linux 5.19 or newer. A
 * poll, by contrast, tells what is ready, and the program makes the calls.
 *
 * ## What is guaranteed
 *
 * - Each operation that `submit` has taken gets completions: one, or of an
 *   operation that goes on (`…Multishot`) several that have more and then one
 *   that has not. Closing the proactor ends this.
 * - A completion has the token of its operation. Several operations may have the
 *   same token.
 * - The completions of one operation come in the order in which they happened.
 * - `send` completes when all of its bytes are taken by the system, or it has
 *   failed or was cancelled.
 * - What an operation sends was copied when `submit` returned, and what it
 *   received is copied by the `wait` that returns its completion. The kernel
 *   never touches memory of JavaScript's.
 * - The kernel's queue of completions never overflows: who submits more than
 *   there is room for gets `WOULD_BLOCK`, and a notice when there is room.
 * - Another completion's bytes never overwrite bytes of this batch.
 *
 * ## What is not guaranteed
 *
 * - The order of different operations, also on one source: two receives on one
 *   socket may get its bytes in any order. Submit the next when the one before
 *   has completed, or use `receiveMultishot`.
 * - That an operation begins before the program waits, flushes or parks.
 * - That a cancel finds its operation: it may have completed.
 * - How many completions one wait brings.
 * - That a wait that has a timeout takes all of it: a signal ends it early.
 *
 * ## Cancelling
 *
 * A cancelled operation completes with `-ECANCELED`, or with what it had done
 * when the cancel came: bytes that it received are not lost, nor is a
 * connection that it accepted. A cancelled `send` or `connect` may have happened
 * in part: the connection cannot be used further.
 *
 * ## Closing
 *
 * - A source must stay open until its operations are submitted: until `wait`,
 *   `flush` or `park` has returned. One that was closed earlier makes them end
 *   with `-EBADF`. After that, an operation holds the open file: it goes on when
 *   the source's object is closed, and a connection stays open as long. Use the
 *   operation `close`, which cancels the source's operations first.
 * - A closed proactor cancels its operations. Their completions are lost, and
 *   connections that they accepted are closed. Their memory stays until the
 *   kernel is done with it, as it does when a Worker ends.
 *
 * ## Batching
 *
 * One system call submits all operations that were taken since the last one, and
 * brings the completions of those that end at once. {@linkcode Batching} says
 * when that happens; {@linkcode Proactor.stats} tells how often.
 *
 * ## Backpressure
 *
 * A proactor has places for `operations`. An operation takes one from `submit`
 * until the program was handed its last completion, `acceptMultishot` up to
 * eight, and `sendZeroCopy` two. A program that does not take its completions
 * therefore stops submitting, and connections stop receiving: operations that
 * receive into the proactor's buffers pause while there is none, and the peers'
 * systems wait. `cancel` a `receiveMultishot` of one connection that must wait
 * alone; what comes meanwhile stays in the kernel.
 *
 * ## Threads
 *
 * The thread that opens a proactor owns it: it alone can wait. Other Workers get
 * its `handle` by a message, and submit by a {@linkcode Producer} while the
 * owner waits. Each operation names the thread that gets its completions: the
 * owner, or a {@linkcode Reaper}. A handle belongs to the thread that opened it,
 * and ends with it; the handles of accepted connections and of opened files
 * belong to the thread that takes the completion.
 *
 * @example An echo
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { TcpListener } from "../net/tcp_listener.ts";
 * import { TcpStream } from "../net/tcp_stream.ts";
 * import { Completions } from "./completions.ts";
 * import { Operations } from "./operations.ts";
 * import { Proactor } from "./proactor.ts";
 *
 * using proactor = new Proactor();
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * const operations = new Operations();
 * const completions = new Completions();
 *
 * // The client, which usually is another program.
 * using client = TcpStream.connect(listener.localAddress);
 * client.write(new TextEncoder().encode("hello"));
 *
 * operations.accept(1, listener);
 * proactor.submit(operations);
 * proactor.wait(completions);
 * using stream = new TcpStream(completions.handle(0));
 *
 * operations.receive(2, stream, 1024);
 * proactor.submit(operations);
 * proactor.wait(completions);
 * assertEquals(completions.result(0), 5);
 *
 * operations.send(3, stream, completions.start(0), completions.end(0));
 * proactor.submit(operations, completions.bytes);
 * proactor.wait(completions);
 * assertEquals([completions.token(0), completions.result(0)], [3, 5]);
 * ```
 *
 * @module
 */

import { errorFrom, unwrap } from "../native/errors.ts";
import { nativeProactor } from "../native/library.ts";
import { PROACTOR_STATS } from "../native/symbols.ts";
import type { LoopPark } from "../park/loop_park.ts";
import { wholeTimeout } from "../poll/poll.ts";
import { Batching } from "./batching.ts";
import type { Completions } from "./completions.ts";
import type { Operation } from "./operation.ts";
import { type Parkable, parkOf } from "./parking.ts";
import { checkOperations, Producer } from "./producer.ts";
import { waitError } from "./reaper.ts";
import { openError, refusal, supports } from "./support.ts";

const OPERATIONS_DEFAULT = 1024;
const BUFFER_BYTES_DEFAULT = 4096;
/** A power of two that the kernel's queue of completions has room for. */
const BUFFERS_MAX = 16_384;
const BUFFER_BYTES_MAX = 2 ** 20;
/** A day: a thread of the kernel that spins for longer would never sleep. */
const IDLE_MS_MAX = 86_400_000;

/** How a proactor is opened. */
export interface ProactorOptions {
  /** Places for operations: an integer from 1 to 32000, 1024 by default. */
  readonly operations?: number;
  /**
   * Buffers that `receiveMultishot` receives into, which all its operations
   * share: a power of two up to 16384, or 0 for none, the default. They take
   * `buffers * bufferBytes` of memory.
   */
  readonly buffers?: number;
  /** Bytes of each buffer: an integer from 1 to a MiB, 4096 by default. */
  readonly bufferBytes?: number;
  /** When operations are submitted: `Batching.turn` by default. */
  readonly batching?: Batching;
  /**
   * Has a thread of the kernel submit operations, so that submitting needs no
   * system call (`IORING_SETUP_SQPOLL`). The thread spins while it looks for
   * operations, which takes a whole processor, and sleeps after so many
   * milliseconds without one. Without a processor to spare it costs more than it
   * saves: on two processors a batch of 256 nops took four times as long, and a
   * single nop five times.
   */
  readonly kernelThreadIdleMs?: number;
}

/** Counters of a proactor since it was opened. */
export interface ProactorStats {
  /** System calls that have submitted operations or waited for completions. */
  readonly systemCalls: number;
  /** Operations that were submitted to the kernel, its own cancels as well. */
  readonly submitted: number;
  /** Calls of `wait`. */
  readonly waits: number;
  /** Completions that `wait` has returned. */
  readonly completions: number;
  /** Places that are taken now. */
  readonly inFlight: number;
  /** Times that an operation was refused, since there was no place. */
  readonly refused: number;
  /** Notices that there is room again. */
  readonly drains: number;
  /** Times that another thread has woken the owner. */
  readonly wakes: number;
  /** Places of the kernel's queue of completions. */
  readonly completionsMax: number;
  /** Times that this queue was too small: always 0. */
  readonly overflows: number;
}

/**
 * Submits operations to the kernel and waits for their completions.
 *
 * @example Three operations in one system call
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Completions } from "./completions.ts";
 * import { Operations } from "./operations.ts";
 * import { Proactor } from "./proactor.ts";
 *
 * using proactor = new Proactor({ operations: 8 });
 * const operations = new Operations();
 * for (const token of [1, 2, 3]) operations.nop(token);
 * assertEquals(proactor.submit(operations), 3);
 *
 * const completions = new Completions();
 * assertEquals(proactor.wait(completions), 3);
 * assertEquals(proactor.stats().systemCalls, 1);
 * ```
 */
export class Proactor extends Producer implements Disposable {
  #park: LoopPark | undefined = undefined;

  /**
   * Opens a proactor, which this thread owns.
   *
   * @throws {RangeError} when an option is out of range.
   * @throws {Deno.errors.NotSupported} when the process cannot use io_uring:
   * the message says why.
   * @throws {Error} when the process is out of descriptors or memory.
   */
  constructor(options: ProactorOptions = {}) {
    super(openHandle(options));
  }

  /**
   * Whether the kernel has an operation, and lets this process use io_uring.
   * The first call asks the kernel.
   */
  static supports(operation: Operation): boolean {
    return supports(operation);
  }

  /**
   * Why this process cannot use io_uring, as the end of a sentence; `undefined`
   * when it can.
   */
  static get refusal(): string | undefined {
    return refusal();
  }

  /**
   * Submits what was taken, waits until a completion comes, fills `completions`
   * and returns their number; 0 when the time is over.
   *
   * Blocks this thread and so Deno's event loop: see `park`. `undefined` waits
   * without limit; 0 does not wait. Another thread's operations are submitted
   * meanwhile.
   *
   * @throws {RangeError} when `timeoutMs` is negative or no number, or when the
   * bytes of the next completion do not fit into an empty `completions`: it
   * stays, and a larger one gets it.
   * @throws {Deno.errors.BadResource} when the proactor is closed, also while
   * this waits.
   * @throws {Deno.errors.PermissionDenied} on another thread than the owner's.
   */
  wait(completions: Completions, timeoutMs?: number): number {
    completions.length = 0;
    const count = nativeProactor().denio_proactor_wait(
      this.handle,
      completions.words,
      completions.capacity,
      completions.bytes,
      completions.bytes.byteLength,
      timeoutMs === 0 ? 0 : wholeTimeout(timeoutMs),
    );
    if (count < 0) throw waitError(-count, `wait for proactor ${this.handle}`);
    return completions.length = count;
  }

  /** Submits what was taken, without waiting. Throws as `wait` does. */
  flush(): void {
    const code = nativeProactor().denio_proactor_flush(this.handle);
    if (code < 0) throw errorFrom(-code, `flush proactor ${this.handle}`);
  }

  /**
   * Submits what was taken, and resolves when a completion is there or
   * `timeoutMs` is over: sometimes early. Then `wait(completions, 0)` brings
   * completions. Takes none of Deno's threads.
   *
   * @throws {Deno.errors.BadResource} when the proactor is closed.
   */
  park(timeoutMs?: number): Promise<void> {
    this.#park ??= parkOf(parkableOf(this.handle));
    return this.#park.park(timeoutMs, true);
  }

  /** Returns the counters. */
  stats(): ProactorStats {
    const out = new Float64Array(PROACTOR_STATS);
    const code = nativeProactor().denio_proactor_stats(this.handle, out);
    unwrap(code, `count for proactor ${this.handle}`);
    return {
      systemCalls: out[0]!,
      submitted: out[1]!,
      waits: out[2]!,
      completions: out[3]!,
      inFlight: out[4]!,
      refused: out[5]!,
      drains: out[6]!,
      wakes: out[7]!,
      completionsMax: out[8]!,
      overflows: out[9]!,
    };
  }

  /**
   * Closes the proactor: its operations are cancelled.
   *
   * @throws {Deno.errors.BadResource} when it is closed already.
   */
  close(): void {
    const { handle } = this;
    this.#unpark();
    unwrap(this.end(), `close proactor ${handle}`);
  }

  /** Closes the proactor, unless it is closed already. */
  [Symbol.dispose](): void {
    this.#unpark();
    this.end();
  }

  #unpark(): void {
    this.#park?.close();
    this.#park?.wake();
    this.#park = undefined;
  }
}

/** Returns what parks a proactor. */
export function parkableOf(handle: number): Parkable {
  const symbols = nativeProactor();
  return {
    handle,
    descriptor: () => symbols.denio_proactor_descriptor(handle),
    park: () => symbols.denio_proactor_park(handle),
    unpark: () => symbols.denio_proactor_unpark(handle),
  };
}

function openHandle(options: ProactorOptions): number {
  const { operations = OPERATIONS_DEFAULT, buffers = 0 } = options;
  const { bufferBytes = BUFFER_BYTES_DEFAULT, batching = Batching.turn } =
    options;
  const { kernelThreadIdleMs = 0 } = options;
  checkOperations(operations);
  check("buffers", buffers, 0, BUFFERS_MAX);
  if ((buffers & (buffers - 1)) !== 0) {
    throw new RangeError(
      `Cannot have "${buffers}" buffers: it must be a power of two, or 0`,
    );
  }
  check("bytes a buffer", bufferBytes, 1, BUFFER_BYTES_MAX);
  check("idle milliseconds", kernelThreadIdleMs, 0, IDLE_MS_MAX);
  const handle = nativeProactor().denio_proactor_new(
    operations,
    buffers,
    bufferBytes,
    batching.policy,
    batching.value,
    kernelThreadIdleMs,
  );
  if (handle < 0) throw openError(-handle);
  return handle;
}

function check(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot have "${value}" ${what}: it must be an integer from ${min} to ` +
      `${max}`,
  );
}
