/**
 * What this machine allows the benchmark: to pin programs to cores, to give
 * servers half a core, to raise its priority, and to hold connections. And a
 * description of the machine, without which figures mean nothing.
 *
 * @module
 */

import { formatBytes } from "../packages/std.ts";
import { hasProgram, outputOf } from "../programs.ts";
import { cpuQuota } from "./cgroup.ts";
import type { Peer } from "./peers/tools.ts";

/** Descriptors that a process needs for itself. */
const DESCRIPTORS_SPARE = 100;
/** More than any scenario needs. */
const DESCRIPTORS_WANTED = 32_768;
const BYTES_PER_KIB = 1_024;

/** Raises the limit as far as asked, or as far as the system allows. */
const RAISE = `
hard=$(ulimit -H -n)
[ "$hard" = unlimited ] || [ "$hard" -gt "$2" ] && hard=$2
[ "$(ulimit -S -n)" -ge "$hard" ] || prlimit --pid "$1" --nofile="$hard:"`;

/** Each thread has a priority of its own, which its child processes inherit. */
const GO_FIRST = `
for task in /proc/"$1"/task/*; do
  renice -n -20 -p "\${task##*/}" || exit 1
done`;

const HYPERVISOR = "systemd-detect-virt --vm || " +
  "cat /sys/hypervisor/type /sys/class/dmi/id/product_name";
const GOVERNOR = "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
const COMMIT = 'git -C "$1" rev-parse --short HEAD';
const ROOT = new URL("../../", import.meta.url).pathname;

/** Prints the version of a program, somewhere in its first line. */
const TOOLS = { wrk: "wrk -v", perf: "perf --version", rustc: "rustc -V" };
const TOOL_VERSION = /\d+(\.\d+)+[^\s,]*/;

/** The abilities of the machine. */
export type Machine = ReturnType<typeof prepareMachine>;

/**
 * Finds the abilities of the machine, and leaves the servers' core to them.
 *
 * @param unlimited For the notes: when servers are not limited to half a core.
 */
export function prepareMachine(unlimited = "in latency, idle and start") {
  const status = Deno.readTextFileSync("/proc/self/status");
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  const cores = parseCores(list!);
  const canPin = hasProgram("taskset") && cores.length > 1;
  const [server, load] = [cores[0], cores.at(-1)];
  const pid = `${Deno.pid}`;
  // The benchmark's own threads leave the servers' core; a thread that cannot
  // be moved disturbs a little, which is no reason to give up.
  if (canPin) sh('taskset -a -c -p "$1" "$2"', `${cores.slice(1)}`, pid);
  sh(RAISE, pid, `${DESCRIPTORS_WANTED}`);
  const isFirst = sh(GO_FIRST, pid) !== undefined;
  const quota = cpuQuota();
  const notes = [
    canPin
      ? `servers on core ${server}, load on core ${load}`
      : `nothing is pinned to a core: ${
        cores.length > 1 ? "there is no taskset" : "there is only one"
      }`,
    "reason" in quota
      ? `servers have all of their core: ${quota.reason}; ` +
        "the load may be the bottleneck"
      : `servers have half a core (a cgroup quota), but ${unlimited}`,
    isFirst
      ? "other programs on this machine have to wait (niceness)"
      : "other programs on this machine disturb: priority is not allowed",
  ];
  const descriptors = sh("ulimit -n") ?? "";
  return {
    /** The words before a server's command. */
    onServerCore: canPin ? ["taskset", "-c", `${server}`] : [],
    /** The words before a load generator's command. */
    onLoadCore: canPin ? ["taskset", "-c", `${load}`] : [],
    /** Limits servers to half a core. */
    quota: "reason" in quota ? undefined : quota,
    /** How many connections a process can hold. */
    connectionsMax: descriptors === "unlimited"
      ? Infinity
      : Number(descriptors) - DESCRIPTORS_SPARE,
    /** A line for each ability that the machine has or lacks. */
    notes,
  };
}

/** Returns the machine and the versions of the programs, by name. */
export function describeMachine(
  peers: readonly Peer[],
): Record<string, string> {
  const cpu = Deno.readTextFileSync("/proc/cpuinfo");
  const kernel = Deno.readTextFileSync("/proc/sys/kernel/osrelease").trim();
  const memory = Deno.readTextFileSync("/proc/meminfo");
  const [, kibibytes] = /^MemTotal:\s+(\d+) kB$/m.exec(memory) ?? [];
  const known: Record<string, string | undefined> = {
    "system": [Deno.build.os, kernel, Deno.build.arch].join(" "),
    "processor": /^model name\s*:\s*(.*\S)\s*$/m.exec(cpu)?.[1],
    "cores": `${cpu.match(/^processor\s*:/gm)?.length}`,
    "memory": formatBytes(Number(kibibytes) * BYTES_PER_KIB, { binary: true }),
    "governor": sh(GOVERNOR),
    "hypervisor": sh(HYPERVISOR),
    "commit": sh(COMMIT, ROOT),
  };
  for (const { name, version } of peers) known[name] = version;
  for (const [tool, command] of Object.entries(TOOLS)) {
    // wrk prints its version, and exits with a failure.
    known[tool] = TOOL_VERSION.exec(sh(`${command} 2>&1 || true`) ?? "")?.[0];
  }
  return Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, string] =>
      entry[1] !== undefined && entry[1] !== ""
    ),
  );
}

/** Returns the cores in a list as the kernel writes it: `0-3,8`. */
export function parseCores(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    const length = last! - first! + 1;
    return Array.from({ length }, (_, index) => first! + index);
  });
}

/** Returns the first line that a script prints; nothing when it fails. */
function sh(script: string, ...args: string[]): string | undefined {
  const output = outputOf(["sh", "-c", script, "sh", ...args]);
  return output?.trim().split("\n", 1)[0];
}
