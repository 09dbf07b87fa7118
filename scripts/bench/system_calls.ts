/**
 * Counts the system calls of a server while load is put on it. `perf` has the
 * kernel count them, which costs a server next to nothing.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { runLoad } from "./load.ts";

const EVENT = "raw_syscalls:sys_enter";
const PERF = ["perf", "stat", "-x,", "-e", EVENT];

/** The system calls of a server under a load. */
export interface CallsSeen {
  /** System calls that it made. */
  readonly calls: number;
  /** Requests that it answered. */
  readonly requests: number;
}

/** Returns why calls cannot be counted here; nothing when they can. */
export function whyNoCalls(): string | undefined {
  const [program, ...args] = [...PERF, "--", "true"];
  try {
    const { stderr } = new Deno.Command(program!, { args }).outputSync();
    const text = new TextDecoder().decode(stderr).trim();
    return parsePerf(text) === undefined
      ? `perf says "${text.split("\n").at(-1)}"`
      : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "perf is not installed";
    throw error;
  }
}

/** Counts the calls of a process while a command puts load on it. */
export async function countCalls(
  pid: number,
  load: readonly string[],
): Promise<CallsSeen> {
  // perf counts until the command that it is given ends.
  const seen = await runLoad([...PERF, "-p", `${pid}`, "--", ...load]);
  const calls = parsePerf(seen.complaint);
  if (calls !== undefined) return { calls, requests: seen.requests };
  throw new Failure("perf did not say how many system calls there were");
}

/** Returns the count that `perf stat -x,` printed. */
export function parsePerf(text: string): number | undefined {
  const line = text.split("\n").find((line) => line.includes(EVENT));
  const [count = ""] = line?.split(",") ?? [];
  return /^\d+$/.test(count) ? Number(count) : undefined;
}

/**
 * Returns the calls of a request. Where connections are many, those that open
 * and close them would be most: then `less` is what the same connections did
 * with fewer requests.
 */
export function callsOfRequest(
  more: CallsSeen,
  less: CallsSeen = { calls: 0, requests: 0 },
): number {
  return (more.calls - less.calls) / (more.requests - less.requests);
}
