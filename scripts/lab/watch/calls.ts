/**
 * System calls, out of the lines of `strace` and of denio's own trace.
 *
 * @module
 */

/** A system call that has returned. */
export interface Call {
  /** The thread, where it is known. */
  readonly thread: string;
  /** Its name. */
  readonly name: string;
  /** Its arguments, in short. */
  readonly args: string;
  /** What it returned, for an error `-1` and the errno's name. */
  readonly result: string;
  /** Whether it names a socket of the server. */
  readonly isOwn: boolean;
}

/** The flags by which strace says what {@linkcode StraceReader} reads. */
export const STRACE_FLAGS: readonly string[] = [
  // -yy writes addresses behind descriptors; -s keeps messages short.
  ...["-f", "-yy", "-s", "16", "-e", "signal=none", "-e"],
  "trace=network,read,readv,write,writev,close,epoll_wait,epoll_pwait," +
  "epoll_pwait2,epoll_ctl,poll,ppoll,select,pselect6,clone,clone3," +
  "io_uring_enter",
];

const LINE = /^(?:\[pid +(\d+)\] )?(.*)$/s;
const UNFINISHED = /^(.*?) ?<unfinished \.\.\.>$/s;
const RESUMED = /^<\.\.\. (\w+) resumed>(.*)$/s;
const CALL = /^(\w+)\((.*)\)\s+= (-1 [A-Z]+|\d+)/s;
/** `19<TCP:[127.0.0.1:7000->127.0.0.1:48148]>`, `18<anon_inode:[eventpoll]>` */
const DESCRIPTOR = /(?<=\d)<[^<]*?\]>/g;
const ADDRESS =
  /\{sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\("([\d.]+)"\)\}, \[[^\]]*\]/g;
/** What epoll gives back, and not what happens. */
const DATA = /, data=\{[^}]*\}/g;
const EVENTS = /\{events=(\w[\w|]*)\}/g;
/** What says nothing here: `NULL`, and the size of a set of signals. */
const NOTHING =
  /(, NULL(, \d+)?)+$|, (SOCK_CLOEXEC|MSG_NOSIGNAL)(?!\|)|SOCK_CLOEXEC\||\|MSG_NOSIGNAL|, 0x[\da-f]+(, \[\d+\])?/g;

/** Puts together what strace writes of several threads at once. */
export class StraceReader {
  /** Matches a socket of the server; nothing, until its port is known. */
  #own = /(?!)/;
  readonly #begun = new Map<string, string>();

  /** Takes the port on which the server listens. */
  listensOn(port: number): void {
    this.#own = new RegExp(`<TCP(v6)?:\\[[^\\]]*?:${port}(\\]|->)`);
  }

  /** How many threads are inside of each call. */
  get waiting(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const text of this.#begun.values()) {
      const [name] = /^\w+(?=\()/.exec(text) ?? [];
      if (name === undefined) continue;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }

  /** Takes a line; returns the call that it ends, if it ends one. */
  take(line: string): Call | undefined {
    const [, thread = "", text] = LINE.exec(line)!;
    const [, begun] = UNFINISHED.exec(text!) ?? [];
    if (begun !== undefined) {
      this.#begun.set(thread, begun);
      return undefined;
    }
    const [, resumed, rest] = RESUMED.exec(text!) ?? [];
    const whole = rest === undefined
      ? text!
      : this.#beginning(thread, resumed!) + rest;
    this.#begun.delete(thread);
    const [, name, args, result] = CALL.exec(whole) ?? [];
    if (name === undefined) return undefined;
    return {
      ...{ thread, name, args: shortened(args!), result: result! },
      isOwn: this.#own.test(whole),
    };
  }

  /** A thread has no number in lines that are written while it is alone. */
  #beginning(thread: string, name: string): string {
    const own = this.#begun.get(thread);
    if (own !== undefined) return own;
    for (const [other, text] of this.#begun) {
      if (!text.startsWith(`${name}(`)) continue;
      this.#begun.delete(other);
      return text;
    }
    return "";
  }
}

function shortened(args: string): string {
  return args.replace(DESCRIPTOR, "").replace(ADDRESS, "$2:$1")
    .replace(DATA, "").replace(EVENTS, "$1").replace(NOTHING, "")
    .replace(/EPOLL(CTL_|_CTL_)?/g, "");
}

/** Returns the call of a line of denio's trace, if it is one of a call. */
export function tracedCall(line: string): Call | undefined {
  const [, name, args, result] =
    /^ *[\d.]+ +[\d.]+ +\d+ +(\w+)\((.*?)\) = (-1 [A-Z]+|conn \d+|\d+)/
      .exec(line) ?? [];
  if (name === undefined) return undefined;
  return {
    ...{ thread: "", name, args: args!, result: result! },
    isOwn: !isWait(name),
  };
}

const WAITS = /^(epoll_p?wait2?|p?poll|p?select6?|kevent|io_uring_enter)$/;

/** Returns whether a system call waits. kqueue registers by the same one. */
export function isWait(name: string, args = "["): boolean {
  return WAITS.test(name) && !/^(ADD|MOD|DEL),/.test(args);
}

/** Returns whether a call has found nothing: no event, no byte, no client. */
export function foundNothing({ name, args, result }: Call): boolean {
  if (result === "-1 EAGAIN") return true;
  // A ring's call returns how many operations it has handed over.
  return result === "0" && name !== "io_uring_enter" && isWait(name, args);
}
