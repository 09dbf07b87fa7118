/**
 * One connection's life, step by step, as lines to read.
 *
 * The traced system reports each call and its times; a timeline makes no call.
 *
 * @module
 */

/**
 * The most lines of one connection, more than people read. Later steps are only
 * counted; the sums at the end include them.
 */
const LINES_MAX = 500;
/** Steps in a row, none of which begins a message; later ones are counted. */
const PLAIN_MAX = 12;

/** The column at which notes begin. */
const CALL_WIDTH = 40;

/** The line above the columns. */
export const HEADING = columns("ms", "+ms", "turn", "call");

/** A system call. */
export interface Step {
  /** Its name. */
  readonly call: string;
  /** Its arguments, in the form of `strace`. */
  readonly args: string;
  /** Its result; for an error `-1` and the errno's name. */
  readonly result: number | string;
  /** When it began. */
  readonly begunMs: number;
  /** When it returned. */
  readonly endedMs: number;
  /** The messages that begin in its bytes, or another remark. */
  readonly note?: string;
}

/** Describes the bytes of one protocol, for people. */
export interface Watch {
  /** Requests that have begun. */
  readonly requests: number;
  /** Answers that have begun. */
  readonly answers: number;
  /** Returns the messages that begin in received bytes; `""` for none. */
  received(bytes: Uint8Array, start: number, end: number): string;
  /** Returns the messages that begin in sent bytes; `""` for none. */
  sent(bytes: Uint8Array, start: number, end: number): string;
}

/** The state of a connection's loop. */
export interface Loop {
  /** How many turns have begun. */
  readonly turn: number;
  /** How often the loop has parked. */
  readonly parks: number;
  /** The system call that waits. */
  readonly waitCall: string;
}

/** The connection of a timeline, and where to print. */
export interface TimelineOptions {
  /** The connection's name. */
  readonly name: string;
  /** When the connection began. */
  readonly startMs: number;
  /** Its loop. */
  readonly loop: Loop;
  /** The watch of the protocol; without one, notes and requests are missing. */
  readonly watch: Watch | undefined;
  /** Prints one line. */
  readonly print: (line: string) => void;
}

/** Requests that one read received. */
interface RequestBurst {
  readonly requests: number;
  /** The connection's number of answers when all of the batch is answered. */
  readonly answersDue: number;
  writes: number;
}

/** A connection's steps and their sums. */
export class Timeline {
  /** The connection's name. */
  readonly name: string;
  readonly #startMs: number;
  readonly #startTurn: number;
  readonly #startParks: number;
  readonly #loop: Loop;
  readonly #watch: Watch | undefined;
  readonly #print: (line: string) => void;
  readonly #calls = new Map<string, number>();
  readonly #hidden = new Map<string, number>();
  /** Waits with an event of the connection, after its first turn. */
  #ownWaits = 0;
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
  /** Whether the last transfer was a read, so that the program must answer. */
  #isOurTurn = false;
  #batch: RequestBurst | undefined;
  #bestBatch: RequestBurst | undefined;

  /** Makes a timeline without steps. */
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

  /** Takes a read; the received bytes are in `bytes` from `start` on. */
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

  /** Takes a write of bytes in `bytes` from `start` on. */
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

  /**
   * Prints the sums.
   *
   * @param others Connections that opened meanwhile and are not traced.
   */
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
      if (this.#loop.turn > this.#startTurn) this.#ownWaits++;
      return;
    }
    this.#callMs += endedMs - begunMs;
    // A step in a later turn without received bytes comes from a timer: the
    // time before it belongs to the idle peer.
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
    const waits = turn - this.#startTurn - this.#ownWaits;
    const parked = parks - this.#startParks;
    return `${grouped(waits)} ${waitCall} without an event of it, ` +
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
