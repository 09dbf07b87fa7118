/**
 * How much processor time a process has used.
 *
 * @module
 */

/**
 * The kernel counts processor time for users in hundredths of a second on
 * every machine that Deno runs on (`USER_HZ`, `proc_pid_stat(5)`).
 */
const US_PER_TICK = 10_000;

/** Places in `/proc/PID/stat` after the name, which may hold anything. */
const USER_FIELD = 11;
const SYSTEM_FIELD = 12;

/** Processor time in microseconds, all threads together. */
export interface CpuTime {
  /** Spent in the program. */
  readonly userUs: number;
  /** Spent in the kernel for the program. */
  readonly systemUs: number;
}

/**
 * Returns what a process has used so far; `undefined` where there is no /proc,
 * or no such process.
 */
export function cpuTimeOf(pid: number): CpuTime | undefined {
  const text = readProc(`${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

/**
 * Returns a file under /proc, if it is there. Deno itself reads there only with
 * every permission there is; `cat` needs `--allow-run=cat`.
 */
export function readProc(path: string): string | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const { success, stdout } = new Deno.Command("cat", {
    args: [`/proc/${path}`],
    stdin: "null",
    stderr: "null",
  }).outputSync();
  return success ? new TextDecoder().decode(stdout) : undefined;
}

/** Returns the time in the text of a `/proc/PID/stat`. */
export function parseStat(text: string): CpuTime {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    userUs: Number(fields[USER_FIELD]) * US_PER_TICK,
    systemUs: Number(fields[SYSTEM_FIELD]) * US_PER_TICK,
  };
}

/** Returns what was used between two looks. */
export function cpuBetween(before: CpuTime, after: CpuTime): CpuTime {
  return {
    userUs: after.userUs - before.userUs,
    systemUs: after.systemUs - before.systemUs,
  };
}
