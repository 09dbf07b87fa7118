/**
 * Counts the system calls of a server while load is put on it.
 *
 * `perf` has the kernel count them, which costs a server next to nothing;
 * `strace` stops it at each, so that it is slow, but makes the same calls.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { kill } from "../server_process.ts";
import { type LoadSeen, runLoad } from "./load_generators.ts";

const PERF_EVENT = "raw_syscalls:sys_enter";
const PERF = ["perf", "stat", "-x,", "-e", PERF_EVENT];
const STRACE = ["strace", "-c", "-f"];
/** What strace says when it has all threads. */
const ATTACHED = /Process \d+ attached/;

/** What a server did under a load. */
export interface CallsSeen {
  /** System calls that it made. */
  readonly calls: number;
  /** Requests that it answered. */
  readonly requests: number;
}

/** Counts the calls of a process while a command puts load on it. */
export type CallCounter = (
  pid: number,
  load: readonly string[],
) => Promise<CallsSeen>;

/** Returns what can count here and its name, or why nothing can. */
export function chooseCallCounter():
  | { readonly tool: string; readonly count: CallCounter }
  | { readonly reason: string } {
  const perf = complaintOf([...PERF, "--", "true"]);
  if (parsePerf(perf) !== undefined) return { tool: "perf", count: byPerf };
  const strace = complaintOf([...STRACE, "true"]);
  if (parseStrace(strace) !== undefined) {
    return { tool: "strace", count: byStrace };
  }
  return {
    reason: `system calls are not counted: perf says "${lastLine(perf)}", ` +
      `strace says "${lastLine(strace)}"`,
  };
}

/** Returns what `perf stat -x,` counted. */
export function parsePerf(text: string): number | undefined {
  const line = text.split("\n").find((line) => line.includes(PERF_EVENT));
  const [count = ""] = line?.split(",") ?? [];
  return /^\d+$/.test(count) ? Number(count) : undefined;
}

/** Returns the calls in the last line of what `strace -c` prints. */
export function parseStrace(text: string): number | undefined {
  const line = text.split("\n").findLast((line) => /\btotal$/.test(line));
  // "100.00 0.000225 2 109 14 total": the 14 are errors, if there were any.
  const [, , , calls = ""] = line?.trim().split(/\s+/) ?? [];
  return /^\d+$/.test(calls) ? Number(calls) : undefined;
}

/**
 * Returns the calls of a request. Where connections are many, those that open
 * and close them would be most: then `less` is what the same connections did
 * with fewer requests.
 */
export function callsOfRequest(more: CallsSeen, less?: CallsSeen): number {
  const calls = more.calls - (less?.calls ?? 0);
  return calls / (more.requests - (less?.requests ?? 0));
}

/** perf counts as long as the command runs that it is given. */
const byPerf: CallCounter = async (pid, load) => {
  const seen = await runLoad([...PERF, "-p", `${pid}`, "--", ...load]);
  return callsSeen("perf", parsePerf(seen.complaint), seen);
};

/** strace counts from when it has attached until it is interrupted. */
const byStrace: CallCounter = async (pid, load) => {
  const [program, ...args] = [...STRACE, "-p", `${pid}`];
  const strace = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  // Not killed: it must let go of the server first.
  using _ = whenInterrupted(() => kill(strace, "SIGINT"));
  const attached = Promise.withResolvers<void>();
  const printed = textOf(strace.stderr, (text) => {
    if (ATTACHED.test(text)) attached.resolve();
  });
  await Promise.race([attached.promise, printed]);
  let seen;
  try {
    seen = await runLoad(load);
  } finally {
    kill(strace, "SIGINT");
    await strace.status;
  }
  return callsSeen("strace", parseStrace(await printed), seen);
};

function callsSeen(
  tool: string,
  calls: number | undefined,
  { requests }: LoadSeen,
): CallsSeen {
  if (calls !== undefined) return { calls, requests };
  throw new Failure(`${tool} did not say how many system calls there were`);
}

async function textOf(
  stream: ReadableStream<Uint8Array>,
  more: (text: string) => void,
): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    more(text);
  }
  return text;
}

/** What a program prints on standard error; or that it is not there. */
function complaintOf([program, ...args]: readonly string[]): string {
  try {
    const { stderr } = new Deno.Command(program!, { args, stdin: "null" })
      .outputSync();
    return new TextDecoder().decode(stderr);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "not installed";
    throw error;
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
