/**
 * The resources that a process uses, from /proc.
 *
 * @module
 */

import process from "node:process";

const KIB = 1024;
/** The kernel counts for users in hundredths of a second: `proc_pid_stat(5)`. */
const MS_PER_TICK = 10;

/** Returns the milliseconds of processor time that a process has used. */
function cpuMsOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The program's name may hold anything, parentheses and spaces among it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [user, system] = fields.slice(11, 13).map(Number);
  return (user! + system!) * MS_PER_TICK;
}

/** Returns the milliseconds of processor time that this process has used. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** How long a process is watched, and how often at the most. */
const WATCH_MS = 1_000;
const WATCHES_MAX = 10;

/**
 * Returns whether a process comes to use less than `share` of one processor, from
 * 0 to 1 a thread: its start may still go on for a while on a busy machine. The
 * one place where a test lets time pass: a process is seen to be idle over time
 * alone, and others that have the processor do not make it less idle.
 */
export async function isIdle(pid: number, share: number): Promise<boolean> {
  for (let watch = 0; watch < WATCHES_MAX; watch++) {
    const beforeMs = cpuMsOf(pid);
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    if (cpuMsOf(pid) - beforeMs < share * WATCH_MS) return true;
  }
  return false;
}

/** Returns the bytes of memory that a process holds. */
export function residentBytesOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)![1]) * KIB;
}
