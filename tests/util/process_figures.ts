/**
 * What a process uses, as /proc tells.
 *
 * @module
 */

import { type CpuTime, parseStat } from "../../scripts/process_cpu.ts";

const KIB = 1024;

/** Returns the milliseconds of processor time that a process has used. */
export function cpuMsOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const { userUs, systemUs }: CpuTime = parseStat(text);
  return (userUs + systemUs) / 1000;
}

/**
 * Returns the share of one processor that a process uses over `spanMs`, from 0
 * to 1 a thread. The one place where a test lets time pass: an idle process is
 * seen to be idle over time alone.
 */
export async function cpuShareOf(pid: number, spanMs: number): Promise<number> {
  const beforeMs = cpuMsOf(pid);
  await new Promise((resolve) => setTimeout(resolve, spanMs));
  return (cpuMsOf(pid) - beforeMs) / spanMs;
}

/** Returns the bytes of memory that a process holds. */
export function residentBytesOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)![1]) * KIB;
}
