/**
 * The command line of `deno task serve`: its options and their checks.
 *
 * @module
 */

import { parseArgs } from "node:util";
import {
  type LimitedOptions,
  type LimitName,
  type OptionRow,
  settingsOf,
  TABLE,
} from "../server/option_table.ts";
import { BALANCES, WORKERS_MAX } from "../server/worker/group_options.ts";
import type { Balance } from "../server/worker/group_options.ts";

const PORT_DEFAULT = 8000;
const PORT_MAX = 65535;
/** Only this machine can connect here; `0.0.0.0` admits other machines. */
const HOSTNAME_DEFAULT = "127.0.0.1";

/** The number of connections for `--trace` without a value. */
const TRACE_ONE = "--trace=1";

/** The parsed command line. */
export interface Options {
  /** The module to serve; the built-in app when there is none. */
  module: string | undefined;
  /** From 0 to 65535; for 0 the system chooses. */
  port: number;
  /** An address or a name. */
  hostname: string;
  /** A Unix socket's path instead of host and port. */
  path: string | undefined;
  /** The number of Workers; when left out, this thread serves. */
  workers: number | "auto" | undefined;
  /** How Workers share connections; when left out, by `shared-listener`. */
  balance: Balance | undefined;
  /** Milliseconds in which Workers must end; 30000 when left out. */
  graceMs: number | undefined;
  /** Limits for clients; a limit that is left out has its default. */
  limits: LimitedOptions;
  /** Whether to echo TCP instead of serving HTTP. */
  echo: boolean;
  /** The name of a backend, or `auto`; the environment's when left out. */
  backend: string | undefined;
  /** The number of connections to trace; none when left out. */
  trace: number | undefined;
  /** Whether to print the help instead of serving. */
  help: boolean;
}

/** A wrong command line; the message is the one line to print. */
export class UsageError extends Error {
  /** The name of the class. */
  override name = "UsageError";
}

/** The limits that are numbers, by their names on the command line. */
const LIMITS: ReadonlyMap<string, readonly [LimitName, OptionRow]> = new Map(
  Object.entries<OptionRow>(TABLE)
    .filter(([, { unit }]) => unit !== undefined)
    .map(([name, row]) => [kebab(name), [name as LimitName, row]]),
);

/** `headMs` is `head-ms` on the command line. */
function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The column at which the texts of limits begin. */
const LIMIT_COLUMNS = 37;

function limitLines(): string {
  return [...LIMITS].map(([name, [, { unit, text, initial }]]) => {
    const option = `  --${name} ${unit}`.padEnd(LIMIT_COLUMNS);
    const isEndless = initial === undefined || initial === Infinity;
    return `${option}${text}${isEndless ? "" : ` [${initial}]`}`;
  }).join("\n");
}

/** What `--help` prints. */
export const HELP = `Serve HTTP on an event loop of denio's own.

Usage: deno task serve [MODULE] [OPTIONS]

  MODULE  A file or URL with "export default { fetch(request) { … } }", as
          "deno serve" takes it. It may also have websocket, for WebSockets,
          topics and observer: see serve(). Without a MODULE a built-in app
          answers: / greets, /json answers JSON, POST /echo sends its body back.

Options:
  --port PORT      Port to listen on, 0 for any that is free [${PORT_DEFAULT}]
  --hostname HOST  Address to listen on [${HOSTNAME_DEFAULT}]
  --path PATH      Unix socket to listen on instead: a path, which must not be
                   there yet, or @NAME for an abstract name (Linux)
  --workers N      Serve on N Workers, one thread each; auto is one a core
  --balance NAME   How Workers share connections: shared-listener, one socket
                   that all accept from, or reuse-port, a socket for each
                   (SO_REUSEPORT) [shared-listener]
  --grace-ms MS    Milliseconds in which stopping Workers must answer their
                   requests, before they are terminated [30000]
  --echo           Send received TCP bytes back instead of serving HTTP
  --backend NAME   How to wait for sockets: epoll, io_uring, poll or select on
                   Linux, kqueue on macOS and the BSDs; auto is epoll or kqueue
                   [auto]
  --trace[=N]      Print the system calls of the first connection, or of the
                   first N, and their sums to standard error
  --help           Print this

Limits for clients; the README says what happens beyond each:
${limitLines()}

Examples:
  deno task serve                            The built-in app on port 8000
  deno task serve app.ts --port 3000         Your own
  deno task serve --hostname 0.0.0.0         For other machines, too
  deno task serve --echo --port 7000         A TCP echo server
  deno task serve app.ts --workers auto      On every core

--workers helps when MODULE keeps one core busy and other cores are idle. Each
Worker imports MODULE for itself: Workers share no variables. Their numbers of
connections differ by at most two, and are printed at the end. With reuse-port,
Linux distributes connections by a hash of their addresses, and other systems
may give all of them to one Worker. A Worker that dies is started again; its
connections are lost.

Ctrl-C or SIGTERM stops accepting and answers received requests, on Workers
within --grace-ms; a second one stops at once.

Exit codes: 0 stopped as asked, 1 the server failed or a Worker was terminated,
2 bad usage, 130 or 143 stopped at once by SIGINT or SIGTERM.

Environment:
  DENIO_BACKEND      The backend, when there is no --backend
  DENIO_NATIVE_PATH  Another native library than the one that
                     "deno task build" makes; it needs its own --allow-ffi
  NO_COLOR           No colours on a terminal

MODULE, also on Workers, runs with the permissions of the task: --allow-net and
--allow-read. For other permissions run src/cli/main.ts yourself; --path with a
file needs --allow-write of that file:
  deno run -q -P=serve --allow-write=app.sock src/cli/main.ts --path app.sock`;

/**
 * Parses a command line.
 *
 * @throws {UsageError} when it is wrong.
 */
export function parseOptions(args: string[]): Options {
  const { values, positionals } = parseWords(args);
  const [module, ...more] = positionals;
  if (more.length > 0) {
    throw new UsageError(
      `Cannot serve "${module}" and "${more[0]}": one module is enough`,
    );
  }
  if (module !== undefined && values.echo) {
    throw new UsageError(
      `Cannot serve "${module}" with --echo: use one of them`,
    );
  }
  const { path, workers } = values;
  const balance = balanceOf(values.balance, { path, workers });
  if (path !== undefined && (values.port ?? values.hostname) !== undefined) {
    throw new UsageError(
      `Cannot serve path "${path}" with --port or --hostname: use one of them`,
    );
  }
  return {
    module,
    limits: limitsOf(values),
    // "@" stands for the NUL of an abstract name, as in ss(8).
    path: path?.replace(/^@/, "\0"),
    workers: workersOf(workers),
    balance,
    graceMs: graceOf(values["grace-ms"], workers),
    port: portOf(values.port ?? String(PORT_DEFAULT)),
    hostname: values.hostname ?? HOSTNAME_DEFAULT,
    echo: values.echo,
    backend: values.backend,
    trace: values.trace === undefined ? undefined : traceOf(values.trace),
    help: values.help,
  };
}

function parseWords(args: string[]) {
  try {
    return parseArgs({
      // parseArgs has no optional values, so `--trace` alone gets one here.
      args: args.map((word) => word === "--trace" ? TRACE_ONE : word),
      allowPositionals: true,
      options: {
        port: { type: "string" },
        hostname: { type: "string" },
        path: { type: "string" },
        workers: { type: "string" },
        balance: { type: "string" },
        "grace-ms": { type: "string" },
        echo: { type: "boolean", default: false },
        backend: { type: "string" },
        trace: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
        ...Object.fromEntries(
          [...LIMITS.keys()].map((name) => [name, { type: "string" as const }]),
        ),
      },
    });
  } catch (error) {
    // Only the first sentence: the rest suggests a "--", which does not help.
    const [sentence] = (error as Error).message.split(/\.?\n|\. /);
    throw new UsageError(`${sentence}; see --help`, { cause: error });
  }
}

/** Returns the limits that are given: numbers in their ranges. */
function limitsOf(
  values: { echo: boolean } & Readonly<Record<string, unknown>>,
): LimitedOptions {
  const limits: Record<string, number> = {};
  for (const [name, [key]] of LIMITS) {
    const text = values[name] as string | undefined;
    if (text === undefined) continue;
    if (values.echo) {
      throw new UsageError(`Cannot use --${name} with --echo: it is for HTTP`);
    }
    if (!/^(\d+|Infinity)$/.test(text)) {
      throw new UsageError(
        `Cannot use ${name} "${text}": it must be a number, or Infinity`,
      );
    }
    limits[key] = Number(text);
  }
  try {
    settingsOf(limits);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  return limits;
}

function workersOf(text: string | undefined): number | "auto" | undefined {
  if (text === undefined || text === "auto") return text;
  const workers = Number(text);
  if (/^\d+$/.test(text) && workers >= 1 && workers <= WORKERS_MAX) {
    return workers;
  }
  throw new UsageError(
    `Cannot use workers "${text}": it must be auto or a number from 1 to ` +
      `${WORKERS_MAX}`,
  );
}

function balanceOf(
  name: string | undefined,
  { path, workers }: { path: string | undefined; workers: string | undefined },
): Balance | undefined {
  if (name === undefined) return undefined;
  const balance = BALANCES.find((balance) => balance === name);
  if (balance === undefined) {
    throw new UsageError(
      `Cannot balance by "${name}": it must be ${BALANCES.join(" or ")}`,
    );
  }
  if (workers === undefined) {
    throw new UsageError(
      `Cannot balance by "${name}" without --workers: it is for Workers`,
    );
  }
  if (path !== undefined && balance === "reuse-port") {
    throw new UsageError(
      `Cannot balance by "${name}" at path "${path}": only ports are reused`,
    );
  }
  return balance;
}

function graceOf(
  text: string | undefined,
  workers: string | undefined,
): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) {
    throw new UsageError(
      `Cannot use grace-ms "${text}": it must be a number of milliseconds`,
    );
  }
  if (workers !== undefined) return Number(text);
  throw new UsageError(
    `Cannot use grace-ms "${text}" without --workers: it is for Workers`,
  );
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= PORT_MAX) return port;
  throw new UsageError(
    `Cannot use port "${text}": it must be a number from 0 to ${PORT_MAX}`,
  );
}

function traceOf(text: string): number {
  const connections = Number(text);
  if (/^\d+$/.test(text) && connections >= 1) return connections;
  throw new UsageError(
    `Cannot trace "${text}" connections: it must be a whole number from 1 on`,
  );
}
