/**
 * Half a core for servers, by a control group's CPU quota.
 *
 * A load generator that shares the machine reaches its limit before a good
 * server does. Half a core makes the server the bottleneck.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";

/**
 * Short periods, so that a server is not away for long, and a prime number of
 * microseconds, so that no tick of the kernel falls into the same place of
 * each.
 */
const PERIOD_US = 9_973;
const QUOTA_US = Math.floor(PERIOD_US / 2);

/**
 * The files of a group, by version: what the server may use, and the highest
 * weight there is, so that other programs wait and not the server.
 */
const VERSIONS = [
  ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup", {
    "cpu.max": `${QUOTA_US} ${PERIOD_US}`,
    "cpu.weight": "10000",
  }],
  ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu", {
    "cpu.cfs_period_us": `${PERIOD_US}`,
    "cpu.cfs_quota_us": `${QUOTA_US}`,
    "cpu.shares": "262144",
  }],
] as const;

/**
 * Makes an empty group of processes that get half a core together, or says why
 * it cannot. They end before it is disposed of.
 */
export function cpuQuota() {
  const version = VERSIONS.find(([sign]) => existsSync(sign));
  if (version === undefined) return { reason: "there are no cgroups" };
  const [, root, files] = version;
  const group = `${root}/denio-bench-${Deno.pid}`;
  const write = (name: string, text: string) =>
    Deno.writeTextFileSync(`${group}/${name}`, text);
  try {
    Deno.mkdirSync(group);
    for (const [name, text] of Object.entries(files)) write(name, text);
  } catch (error) {
    remove(group);
    return { reason: `no cgroup quota (${(error as Error).message})` };
  }
  const interrupted = whenInterrupted(() => remove(group));
  return {
    /**
     * Puts a process into the group, with all of its threads.
     *
     * @throws {Failure} when it has ended.
     */
    add(pid: number): void {
      try {
        write("cgroup.procs", `${pid}`);
      } catch (error) {
        const { message } = error as Error;
        throw new Failure(`process ${pid} cannot be limited: ${message}`);
      }
    },
    [Symbol.dispose](): void {
      remove(group);
      interrupted[Symbol.dispose]();
    },
  };
}

function remove(group: string): void {
  try {
    Deno.removeSync(group);
  } catch {
    // The folder was not made, or is removed already.
  }
}
