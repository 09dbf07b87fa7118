/**
 * Half a core for servers, by a control group's CPU quota.
 *
 * A load generator that shares the machine is spent before a good server is.
 * Half a core makes the server the bottleneck, and its figures its own.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";

/**
 * Short periods, so that a server is not away for long. Of 10 ms, the kernel's
 * tick of 4 ms, by which it guesses whose the time was, would see but a few
 * places: a prime number of microseconds is seen in every place.
 */
const PERIOD_US = 9_973;
const QUOTA_US = Math.floor(PERIOD_US / 2);

/**
 * Deno itself touches nothing under /sys: a shell does. The weights are the
 * highest there are: what else runs here is to wait, and not the server.
 */
const CREATE = `
set -e
name=$1 quota=$2 period=$3
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  group=/sys/fs/cgroup/$name
  mkdir "$group"
  echo "$quota $period" > "$group/cpu.max"
  echo 10000 > "$group/cpu.weight"
else
  group=/sys/fs/cgroup/cpu/$name
  mkdir "$group"
  echo "$period" > "$group/cpu.cfs_period_us"
  echo "$quota" > "$group/cpu.cfs_quota_us"
  echo 262144 > "$group/cpu.shares"
fi
echo "$group"`;
const ADD = 'echo "$2" > "$1/cgroup.procs"';
const REMOVE = 'rmdir "$1"';

/** A group of processes that get half a core together. */
export class CpuQuota implements Disposable {
  readonly #group: string;
  readonly #interrupted: Disposable;

  private constructor(group: string) {
    this.#group = group;
    this.#interrupted = whenInterrupted(() => this.#remove());
  }

  /** Makes an empty group, or says why it cannot. */
  static create(): CpuQuota | { readonly reason: string } {
    if (Deno.build.os !== "linux") return { reason: "that takes Linux" };
    const name = `denio-bench-${Deno.pid}`;
    const result = shell(CREATE, name, `${QUOTA_US}`, `${PERIOD_US}`);
    if (result.isOk) return new CpuQuota(result.text);
    // What was made before it failed.
    shell(REMOVE, `/sys/fs/cgroup/${name}`);
    shell(REMOVE, `/sys/fs/cgroup/cpu/${name}`);
    return { reason: `no cgroup quota (${result.text})` };
  }

  /**
   * Puts a process into the group, with all of its threads.
   *
   * @throws {Failure} when it has ended.
   */
  add(pid: number): void {
    const { isOk, text } = shell(ADD, this.#group, `${pid}`);
    if (!isOk) throw new Failure(`process ${pid} cannot be limited: ${text}`);
  }

  /** Removes the group, whose processes must have ended. */
  [Symbol.dispose](): void {
    this.#remove();
    this.#interrupted[Symbol.dispose]();
  }

  #remove(): void {
    shell(REMOVE, this.#group);
  }
}

function shell(
  script: string,
  ...args: string[]
): { isOk: boolean; text: string } {
  const { success, stdout, stderr } = new Deno.Command("sh", {
    args: ["-c", script, "sh", ...args],
    stdin: "null",
  }).outputSync();
  const text = new TextDecoder().decode(success ? stdout : stderr);
  return { isOk: success, text: text.trim().split("\n").at(-1) ?? "" };
}
