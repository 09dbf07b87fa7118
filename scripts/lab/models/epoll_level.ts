/**
 * epoll by level: the kernel is told of a socket once, and keeps the list. A wait
 * returns those that are ready, and the others cost nothing. By level: each wait
 * reports a socket while bytes are left in it. (macOS and FreeBSD: kqueue.)
 *
 * @module
 */

import * as denio from "../../../src/poll.ts";
import { announce } from "../../bench/servers/announce.ts";

type Unsent = Uint8Array<ArrayBuffer> | undefined; // There is no room for it.
type Client = { readonly stream: denio.TcpStream; unsent: Unsent };

const { READABLE, WRITABLE } = denio.Interest;
const LISTENER = 0;
const LEVEL = { mode: "level" } as const;
const port = Number(Deno.args[1] ?? 0); // --port N
const backend = Deno.build.os === "linux" ? "epoll" : "kqueue";
const poll = new denio.Poll({ backend });
const { registry } = poll;
const listener = denio.TcpListener.bind({ hostname: "127.0.0.1", port });
registry.register(listener, LISTENER, READABLE, LEVEL);
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
    else echo(token, clients.get(token)!);
  }
}

function accept(): void {
  for (let stream = listener.accept(); stream; stream = listener.accept()) {
    clients.set(++lastToken, { stream, unsent: undefined });
    registry.register(stream, lastToken, READABLE, LEVEL);
  }
}

function echo(token: number, client: Client): void {
  const { stream, unsent } = client;
  const bytes = unsent ?? buffer;
  const end = unsent?.length ?? stream.tryRead(buffer, 0, buffer.length);
  if (end === denio.WOULD_BLOCK) return;
  const sent = end > 0 ? stream.tryWrite(bytes, 0, end) : end;
  if (sent <= 0 && sent !== denio.WOULD_BLOCK) {
    clients.delete(token); // The client has ended the connection, or reset it.
    return stream.close();
  }
  const isAll = sent === end;
  client.unsent = isAll ? undefined : bytes.slice(Math.max(sent, 0), end);
  if (isAll === (unsent === undefined)) return;
  // A client that does not read is not read from, until there is room.
  registry.reregister(stream, token, isAll ? READABLE : WRITABLE, LEVEL);
}
