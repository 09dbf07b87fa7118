/**
 * A descriptor that Deno's own event loop reads, and that ends a wait: what the
 * native library writes to it runs a callback on this thread.
 *
 * @module
 */

import type { Socket } from "node:net";

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

/** The part of node:net that is used. */
interface NetModule {
  Socket: new (options: {
    fd: number;
    readable: boolean;
    writable: boolean;
    onread: { buffer: Uint8Array; callback: () => boolean };
  }) => Socket;
}

/** Reads a Unix socket: a public way, which all systems have. */
export function openSocket(fd: number, woken: () => void): WakeHandle {
  const callback = () => {
    woken();
    return true;
  };
  // Loaded here: a program that never waits does not pay for it.
  const { Socket } = process.getBuiltinModule("node:net") as NetModule;
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
  const { binding } = process as unknown as {
    binding?: (name: string) => { Pipe?: RawPipeClass } | undefined;
  };
  try {
    const Pipe = binding?.call(process, "pipe_wrap")?.Pipe;
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
