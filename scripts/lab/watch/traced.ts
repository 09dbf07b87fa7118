/**
 * What `lab watch` shows where `strace` is missing: a loop like that of the
 * model, on the system that denio traces. It waits on the backend of
 * `DENIO_BACKEND`, until a socket is ready or the next deadline is there.
 *
 * `traced.ts --port N [reactor]`: with `reactor`, denio's own loop.
 *
 * @module
 */

import {
  Events,
  Interest,
  type InterestSet,
  type Token,
  WOULD_BLOCK,
} from "../../../src/poll.ts";
import { Reactor } from "../../../mod.ts";
import { Timers } from "../../../src/reactor/timers.ts";
import type { StreamSocket } from "../../../src/system/system.ts";
import { trace } from "../../../src/trace/trace.ts";
import { announce } from "../../bench/servers/announce.ts";

const BOTH: InterestSet = Interest.READABLE | Interest.WRITABLE;
const LISTENER = 0;
const SILENT_MS = 300_000;
/** More than people look at. */
const CONNECTIONS = 10_000;

const port = Number(Deno.args[1]);
const system = trace({ connections: CONNECTIONS });
if (Deno.args[2] === "reactor") {
  const reactor = new Reactor({ system });
  const listener = reactor.listen({ hostname: "127.0.0.1", port }, {
    data: (connection, bytes, start, end) => {
      connection.write(bytes, start, end);
    },
  });
  announce(listener.addr as Deno.NetAddr);
} else {
  run();
}

function run(): never {
  const poll = system.openPoll({});
  const listener = system.listen({ hostname: "127.0.0.1", port });
  poll.register(listener, LISTENER, BOTH);
  announce(listener.localAddress as Deno.NetAddr);
  const timers = new Timers();
  const work = new Map<Token, () => void>();
  const events = new Events();
  const batch = listener.batch();
  let last = LISTENER;
  for (;;) {
    while (timers.nextDeadlineMs <= performance.now()) {
      timers.takeDue(performance.now())?.callback();
    }
    const left = timers.nextDeadlineMs - performance.now();
    poll.poll(events, Math.max(left, 0));
    for (const { token } of events) {
      if (token === LISTENER) accept();
      else work.get(token)?.();
    }
  }

  function accept(): void {
    do {
      const count = listener.acceptBatch(batch);
      for (let index = 0; index < count; index++) serve(batch.stream(index));
      // It stopped because the batch was full: there may be more.
    } while (batch.stopped === 0);
  }

  function serve(stream: StreamSocket): void {
    const token = ++last;
    poll.register(stream, token, BOTH);
    const close = () => {
      work.delete(token);
      stream.close();
    };
    const echo = echoOf(stream);
    let timer = timers.add(performance.now() + SILENT_MS, close);
    work.set(token, () => {
      timers.remove(timer);
      if (!echo()) return close();
      timer = timers.add(performance.now() + SILENT_MS, close);
    });
  }
}

/** Returns an echo, which returns whether the connection goes on. */
function echoOf(stream: StreamSocket): () => boolean {
  const buffer = new Uint8Array(65_536);
  let unsent: Uint8Array<ArrayBuffer> | undefined;
  return () => {
    for (;;) {
      const bytes = unsent ?? buffer;
      const end = unsent?.length ?? stream.tryRead(bytes, 0, bytes.length);
      const sent = end > 0 ? stream.tryWrite(bytes, 0, end) : end;
      if (sent === WOULD_BLOCK && end > 0) unsent ??= bytes.slice(0, end);
      if (sent === WOULD_BLOCK) return true;
      if (sent <= 0) return false;
      unsent = sent === end ? undefined : bytes.slice(sent, end);
    }
  };
}
