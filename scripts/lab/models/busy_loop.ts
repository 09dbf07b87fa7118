/**
 * Non-blocking, in a busy loop: no call waits, so one thread asks all sockets in
 * turn, round and round. This needs nothing from the kernel but an answer that
 * says "nothing yet", and uses a whole core while nothing happens.
 *
 * @module
 */

import { TcpListener, type TcpStream, WOULD_BLOCK } from "../../../src/poll.ts";
import { announce } from "../../bench/servers/announce.ts";

type Unsent = Uint8Array<ArrayBuffer> | undefined; // There is no room for it.
type Client = { readonly stream: TcpStream; unsent: Unsent };

const port = Number(Deno.args[1] ?? 0); // --port N
const listener = TcpListener.bind({ hostname: "127.0.0.1", port });
announce(listener.localAddress);
const clients = new Set<Client>();
const buffer = new Uint8Array(65_536);
for (;;) {
  // Never sleeps, and never ends: Ctrl-C needs no turn of Deno's loop.
  for (let stream = listener.accept(); stream; stream = listener.accept()) {
    clients.add({ stream, unsent: undefined });
  }
  for (const client of clients) echo(client);
}

function echo(client: Client): void {
  const { stream, unsent } = client;
  const bytes = unsent ?? buffer;
  const end = unsent?.length ?? stream.tryRead(buffer, 0, buffer.length);
  if (end === WOULD_BLOCK) return; // Nothing yet: ask the next one.
  const sent = end > 0 ? stream.tryWrite(bytes, 0, end) : end;
  if (sent <= 0 && sent !== WOULD_BLOCK) {
    clients.delete(client); // The client has ended the connection, or reset it.
    return stream.close();
  }
  // A client that does not read is not read from, until there is room.
  const isAll = sent === end;
  client.unsent = isAll ? undefined : bytes.slice(Math.max(sent, 0), end);
}
