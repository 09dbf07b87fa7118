/**
 * The program behind `deno task serve`.
 *
 * It prints one line when it serves, and one line when it cannot.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import config from "../../deno.json" with { type: "json" };
import { Reactor, type ReactorOptions } from "../reactor/reactor.ts";
import { echo } from "../server/echo.ts";
import { serve } from "../server/serve.ts";
import { trace } from "../server/trace.ts";
import { app } from "./app.ts";
import { loadHandler } from "./module.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { stopOnSignals } from "./signals.ts";

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** The folder that the user called `deno task` from, which starts elsewhere. */
const FOLDER_VARIABLE = "INIT_CWD";

/** Said when stopping takes long enough to wonder. */
const STOPPING = "Stopping when all is answered; once more to stop at once";
const STOPPING_MS = 250;

/** The columns of a trace before the call. */
const TRACE_COLUMNS = 23;

const BOLD = "1";
const FAINT = "2";
const RED = "31";

/** What both kinds of server have. */
interface Server {
  readonly addr: Deno.NetAddr;
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
}

async function run(options: Options): Promise<void> {
  if (options.help) return console.log(HELP);
  const reactor = openReactor(options);
  const server = await start(options, reactor);
  printAddress(server.addr, reactor.backend, options.echo);
  stopOnSignals(() => {
    setTimeout(() => console.error(STOPPING), STOPPING_MS);
    server.shutdown();
  });
  await server.finished;
}

function openReactor({ backend, trace: connections }: Options): Reactor {
  try {
    // The reactor says what is no backend; a list here would only age.
    return new Reactor({
      ...backend && { backend },
      ...connections && { system: trace({ connections, print: printStep }) },
    } as ReactorOptions);
  } catch (error) {
    // The name is no backend at all, rather than one that is not here.
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

async function start(options: Options, reactor: Reactor): Promise<Server> {
  const { module, port, hostname } = options;
  if (options.echo) return echo({ port, hostname, reactor });
  const handler = module === undefined
    ? app
    : await loadHandler(module, callersFolder());
  // The line that says where comes after this, and says more.
  return serve({ port, hostname, reactor, onListen() {} }, handler);
}

function callersFolder(): string {
  const { state } = Deno.permissions.querySync({
    name: "env",
    variable: FOLDER_VARIABLE,
  });
  const folder = state === "granted" && Deno.env.get(FOLDER_VARIABLE);
  return folder || Deno.cwd();
}

function printAddress(
  { hostname, port }: Deno.NetAddr,
  backend: string,
  isEcho: boolean,
): void {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const what = isEcho
    ? `echoing TCP on ${host}:${port}`
    : `serving HTTP on http://${host}:${port}/`;
  const isTerminal = Deno.stdout.isTerminal();
  const name = styled(`denio ${config.version}`, BOLD, isTerminal);
  console.log(`${name} (${backend}) ${what}`);
}

/** Makes the times of a trace faint, where that can be seen. */
function printStep(line: string): void {
  const times = line.slice(0, TRACE_COLUMNS);
  const isStep = /^ *[\d.]+ /.test(times);
  const isTerminal = isStep && Deno.stderr.isTerminal();
  const call = line.slice(TRACE_COLUMNS);
  console.error(styled(times, FAINT, isTerminal) + call);
}

function printError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const [line] = message.split("\n");
  console.error(`${styled("error", RED, Deno.stderr.isTerminal())}: ${line}`);
}

function styled(text: string, style: string, isTerminal: boolean): string {
  return isTerminal && !Deno.noColor ? `\x1b[${style}m${text}\x1b[0m` : text;
}

if (import.meta.main) {
  try {
    await run(parseOptions(Deno.args));
    // A module's own timers and sockets must not keep a stopped server.
    Deno.exit();
  } catch (error) {
    printError(error);
    Deno.exit(error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE);
  }
}
