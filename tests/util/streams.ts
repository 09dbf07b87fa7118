/**
 * Streams of denio's own on a poll, driven by hand.
 *
 * @module
 */

import { assertEquals, AssertionError } from "@std/assert";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import type { ListeningSocket } from "../../src/net/listener.ts";
import type { Stream } from "../../src/net/stream.ts";
import { TcpListener } from "../../src/net/tcp_listener.ts";
import { TcpStream } from "../../src/net/tcp_stream.ts";
import { Events, Readiness } from "../../src/poll/events.ts";
import { Interest } from "../../src/poll/interest.ts";
import { Poll } from "../../src/poll/poll.ts";
import type { Registry, Source } from "../../src/poll/registry.ts";
import { DEADLINE_MS } from "./waiting.ts";

/** Where tests listen. */
export const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

/** How long silence is listened to: loopback delivers at once. */
export const SILENCE_MS = 20;

/** As many changes of state as the end of a connection has. */
const REPEATS_MAX = 5;

const BOTH = Interest.READABLE | Interest.WRITABLE;

/** Two ends of one connection, and the listener that accepted the second. */
export interface Pair extends Disposable {
  readonly listener: TcpListener;
  readonly client: TcpStream;
  readonly server: TcpStream;
}

/** Returns a connection that is registered nowhere. */
export function connectedPair(hostname: string = LOOPBACK.hostname): Pair {
  const listener = TcpListener.bind({ hostname, port: 0 });
  const client = TcpStream.connect(listener.localAddress);
  const server = acceptOne(listener);
  return {
    listener,
    client,
    server,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      server[Symbol.dispose]();
      listener[Symbol.dispose]();
    },
  };
}

/** Waits for a connection to a listener that is registered nowhere. */
export function acceptOne<Accepted>(
  listener: ListeningSocket<unknown, Accepted>,
): Accepted {
  using poll = new Poll();
  poll.registry.register(listener, 1, Interest.READABLE);
  try {
    expectEvent(poll, 1, Readiness.READABLE);
    const stream = listener.accept();
    if (stream === undefined) {
      throw new AssertionError("No connection was accepted");
    }
    return stream;
  } finally {
    poll.registry.deregister(listener);
  }
}

/** Registers for reading and writing. */
export function registerBoth(
  registry: Registry,
  stream: Source,
  token: number,
): void {
  registry.register(stream, token, BOTH);
}

/**
 * Polls until events of `token` have all of `bits`, and returns all bits of
 * these events. Fails when another token shows up.
 */
export function expectEvent(poll: Poll, token: number, bits: number): number {
  const events = new Events();
  const endMs = performance.now() + DEADLINE_MS;
  let seen = 0;
  while ((seen & bits) !== bits) {
    if (performance.now() > endMs) {
      throw new AssertionError(
        `Waited for readiness ${bits} of token ${token}, there is ${seen}`,
      );
    }
    poll.poll(events, DEADLINE_MS);
    for (const event of events) {
      assertEquals(event.token, token, "an event has another token");
      seen |= event.readiness;
    }
  }
  return seen;
}

/** Polls until each of `tokens` has had an event, and none other. */
export function expectTokens(poll: Poll, ...tokens: number[]): void {
  const events = new Events();
  const seen = new Set<number>();
  const endMs = performance.now() + DEADLINE_MS;
  while (seen.size < tokens.length && performance.now() < endMs) {
    poll.poll(events, DEADLINE_MS);
    for (const { token } of events) seen.add(token);
  }
  assertEquals([...seen].sort(), [...tokens].sort());
}

/** Fails when there is any event. */
export function expectSilence(poll: Poll): void {
  const events = new Events();
  poll.poll(events, SILENCE_MS);
  assertEquals([...events], []);
}

/** Fails when events do not end; a source that has ended may have a few. */
export function expectQuiet(poll: Poll): void {
  const events = new Events();
  for (let count = 0; count < REPEATS_MAX; count++) {
    if (poll.poll(events, SILENCE_MS) === 0) return;
  }
  throw new AssertionError(
    `There is no end of events: ${JSON.stringify([...events])}`,
  );
}

/** Waits for something to read on a source that is registered nowhere. */
export function whenReadable(source: Source): void {
  using poll = new Poll();
  poll.registry.register(source, 1, Interest.READABLE);
  expectEvent(poll, 1, Readiness.READABLE);
  poll.registry.deregister(source);
}

/** Writes all of `text` to a stream or a pipe that has room for it. */
export function write(
  stream: Pick<Stream<unknown>, "write">,
  text: string,
): void {
  const bytes = new TextEncoder().encode(text);
  assertEquals(stream.write(bytes), bytes.byteLength);
}

/** Reads what is there as text, until the answer is `WOULD_BLOCK` or the end. */
export function readAvailable(stream: Pick<Stream<unknown>, "read">): string {
  const buffer = new Uint8Array(1024);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const count = stream.read(buffer);
    if (count === WOULD_BLOCK || count === 0) return text;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

/** Waits for a text on a stream that is registered nowhere. */
export function readWhenThere(
  stream: Source & Pick<Stream<unknown>, "read">,
): string {
  whenReadable(stream);
  return readAvailable(stream);
}

/** An address where no program listens. */
export function freeAddress(): Deno.NetAddr {
  using listener = TcpListener.bind(LOOPBACK);
  return listener.localAddress;
}
