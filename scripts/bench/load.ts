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
  await using load = await startLoad(command);
  const { text, saidMs, complaint } = await load.end();
  return { ...seenBy(text, saidMs), complaint };
}

/** Starts a load, which is killed when it takes too long, or the script ends. */
export async function startLoad([program, ...args]: readonly string[]) {
  await stillWanted();
  const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  const signal = AbortSignal.timeout(LOAD_MS_MAX);
  const child = new Deno.Command(program!, { args, signal, ...pipes }).spawn();
  const interrupted = whenInterrupted(() => kill(child, "SIGKILL"));
  const complaint = new Response(child.stderr).text();
  const printed = Promise.withResolvers<void>();
  let [text, saidMs] = ["", 0];
  // Its end comes later: closing thousands of connections takes a while.
  const read = async () => {
    for await (
      const piece of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      text += piece;
      saidMs = performance.now();
      printed.resolve();
    }
    printed.resolve();
  };
  const over = read();
  return {
    /** Resolves when it has printed a line, or has ended. */
    printed: printed.promise,
    /**
     * Ends connections that are held, and waits for the end.
     *
     * @throws {Failure} when it fails, or takes too long.
     */
    async end() {
      await child.stdin.close();
      const { success } = await child.status;
      await over;
      if (success) return { text, saidMs, complaint: await complaint };
      throw new Failure(
        signal.aborted
          ? `the load did not end in ${LOAD_MS_MAX / MS_PER_SECOND} s`
          : `the load failed: ${(await complaint).trim() || text.trim()}`,
      );
    },
    /** Kills it if it still runs. */
    async [Symbol.asyncDispose]() {
      kill(child, "SIGKILL");
      await child.status;
      interrupted[Symbol.dispose]();
    },
  };
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
