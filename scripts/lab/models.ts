/**
 * The table of models: the ways in which a server waits, each in a file of its
 * own, in the order in which they are taught.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { chosenFrom } from "../command_line.ts";
import { libraryPermissions } from "../server_process.ts";

/** The environment variable that names a backend: `src/poll/poll.ts`. */
const BACKEND_VARIABLE = "DENIO_BACKEND";
const IS_LINUX = Deno.build.os === "linux";
const ROOT = new URL("../../", import.meta.url);
/** Where denio's poll waits in the kernel, on this system. */
const KERNEL = IS_LINUX ? "epoll" : "kqueue";

/** An echo server that waits in one way. */
export interface Model {
  /** Its name on the command line. */
  readonly name: string;
  /** Its name for readers. */
  readonly title: string;
  /** Its program, from the project's top. */
  readonly file: string;
  /** The language of that file. */
  readonly language: "Rust" | "TypeScript";
  /** The system call, or the library, in which it waits. */
  readonly waitsBy: string;
  /** One sentence: what one sees by it. */
  readonly shows: string;
  /** What it cannot hold, and why; `undefined` when nothing of the lab's. */
  readonly cannotHold: string | undefined;
  /** Whether it runs on each backend that `DENIO_BACKEND` names. */
  readonly runsOnAnyBackend: boolean;
  /** Whether this system has what it waits by. */
  readonly isHere: boolean;
}

const DEFAULTS = {
  language: "TypeScript",
  cannotHold: undefined,
  runsOnAnyBackend: false,
  isHere: true,
} as const;

/** Every model. */
export const MODELS: readonly Model[] = [
  {
    ...DEFAULTS,
    name: "blocking",
    title: "blocking, one client at a time",
    file: "native/lab/src/blocking.rs",
    language: "Rust",
    waitsBy: "read(2)",
    shows: "A blocked thread serves nobody else.",
    cannotHold: "a second client: the only thread sleeps in the read of the " +
      "first one",
  },
  {
    ...DEFAULTS,
    name: "threads",
    title: "a thread a connection",
    file: "native/lab/src/threads.rs",
    language: "Rust",
    waitsBy: "read(2), in each thread",
    shows: "Plain code again, at the price of a stack and of context switches.",
    cannotHold: "more clients than the system allows threads: ulimit -u, " +
      "kernel.threads-max, a container's limit of processes",
  },
  {
    ...DEFAULTS,
    name: "busy-loop",
    title: "non-blocking, in a busy loop",
    file: "scripts/lab/models/busy_loop.ts",
    waitsBy: "nothing: it asks again",
    shows: "Asking everybody all the time uses a core while nothing happens.",
  },
  {
    ...DEFAULTS,
    name: "select",
    title: "select",
    file: "scripts/lab/models/select.ts",
    waitsBy: "select(2)",
    shows: "A wait costs the more, the more clients are silent; at 1,024 it " +
      "ends.",
    cannotHold: "descriptors from 1,024 on: a set of select has no bit for " +
      "them, and some are Deno's own",
    isHere: IS_LINUX,
  },
  {
    ...DEFAULTS,
    name: "poll",
    title: "poll",
    file: "scripts/lab/models/poll.ts",
    waitsBy: "poll(2)",
    shows: "No end at 1,024, but a wait still looks at every client.",
    isHere: IS_LINUX,
  },
  {
    ...DEFAULTS,
    name: `${KERNEL}-level`,
    title: `${KERNEL} by level`,
    file: "scripts/lab/models/epoll_level.ts",
    waitsBy: IS_LINUX ? "epoll_wait(2)" : "kevent(2)",
    shows: "The kernel keeps the list: silent clients cost a wait nothing.",
  },
  {
    ...DEFAULTS,
    name: `${KERNEL}-edge`,
    title: `${KERNEL} by edge`,
    file: "scripts/lab/models/epoll_edge.ts",
    waitsBy: IS_LINUX ? "epoll_wait(2)" : "kevent(2)",
    shows: "One event a change: read until nothing is left, or hang.",
  },
  {
    ...DEFAULTS,
    name: "timers",
    title: "timers beside sockets",
    file: "scripts/lab/models/timers.ts",
    waitsBy: "a poll, until the next deadline",
    shows: "Deadlines in a heap bound each wait.",
    runsOnAnyBackend: true,
  },
  {
    ...DEFAULTS,
    name: "reactor",
    title: "a reactor with callbacks",
    file: "scripts/lab/models/reactor.ts",
    waitsBy: "denio's Reactor",
    shows: "The loop, written once: the program is a callback.",
    runsOnAnyBackend: true,
  },
  {
    ...DEFAULTS,
    name: "fibers",
    title: "fibers",
    file: "scripts/lab/models/fibers.ts",
    waitsBy: "await, on denio's Reactor",
    shows: "Code that looks blocking and is not: a promise for each read.",
    runsOnAnyBackend: true,
  },
  {
    ...DEFAULTS,
    name: "completions",
    title: "completions, by io_uring",
    file: "scripts/lab/models/completions.ts",
    waitsBy: "io_uring_enter(2)",
    shows: "One system call hands over reads and writes, and waits for them.",
    cannotHold: "more than 32,000 clients, since each has an operation in " +
      "flight; nor any where io_uring is forbidden, as in most containers",
    isHere: IS_LINUX,
  },
  {
    ...DEFAULTS,
    name: "deno-listen",
    title: "Deno.listen",
    file: "scripts/lab/models/deno_listen.ts",
    waitsBy: "await, on tokio",
    shows: "Deno's own sockets, for scale.",
  },
  {
    ...DEFAULTS,
    name: "tokio",
    title: "tokio",
    file: "native/lab/src/tokio.rs",
    language: "Rust",
    waitsBy: `await, on ${KERNEL}`,
    shows: "The same async code without JavaScript, for scale.",
  },
];

/** The names of all models. */
export const MODEL_NAMES: readonly string[] = MODELS.map(({ name }) => name);

/** The programs of those that are written in Rust. */
export const RUST_PROGRAMS: readonly string[] = MODELS
  .filter(({ language }) => language === "Rust")
  .map(({ name }) => `lab-${name}`);

/**
 * Returns the models with these names, all for none.
 *
 * @throws {UsageError} for a name that is not known.
 */
export function chosenModels(names: readonly string[]): Model[] {
  const chosen = chosenFrom(MODEL_NAMES, names, "run model");
  return MODELS.filter(({ name }) => chosen.includes(name));
}

/** Returns the command that starts a model, with no more than it needs. */
export function commandOf({ name, file, language }: Model, port = 0): string[] {
  const path = (file: string) => fileURLToPath(new URL(file, ROOT));
  const words = ["--port", `${port}`];
  if (language === "Rust") {
    return [path(`native/target/release/lab-${name}`), ...words];
  }
  const [ffi, env] = libraryPermissions();
  return [
    ...[Deno.execPath(), "run", "--quiet", "--no-prompt"],
    // The cache's descriptors are three clients that select could not have.
    "--no-code-cache",
    ...["--allow-net=127.0.0.1", ffi!, `${env},${BACKEND_VARIABLE}`],
    ...[path(file), ...words],
  ];
}
