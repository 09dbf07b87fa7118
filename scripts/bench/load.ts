/**
 * What puts load on a server: the project's own generator, which verifies every
 * byte, and wrk, so that nobody has to take its word.
 *
 * The own generator is the load of all other scenarios. wrk, oha and h2load
 * verify no byte of an answer, and none of them can echo, hold connections that
 * wait, ask in intervals over one connection, or read events.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { build } from "../build.ts";
import { Failure } from "../command_line.ts";
import { stillWanted, whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";

/** How long a load may take beside its own time: a server may hang. */
const LOAD_MS_MAX = 120_000;
const MS_PER_SECOND = 1_000;

/** What a load generator saw. */
export interface LoadSeen {
  /** Requests that were answered. */
  readonly requests: number;
  /** How long it took. */
  readonly seconds: number;
  /** When that was over, as `performance.now()` counts. */
  readonly endedMs: number;
  /** How long answers took, as far as the generator says. */
  readonly latency: {
    readonly p50Us?: number;
    readonly p99Us?: number;
    readonly p999Us?: number;
    readonly maxUs?: number;
  };
  /** What was printed on standard error. */
  readonly complaint: string;
}

/** Builds the project's own generator. */
export function prepareOwnLoad(): void {
  build(["--example", "load"]);
}

/** Returns the own generator's command; without a time it holds connections. */
export function ownLoad(
  port: number,
  connections: number,
  [mode, ...words]: readonly string[],
  seconds?: number,
): string[] {
  const path = "../../native/target/release/examples/load";
  return [
    fileURLToPath(new URL(path, import.meta.url)),
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
 * Runs a command that puts load on a server, and returns what it saw.
 *
 * @throws {Failure} when it cannot, or an answer was not what it must be.
 */
export async function runLoad(command: readonly string[]): Promise<LoadSeen> {
  await stillWanted();
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await using running = new RunningLoad(child);
  const [{ text, saidMs }, complaint, { success }] = await Promise.all([
    textAndTime(child.stdout),
    new Response(child.stderr).text(),
    child.status,
  ]);
  if (success) return { ...seenBy(text, saidMs), complaint };
  throw running.failure(complaint.trim() || text.trim());
}

/**
 * Opens connections that wait, and resolves when each has been answered once.
 *
 * @throws {Failure} when one could not be opened.
 */
export async function holdConnections(
  command: readonly string[],
): Promise<AsyncDisposable & { end(): Promise<void> }> {
  await stillWanted();
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const running = new RunningLoad(child);
  const complaint = new Response(child.stderr).text();
  const end = async () => {
    await child.stdin.close();
    const { success } = await child.status;
    if (!success) throw running.failure((await complaint).trim());
  };
  // One line says that all are open; the output ends when that failed.
  const { done } = await child.stdout.getReader().read();
  if (done) {
    await using _ended = running;
    await end();
  }
  return { end, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** A load that is killed when it takes too long, or the script ends. */
class RunningLoad implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #interrupted: Disposable;
  readonly #timer: ReturnType<typeof setTimeout>;
  #isOver = false;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#interrupted = whenInterrupted(() => kill(child, "SIGKILL"));
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      kill(child, "SIGKILL");
    }, LOAD_MS_MAX);
  }

  /** Returns why it failed. */
  failure(complaint: string): Failure {
    return new Failure(
      this.#isOver
        ? `the load did not end in ${LOAD_MS_MAX / MS_PER_SECOND} s`
        : `the load failed: ${complaint}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    kill(this.#child, "SIGKILL");
    await this.#child.status;
    this.#interrupted[Symbol.dispose]();
  }
}

/** Closing thousands of connections takes a program that has ended a while. */
async function textAndTime(
  stdout: ReadableStream<Uint8Array>,
): Promise<{ text: string; saidMs: number }> {
  let text = "";
  let saidMs = performance.now();
  for await (const piece of stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    saidMs = performance.now();
  }
  return { text, saidMs };
}

/**
 * Returns what a generator printed: the own one a line of JSON, wrk its text.
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
    // The own one waits for what was under way, and says for how long.
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
