/**
 * Watches what a process uses of a processor while load is put on it.
 *
 * A load generator first opens its connections, which may be thousands, and
 * afterwards says how long the part that counts took. So a server is looked at
 * all the while, and what it used in that part is found when its end is known.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { whenInterrupted } from "../interrupt.ts";
import { type CpuTime, parseStat } from "../process_cpu.ts";
import { kill } from "../server_process.ts";

/** Less than a per cent of the core that the load is on. */
const LOOK_MS = 50;
/** A server at rest uses less of this than that. */
const REST_LOOK_MS = 25;
const REST_US_MAX = 1_000;
/** Collectors of garbage may take long, but not for ever. */
const REST_MS_MAX = 3_000;
const NS_PER_US = 1_000;

/**
 * Answers each line, a process's number, with its threads and the nanoseconds
 * that each was on a processor, and its stat line. One shell for all: starting
 * one each time would be a load of its own.
 */
const READER = `
while read -r pid; do
  threads=
  for file in /proc/$pid/task/*/schedstat; do
    ns=0
    read -r ns rest < "$file"
    thread=\${file%/schedstat}
    threads="$threads \${thread##*/} $ns"
  done
  stat=
  read -r stat < "/proc/$pid/stat"
  echo "$threads;$stat"
done 2>/dev/null`;

/**
 * Processor time of a process. The kernel knows to the nanosecond how much it
 * was, but guesses by its ticks whose: the program's or its own for it.
 */
export interface CpuUse extends CpuTime {
  /** All of it, to the nanosecond. */
  readonly totalUs: number;
}

/** What a process had used at a moment. */
export interface CpuLook {
  /** When, as `performance.now()` counts. */
  readonly atMs: number;
  /** What it had used. */
  readonly cpu: CpuUse;
}

/** Reads processor times, by a shell that is there all the while. */
export class CpuReader implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #interrupted: Disposable;
  /** What each thread had used when it was seen last, by its process. */
  readonly #threads = new Map<number, Map<number, number>>();
  #text = "";
  /** The one that was asked last: answers come in order. */
  #last: Promise<unknown> = Promise.resolve();

  /** Starts the shell. */
  constructor() {
    this.#child = new Deno.Command("sh", {
      args: ["-c", READER],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#questions = this.#child.stdin.getWriter();
    this.#answers = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    this.#interrupted = whenInterrupted(() => kill(this.#child, "SIGKILL"));
  }

  /**
   * Returns what a process has used so far.
   *
   * @throws {Failure} when there is no such process.
   */
  look(pid: number): Promise<CpuLook> {
    const answer = this.#last.then(() => this.#ask(pid));
    this.#last = answer.catch(() => {});
    return answer;
  }

  /**
   * Looks at once, and when `stop` is called; between that again and again,
   * unless the process is to be left in peace.
   */
  watch(pid: number, isPeaceful = false): { stop(): Promise<CpuLook[]> } {
    const stopping = Promise.withResolvers<void>();
    let isStopping = false;
    const looks: CpuLook[] = [];
    const looking = (async () => {
      while (!isStopping) {
        looks.push(await this.look(pid));
        const next = isPeaceful ? stopping.promise : delay(LOOK_MS);
        await Promise.race([stopping.promise, next]);
      }
      looks.push(await this.look(pid));
      return looks;
    })();
    // It is waited for in the end, and may fail before.
    looking.catch(() => {});
    return {
      stop() {
        isStopping = true;
        stopping.resolve();
        return looking;
      },
    };
  }

  /**
   * Waits until a process has nothing left to do, so that the end of one load
   * does not fall into the next one's time.
   */
  async rest(pid: number): Promise<void> {
    const deadlineMs = performance.now() + REST_MS_MAX;
    let before = await this.look(pid);
    while (performance.now() < deadlineMs) {
      await delay(REST_LOOK_MS);
      const after = await this.look(pid);
      if (after.cpu.totalUs - before.cpu.totalUs < REST_US_MAX) return;
      before = after;
    }
  }

  /** Ends the shell. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#questions.close();
    await this.#answers.cancel();
    await this.#child.status;
    this.#interrupted[Symbol.dispose]();
  }

  async #ask(pid: number): Promise<CpuLook> {
    await this.#questions.write(new TextEncoder().encode(`${pid}\n`));
    const line = await this.#line();
    const known = this.#threads.get(pid) ?? new Map();
    this.#threads.set(pid, known);
    const cpu = parseLook(line, known);
    if (cpu !== undefined) return { atMs: performance.now(), cpu };
    throw new Failure(`process ${pid} has ended, or there is no /proc here`);
  }

  async #line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#answers.read();
      if (done) throw new Failure("the shell that reads /proc has ended");
      this.#text += value;
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }
}

/**
 * Returns what the shell's answer says; nothing when there was no process.
 *
 * @param known The process's threads and what they had used, which is brought
 * up to date: a thread that has ended is not in the answer, but what it used
 * is in the sum.
 */
export function parseLook(
  line: string,
  known: Map<number, number>,
): CpuUse | undefined {
  const [threads = "", ...stat] = line.split(";");
  if (stat.join("") === "") return undefined;
  for (const [, thread, ns] of threads.matchAll(/(\d+) (\d+)/g)) {
    known.set(Number(thread), Number(ns));
  }
  const ticks = parseStat(stat.join(";"));
  const exactUs = known.values().reduce((sum, ns) => sum + ns, 0) / NS_PER_US;
  // Some kernels do not count what threads use.
  const totalUs = exactUs === 0 ? ticks.userUs + ticks.systemUs : exactUs;
  return { ...ticks, totalUs };
}

/** Returns what was used from one moment to another, between looks too. */
export function cpuWithin(
  looks: readonly CpuLook[],
  fromMs: number,
  toMs: number,
): CpuUse {
  const [from, to] = [cpuAt(looks, fromMs), cpuAt(looks, toMs)];
  return {
    userUs: to.userUs - from.userUs,
    systemUs: to.systemUs - from.systemUs,
    totalUs: to.totalUs - from.totalUs,
  };
}

/** What had been used at a moment, in proportion between two looks. */
function cpuAt(looks: readonly CpuLook[], atMs: number): CpuUse {
  const place = looks.findIndex((look) => look.atMs >= atMs);
  const after = looks.at(place)!;
  const before = looks[place - 1];
  if (before === undefined) return after.cpu;
  const share = (atMs - before.atMs) / (after.atMs - before.atMs);
  const between = (name: keyof CpuUse) =>
    before.cpu[name] + (after.cpu[name] - before.cpu[name]) * share;
  return {
    userUs: between("userUs"),
    systemUs: between("systemUs"),
    totalUs: between("totalUs"),
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
