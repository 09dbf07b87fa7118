/**
 * What Deno's own event loop waits for, and that ends a wait of a reactor: a
 * descriptor that the native library writes to, or a timer while there is none.
 * Each runs a callback on this thread.
 *
 * @module
 */

import type { Socket } from "node:net";
import { after, cancelAfter, type DenoTimer, ownProcess } from "../base/own.ts";

/** What Deno's event loop reads until it is closed. */
export interface WakeHandle {
  /** Has it keep the process alive, as it does at first. */
  ref(): void;
  /** Lets the process end meanwhile. */
  unref(): void;
  /** Closes the descriptor. */
  close(): void;
}

/** Bytes that one read takes from a socket: a byte a wait, and few are late. */
const BUFFER_BYTES = 64;
/** What a read of an eventfd takes: its counter. */
const COUNTER_BYTES = 8;

/** The longest wait by a timer, which does not know when a source is ready. */
const TIMER_MS = 10;

/** The part of node's sockets that is used. */
export type SocketClass = new (options: {
  fd: number;
  readable: boolean;
  writable: boolean;
  onread: { buffer: Uint8Array; callback: () => boolean };
}) => Socket;

/**
 * Loads node's class of sockets: a program that never waits does not pay for it.
 *
 * @returns Nothing where the program has removed it.
 */
export function socketClass(): SocketClass | undefined {
  try {
    const net = ownProcess().getBuiltinModule("node:net");
    return net.Socket as unknown as SocketClass;
  } catch {
    return undefined;
  }
}

/** Reads a Unix socket: a public way, which all systems have. */
export function openSocket(
  Socket: SocketClass,
  fd: number,
  woken: () => void,
): WakeHandle {
  const callback = () => {
    woken();
    return true;
  };
  const buffer = new Uint8Array(BUFFER_BYTES);
  const onread = { buffer, callback };
  const socket = new Socket({ fd, readable: true, writable: false, onread });
  // Where `onread` is not known to Deno, bytes come by an event.
  socket.on("data", callback);
  socket.on("error", () => {});
  socket.resume();
  return {
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
    close: () => void socket.destroy(),
  };
}

/** The part of Deno's raw pipe that is used, as node has it. */
interface RawPipe {
  onread: () => void;
  open(fd: number): number;
  readStart(): number;
  useUserBuffer(buffer: Uint8Array): void;
  ref(): void;
  unref(): void;
  close(): void;
}

/** Deno's class of raw pipes. */
export type RawPipeClass = new (type: number) => RawPipe;

/**
 * Returns Deno's class of raw pipes, where there is one. It is not documented:
 * whoever uses it must see that it works, and have another way.
 */
export function rawPipeClass(): RawPipeClass | undefined {
  try {
    const { binding } = ownProcess() as unknown as {
      binding?: (name: string) => { Pipe?: RawPipeClass } | undefined;
    };
    const Pipe = binding?.call(ownProcess(), "pipe_wrap")?.Pipe;
    const methods = ["open", "readStart", "useUserBuffer", "ref", "unref"];
    const isWhole = methods.every((name) => name in (Pipe?.prototype ?? {}));
    return isWhole ? Pipe : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads an eventfd, which node's sockets refuse: a raw pipe takes it, and has
 * less of Deno's own code between the system and the callback.
 *
 * @throws {Error} when Deno does not take the descriptor.
 */
export function openEventfd(
  Pipe: RawPipeClass,
  fd: number,
  woken: () => void,
): WakeHandle {
  const pipe = new Pipe(0);
  const code = pipe.open(fd);
  if (code !== 0) throw new Error(`Cannot open a raw pipe: ${code}`);
  pipe.useUserBuffer(new Uint8Array(COUNTER_BYTES));
  pipe.onread = woken;
  pipe.readStart();
  return pipe;
}

/**
 * Waits without a descriptor, by a timer of Deno's: it ends at the latest after
 * ten milliseconds, whether something is ready or not.
 */
export class TimerPark implements WakeHandle {
  readonly #woken: () => void;
  #timer: DenoTimer | undefined = undefined;
  #isRefed = true;

  /** @param woken Called when a wait is over. */
  constructor(woken: () => void) {
    this.#woken = woken;
  }

  /** Begins a wait, in place of the one before. */
  park(timeoutMs: number = TIMER_MS): void {
    cancelAfter(this.#timer);
    this.#timer = after(Math.min(timeoutMs, TIMER_MS), this.#woken);
    if (!this.#isRefed) Deno.unrefTimer(this.#timer);
  }

  /** Begins a wait that ends in the next round of Deno's loop. */
  wake(): void {
    this.park(0);
  }

  ref(): void {
    this.#isRefed = true;
    if (this.#timer !== undefined) Deno.refTimer(this.#timer);
  }

  unref(): void {
    this.#isRefed = false;
    if (this.#timer !== undefined) Deno.unrefTimer(this.#timer);
  }

  close(): void {
    cancelAfter(this.#timer);
    this.#timer = undefined;
  }
}
