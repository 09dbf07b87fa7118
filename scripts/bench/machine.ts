/**
 * What this machine lets the benchmark do: pin programs to cores, give servers
 * half a core, and hold connections.
 *
 * @module
 */

import { readProc } from "../process_cpu.ts";
import { CpuQuota } from "./cgroup.ts";

/** Descriptors that a process needs for itself. */
const DESCRIPTORS_SPARE = 100;
/** More than any scenario needs. */
const DESCRIPTORS_WANTED = 32_768;

/** As many as are wanted, or else as many as the system allows. */
const RAISE = `
hard=$(ulimit -H -n)
[ "$hard" = unlimited ] || [ "$hard" -gt "$2" ] && hard=$2
[ "$(ulimit -S -n)" -ge "$hard" ] || prlimit --pid "$1" --nofile="$hard:"`;

/** Each thread has its own; what a program starts has that of who started it. */
const GO_FIRST = `
for task in /proc/"$1"/task/*; do
  renice -n -20 -p "\${task##*/}" || exit 1
done`;

/** Where programs run. */
export interface Machine {
  /** What to put before a server's command. */
  readonly onServerCore: string[];
  /** What to put before a load generator's command. */
  readonly onLoadCore: string[];
  /** What keeps servers at half a core. */
  readonly quota: CpuQuota | undefined;
  /** How many connections a process can hold. */
  readonly connectionsMax: number;
  /** A line for each thing that is, or could not be. */
  readonly notes: string[];
}

/** Finds out what the machine can do, and leaves the servers' core to them. */
export function prepareMachine(): Machine {
  const cores = allowedCores();
  const canPin = hasProgram("taskset") && cores.length > 1;
  const [server, load] = [cores[0], cores.at(-1)];
  if (canPin) keepTo(cores.slice(1));
  raiseDescriptors();
  const isFirst = goFirst();
  const quota = CpuQuota.create();
  const notes = [
    canPin
      ? `servers on core ${server}, load on core ${load}`
      : `nothing is pinned to a core: ${
        cores.length > 1 ? "there is no taskset" : "there is only one"
      }`,
    quota instanceof CpuQuota
      ? "servers have half a core (a cgroup quota), but in latency, idle and " +
        "start"
      : `servers have all of their core: ${quota.reason}; ` +
        "the load may be the bottleneck",
    isFirst
      ? "what else runs here has to wait (niceness)"
      : "what else runs here disturbs: priority is not allowed",
  ];
  return {
    onServerCore: canPin ? ["taskset", "-c", `${server}`] : [],
    onLoadCore: canPin ? ["taskset", "-c", `${load}`] : [],
    quota: quota instanceof CpuQuota ? quota : undefined,
    connectionsMax: descriptorsOf(Deno.pid) - DESCRIPTORS_SPARE,
    notes,
  };
}

/** Whether a program is installed. */
export function hasProgram(name: string): boolean {
  return shell('command -v "$1"', name);
}

/** Returns the cores in a list as the kernel writes it: `0-3,8`. */
export function parseCores(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    const length = last! - first! + 1;
    return Array.from({ length }, (_, index) => first! + index);
  });
}

/** Returns the descriptors that a `/proc/PID/limits` allows; none, if none. */
export function parseDescriptors(limits: string): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? [];
  return soft === "unlimited" ? Infinity : Number(soft ?? 0);
}

/** The cores that this process may use, by number. */
function allowedCores(): number[] {
  const status = readProc(`${Deno.pid}/status`) ?? "";
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list === undefined ? [] : parseCores(list);
}

function descriptorsOf(pid: number): number {
  return parseDescriptors(readProc(`${pid}/limits`) ?? "");
}

/** Has the benchmark's own threads run on these cores only. */
function keepTo(cores: readonly number[]): void {
  // What it cannot move disturbs a little: no reason to give up.
  shell('taskset -a -c -p "$1" "$2"', `${cores}`, `${Deno.pid}`);
}

/** Programs begin with few descriptors on most systems, and may have more. */
function raiseDescriptors(): void {
  shell(RAISE, `${Deno.pid}`, `${DESCRIPTORS_WANTED}`);
}

/** Takes precedence, with all that is started: what else runs would disturb. */
function goFirst(): boolean {
  return shell(GO_FIRST, `${Deno.pid}`);
}

function shell(script: string, ...args: string[]): boolean {
  const { success } = new Deno.Command("sh", {
    args: ["-c", script, "sh", ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success;
}
