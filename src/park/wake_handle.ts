/**
 * The handles by which Deno's own event loop ends a wait of a loop: a
 * descriptor that the native library writes to, or a timer when there is no
 * descriptor. Each runs a callback on this thread.
 *
 * @module
 */

import type { Socket } from "node:net";
import { after, cancelAfter, type DenoTimer, ownProcess } from "../base/own.ts";

/** A handle of Deno's event loop. */
export interface WakeHandle {
  /** Keeps the process alive, as at first. */
  ref(): void;
  /** Lets the process end. */
  unref(): void;
  /** Closes the handle and its descriptor. */
  close(): void;
}

/** Bytes of one read from a socket: each wait sends one byte. */
const BUFFER_BYTES = 64;
/** Bytes of one read from an eventfd: its counter. */
const COUNTER_BYTES = 8;

/** The longest wait by a timer, since a timer cannot see a ready source. */
const TIMER_MS = 10;

/** The used part of node's sockets. */
export type SocketClass = new (options: {
  fd: number;
  readable: boolean;
  writable: boolean;
  onread: { buffer: Uint8Array; callback: () => boolean };
}) => Socket;

/**
 * Loads node's class of sockets, on first use, since loading takes time.
 *
 * @returns `undefined` when it cannot be loaded.
 */
export function socketClass(): SocketClass | undefined {
  try {
    const net = ownProcess().getBuiltinModule("node:net");
    return net.Socket as unknown as SocketClass;
  } catch {
    return undefined;
  }
}

/** Reads a Unix socket: the documented way, on all systems. */
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
  // A Deno without `onread` emits an event for the bytes.
  socket.on("data", callback);
  socket.on("error", () => {});
  socket.resume();
  return {
    ref: () => void socket.ref(),
    unref: () => void socket.unref(),
    close: () => void socket.destroy(),
  };
}

/** The used part of Deno's raw pipe, as in node. */
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
 * Returns Deno's class of raw pipes, or `undefined`. Deno does not document the
 * class: the caller must check that a pipe works, and have another way.
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
 * Reads an eventfd by a raw pipe, since node's sockets refuse one. A raw pipe
 * also runs less of Deno's code between the system and the callback.
 *
 * @throws {Error} when Deno refuses the descriptor.
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
 * Waits without a descriptor, by a timer of Deno's, for at most ten
 * milliseconds: the timer ends the wait whether a source is ready or not.
 */
export class TimerPark implements WakeHandle {
  readonly #woken: () => void;
  #timer: DenoTimer | undefined = undefined;
  #isRefed = true;

  /** @param woken Called when a wait is over. */
  constructor(woken: () => void) {
    this.#woken = woken;
  }

  /** Begins a wait, and cancels the one before. */
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
