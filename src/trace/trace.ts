/**
 * A trace of connections, HTTP among them.
 *
 * @module
 */

import { MessageWatch } from "./message_watch.ts";
import { NATIVE } from "../system/readiness.ts";
import type { System } from "../system/system.ts";
import { tracedSystem, type TraceOptions } from "./traced_system.ts";

export type { TraceOptions } from "./traced_system.ts";

/**
 * Returns a system for a `Reactor` that shows one connection's life as a
 * timeline: a line for each system call, as `strace` would have it, and the
 * sums when it closes. A reactor without it is not slowed down by anything.
 *
 * The columns are milliseconds since the connection began (for one that was
 * accepted: since the loop was told of it), milliseconds since its last line,
 * and the loop's turn. Of HTTP/1.1 the first lines are shown, without what
 * could be a secret: a target has no query. Of a body nothing is shown.
 *
 * @example What an echo costs
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
