/**
 * Counts the system calls of a server, by name where that is possible, in a run
 * of its own: to be watched costs a server time. `perf` has the kernel count;
 * without it `strace` stops the server at each call.
 *
 * @module
 */

import { parsePerf, whyNoCalls } from "../bench/system_calls.ts";
import { Failure } from "../command_line.ts";
import { Dialog } from "./dialog.ts";
import type { CallsByName } from "./results.ts";

const EVENT = "raw_syscalls:sys_enter";
/** The numbers of the calls by which models wait, accept, read and write. */
const NUMBERS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x86_64: {
    ...{ read: 0, write: 1, poll: 7, select: 23, sendto: 44, recvfrom: 45 },
    ...{ futex: 202, epoll_wait: 232, epoll_ctl: 233, pselect6: 270 },
    ...{ ppoll: 271, epoll_pwait: 281, accept4: 288, io_uring_enter: 426 },
  },
  aarch64: {
    ...{ epoll_ctl: 21, epoll_pwait: 22, read: 63, write: 64, pselect6: 72 },
    ...{ ppoll: 73, futex: 98, sendto: 206, recvfrom: 207, accept4: 242 },
    ...{ io_uring_enter: 426 },
  },
};
/** perf opens a descriptor for each event of each thread. */
const NAMED_THREADS_MAX = 200;
/** What strace says when it has reached a process. */
const ATTACHED = " attached";
/** `% time  seconds  usecs/call  calls  [errors]  syscall` of `strace -c`. */
const STRACE_LINE = /^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z]\w*)$/gm;

/** System calls of a server while something ran. */
export interface Calls {
  /** All of them. */
  readonly all: number;
  /** Those of each name; left out when they cannot be told apart. */
  readonly byName?: CallsByName;
}

/** Counts calls of processes. */
export interface CallCounter {
  /** The program that counts. */
  readonly program: "perf" | "strace";
  /** Counts the calls of a process while `run` runs. */
  count(
    pid: number,
    threads: number,
    run: () => Promise<unknown>,
  ): Promise<Calls>;
}

/** Returns what counts calls on this machine, or why nothing does. */
export function callCounter(): CallCounter | { readonly reason: string } {
  const noPerf = whyNoCalls();
  if (noPerf === undefined) return { program: "perf", count: byPerf };
  const noStrace = whyNoStrace();
  if (noStrace === undefined) return { program: "strace", count: byStrace };
  return { reason: `${noPerf}; ${noStrace}` };
}

/** Counts by `perf stat`, while a program waits for the end of its input. */
async function byPerf(
  pid: number,
  threads: number,
  run: () => Promise<unknown>,
): Promise<Calls> {
  const named = threads <= NAMED_THREADS_MAX
    ? Object.entries(NUMBERS[Deno.build.arch] ?? {})
    : [];
  // One event with a filter for each call costs less than an event for each.
  const filters = named.flatMap(([, number]) => [
    ...["-e", EVENT, "--filter", `id==${number}`],
  ]);
  await using perf = await Dialog.start([
    ...["perf", "stat", "-x,", "-e", EVENT, ...filters, "-p", `${pid}`, "--"],
    ...["sh", "-c", "echo counting; read -r _"],
  ]);
  await perf.ask();
  await run();
  const text = await perf.end();
  // A line for each event, in their order.
  const [all, ...counts] = text.split("\n")
    .filter((line) => line.includes(EVENT)).map((line) => parsePerf(line));
  if (all === undefined) throw new Failure(`perf says "${text.trim()}"`);
  if (named.length === 0) return { all };
  const byName = named.map(([name], place) =>
    [name, counts[place] ?? 0] as const
  );
  return { all, byName: sorted(byName) };
}

/** Counts by `strace -c`, which prints a table when it is interrupted. */
export async function byStrace(
  pid: number,
  _threads: number,
  run: () => Promise<unknown>,
): Promise<Calls> {
  await using strace = await Dialog.start(
    ["strace", "-f", "-c", "-p", `${pid}`],
  );
  const isAttached = await strace.hasComplained(ATTACHED);
  if (isAttached) await run();
  const text = await strace.end("SIGINT");
  const counts = [...text.matchAll(STRACE_LINE)]
    .map(([, count, name]) => [name!, Number(count)] as const)
    .filter(([name]) => name !== "total");
  if (!isAttached || counts.length === 0) {
    throw new Failure(`strace says "${text.trim()}"`);
  }
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  return { all, byName: sorted(counts) };
}

/** Returns why `strace` traces nothing here, unless it does. */
export function whyNoStrace(): string | undefined {
  try {
    const args = ["-c", "-o", "/dev/null", "true"];
    const { success, stderr } = new Deno.Command("strace", { args })
      .outputSync();
    if (success) return undefined;
    return `strace says "${new TextDecoder().decode(stderr).trim()}"`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "strace is not installed";
  }
}

function sorted(counts: readonly (readonly [string, number])[]): CallsByName {
  return Object.fromEntries(
    counts.filter(([, count]) => count > 0)
      .toSorted(([, one], [, other]) => other - one),
  );
}
