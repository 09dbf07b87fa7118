/**
 * The command line of `deno task serve`: what may be given, and what it means.
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
/** Only this machine can connect; `0.0.0.0` is for others, too. */
const HOSTNAME_DEFAULT = "127.0.0.1";

/** What `--trace` alone means. */
const TRACE_ONE = "--trace=1";

/** What the command line asks for. */
export interface Options {
  /** The module to serve; the built-in app when there is none. */
  module: string | undefined;
  /** From 0 to 65535; 0 for one of the system's choosing. */
  port: number;
  /** An address or a name. */
  hostname: string;
  /** A Unix socket's path instead of host and port. */
  path: string | undefined;
  /** On how many Workers; on this thread when left out. */
  workers: number | "auto" | undefined;
  /** How Workers share connections; the better way when left out. */
  balance: Balance | undefined;
  /** How long Workers have to end, in milliseconds; 30000 when left out. */
  graceMs: number | undefined;
  /** Limits for clients; the defaults of those that are left out. */
  limits: LimitedOptions;
  /** Whether to echo TCP instead of serving HTTP. */
  echo: boolean;
  /** The name of a backend, or `auto`; the environment's when left out. */
  backend: string | undefined;
  /** How many connections to show step by step; none when left out. */
  trace: number | undefined;
  /** Whether to explain instead of serving. */
  help: boolean;
}

/** A command line that cannot be meant, with the one line to show. */
export class UsageError extends Error {
  /** What errors of this class print. */
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

/** The column in which the longest limit leaves room for its text. */
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
          "deno serve" takes it. Without one a built-in app answers: / greets,
          /json answers JSON, POST /echo sends its body back.

Options:
  --port PORT      Port to listen on, 0 for any that is free [${PORT_DEFAULT}]
  --hostname HOST  Address to listen on [${HOSTNAME_DEFAULT}]
  --path PATH      Unix socket to listen on instead: a path, which must not be
                   there yet, or @NAME for an abstract name (Linux)
  --workers N      Serve on N Workers, one thread each; auto is one a core
  --balance NAME   How Workers share connections: shared-listener, one socket
                   that all accept from, or reuse-port, a socket for each
                   (SO_REUSEPORT) [shared-listener]
  --grace-ms MS    Milliseconds that Workers have to answer what has come, when
                   they are told to stop; then they are terminated [30000]
  --echo           Send back what comes over TCP instead of serving HTTP
  --backend NAME   What to wait with: epoll, poll or select on Linux, kqueue
                   on macOS and the BSDs, auto for the best of them [auto]
  --trace[=N]      Show on standard error what the first connection, or the
                   first N, cost: each system call, and the sums
  --help           Print this

Limits for clients, each explained in the README:
${limitLines()}

Examples:
  deno task serve                            The built-in app on port 8000
  deno task serve app.ts --port 3000         Your own
  deno task serve --hostname 0.0.0.0         For other machines, too
  deno task serve --echo --port 7000         A TCP echo server
  deno task serve app.ts --workers auto      On every core

--workers pays when MODULE keeps a core busy and others are idle. Each Worker
imports MODULE for itself: they share no variables. Each has as many connections
as the others, give or take two; the counts at the end show it. With reuse-port
Linux shares them out by a hash of their addresses, and other systems may give
all to one Worker. A Worker that dies is started again, its connections are
lost.

Ctrl-C or SIGTERM stops accepting and answers what has come, on Workers within
--grace-ms; a second one stops at once.

Exit codes: 0 stopped as asked, 1 something failed or a Worker had to be
terminated, 2 bad usage, 130 or 143 stopped at once by SIGINT or SIGTERM.

Environment:
  DENIO_BACKEND      The backend, when there is no --backend
  DENIO_NATIVE_PATH  Another native library than the one that
                     "deno task build" makes; it needs its own --allow-ffi
  NO_COLOR           No colours, which only terminals get anyway

MODULE, also on Workers, runs with what the task grants: --allow-net and
--allow-read; --path needs --allow-write of its path, too. For more,
run src/cli/main.ts yourself with "deno run" and the permissions it needs.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
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
    throw new UsageError(`Cannot serve "${module}" with --echo: take one`);
  }
  const { path, workers } = values;
  const balance = balanceOf(values.balance, { path, workers });
  if (path !== undefined && (values.port ?? values.hostname) !== undefined) {
    throw new UsageError(
      `Cannot serve path "${path}" with --port or --hostname: take one`,
    );
  }
  return {
    module,
    limits: limitsOf(values),
    // As ss(8) and others write the NUL that an abstract name begins with.
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
      // An option whose value may be left out, which parseArgs has not got.
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
    // The first sentence says what is wrong, the rest speaks of a "--" that
    // would not help.
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
      `Cannot balance by "${name}" without --workers: there is one thread`,
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
    `Cannot use grace-ms "${text}" without --workers: nothing is terminated`,
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
