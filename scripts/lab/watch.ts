/**
 * `deno task lab watch MODEL`: one server, looked into while it runs. Its system
 * calls come from `strace`, which starts it: so it needs no right to look into
 * other processes. Where `strace` is missing, a server that waits in the same
 * way is traced by denio itself.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { libraryPermissions } from "../server_process.ts";
import { rows } from "../table.ts";
import { whyNoStrace } from "./calls.ts";
import { commandOf, type Model } from "./models.ts";
import type { ServeOptions } from "./options.ts";
import { HAS_PROC, ProcessMeter } from "./process.ts";
import { buildLab } from "./run.ts";
import {
  type Call,
  STRACE_FLAGS,
  StraceReader,
  tracedCall,
} from "./watch/calls.ts";
import { startWatched, type Watched } from "./watch/program.ts";
import { Screen } from "./watch/screen.ts";
import { type Socket, socketsOn, stateWord } from "./watch/sockets.ts";
import { Story } from "./watch/story.ts";

/** How often the state is looked at. */
const LOOK_MS = 300;
/** The same after a call, so that what it has changed is seen. */
const SOON_MS = 20;
/** So many sockets are shown one by one. */
const SOCKETS_MAX = 6;
const MB = 1_000_000;
const PERCENT = 100;
const US_PER_MS = 1_000;

/** Where a model's calls come from. */
interface Source {
  /** The command of the server. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What to say about the calls. */
  readonly words: string;
  /** Reads a line of the server's standard error. */
  readonly read: (line: string) => Call | undefined;
}

/**
 * Shows a model until it is interrupted.
 *
 * @throws {Failure} when its server ends.
 */
export async function watch({ model, port }: ServeOptions): Promise<never> {
  buildLab();
  const missing = whyNoStrace();
  const story = new Story(model.name === "timers");
  const reader = new StraceReader();
  const source = missing === undefined
    ? straced(model, port, (line) => reader.take(line))
    : traced(model, port, missing);
  let onCall = (_: Call) => {};
  const { command, env } = source;
  const server = await startWatched(command, env, (line) => {
    const call = source.read(line);
    if (call !== undefined) onCall(call);
  });
  reader.listensOn(server.port);
  const screen = new Screen(headOf(model, server, source.words));
  const state = new State(server);
  let isLookDue = false;
  const look = () => {
    isLookDue = false;
    screen.show(state.lines(), state.now(insides(reader, server), story.idle));
  };
  onCall = (call) => {
    const lines = story.take(call);
    screen.tell(lines);
    if (lines.length === 0 || isLookDue) return;
    isLookDue = true;
    setTimeout(look, SOON_MS);
  };
  setTimeout(look, SOON_MS);
  const timer = setInterval(look, LOOK_MS);
  await server.ended;
  clearInterval(timer);
  await stillWanted();
  throw new Failure(`The server of "${model.name}" has ended`);
}

function headOf(
  { title, file, shows, name }: Model,
  { pid, port }: Watched,
  words: string,
): string[] {
  return [
    `${name}: ${title} (${file})`,
    shows,
    `Process ${pid} on port ${port}.`,
    words,
    `Talk to it in another terminal, and watch:  nc 127.0.0.1 ${port}`,
  ];
}

function straced(
  model: Model,
  port: number,
  read: Source["read"],
): Source {
  return {
    // With -D the server is the child, and strace ends with it.
    command: ["strace", "-D", ...STRACE_FLAGS, ...commandOf(model, port)],
    env: {},
    words: "System calls by strace, which slows the server down.",
    read,
  };
}

/** The backend of a model that waits by denio's poll; none for the best. */
const BACKENDS: Readonly<Record<string, string | undefined>> = {
  select: "select",
  poll: "poll",
  "epoll-level": "epoll",
  "epoll-edge": "epoll",
  "kqueue-level": "kqueue",
  "kqueue-edge": "kqueue",
  ...{ timers: undefined, reactor: undefined, fibers: undefined },
};

function traced(model: Model, port: number, missing: string): Source {
  if (!(model.name in BACKENDS)) {
    const words = `Its system calls cannot be shown: ${missing}, and denio's ` +
      "own trace sees denio alone.";
    const [command, read] = [commandOf(model, port), () => undefined];
    return { command, env: {}, words, read };
  }
  const backend = BACKENDS[model.name];
  const [ffi, env] = libraryPermissions();
  const isReactor = ["reactor", "fibers"].includes(model.name);
  return {
    command: [
      ...[Deno.execPath(), "run", "--quiet", "--no-prompt"],
      ...["--allow-net=127.0.0.1", ffi!, `${env},DENIO_BACKEND`],
      fileURLToPath(new URL("watch/traced.ts", import.meta.url)),
      ...["--port", `${port}`, ...isReactor ? ["reactor"] : []],
    ],
    env: backend === undefined ? {} : { DENIO_BACKEND: backend },
    words: "System calls by denio's own trace, of a server that waits in the " +
      `same way (scripts/lab/watch/traced.ts): ${missing}.`,
    read: tracedCall,
  };
}

/** The calls in which threads are at the moment, the most frequent first. */
function insides(reader: StraceReader, { partialLine }: Watched): string {
  const counts = new Map(reader.waiting);
  const [, name] = /^(?:\[pid +\d+\] )?(\w+)\(/.exec(partialLine) ?? [];
  if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  const sorted = [...counts].toSorted(([, one], [, other]) => other - one);
  return sorted.map(([name, count]) => `${count} in ${name}`).join(", ");
}

/** What the kernel knows of the server. */
class State {
  readonly #server: Watched;
  readonly #meter: ProcessMeter | undefined;
  #last: { readonly atMs: number; readonly us: number } | undefined;
  #threads = 0;

  constructor(server: Watched) {
    this.#server = server;
    if (HAS_PROC) this.#meter = new ProcessMeter(server.pid);
  }

  /** The sockets: lines that change when something has happened. */
  lines(): string[] {
    const sockets = socketsOn(this.#server.port);
    return sockets === undefined
      ? ["Its sockets cannot be seen here: try netstat -an"]
      : socketLines(sockets);
  }

  /** Threads, processor time and memory. */
  now(insides: string, idle: number): string[] {
    const idles = idle > 1
      ? [`${idle.toLocaleString("en")} calls have found nothing since`]
      : [];
    try {
      return [this.#processLine(insides), ...idles];
    } catch {
      return ["It has ended"];
    }
  }

  #processLine(insides: string): string {
    if (this.#meter === undefined) return "";
    const { threads, residentBytes } = this.#meter.held();
    const look = this.#meter.cpu.look();
    const last = this.#last ?? look;
    this.#last = look;
    const passedUs = (look.atMs - last.atMs) * US_PER_MS;
    const share = passedUs > 0 ? (look.us - last.us) / passedUs : 0;
    this.#threads = threads;
    return [
      `${threads} thread${threads === 1 ? "" : "s"}` +
      (insides === "" ? "" : ` (${insides})`),
      `${Math.round(share * PERCENT)}% of a core`,
      `${(residentBytes / MB).toFixed(1)} MB`,
    ].join(", ");
  }
}

/** A table like that of `ss -tan`, with a word on each state. */
export function socketLines(sockets: readonly Socket[]): string[] {
  const busy = ({ state, receiveQueue, sendQueue }: Socket) =>
    state === "LISTEN" ? Infinity : receiveQueue + (sendQueue ?? 0);
  const sorted = sockets.toSorted((a, b) => busy(b) - busy(a) || 0);
  const shown = sorted.slice(0, SOCKETS_MAX);
  const body = shown.map(({ state, receiveQueue, sendQueue, peer }) => [
    ...[state, `${receiveQueue}`, `${sendQueue ?? "-"}`, peer],
  ]);
  const [head, ...lines] = rows(["State", "Recv-Q", "Send-Q", "Peer"], body);
  const seen = new Set<string>();
  const words = shown.map(({ state }) => {
    const word = seen.has(state) ? "" : stateWord(state);
    seen.add(state);
    return word;
  });
  const more = sockets.length - shown.length;
  return [
    head!,
    ...lines.map((line, place) => `${line}  ${words[place]}`.trimEnd()),
    ...more > 0 ? [`  … and ${more.toLocaleString("en")} more`] : [],
  ];
}
