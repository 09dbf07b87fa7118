/**
 * The command line of `deno task load`.
 *
 * @module
 */

import { countOf, parseWords, UsageError } from "../command_line.ts";

/** What the command line asks for. */
export interface LoadOptions {
  /** What to load; the built-in server when there is none. */
  url: string | undefined;
  /** Connections that are open at once. */
  connections: number;
  /** Requests that are sent before an answer comes. */
  pipelining: number;
  /** Seconds. */
  durationSeconds: number;
  /** Whether to print JSON. */
  json: boolean;
  /** Whether to explain instead. */
  help: boolean;
}

/** What `--help` prints. */
export const HELP = `Drive an HTTP server as hard as autocannon can.

Usage: deno task load [URL] [OPTIONS]

  URL  What to ask for. Without one the built-in server is started, and its
       processor time is measured, too (on Linux).

Options:
  -c, --connections N  Connections open at once [100]
  -p, --pipelining N   Requests sent before an answer comes [10]
  -d, --duration N     Seconds [10]
      --json           Print one JSON object
  -h, --help           Print this

Examples:
  deno task load                                The built-in server
  deno task load http://127.0.0.1:8000/json     One that runs already
  deno task load -c 1 -p 1 -d 3                 A single patient client

Exit codes: 0 every request was answered with a 2xx, 1 one was not, 2 bad
usage.`;

/**
 * Returns what a command line asks for.
 *
 * @throws {UsageError} when it cannot be meant.
 */
export function parseLoadOptions(args: string[]): LoadOptions {
  const { values, positionals } = parseWords({
    args,
    allowPositionals: true,
    options: {
      connections: { type: "string", short: "c", default: "100" },
      pipelining: { type: "string", short: "p", default: "10" },
      duration: { type: "string", short: "d", default: "10" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [url, ...more] = positionals;
  if (more.length > 0) {
    throw new UsageError(`Cannot load "${more[0]}", too: one URL is enough`);
  }
  return {
    url: url === undefined ? undefined : urlOf(url),
    connections: countOf("--connections", values.connections),
    pipelining: countOf("--pipelining", values.pipelining),
    durationSeconds: countOf("--duration", values.duration),
    json: values.json,
    help: values.help,
  };
}

function urlOf(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href;
  throw new UsageError(
    `Cannot load "${text}": it must be an http or https URL`,
  );
}
