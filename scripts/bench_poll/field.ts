/**
 * N sources on one poll, one of which can be made ready, and the times of the
 * calls on them.
 *
 * @module
 */

import {
  type Backend,
  Events,
  Interest,
  Poll,
  UdpSocket,
  UnixStream,
} from "../../src/poll.ts";
import { Failure } from "../command_line.ts";

/** The calls that are timed, in microseconds a call. */
export const FIGURE_TITLES = {
  poll: "A wait, one source of N ready",
  register: "Registering a source",
  reregister: "Reregistering a source",
  deregister: "Deregistering a source",
  transfer: "Writing a byte and reading it",
} as const;

/** Microseconds a call. */
export type Figures = Readonly<Record<keyof typeof FIGURE_TITLES, number>>;

/** Calls that are timed together. */
export const BATCH = 200;

const US_PER_MS = 1000;
const { READABLE } = Interest;
/** The token of the ready source; the others have theirs from 1 on. */
const TOKEN = 0;
/** A wait that takes this long is an error. */
const LOST_MS = 5000;

type Source = UnixStream | UdpSocket;

/** A poll with its sources; none is registered before that is timed. */
export class Field implements Disposable {
  readonly #poll: Poll;
  readonly #sources: readonly Source[];
  readonly #reader: UnixStream;
  readonly #writer: UnixStream;
  readonly #events = new Events(16);
  readonly #byte = new Uint8Array(1);
  /** Larger than a message: a short read has read everything. */
  readonly #buffer = new Uint8Array(64);
  /** Closes them, once the field is complete. */
  #stack: DisposableStack;

  private constructor(backend: Backend, size: number, stack: DisposableStack) {
    this.#stack = stack;
    this.#poll = stack.use(new Poll({ backend }));
    const [reader, writer] = UnixStream.pair();
    this.#reader = stack.use(reader);
    this.#writer = stack.use(writer);
    const idle = Array.from(
      { length: size - 1 },
      () => stack.use(UdpSocket.bind({ hostname: "127.0.0.1", port: 0 })),
    );
    // The ready one in their middle: neither end of a list is favoured.
    this.#sources = idle.toSpliced(idle.length >> 1, 0, reader as never);
  }

  /**
   * Opens `size` sources, or returns `undefined` when the backend cannot have
   * so many.
   *
   * @throws {Failure} when the system has not got so many descriptors.
   */
  static open(backend: Backend, size: number): Field | undefined {
    using stack = new DisposableStack();
    try {
      const field = new Field(backend, size, stack);
      // select refuses a descriptor when it is registered.
      field.#registerAll();
      field.#deregisterAll();
      field.#stack = stack.move();
      return field;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "ERANGE") return undefined;
      if (code !== "EMFILE" && code !== "ENFILE") throw error;
      throw new Failure(
        `Cannot open ${size} sources: raise "ulimit -n", or lower --max`,
        { cause: error },
      );
    }
  }

  /** Times each kind of call. */
  measure(): Figures {
    const register = this.#time(() => this.#registerAll());
    const size = this.#sources.length;
    const reregister = this.#time(() => this.#reregister()) / BATCH;
    const transfer = this.#time(() => this.#transfers(false)) / BATCH;
    const both = this.#time(() => this.#transfers(true)) / BATCH;
    const deregister = this.#time(() => this.#deregisterAll());
    return {
      register: register / size,
      reregister,
      deregister: deregister / size,
      poll: Math.max(0, both - transfer),
      transfer,
    };
  }

  /** Closes all of them. */
  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #time(call: () => void): number {
    const startMs = performance.now();
    call();
    return (performance.now() - startMs) * US_PER_MS;
  }

  #registerAll(): void {
    const { registry } = this.#poll;
    let token = TOKEN;
    for (const source of this.#sources) {
      const own = source === this.#reader ? TOKEN : ++token;
      registry.register(source, own, READABLE);
    }
  }

  #deregisterAll(): void {
    for (const source of this.#sources) this.#poll.registry.deregister(source);
  }

  #reregister(): void {
    const { registry } = this.#poll;
    for (let call = 0; call < BATCH; call++) {
      registry.reregister(this.#reader, TOKEN, READABLE);
    }
  }

  #transfers(polled: boolean): void {
    for (let call = 0; call < BATCH; call++) {
      this.#writer.write(this.#byte);
      if (polled) this.#expectReader();
      this.#reader.read(this.#buffer);
    }
  }

  #expectReader(): void {
    const count = this.#poll.poll(this.#events, LOST_MS);
    if (count === 1 && this.#events.token(0) === TOKEN) return;
    throw new Failure(`Cannot measure: ${count} events where one was due`);
  }
}
