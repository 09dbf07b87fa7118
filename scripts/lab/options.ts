/**
 * The command line of `deno task lab`.
 *
 * @module
 */

import {
  chosenFrom,
  countOf,
  listOf,
  readOptions,
  secondsOf,
  UsageError,
} from "../command_line.ts";
import { named } from "../table.ts";
import { chosenModels, type Model, MODELS } from "./models.ts";

/** What a command line asks for. */
export type LabOptions =
  | { readonly command: "run"; readonly run: RunOptions }
  | { readonly command: "lesson" }
  | { readonly command: "watch" } & ServeOptions
  | { readonly command: "serve" } & ServeOptions;

/** Which model to start, and where. */
export interface ServeOptions {
  /** The model. */
  readonly model: Model;
  /** Where it listens; 0 for a free port. */
  readonly port: number;
}

/** What to run. */
export interface RunOptions {
  /** The models, in the table's order. */
  readonly models: readonly Model[];
  /** The numbers of connections. */
  readonly connections: readonly number[];
  /** How many of them are busy. */
  readonly busy: Busy;
  /** Bytes of a message. */
  readonly size: number;
  /** How long each model is measured under each load. */
  readonly seconds: number;
  /** Whether to print the results as they are, and no table. */
  readonly json: boolean;
  /** Where to write the page; `""` for none. */
  readonly report: string;
  /** Results to take, `""` to measure. */
  readonly from: string;
  /** Whether to keep the results for the README. */
  readonly readme: boolean;
}

/** How many connections are busy. */
export interface Busy {
  /** As the command line has it: `10`, or `10%`. */
  readonly text: string;
  /** How many that is of so many connections: from one to all. */
  of(connections: number): number;
}

const USUAL = { connections: "1,10,100,1000,10000", seconds: "1" };
/** The first client, many, and so many that a list of all is long. */
const QUICK = { connections: "1,1000,10000", seconds: "0.2" };
const BUSY = "10";
const SIZE = 64;
/** As many as the load's addresses have ports for, and a machine descriptors. */
const CONNECTIONS_MAX = 1_000_000;
const COMMANDS = ["serve", "watch", "lesson"] as const;
const PORT_MAX = 65_535;
const PERCENT = 100;

/** The text of `--help`. */
export const HELP =
  `One echo server, and every model of waiting for its clients.

Usage: deno task lab [OPTIONS]             measure all models under one load
       deno task lab serve MODEL [OPTIONS] only start one of them
       deno task lab watch MODEL [OPTIONS] look into one: calls, sockets, CPU
       deno task lab lesson                read how servers wait, and why

A server spends its life waiting, and the models differ in nothing else. Each is
a program of sixty lines at the most: read it, run it, and look what it costs.

${
    named(
      MODELS.map(({ name, shows, file }) => [name, `${file}\n      ${shows}`]),
    ).join("\n")
  }

All models get the same load. So many connections are opened, each with one
verified message. Then some of them are busy: they send a message whenever the
last one is back. The others are silent, as most clients of most servers are.
Watch what a message costs while the number of silent clients grows.

Options:
  --models NAME[,NAME]   Only these [all]
  --connections N[,N]    How many [${USUAL.connections}]
  --busy N|N%            How many of them are busy, as 10 or 10% [${BUSY}]
  --size N               Bytes of a message [${SIZE}]
  --seconds S            How long each is measured [${USUAL.seconds}]
  --quick                A minute or two in all: ${QUICK.connections} connections
                         for ${QUICK.seconds} s each
  --json                 Print the results as JSON
  --report FILE          Write the results as a page, with the lesson
  --from FILE            Report on results of --json, and measure nothing
  --readme               Keep the results, and the README's plot of them
  --port N               For serve and watch: where to listen [one that is free]
  -h, --help             Print this

The columns, times in microseconds:
  msg/s            Messages a second; the servers have half a core each
  p50, p99         Half of the messages, and 99 of 100, took no longer
  CPU              Processor time of a message, of all threads of the server,
  user, kernel     and its parts in the program and in the kernel
  rest             How much of a core the server uses while nobody sends
  RAM, each        Its memory in MB, and how many KB a connection adds
  threads          How many it has; Deno alone has some
  wait, taken      Context switches of a message: because a thread had to wait
                   (voluntary), or because its time was over (involuntary)
  calls            System calls of a message

A model that cannot hold a load is shown with what was seen and why.

Try:
  deno task lab --quick
  deno task lab --models select,poll,${MODELS[5]!.name} --connections 10,1000
  deno task lab --models threads,tokio --busy 10% --seconds 3
  deno task lab --json > lab.json
  deno task lab --report lab.html
  deno task lab lesson
  deno task lab watch ${MODELS[5]!.name}
  deno task lab serve ${MODELS[5]!.name} --port 7000, and in other terminals:
    nc 127.0.0.1 7000
    strace -f -p PID
    ss -tnp "sport = 7000"

Exit codes: 0 measured, 1 nothing can be measured here, 2 bad usage.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it is wrong.
 */
export function parseLabOptions(args: string[]): LabOptions {
  const { options, words } = readOptions(args, {
    models: "",
    connections: "",
    busy: BUSY,
    size: SIZE,
    seconds: "",
    quick: false,
    json: false,
    report: "",
    from: "",
    readme: false,
    port: "0",
  });
  const [command, name, ...more] = words;
  if (command !== undefined) {
    const [chosen] = chosenFrom(COMMANDS, [command], "use command");
    if (chosen === "lesson") return { command: "lesson" };
    return serveOptions(chosen!, options.port, [name, ...more]);
  }
  const usual = options.quick ? QUICK : USUAL;
  return {
    command: "run",
    run: {
      models: chosenModels(listOf(options.models)),
      connections: listOf(options.connections || usual.connections)
        .map((text) => connectionsOf(text)),
      busy: busyOf(options.busy),
      size: options.size,
      seconds: secondsOf("--seconds", options.seconds || usual.seconds),
      json: options.json,
      report: options.report,
      from: options.from,
      readme: options.readme,
    },
  };
}

function serveOptions(
  command: "serve" | "watch",
  port: string,
  [name, ...more]: (string | undefined)[],
): LabOptions {
  if (name === undefined || more.length > 0) {
    throw new UsageError(`Cannot ${command} but one model; see --help`);
  }
  const [model] = chosenModels([name]);
  const number = Number(port);
  if (/^\d+$/.test(port) && number <= PORT_MAX) {
    return { command, model: model!, port: number };
  }
  throw new UsageError(
    `Cannot use --port "${port}": it must be from 0 to ${PORT_MAX}`,
  );
}

function connectionsOf(text: string): number {
  const count = countOf("--connections", text);
  if (count <= CONNECTIONS_MAX) return count;
  throw new UsageError(
    `Cannot use --connections "${text}": it must be ${CONNECTIONS_MAX} at most`,
  );
}

function busyOf(text: string): Busy {
  const [, digits, percent] = /^(\d+)(%?)$/.exec(text) ?? [];
  const count = Number(digits);
  const isShare = percent === "%";
  if (!(count >= 1) || isShare && count > PERCENT) {
    throw new UsageError(
      `Cannot use --busy "${text}": it must be a number from 1, or a share ` +
        "from 1% to 100%",
    );
  }
  const of = (connections: number) => {
    const busy = isShare ? Math.round(connections * count / PERCENT) : count;
    return Math.min(Math.max(busy, 1), connections);
  };
  return { text, of };
}
