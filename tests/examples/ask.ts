/**
 * Asks a web server for its front page and prints the first line of the answer:
 * a client on a `Poll`, without a reactor.
 *
 * `deno run -A tests/examples/ask.ts example.com`
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import {
  Events,
  type HostPort,
  Interest,
  Poll,
  systemLookup,
  TcpStream,
  WOULD_BLOCK,
} from "../../src/poll.ts";

const STREAM = 1;

/**
 * Returns the first line of a server's answer.
 *
 * @throws {Deno.errors.NotFound} when the name is unknown.
 * @throws {Deno.errors.ConnectionRefused} and others of its first address.
 */
export async function ask({ hostname, port }: HostPort): Promise<string> {
  const [address] = await systemLookup({ hostname, port });
  using poll = new Poll();
  using stream = TcpStream.connect({ hostname: address!, port });
  poll.registry.register(stream, STREAM, Interest.WRITABLE);
  const events = new Events();
  poll.poll(events);
  const failure = stream.takeError();
  if (failure !== undefined) throw failure;
  const request = `GET / HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`;
  stream.write(new TextEncoder().encode(request));

  poll.registry.reregister(stream, STREAM, Interest.READABLE);
  const buffer = new Uint8Array(4_096);
  for (let text = ""; !text.includes("\r\n");) {
    const length = stream.read(buffer);
    if (length === 0) return text;
    if (length === WOULD_BLOCK) poll.poll(events);
    else text += new TextDecoder().decode(buffer.subarray(0, length));
    if (text.includes("\r\n")) return text.split("\r\n")[0]!;
  }
  return "";
}

if (import.meta.main) {
  const [hostname = "localhost", port = "80"] = Deno.args;
  console.log(await ask({ hostname, port: Number(port) }));
}
