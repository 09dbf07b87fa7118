/**
 * One connection's life, step by step, as lines to read.
 *
 * It is told what was called and when; it calls nothing itself.
 *
 * @module
 */

/**
 * Lines of one connection; what follows is counted and not shown. As much as
 * somebody will read: the sums at the end have all of it.
 */
const LINES_MAX = 500;
/** Steps in a row that begin no message before they are only counted. */
const PLAIN_MAX = 12;

/** Where notes begin. */
const CALL_WIDTH = 40;

/** What stands above the columns. */
export const HEADING = columns("ms", "+ms", "turn", "call");

/** A system call. */
export interface Step {
  /** Its name. */
  readonly call: string;
  /** What it was given, as `strace` would say it. */
  readonly args: string;
  /** What it returned; for an error `-1` and its name. */
  readonly result: number | string;
  /** When it began. */
  readonly begunMs: number;
  /** When it had returned. */
  readonly endedMs: number;
  /** What it brought or sent, if there is something to say. */
  readonly note?: string;
}

/** What a protocol says of the bytes that pass, for people. */
export interface Watch {
  /** Requests that have begun. */
  readonly requests: number;
  /** Answers that have begun. */
  readonly answers: number;
  /** Says what begins in bytes that have come; nothing for a middle. */
  received(bytes: Uint8Array, start: number, end: number): string;
  /** Says what begins in bytes that were sent. */
  sent(bytes: Uint8Array, start: number, end: number): string;
}

/** The loop that a connection is on, as far as it has come. */
export interface Loop {
  /** How many turns have begun. */
  readonly turn: number;
  /** How often it was parked. */
  readonly parks: number;
  /** The system call that waits. */
  readonly waitCall: string;
}

/** What a timeline is of. */
export interface TimelineOptions {
  /** What the connection is called. */
  readonly name: string;
  /** When it began. */
  readonly startMs: number;
  /** Its loop. */
  readonly loop: Loop;
  /** What knows the protocol; a protocol that nobody knows when left out. */
  readonly watch: Watch | undefined;
  /** Takes the lines. */
  readonly print: (line: string) => void;
}

/** Requests that came in one read. */
interface RequestBurst {
  readonly requests: number;
  /** How many answers there are when all of it is answered. */
  readonly answersDue: number;
  writes: number;
}

/** A connection's steps and their sums. */
export class Timeline {
  /** What the connection is called. */
  readonly name: string;
  readonly #startMs: number;
  readonly #startTurn: number;
  readonly #startParks: number;
  readonly #loop: Loop;
  readonly #watch: Watch | undefined;
  readonly #print: (line: string) => void;
  readonly #calls = new Map<string, number>();
  readonly #hidden = new Map<string, number>();
  /** Waits that told of it, after the turn that it began in. */
  #told = 0;
  #lines = 0;
  #plain = 0;
  #lastMs: number;
  #lastTurn = 0;
  #callMs = 0;
  #peerMs = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #reads = 0;
  #writes = 0;
  /** Whether bytes have come after the last that were sent. */
  #isOurTurn = false;
  #batch: RequestBurst | undefined;
  #bestBatch: RequestBurst | undefined;

  /** Begins with no step. */
  constructor({ name, startMs, loop, watch, print }: TimelineOptions) {
    this.name = name;
    this.#startMs = this.#lastMs = startMs;
    this.#loop = loop;
    this.#startTurn = loop.turn;
    this.#startParks = loop.parks;
    this.#watch = watch;
    this.#print = print;
  }

  /** Takes a step. */
  take(step: Step): void {
    this.#count(step);
    const isWait = step.call === this.#loop.waitCall;
    const isPlain = !step.note && (isWait || isTransfer(step));
    this.#plain = isPlain ? this.#plain + 1 : 0;
    if (this.#plain > PLAIN_MAX || this.#lines >= LINES_MAX) {
      add(this.#hidden, step.call);
    } else {
      this.#showHidden();
      this.#show(step);
    }
    this.#lastMs = step.endedMs;
    this.#lastTurn = this.#loop.turn;
  }

  /** Takes a read: what it brought is in `bytes` from `start` on. */
  read(step: Step, bytes: Uint8Array, start: number): void {
    const count = Number(step.result);
    if (!(count > 0)) return this.take(step);
    const before = this.#watch?.requests ?? 0;
    const note = this.#watch?.received(bytes, start, start + count) ?? "";
    this.take({ ...step, note });
    this.#reads++;
    this.#bytesIn += count;
    this.#isOurTurn = true;
    const answersDue = this.#watch?.requests ?? 0;
    const requests = answersDue - before;
    if (requests > 0) this.#batch = { requests, answersDue, writes: 0 };
  }

  /** Takes a write of what is in `bytes` from `start` on. */
  write(step: Step, bytes: Uint8Array, start: number): void {
    const count = Number(step.result);
    if (!(count > 0)) return this.take(step);
    const note = this.#watch?.sent(bytes, start, start + count) ?? "";
    this.take({ ...step, note });
    this.#writes++;
    this.#bytesOut += count;
    this.#isOurTurn = false;
    this.#endBatch();
  }

  /** Shows the sums. */
  end(others: number): void {
    this.#showHidden();
    const { requests = 0 } = this.#watch ?? {};
    const asked = requests > 0 ? `${count(requests, "request")}, ` : "";
    const allMs = this.#lastMs - this.#startMs;
    this.#print(
      `${this.name} closed after ${allMs.toFixed(3)} ms: ${asked}` +
        `${count(this.#bytesIn, "byte")} in, ${grouped(this.#bytesOut)} out`,
    );
    this.#print(`  system calls: ${list(this.#calls)}`);
    if (requests > 0) this.#print(`  per request: ${this.#perRequest()}`);
    this.#print(`  time: ${this.#times(allMs)}`);
    this.#print(`  beside: ${this.#beside(others)}`);
  }

  #count({ call, begunMs, endedMs }: Step): void {
    add(this.#calls, call);
    const gapMs = begunMs - this.#lastMs;
    if (call === this.#loop.waitCall) {
      this.#peerMs += endedMs - this.#lastMs;
      if (this.#loop.turn > this.#startTurn) this.#told++;
      return;
    }
    this.#callMs += endedMs - begunMs;
    // A timer may close what its peer has left idle.
    const isIdle = !this.#isOurTurn && this.#lastTurn !== this.#loop.turn;
    if (isIdle) this.#peerMs += gapMs;
  }

  #show({ call, args, result, endedMs, note = "" }: Step): void {
    this.#lines++;
    const text = `${call}(${args}) = ${result}`;
    this.#print(columns(
      (endedMs - this.#startMs).toFixed(3),
      (endedMs - this.#lastMs).toFixed(3),
      String(this.#loop.turn),
      note === "" ? text : `${text.padEnd(CALL_WIDTH)}  ${note}`,
    ));
  }

  #showHidden(): void {
    if (this.#hidden.size === 0) return;
    const ms = (this.#lastMs - this.#startMs).toFixed(3);
    this.#print(columns(ms, "", "", `… ${list(this.#hidden)} more`));
    this.#hidden.clear();
  }

  #endBatch(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    batch.writes++;
    if (this.#watch!.answers < batch.answersDue) return;
    this.#batch = undefined;
    const best = this.#bestBatch;
    if (batch.requests > (best?.requests ?? 0)) this.#bestBatch = batch;
  }

  #perRequest(): string {
    const { requests } = this.#watch!;
    const text = `${count(this.#reads / requests, "read")} and ` +
      `${count(this.#writes / requests, "write")} that moved bytes`;
    const best = this.#bestBatch;
    if (best === undefined || best.requests === 1) return text;
    return `${text}; at best ${best.requests} requests in 1 read, answered ` +
      `in ${count(best.writes, "write")}`;
  }

  #times(allMs: number): string {
    const ownMs = allMs - this.#callMs - this.#peerMs;
    return `${this.#callMs.toFixed(3)} ms in calls, ` +
      `${ownMs.toFixed(3)} ms in the program, ` +
      `${this.#peerMs.toFixed(3)} ms waiting for the peer`;
  }

  #beside(others: number): string {
    const { turn, parks, waitCall } = this.#loop;
    const waits = turn - this.#startTurn - this.#told;
    const parked = parks - this.#startParks;
    return `${grouped(waits)} ${waitCall} that told nothing of it, ` +
      `${count(parked, "park")}, ` +
      `${count(others, "connection")} not traced`;
  }
}

function isTransfer({ call }: Step): boolean {
  return call === "recvfrom" || call === "recvmsg" ||
    call === "sendto" || call === "sendmsg";
}

function columns(...[ms, step, turn, call]: string[]): string {
  return `${ms!.padStart(8)} ${step!.padStart(8)} ${
    turn!.padStart(5)
  }  ${call}`;
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, sum]) => `${grouped(sum)} ${name}`)
    .join(", ");
}

function count(sum: number, noun: string): string {
  return `${grouped(sum)} ${noun}${sum === 1 ? "" : "s"}`;
}

function grouped(sum: number): string {
  return sum.toLocaleString("en-US", { maximumFractionDigits: 2 });
}
