/**
 * A program that is talked to in lines: the load, and what counts system calls.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { stillWanted, whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";

/** How long a line may take: opening connections, at the most. */
const LINE_MS_MAX = 60_000;

/** A running program, which ends when its standard input does. */
export class Dialog implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #name: string;
  readonly #interrupted: Disposable;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #complaint: Promise<string>;
  #said = "";
  #text = "";

  private constructor([program, ...args]: readonly string[]) {
    const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    const child = new Deno.Command(program!, { args, ...pipes }).spawn();
    this.#child = child;
    this.#name = program!;
    this.#interrupted = whenInterrupted(() => kill(child, "SIGKILL"));
    this.#input = child.stdin.getWriter();
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#complaint = this.#hear();
  }

  /** Starts a command. */
  static async start(command: readonly string[]): Promise<Dialog> {
    await stillWanted();
    return new Dialog(command);
  }

  /**
   * Writes a line, if there is one, and returns the next that the program
   * prints.
   *
   * @throws {Failure} when it ends instead, or says nothing for long.
   */
  async ask(line?: string): Promise<string> {
    const timer = setTimeout(() => kill(this.#child, "SIGKILL"), LINE_MS_MAX);
    try {
      if (line !== undefined) await this.#write(`${line}\n`);
      return await this.#line();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when standard error has the text; false when it ended without. */
  async hasComplained(text: string): Promise<boolean> {
    const over = this.#complaint.then(() => true);
    while (!this.#said.includes(text)) {
      const next = new Promise<boolean>((done) => setTimeout(done, 5, false));
      if (await Promise.race([over, next])) return this.#said.includes(text);
    }
    return true;
  }

  /** Ends it, by a signal or by the end of its input: what it complained. */
  async end(signal?: Deno.Signal): Promise<string> {
    if (signal !== undefined) kill(this.#child, signal);
    await this.#input.close().catch(() => {});
    await this.#child.status;
    return await this.#complaint;
  }

  /** Kills it if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child, "SIGKILL");
    await this.#input.abort().catch(() => {});
    await this.#lines.cancel();
    await this.#child.status;
    await this.#complaint;
    this.#interrupted[Symbol.dispose]();
  }

  async #write(text: string): Promise<void> {
    try {
      await this.#input.write(new TextEncoder().encode(text));
    } catch {
      // It has ended: reading will say so.
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#lines.read();
      if (done) {
        const complaint = (await this.#complaint).trim();
        throw new Failure(complaint || `${this.#name} ended without a word`);
      }
      this.#text += value;
    }
  }

  async #hear(): Promise<string> {
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const piece of text) this.#said += piece;
    return this.#said;
  }
}
