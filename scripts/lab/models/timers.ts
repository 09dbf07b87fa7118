/**
 * Timers beside sockets: time is one more thing to wait for. Deadlines lie in a
 * heap, the earliest on top. Each turn runs those that are due, then waits for
 * sockets, but no longer than until the next deadline. Here a client is closed
 * when it has been silent for five minutes.
 *
 * @module
 */

import * as denio from "../../../src/poll.ts";
import { Timers } from "../../../src/reactor/timers.ts";
import { announce } from "../../bench/servers/announce.ts";

const BOTH = denio.Interest.READABLE | denio.Interest.WRITABLE;
const LISTENER = 0;
// --port N --silent-ms N
const [, port = 0, , silentMs = 300_000] = Deno.args.map(Number);
const poll = new denio.Poll(); // On the best backend that there is, by edge.
const listener = denio.TcpListener.bind({ hostname: "127.0.0.1", port });
poll.registry.register(listener, LISTENER, BOTH);
announce(listener.localAddress);
const timers = new Timers(); // The heap.
const work = new Map([[LISTENER, accept]]); // What to run for a ready token.
const buffer = new Uint8Array(65_536);
const events = new denio.Events(1_024);
let lastToken = LISTENER;
for (;;) {
  while (timers.nextDeadlineMs <= performance.now()) {
    timers.takeDue(performance.now())?.callback();
  }
  poll.poll(events, Math.max(timers.nextDeadlineMs - performance.now(), 0));
  for (const { token } of events) work.get(token)?.();
}

function accept(): void {
  for (let stream = listener.accept(); stream; stream = listener.accept()) {
    poll.registry.register(stream, ++lastToken, BOTH);
    work.set(lastToken, echoOf(stream, lastToken));
  }
}

/** Returns an echo that moves the client's deadline with each message. */
function echoOf(stream: denio.TcpStream, token: number): () => void {
  let unsent: Uint8Array<ArrayBuffer> | undefined;
  const close = () => work.delete(token) && stream.close();
  let timer = timers.add(performance.now() + silentMs, close);
  return () => {
    timers.remove(timer);
    for (;;) {
      const bytes = unsent ?? buffer;
      const end = unsent?.length ?? stream.tryRead(bytes, 0, bytes.length);
      const sent = end > 0 ? stream.tryWrite(bytes, 0, end) : end;
      if (sent === denio.WOULD_BLOCK && end > 0) unsent ??= bytes.slice(0, end);
      if (sent === denio.WOULD_BLOCK) break;
      if (sent <= 0) return close();
      unsent = sent === end ? undefined : bytes.slice(sent, end);
    }
    timer = timers.add(performance.now() + silentMs, close);
  };
}
