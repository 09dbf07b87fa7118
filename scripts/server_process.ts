/**
 * Servers as child processes: started, found, stopped.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { libraryPath, NATIVE_PATH_VARIABLE } from "../src/native/library.ts";
import { Failure } from "./command_line.ts";
import { whenInterrupted } from "./interrupt.ts";

/** How long a server may take to print its address. */
const START_MS = 20_000;
/** How long a server may take to stop, before it is killed. */
const STOP_MS = 5_000;

/** The end of standard error that is kept, in UTF-16 units. */
const COMPLAINT_MAX = 10_000;

/** Where a line says that a server listens: `127.0.0.1:PORT`. */
const ADDRESS = /127\.0\.0\.1:(\d+)/;

/** A server that listens on 127.0.0.1. */
export interface ServerProcess extends AsyncDisposable {
  /** The process itself, not a wrapper's. */
  readonly pid: number;
  /** The port that the system chose. */
  readonly port: number;
  /** What it has written to standard error, when that is kept. */
  readonly complaint: string;
  /** Stops it, and resolves when it is gone. */
  stop(): Promise<void>;
}

/** Returns the command that starts the built-in server on a free port. */
export function builtInServer(): string[] {
  const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
  return denoCommand(...libraryPermissions(), main, "--port=0");
}

/** Returns the command of a server on Deno, with no more than its permissions. */
export function denoCommand(...rest: string[]): string[] {
  const run = [Deno.execPath(), "run", "--quiet", "--no-prompt"];
  return [...run, "--allow-net=127.0.0.1", ...rest];
}

/**
 * Returns the permissions that a program needs to use the native library, and
 * to read these variables.
 */
export function libraryPermissions(...variables: string[]): string[] {
  const library = libraryPath();
  const path = library instanceof URL ? fileURLToPath(library) : library;
  const names = [NATIVE_PATH_VARIABLE, ...variables];
  return [`--allow-ffi=${path}`, `--allow-env=${names}`];
}

/**
 * Starts a server and waits for the line with its address. Its standard error
 * is passed on, unless it is kept.
 *
 * @throws {Failure} when it ends, or is silent for long.
 */
export async function startServer(
  command: string[],
  { keepsComplaint = false } = {},
): Promise<ServerProcess> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: keepsComplaint ? "piped" : "inherit",
  }).spawn();
  const complaint = { text: "" };
  const heard = keepsComplaint ? hear(child.stderr, complaint) : undefined;
  const interrupted = whenInterrupted(() => stopChild(child));
  const stop = async () => {
    await stopChild(child);
    await heard;
    interrupted[Symbol.dispose]();
  };
  try {
    const port = await portOf(child.stdout);
    return {
      pid: child.pid,
      port,
      get complaint() {
        return complaint.text;
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    const { message } = error as Error;
    // An uncaught error's stack trace would help nobody here.
    const [said] = complaint.text.trim().split("\n", 1);
    throw new Failure(
      `Cannot start server "${command.join(" ")}": ${message}` +
        (said && `, and said: ${said}`),
    );
  }
}

async function hear(
  stderr: ReadableStream<Uint8Array>,
  complaint: { text: string },
): Promise<void> {
  for await (const piece of stderr.pipeThrough(new TextDecoderStream())) {
    // A server that complains without end fills no memory.
    complaint.text = (complaint.text + piece).slice(-COMPLAINT_MAX);
  }
}

/** Reads lines until one has an address, and ignores the others. */
async function portOf(stdout: ReadableStream<Uint8Array>): Promise<number> {
  const signal = AbortSignal.timeout(START_MS);
  const reader = stdout.pipeThrough(new TextDecoderStream(), { signal })
    .getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("it ended before it listened");
    text += value;
    const match = ADDRESS.exec(text.slice(0, text.lastIndexOf("\n") + 1));
    if (match === null) continue;
    reader.releaseLock();
    return Number(match[1]);
  }
}

async function stopChild(child: Deno.ChildProcess): Promise<void> {
  const timer = setTimeout(() => kill(child, "SIGKILL"), STOP_MS);
  kill(child, "SIGTERM");
  await child.status;
  clearTimeout(timer);
}

/** Sends a signal to a process, if it is still there. */
export function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended already.
  }
}
