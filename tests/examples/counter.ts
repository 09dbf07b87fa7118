/**
 * A whole protocol by handlers: clients add to a counter and read it, a line
 * each. Its test runs it on a system in memory.
 *
 * `deno run -A tests/examples/counter.ts 7001`
 *
 * @module
 */

import { type HostPort, type Listener, Reactor } from "../../mod.ts";

/** The longest line, in bytes. */
const LINE_BYTES_MAX = 1_024;
/** How long a client may be silent, in milliseconds. */
const IDLE_MS = 60_000;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Counts at an address. */
export function counter(address: HostPort, reactor: Reactor): Listener {
  let count = 0;
  const answer = (line: string): string => {
    if (line === "ADD") return `${++count}\n`;
    if (line === "GET") return `${count}\n`;
    return `ERR unknown command "${line}"\n`;
  };
  const options = { ...address, timeouts: { idleMs: IDLE_MS } };
  return reactor.listen<string>(options, {
    open: (connection) => connection.data = "",
    data(connection, bytes, start, end) {
      // Bytes are valid only while this runs: the rest is kept as text.
      const text = decoder.decode(bytes.subarray(start, end));
      const lines = (connection.data + text).split("\n");
      connection.data = lines.pop()!;
      if (connection.data.length > LINE_BYTES_MAX) return connection.abort();
      connection.write(encoder.encode(lines.map(answer).join("")));
    },
  });
}

if (import.meta.main) {
  const port = Number(Deno.args[0] ?? 7001);
  counter({ hostname: "127.0.0.1", port }, Reactor.shared);
}
