/**
 * What this machine lets the benchmark do: pin programs to cores, and give
 * servers half a core.
 *
 * @module
 */

import { readProc } from "../process_cpu.ts";
import { CpuQuota } from "./cgroup.ts";

/** Where programs run. */
export interface Machine {
  /** What to put before a server's command. */
  readonly onServerCore: string[];
  /** What to put before a load generator's command. */
  readonly onLoadCore: string[];
  /** What keeps servers at half a core. */
  readonly quota: CpuQuota | undefined;
  /** A line for each thing that is, or could not be. */
  readonly notes: string[];
}

/** Finds out what the machine can do. */
export function prepareMachine(): Machine {
  const cores = allowedCores();
  const canPin = hasProgram("taskset") && cores.length > 1;
  const [server, load] = [cores[0], cores.at(-1)];
  const quota = CpuQuota.create();
  const notes = [
    canPin
      ? `servers on core ${server}, load on core ${load}`
      : `nothing is pinned to a core: ${
        cores.length > 1 ? "there is no taskset" : "there is only one"
      }`,
    quota instanceof CpuQuota
      ? "servers have half a core (a cgroup quota of 5 ms in 10)"
      : `servers have all of their core: ${quota.reason}; ` +
        "the load may be the bottleneck",
  ];
  return {
    onServerCore: canPin ? ["taskset", "-c", `${server}`] : [],
    onLoadCore: canPin ? ["taskset", "-c", `${load}`] : [],
    quota: quota instanceof CpuQuota ? quota : undefined,
    notes,
  };
}

/** Whether a program is installed. */
export function hasProgram(name: string): boolean {
  const { success } = new Deno.Command("sh", {
    args: ["-c", 'command -v "$1"', "sh", name],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return success;
}

/** The cores that this process may use, by number. */
function allowedCores(): number[] {
  const status = readProc(`${Deno.pid}/status`) ?? "";
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list === undefined ? [] : parseCores(list);
}

/** Returns the cores in a list as the kernel writes it: `0-3,8`. */
export function parseCores(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    const length = last! - first! + 1;
    return Array.from({ length }, (_, index) => first! + index);
  });
}
