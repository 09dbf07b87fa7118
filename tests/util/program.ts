/**
 * Programs that tests start: what they print, and how they end.
 *
 * @module
 */

import { within } from "./waiting.ts";

/** The time after which a test fails whose program has Rust compiled first. */
export const BUILD_DEADLINE_MS = 300_000;
/** How long a program may take to end before it is asked again. */
const PATIENCE_MS = 1_000;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A started program. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Output;
  readonly #stderr: Output;

  /** Starts a program, with options that differ from a plain start. */
  constructor(
    command: readonly [string, ...string[]],
    options: Pick<Deno.CommandOptions, "cwd" | "env"> = {},
  ) {
    const [program, ...args] = command;
    // When the tests run in a task, its folder would be passed on.
    const { INIT_CWD: _, ...env } = Deno.env.toObject();
    this.#child = new Deno.Command(program, {
      ...options,
      clearEnv: true,
      env: { ...env, ...options.env },
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdout = new Output(this.#child.stdout);
    this.#stderr = new Output(this.#child.stderr);
  }

  /** Waits for a match on standard output, and returns it. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return within(this.#stdout.wait(pattern), `${pattern} on stdout`);
  }

  /** Waits for a match on standard error, and returns it. */
  complained(pattern: RegExp): Promise<RegExpExecArray> {
    return within(this.#stderr.wait(pattern), `${pattern} on stderr`);
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for the end, and returns how it was. */
  async ended(
    deadlineMs?: number,
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const { code } = await within(
      this.#child.status,
      "its end",
      deadlineMs,
    );
    const [stdout, stderr] = await Promise.all([
      this.#stdout.all,
      this.#stderr.all,
    ]);
    return { code, stdout, stderr };
  }

  /**
   * Ends it if it still runs, and waits until it is gone. Asked and not killed:
   * a task that is killed leaves behind what it runs.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#terminate();
    const timer = setInterval(() => this.#terminate(), PATIENCE_MS);
    await within(this.#child.status, "its end");
    clearInterval(timer);
    await Promise.all([this.#stdout.all, this.#stderr.all]);
  }

  #terminate(): void {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
  }
}

/** Options of a program that runs to its end. */
type RunOptions = Pick<Deno.CommandOptions, "cwd" | "env"> & {
  /** The time after which it must have ended; longer when it compiles. */
  readonly deadlineMs?: number;
};

/** Runs a program to its end. */
export async function runProgram(
  command: readonly [string, ...string[]],
  { deadlineMs, ...options }: RunOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  await using program = new Program(command, options);
  return await program.ended(deadlineMs);
}

/** Returns the command of a task of the project, with the task's permissions. */
export function taskCommand(
  name: string,
  words: readonly string[] = [],
): [string, ...string[]] {
  const task = ["task", "--quiet", "--config", CONFIG, name];
  return [Deno.execPath(), ...task, ...words];
}

/** Runs a task of the project to its end. */
export function runTask(
  name: string,
  words: readonly string[],
  options: RunOptions = {},
): ReturnType<typeof runProgram> {
  return runProgram(taskCommand(name, words), options);
}

/** The text that a program has written to one of its outputs. */
class Output {
  /** All of it, when the program has ended. */
  readonly all: Promise<string>;
  #text = "";
  #changed = Promise.withResolvers<void>();
  #isOver = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.all = this.#read(stream);
  }

  async wait(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) return match;
      if (this.#isOver) throw new Error(`It ended after "${this.#text}"`);
      await this.#changed.promise;
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#text += decoder.decode(chunk, { stream: true });
      this.#announce();
    }
    this.#isOver = true;
    this.#announce();
    return this.#text;
  }

  #announce(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
