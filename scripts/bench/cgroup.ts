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

/** A group of processes that get half a core together. */
export class CpuQuota implements Disposable {
  readonly #group: string;
  readonly #interrupted: Disposable;

  private constructor(group: string) {
    this.#group = group;
    this.#interrupted = whenInterrupted(() => remove(group));
  }

  /** Makes an empty group, or says why it cannot. */
  static create(): CpuQuota | { readonly reason: string } {
    const version = VERSIONS.find(([sign]) => existsSync(sign));
    if (version === undefined) return { reason: "there are no cgroups" };
    const [, root, files] = version;
    const group = `${root}/denio-bench-${Deno.pid}`;
    try {
      Deno.mkdirSync(group);
      for (const [name, text] of Object.entries(files)) {
        Deno.writeTextFileSync(`${group}/${name}`, text);
      }
      return new CpuQuota(group);
    } catch (error) {
      remove(group);
      return { reason: `no cgroup quota (${(error as Error).message})` };
    }
  }

  /**
   * Puts a process into the group, with all of its threads.
   *
   * @throws {Failure} when it has ended.
   */
  add(pid: number): void {
    try {
      Deno.writeTextFileSync(`${this.#group}/cgroup.procs`, `${pid}`);
    } catch (error) {
      const { message } = error as Error;
      throw new Failure(`process ${pid} cannot be limited: ${message}`);
    }
  }

  /** Removes the group, whose processes must have ended. */
  [Symbol.dispose](): void {
    remove(this.#group);
    this.#interrupted[Symbol.dispose]();
  }
}

function remove(group: string): void {
  try {
    Deno.removeSync(group);
  } catch {
    // The folder was not made, or is removed already.
  }
}
