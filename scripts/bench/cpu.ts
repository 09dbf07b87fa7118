/**
 * Watches how much processor time a process uses while load is put on it.
 *
 * A load generator first opens its connections, perhaps thousands, and prints
 * at its end how long the measured part took. So the benchmark reads the
 * server's time all the while, and computes the part afterwards.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { Failure } from "../command_line.ts";

/** One look takes less than a per cent of this on the load's core. */
const LOOK_MS = 50;
/** A server is at rest when it uses less than so much from look to look. */
const REST_LOOK_MS = 25;
const REST_US_MAX = 1_000;
/** A garbage collector may take long, but this wait must end. */
const REST_MS_MAX = 3_000;
const NS_PER_US = 1_000;

/** The time that a process had used at a moment. */
export interface CpuLook {
  /** The moment, as `performance.now()` counts. */
  readonly atMs: number;
  /** Microseconds of processor time, of all threads, program and kernel. */
  readonly us: number;
}

/** The processor time of one process, as the scheduler knows it. */
export class CpuMeter {
  readonly #pid: number;
  /**
   * Nanoseconds by thread, those that have ended among them: `/proc` forgets
   * their share.
   */
  readonly #threads = new Map<string, number>();

  /** Names a process. */
  constructor(pid: number) {
    this.#pid = pid;
  }

  /**
   * Returns what the process has used so far.
   *
   * @throws {Failure} when it has ended, or the kernel does not count.
   */
  look(): CpuLook {
    const threads = [...threadsOf(this.#pid)];
    for (const [thread, ns] of threads) this.#threads.set(thread, ns);
    const ns = this.#threads.values().reduce((sum, ns) => sum + ns, 0);
    const isThere = threads.length > 0 && ns > 0;
    if (isThere) return { atMs: performance.now(), us: ns / NS_PER_US };
    throw new Failure(
      `process ${this.#pid} has ended, or the kernel counts no processor time`,
    );
  }

  /**
   * Reads the time at once and when `stop` is called, and again and again
   * between, unless nothing may disturb the process.
   */
  watch({ isPeaceful }: { isPeaceful: boolean }): { stop(): CpuLook[] } {
    const looks = [this.look()];
    const look = () => {
      try {
        looks.push(this.look());
      } catch {
        // The process has ended: `stop` will throw.
      }
    };
    const timer = isPeaceful ? undefined : setInterval(look, LOOK_MS);
    return {
      stop: () => {
        clearInterval(timer);
        return [...looks, this.look()];
      },
    };
  }

  /** Waits until the process is idle, but no longer than `msMax`. */
  async rest(msMax: number = REST_MS_MAX): Promise<void> {
    const deadlineMs = performance.now() + msMax;
    let before = this.look();
    while (performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, REST_LOOK_MS));
      const after = this.look();
      if (after.us - before.us < REST_US_MAX) return;
      before = after;
    }
  }
}

/** Returns the microseconds that were used from one moment to another. */
export function usWithin(
  looks: readonly CpuLook[],
  fromMs: number,
  toMs: number,
): number {
  return usAt(looks, toMs) - usAt(looks, fromMs);
}

/** The time used until a moment, in proportion between two readings. */
function usAt(looks: readonly CpuLook[], atMs: number): number {
  const place = looks.findIndex((look) => look.atMs >= atMs);
  const after = looks.at(place)!;
  const before = looks[place - 1];
  if (before === undefined || place < 0) return after.us;
  const share = (atMs - before.atMs) / (after.atMs - before.atMs);
  return before.us + (after.us - before.us) * share;
}

/** Yields the nanoseconds of each thread, none of a process that has ended. */
function* threadsOf(pid: number): Generator<[thread: string, ns: number]> {
  const folder = `/proc/${pid}/task`;
  if (!existsSync(folder)) return;
  for (const { name } of Deno.readDirSync(folder)) {
    try {
      const text = Deno.readTextFileSync(`${folder}/${name}/schedstat`);
      yield [name, Number(text.split(" ", 1))];
    } catch {
      // The thread has ended since.
    }
  }
}
