/**
 * Opens connections, makes one request on each, says so and holds them:
 * `idle_client.ts PORT COUNT`.
 *
 * @module
 */

/** Below any backlog, so that none is turned away. */
const AT_ONCE = 100;
const REQUEST = new TextEncoder().encode(
  "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
);
const ANSWER_BYTES_MAX = 1024;

const [port, count] = Deno.args.map(Number) as [number, number];
const connections: Deno.TcpConn[] = [];

/** Opens one connection after another, until there are enough. */
async function open(): Promise<void> {
  const answer = new Uint8Array(ANSWER_BYTES_MAX);
  while (connections.length < count) {
    const connecting = Deno.connect({ hostname: "127.0.0.1", port });
    const place = connections.length++;
    const connection = connections[place] = await connecting;
    await connection.write(REQUEST);
    // Small enough to come in one piece.
    if (await connection.read(answer) === null) throw new Error("Closed");
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, open));
// deno-lint-ignore no-console -- the benchmark reads it
console.log("ready");
// Something that is due keeps the process, until it is killed.
setInterval(() => {}, 1 << 30);
