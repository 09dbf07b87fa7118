/**
 * epoll by edge: a wait reports a socket when it changes, once. So the program
 * reads until nothing is left, or it would never hear of the rest. A message costs
 * one more read than by level, which finds nothing. (macOS and FreeBSD: kqueue.)
 *
 * @module
 */

import * as denio from "../../../src/poll.ts";
import { announce } from "../../bench/servers/announce.ts";

type Unsent = Uint8Array<ArrayBuffer> | undefined; // There is no room for it.
type Client = { readonly stream: denio.TcpStream; unsent: Unsent };

const { READABLE, WRITABLE } = denio.Interest;
const LISTENER = 0;
const EDGE = { mode: "edge" } as const;
const port = Number(Deno.args[1] ?? 0); // --port N
const backend = Deno.build.os === "linux" ? "epoll" : "kqueue";
const poll = new denio.Poll({ backend });
const { registry } = poll;
const listener = denio.TcpListener.bind({ hostname: "127.0.0.1", port });
registry.register(listener, LISTENER, READABLE, EDGE);
announce(listener.localAddress);
const clients = new Map<number, Client>();
const buffer = new Uint8Array(65_536);
const events = new denio.Events(1_024);
let lastToken = LISTENER;
for (;;) {
  poll.poll(events); // Sleeps in epoll_wait. Ctrl-C needs no turn of Deno's loop.
  for (let index = 0; index < events.length; index++) {
    const token = events.token(index);
    if (token === LISTENER) accept();
    else echo(token, clients.get(token));
  }
}

function accept(): void {
  for (let stream = listener.accept(); stream; stream = listener.accept()) {
    clients.set(++lastToken, { stream, unsent: undefined });
    registry.register(stream, lastToken, READABLE | WRITABLE, EDGE);
  }
}

function echo(token: number, client: Client | undefined): void {
  if (client === undefined) return; // Closed by an earlier event of the batch.
  const { stream } = client;
  for (;;) {
    const bytes = client.unsent ?? buffer;
    const end = client.unsent?.length ?? stream.tryRead(bytes, 0, bytes.length);
    if (end === denio.WOULD_BLOCK) return; // Nothing is left: more is an edge.
    const sent = end > 0 ? stream.tryWrite(bytes, 0, end) : end;
    if (sent === denio.WOULD_BLOCK) client.unsent ??= bytes.slice(0, end);
    if (sent === denio.WOULD_BLOCK) return; // No room is left: room is an edge.
    if (sent <= 0) break; // The client has ended the connection, or reset it.
    client.unsent = sent === end ? undefined : bytes.slice(sent, end);
  }
  clients.delete(token);
  stream.close();
}
