/**
 * Deno.listen: what Deno itself offers, for scale. A read is a promise of tokio's,
 * in Rust: the bytes and the promise cross from tokio's loop to JavaScript with
 * each message.
 *
 * @module
 */

import { announce } from "../../bench/servers/announce.ts";

const port = Number(Deno.args[1] ?? 0); // --port N
const listener = Deno.listen({ hostname: "127.0.0.1", port });
announce(listener.addr);
for await (const connection of listener) serve(connection);

async function serve(connection: Deno.TcpConn): Promise<void> {
  try {
    connection.setNoDelay();
    await echo(connection);
  } catch {
    // The client has reset the connection.
  } finally {
    connection.close();
  }
}

async function echo(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4_096);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return; // The client has ended its half.
    for (let sent = 0; sent < count;) {
      sent += await connection.write(buffer.subarray(sent, count));
    }
  }
}
