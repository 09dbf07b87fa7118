/**
 * Programs that tests run in a process of their own.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { libraryPath } from "../../src/native/library.ts";
import { within } from "./waiting.ts";

/** Long enough to start on a busy machine; what hangs is killed then. */
const RUN_MS = 30_000;

/** The arguments of a script, and how long it may take. */
export interface ScriptOptions {
  /** The arguments of `deno run`; by default all permissions. */
  readonly flags?: readonly string[];
  /** The script's `Deno.args`. */
  readonly args?: readonly string[];
  /** Added to the environment. */
  readonly env?: Record<string, string>;
  /** A shell command to run before, in the same process: `ulimit -n 512`. */
  readonly before?: string;
}

/** How a script ended. */
export interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The file of the native library. */
export function libraryFilePath(): string {
  const path = libraryPath();
  return path instanceof URL ? fileURLToPath(path) : path;
}

/** The permissions that the library itself needs, and no other. */
export function libraryFlag(): string {
  return `--allow-ffi=${libraryFilePath()}`;
}

/** Runs a script of `tests/fixtures` to its end. */
export async function runScript(
  name: string,
  options: ScriptOptions = {},
): Promise<ScriptResult> {
  const output = await new Deno.Command(...command(name, options, {
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(RUN_MS),
  })).output();
  const decoder = new TextDecoder();
  return {
    code: output.code,
    stdout: decoder.decode(output.stdout),
    stderr: decoder.decode(output.stderr),
  };
}

/** A script that runs: it is talked to in lines, and killed in the end. */
export class RunningScript implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  /** Starts a script of `tests/fixtures`. */
  constructor(name: string, options: ScriptOptions = {}) {
    this.#child = new Deno.Command(...command(name, options, {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    })).spawn();
    this.#lines = this.#child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new LineStream())
      .getReader();
  }

  /** The number of its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Returns the next line that it prints. */
  async line(): Promise<string> {
    const { value, done } = await within(this.#lines.read(), "a line", RUN_MS);
    if (done) throw new Error("The script has ended");
    return value;
  }

  /** Returns the next line that it prints, parsed. */
  async json<T>(): Promise<T> {
    return JSON.parse(await this.line());
  }

  /** Writes to what it reads. */
  async write(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  /** Kills it, and resolves when it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#lines.cancel();
    await this.#child.stdin.abort().catch(() => {});
    await this.#child.status;
  }
}

class LineStream extends TransformStream<string, string> {
  constructor() {
    let rest = "";
    super({
      transform(text, controller) {
        const lines = (rest + text).split("\n");
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
    });
  }
}

function command(
  name: string,
  { flags = ["-A"], args = [], env = {}, before }: ScriptOptions,
  options: Deno.CommandOptions,
): [string, Deno.CommandOptions] {
  const script = new URL(`../fixtures/${name}`, import.meta.url);
  const run = ["run", "--quiet", ...flags, fileURLToPath(script), ...args];
  const all: Deno.CommandOptions = { stdin: "null", ...options, env };
  if (before === undefined) return [Deno.execPath(), { ...all, args: run }];
  // `exec` keeps the process's number.
  const words = ["-c", `${before} && exec "$0" "$@"`, Deno.execPath(), ...run];
  return ["/bin/sh", { ...all, args: words }];
}
