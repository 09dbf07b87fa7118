/**
 * What the kernel knows of a server: processor time, context switches, memory
 * and threads, from `proc(5)`.
 *
 * @module
 */

import { CpuMeter } from "../bench/cpu.ts";
import { Failure } from "../command_line.ts";

const BYTES_PER_KIB = 1_024;
/** The places of `utime` and `stime` behind the name: `proc_pid_stat(5)`. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** What a process has used until a moment. */
export interface Used {
  /** When that was, as `performance.now()` counts. */
  readonly atMs: number;
  /** Processor time of all threads, exact: `schedstat` of each. */
  readonly cpuUs: number;
  /**
   * Processor time in the program and in the kernel, in the kernel's units. The
   * kernel splits the exact time as its ticks have found the process.
   */
  readonly userTicks: number;
  /** The part in the kernel. */
  readonly systemTicks: number;
  /** Context switches because a thread had to wait. */
  readonly voluntary: number;
  /** Context switches because the kernel took the processor away. */
  readonly involuntary: number;
}

/** What a process has. */
export interface Held {
  /** Memory in RAM: `VmRSS`. */
  readonly residentBytes: number;
  /** Addresses: `VmSize`. */
  readonly virtualBytes: number;
  /** Threads. */
  readonly threads: number;
}

/** Whether there is a `/proc` that knows all this. */
export const HAS_PROC: boolean = Deno.build.os === "linux";

/** Reads one process. */
export class ProcessMeter {
  readonly #pid: number;
  /** The processor time alone, and the wait for its rest. */
  readonly cpu: CpuMeter;

  /** Names a process. */
  constructor(pid: number) {
    this.#pid = pid;
    this.cpu = new CpuMeter(pid);
  }

  /**
   * Returns what it has used so far, by the threads that it has now. A thread
   * that has ended took its context switches along: read a process between
   * whose readings no thread ends.
   *
   * @throws {Failure} when the process has ended.
   */
  used(): Used {
    const stat = this.#read("stat");
    // The program's name may hold anything, parentheses among it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const { atMs, us } = this.cpu.look();
    return {
      ...{ atMs, cpuUs: us },
      userTicks: Number(fields[USER_TICKS]),
      systemTicks: Number(fields[SYSTEM_TICKS]),
      ...this.#switches(),
    };
  }

  /**
   * Returns what it has.
   *
   * @throws {Failure} when the process has ended.
   */
  held(): Held {
    const status = this.#read("status");
    return {
      residentBytes: numberIn(status, "VmRSS") * BYTES_PER_KIB,
      virtualBytes: numberIn(status, "VmSize") * BYTES_PER_KIB,
      threads: numberIn(status, "Threads"),
    };
  }

  #switches(): Pick<Used, "voluntary" | "involuntary"> {
    let [voluntary, involuntary] = [0, 0];
    for (const { name } of Deno.readDirSync(`/proc/${this.#pid}/task`)) {
      try {
        const status = this.#read(`task/${name}/status`);
        voluntary += numberIn(status, "voluntary_ctxt_switches");
        involuntary += numberIn(status, "nonvoluntary_ctxt_switches");
      } catch (error) {
        // The thread has ended since.
        if (!(error instanceof Failure)) throw error;
      }
    }
    return { voluntary, involuntary };
  }

  #read(file: string): string {
    try {
      return Deno.readTextFileSync(`/proc/${this.#pid}/${file}`);
    } catch {
      throw new Failure(`process ${this.#pid} has ended`);
    }
  }
}

/** Returns the number behind a name at the beginning of a line. */
function numberIn(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
}
