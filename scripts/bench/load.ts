/**
 * The load generators: the project's own, which verifies every byte, and wrk,
 * so that readers need not trust the project's own.
 *
 * The own generator is the load of all scenarios but one. wrk, oha and h2load
 * verify no byte of an answer, and cannot echo, hold idle connections, ask in
 * intervals over one connection, or read events.
 *
 * @module
 */

import { build } from "../build.ts";
import { Failure } from "../command_line.ts";
import { stillWanted, whenInterrupted } from "../interrupt.ts";
import { cratePath } from "../programs.ts";
import { kill } from "../server_process.ts";

/** How long a load may take beside its own time: a server may hang. */
const LOAD_MS_MAX = 120_000;
const MS_PER_SECOND = 1_000;

/** The result of a load generator. */
export interface LoadSeen {
  /** Requests that were answered. */
  readonly requests: number;
  /** The seconds that were measured. */
  readonly seconds: number;
  /** The end of that time, as `performance.now()` counts. */
  readonly endedMs: number;
  /** The times of answers, as far as the generator prints them. */
  readonly latency: Partial<
    Record<"p50Us" | "p99Us" | "p999Us" | "maxUs", number>
  >;
  /** The text of standard error. */
  readonly complaint: string;
}

/** Builds the project's own generator. */
export function prepareOwnLoad(): void {
  build(["--bin", "load"]);
}

/** Returns the own generator's command; without a time it holds connections. */
export function ownLoad(
  port: number,
  connections: number,
  [mode, ...words]: readonly string[],
  seconds?: number,
): string[] {
  return [
    cratePath("target/release/load"),
    ...["--port", `${port}`, mode!, "--connections", `${connections}`],
    ...seconds === undefined ? [] : ["--seconds", `${seconds}`],
    ...words,
  ];
}

/** Returns wrk's command for a `GET` of `/`; it counts whole seconds. */
export function wrk(
  port: number,
  connections: number,
  seconds: number,
): string[] {
  return [
    ...["wrk", "-t1", `-c${connections}`, `-d${Math.ceil(seconds)}s`],
    `http://127.0.0.1:${port}/`,
  ];
}

/**
 * Runs a command that puts load on a server, and returns its result.
 *
 * @throws {Failure} when it cannot run, or an answer was wrong.
 */
export async function runLoad(command: readonly string[]): Promise<LoadSeen> {
  await using load = await Load.start(command);
  const { text, saidMs, complaint } = await load.end();
  return { ...seenBy(text, saidMs), complaint };
}

/** A load that is killed when it takes too long, or the script ends. */
export class Load implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #interrupted: Disposable;
  readonly #late = AbortSignal.timeout(LOAD_MS_MAX);
  readonly #output: Promise<void>;
  readonly #complaint: Promise<string>;
  readonly #printed = Promise.withResolvers<void>();
  #text = "";
  #saidMs = 0;

  private constructor([program, ...args]: readonly string[]) {
    const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    const signal = this.#late;
    this.#child = new Deno.Command(program!, { args, signal, ...pipes })
      .spawn();
    this.#interrupted = whenInterrupted(() => kill(this.#child, "SIGKILL"));
    this.#output = this.#read(this.#child.stdout);
    this.#complaint = new Response(this.#child.stderr).text();
  }

  /** Starts a command. */
  static async start(command: readonly string[]): Promise<Load> {
    await stillWanted();
    return new Load(command);
  }

  /** Resolves when it has printed a line, or has ended. */
  get printed(): Promise<void> {
    return this.#printed.promise;
  }

  /**
   * Ends connections that are held, and waits for the end.
   *
   * @throws {Failure} when it fails, or takes too long.
   */
  async end(): Promise<{ text: string; saidMs: number; complaint: string }> {
    await this.#child.stdin.close();
    const { success } = await this.#child.status;
    await this.#output;
    const [text, complaint] = [this.#text, await this.#complaint];
    if (success) return { text, saidMs: this.#saidMs, complaint };
    throw new Failure(
      this.#late.aborted
        ? `the load did not end in ${LOAD_MS_MAX / MS_PER_SECOND} s`
        : `the load failed: ${complaint.trim() || text.trim()}`,
    );
  }

  /** Kills it if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child, "SIGKILL");
    await this.#child.status;
    this.#interrupted[Symbol.dispose]();
  }

  /** Its end comes later: closing thousands of connections takes a while. */
  async #read(stdout: ReadableStream<Uint8Array>): Promise<void> {
    for await (const piece of stdout.pipeThrough(new TextDecoderStream())) {
      this.#text += piece;
      this.#saidMs = performance.now();
      this.#printed.resolve();
    }
    this.#printed.resolve();
  }
}

/**
 * Returns the result that a generator printed: the own one as a line of JSON,
 * wrk as text.
 *
 * @throws {Failure} when requests failed, or none was answered.
 */
export function seenBy(
  output: string,
  saidMs: number,
): Omit<LoadSeen, "complaint"> {
  const said = output.startsWith("{") ? JSON.parse(output) : saidByWrk(output);
  const { requests, seconds, secondsSince, failures, firstFailure } = said;
  if (failures > 0 || !(requests > 0)) {
    const first = firstFailure ? `, first: ${firstFailure}` : "";
    throw new Failure(
      `${failures} requests failed and ${requests} were answered${first}`,
    );
  }
  const { p50Us, p99Us, p999Us, maxUs } = said;
  return {
    requests,
    seconds,
    // The own generator waits for requests under way, and prints for how long.
    endedMs: saidMs - secondsSince * MS_PER_SECOND,
    latency: { p50Us, p99Us, p999Us, maxUs },
  };
}

function saidByWrk(output: string): Record<string, number | string> {
  const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(output) ??
    [];
  const faults = /^\s*(Socket errors|Non-2xx).*$/m.exec(output);
  return {
    requests: Number(requests),
    seconds: Number(seconds),
    secondsSince: 0,
    failures: faults === null ? 0 : 1,
    firstFailure: faults?.[0].trim() ?? "",
  };
}
