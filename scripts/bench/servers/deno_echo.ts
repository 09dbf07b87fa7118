/**
 * The benchmark's echo server on `Deno.listen`: a loop of read and write with
 * a buffer of the connection's own, which costs less than its streams.
 *
 * @module
 */

import { announce } from "./announce.ts";

/** The largest message of the benchmark. */
const BUFFER_BYTES = 65_536;

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
announce(listener.addr);
for await (const conn of listener) serve(conn);

async function serve(conn: Deno.TcpConn): Promise<void> {
  // Every other peer does this by default.
  conn.setNoDelay();
  try {
    await echo(conn);
  } catch {
    // The peer has reset it.
  } finally {
    conn.close();
  }
}

async function echo(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) return;
    for (let sent = 0; sent < count;) {
      sent += await conn.write(buffer.subarray(sent, count));
    }
  }
}
