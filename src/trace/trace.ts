/**
 * Traces of connections and of their HTTP messages.
 *
 * @module
 */

import { MessageWatch } from "./message_watch.ts";
import { NATIVE } from "../system/readiness.ts";
import type { System } from "../system/system.ts";
import { tracedSystem, type TraceOptions } from "./traced_system.ts";

export type { TraceOptions } from "./traced_system.ts";

/**
 * Returns a system for a `Reactor` that prints the first connections as
 * timelines: a line for each system call, in the form of `strace`, and the sums
 * when the connection closes. It costs nothing in a reactor that does not use
 * it.
 *
 * The columns are the milliseconds since the connection began (for an accepted
 * one: since the listener's event), the milliseconds since the last line, and
 * the loop's turn. Of HTTP/1.1 messages only the first line is shown, without
 * secrets: a target has no query.
 *
 * @example The system calls of an echo
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { echo } from "../server/echo.ts";
 * import { Reactor } from "../reactor/reactor.ts";
 * import { trace } from "./trace.ts";
 *
 * const lines: string[] = [];
 * const system = trace({ print: (line) => lines.push(line) });
 * using reactor = new Reactor({ system });
 * {
 *   await using server = echo({ port: 0, reactor });
 *   using client = await Deno.connect(server.addr);
 *   await client.write(new TextEncoder().encode("hello"));
 *   await client.read(new Uint8Array(5));
 * }
 * const calls = lines.filter((line) => /recvfrom\(.*= 5$/.test(line));
 * assertEquals(calls.length, 1);
 * ```
 *
 * @throws {RangeError} when `connections` is no whole number from 1 on.
 */
export function trace(options: TraceOptions = {}): System {
  return tracedSystem(NATIVE, { ...options, watch: () => new MessageWatch() });
}
