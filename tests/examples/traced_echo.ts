/**
 * An echo that shows each system call of its first connection.
 *
 * `deno run -A tests/examples/traced_echo.ts 7000`
 *
 * @module
 */

import { echo, type EchoServer, Reactor, trace } from "../../mod.ts";

/** Returns a reactor that prints the system calls of its first connection. */
export function tracedReactor(print?: (line: string) => void): Reactor {
  return new Reactor({ system: trace(print === undefined ? {} : { print }) });
}

/** Echoes on a reactor. */
export function tracedEcho(port: number, reactor: Reactor): EchoServer {
  return echo({ port, reactor });
}

if (import.meta.main) {
  tracedEcho(Number(Deno.args[0] ?? 7000), tracedReactor());
}
