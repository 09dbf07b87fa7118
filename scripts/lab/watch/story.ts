/**
 * Chooses the calls that tell the story of a connection, out of all that a
 * server makes: those on its sockets, with the waits that led to them.
 *
 * A call that finds nothing is told once and then counted: a busy loop makes a
 * hundred thousand of them a second.
 *
 * @module
 */

import { type Call, foundNothing, isWait } from "./calls.ts";
import { type Phase, phaseOf, wordOn } from "./words.ts";

/** More waits, on other things, have nothing to do with the next call. */
const WAITS_MAX = 3;
/** The last argument of a wait. */
const TIMEOUT = /, (\{[^{}]*\}|[^,]*)$/;
/** Wide enough for most calls. */
const CALL_WIDTH = 46;

/** A line of the story. */
export interface Told {
  /** Whether it begins a part of it. */
  readonly isHeading: boolean;
  /** The text. */
  readonly text: string;
}

/** The story of a server. */
export class Story {
  /** Calls that found nothing, since the last line. */
  idle = 0;
  readonly #tellsWaits: boolean;
  #phase: Phase | undefined;
  /** Waits that have ended, by call and descriptor, the last ones. */
  readonly #waits = new Map<string, Call>();
  /** Calls that found nothing and are told already. */
  readonly #told = new Set<string>();

  /** Begins a story; with `tellsWaits` also of waits until the time is over. */
  constructor(tellsWaits: boolean) {
    this.#tellsWaits = tellsWaits;
  }

  /** Takes a call, and returns the lines that it adds. */
  take(call: Call): Told[] {
    const { name, args } = call;
    const isRing = name === "io_uring_enter";
    if (isWait(name, args) && !isRing) {
      if (this.#tellsWaits && foundNothing(call)) return this.#tell(call);
      this.#keep(call);
      return [];
    }
    if (!call.isOwn && !isWait(name, args) && !/^clone3?$/.test(name)) {
      return [];
    }
    const key = keyOf(call);
    if (foundNothing(call) && this.#told.has(key)) {
      this.idle++;
      return [];
    }
    if (foundNothing(call)) this.#told.add(key);
    else this.#told.clear();
    return this.#tell(call);
  }

  #keep(wait: Call): void {
    if (foundNothing(wait)) {
      this.idle++;
      return;
    }
    const key = keyOf(wait);
    this.#waits.delete(key);
    this.#waits.set(key, wait);
    const [first] = this.#waits.keys();
    if (this.#waits.size > WAITS_MAX) this.#waits.delete(first!);
  }

  #tell(call: Call): Told[] {
    const lines: Told[] = [];
    if (this.idle > 1) {
      const count = this.idle.toLocaleString("en");
      lines.push(plain(`  (and ${count} calls that found nothing)`));
    }
    this.idle = 0;
    const phase = phaseOf(call);
    if (phase !== undefined && phase !== this.#phase) {
      lines.push({ isHeading: true, text: phase });
      this.#phase = phase;
    }
    for (const wait of this.#waits.values()) lines.push(plain(lineOf(wait)));
    this.#waits.clear();
    return [...lines, plain(lineOf(call))];
  }
}

function plain(text: string): Told {
  return { isHeading: false, text };
}

/** A call with its descriptor: all that a busy loop repeats. */
function keyOf({ name, args }: Call): string {
  return `${name} ${args.split(",", 1)}`;
}

function lineOf(call: Call): string {
  const { name, args, result } = call;
  const end = `) = ${result}`;
  const room = CALL_WIDTH - name.length - 1 - end.length;
  // The timeout is what a wait is watched for.
  const tail = isWait(name, args) ? TIMEOUT.exec(args)?.[0] ?? "" : "";
  const shown = args.length <= room
    ? args
    : `${args.slice(0, Math.max(room - 1 - tail.length, 0))}…${tail}`;
  const text = `${name}(${shown}${end}`;
  return `  ${text.padEnd(CALL_WIDTH)}  ${wordOn(call)}`.trimEnd();
}
