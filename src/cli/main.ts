/**
 * The program behind `deno task serve`.
 *
 * It prints one line when it serves, and one line when it fails.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import { after } from "../base/own.ts";
import config from "../../deno.json" with { type: "json" };
import { Reactor, type ReactorOptions } from "../reactor/reactor.ts";
import { echo } from "../server/echo.ts";
import type { ServeAddress } from "../server/http_server.ts";
import { serve } from "../server/serve.ts";
import { trace } from "../trace/trace.ts";
import type { MemberOptions } from "../server/worker/control.ts";
import { serveOnWorkers } from "../server/worker/workers.ts";
import { app } from "./app.ts";
import { loadServed, type Served } from "../server/module.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { stopOnSignals } from "./signals.ts";

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/** The user's folder: `deno task` starts the program in the project's. */
const FOLDER_VARIABLE = "INIT_CWD";

/** Printed when stopping takes a while. */
const STOPPING = "Stopping when all is answered; once more to stop at once";
const STOPPING_MS = 250;

/** The columns of a trace before the call. */
const TRACE_COLUMNS = 23;

const BOLD = "1";
const FAINT = "2";
const RED = "31";

/** The members that all kinds of servers share. */
interface RunningServer {
  readonly addr: ServeAddress;
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
}

async function run(options: Options): Promise<void> {
  if (options.help) return console.log(HELP);
  const { workers } = options;
  if (workers !== undefined) return await runWorkers(options, workers);
  const reactor = openReactor(options);
  const server = await start(options, reactor);
  const stopped = untilStopped(server);
  printAddress(server.addr, reactor.backend, options.echo);
  await stopped;
}

async function runWorkers(
  options: Options,
  workers: number | "auto",
): Promise<void> {
  const { module, port, hostname, path, echo, limits } = options;
  const { backend, balance, graceMs } = options;
  // Checked on this thread, so that a wrong name is reported as wrong usage.
  openReactor({ backend, trace: undefined }).close();
  const builtIn = new URL("./app.ts", import.meta.url);
  const server = await serveOnWorkers({
    ...limits as MemberOptions,
    ...echo ? { echo } : { module: module ?? builtIn },
    folder: callersFolder(),
    port,
    hostname,
    workers,
    ...path !== undefined && { path },
    ...balance !== undefined && { balance },
    ...graceMs !== undefined && { graceMs },
    ...backend !== undefined && { backend },
  });
  const count = server.accepted.length;
  const threads = `${server.backend}, ${count} worker${count > 1 ? "s" : ""}`;
  const stopped = untilStopped(server);
  printAddress(server.addr, threads, echo);
  try {
    await stopped;
  } finally {
    printSkew(server.accepted);
  }
}

/**
 * Called before the address is printed, since its reader may signal at once.
 */
async function untilStopped(server: RunningServer): Promise<void> {
  stopOnSignals(() => {
    after(STOPPING_MS, () => console.error(STOPPING));
    server.shutdown();
  });
  await server.finished;
}

function openReactor(
  { backend, trace: connections }: Pick<Options, "backend" | "trace">,
): Reactor {
  try {
    // The reactor's message lists the backends.
    return new Reactor({
      ...backend && { backend },
      ...connections && { system: trace({ connections, print: printStep }) },
    } as ReactorOptions);
  } catch (error) {
    // A `TypeError` means that there is no backend of this name at all.
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

async function start(
  options: Options,
  reactor: Reactor,
): Promise<RunningServer> {
  const { module, path, port, hostname, limits } = options;
  if (options.echo) {
    return path === undefined
      ? echo({ port, hostname, reactor })
      : echo({ path, reactor });
  }
  const { handler, observer, websocket, topics }: Served = module === undefined
    ? {
      handler: app,
      observer: undefined,
      websocket: undefined,
      topics: undefined,
    }
    : await loadServed(module, callersFolder());
  // `printAddress` prints a better line later.
  const how = {
    ...limits,
    ...observer && { observer },
    ...websocket && { websocket },
    ...topics && { topics },
    reactor,
    onListen() {},
  };
  return path === undefined
    ? serve({ port, hostname, ...how }, handler)
    : serve({ path, ...how }, handler);
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
  addr: ServeAddress,
  backend: string,
  isEcho: boolean,
): void {
  const what = isEcho
    ? `echoing ${"path" in addr ? "" : "TCP "}on ${placeOf(addr, "")}`
    : `serving HTTP on ${placeOf(addr, "http://", "/")}`;
  const isTerminal = Deno.stdout.isTerminal();
  const name = styled(`denio ${config.version}`, BOLD, isTerminal);
  console.log(`${name} (${backend}) ${what}`);
}

/** Returns a trace's line with its times in faint colour, on a terminal. */
function printStep(line: string): void {
  const times = line.slice(0, TRACE_COLUMNS);
  const isStep = /^ *[\d.]+ /.test(times);
  const isTerminal = isStep && Deno.stderr.isTerminal();
  const call = line.slice(TRACE_COLUMNS);
  console.error(styled(times, FAINT, isTerminal) + call);
}

function placeOf(addr: ServeAddress, before: string, after = ""): string {
  if ("path" in addr) return addr.path.replaceAll("\0", "\\0");
  const { hostname, port } = addr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${before}${host}:${port}${after}`;
}

/** Prints how evenly Workers shared the connections: 1 is perfectly even. */
function printSkew(accepted: readonly number[]): void {
  const sum = accepted.reduce((total, count) => total + count, 0);
  if (sum === 0) return;
  const skew = Math.max(...accepted) / (sum / accepted.length);
  console.log(
    `Workers accepted ${accepted.join(" + ")} connections ` +
      `(the most is ${skew.toFixed(2)} times the mean)`,
  );
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
