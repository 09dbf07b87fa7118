/**
 * The real system, by readiness: a `Poll` reports which sockets are ready, and
 * reads and writes never wait.
 *
 * @module
 */

import { defer, nowMs } from "../base/own.ts";
import { Events } from "../poll/events.ts";
import { Interest, type InterestSet } from "../poll/interest.ts";
import { type Backend, Poll, type PollOptions } from "../poll/poll.ts";
import type { Source } from "../poll/registry.ts";
import type { Token } from "../poll/token.ts";
import { Waker } from "../poll/waker.ts";
import { KEEPALIVE_DEFAULT } from "../net/keepalive.ts";
import { bindToName } from "../net/tcp_listener.ts";
import { connectPermitted, TcpStream } from "../net/tcp_stream.ts";
import { UnixStream } from "../net/unix_stream.ts";
import { Wait } from "./park.ts";
import { PathListener } from "./path_listener.ts";
import { Skew } from "./skew.ts";
import { ifPossible } from "./stream_options.ts";
import { type ReactorPoll, type System, WAKER_TOKEN } from "./system.ts";

/** The real system. */
export const NATIVE: System = {
  openPoll: (options) => new NativePoll(options),
  listen: (options) =>
    "path" in options ? PathListener.bind(options) : bindToName(options),
  connect: (address, isPermitted) => {
    if ("path" in address) return UnixStream.connect(address);
    const stream = isPermitted
      ? connectPermitted(address)
      : TcpStream.connect(address);
    ifPossible(() => stream.keepalive = KEEPALIVE_DEFAULT);
    return stream;
  },
  readAll: (batch, bytes, start, roomMin) => batch.read(bytes, start, roomMin),
  writeAll: (batch, bytes) => batch.write(bytes),
  defer,
};

/** Only kqueue lacks it. Asking for the backend's name would take a call. */
const LACKS_PRIORITY = !["linux", "android"].includes(Deno.build.os);
/** The interests that the poll accepts. */
const INTERESTS = Interest.READABLE | Interest.WRITABLE |
  (LACKS_PRIORITY ? 0 : Interest.PRIORITY);

class NativePoll implements ReactorPoll {
  readonly lacksPriority = LACKS_PRIORITY;
  readonly #poll: Poll;
  readonly #waker: Waker;
  readonly #wait: Wait;
  readonly #skew: Skew;

  constructor(options: PollOptions) {
    const poll = new Poll(options);
    let waker: Waker | undefined;
    try {
      this.#waker = waker = new Waker(poll.registry, WAKER_TOKEN);
      this.#wait = new Wait(poll);
      // Only the waker is registered yet, so this poll takes no event.
      const events = new Events(1);
      const ownMs = nowMs();
      poll.poll(events, 0);
      this.#skew = new Skew(events.nowMs, ownMs);
    } catch (error) {
      waker?.close();
      poll.close();
      throw error;
    }
    this.#poll = poll;
  }

  get backend(): Backend {
    return this.#poll.backend;
  }

  get heldBytes(): number | undefined {
    return this.#poll.readsAhead ? this.#poll.heldBytes : undefined;
  }

  nowMs(): number {
    return nowMs() + this.#skew.ms;
  }

  poll(events: Events, timeoutMs: number): number {
    const count = this.#poll.poll(events, timeoutMs);
    this.#skew.note(events.nowMs, nowMs);
    return count;
  }

  register(source: Source, token: Token, interest: InterestSet): void {
    this.#poll.registry.registerAhead(source, token, interest & INTERESTS);
  }

  reregister(source: Source, token: Token, interest: InterestSet): void {
    this.#poll.registry.reregister(source, token, interest & INTERESTS);
  }

  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<unknown> {
    return this.#wait.park(timeoutMs, refed, woken);
  }

  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown> {
    return this.#wait.yieldToDeno(nowMs, refed);
  }

  ref(): void {
    this.#wait.ref();
  }

  rest(): void {
    this.#wait.rest();
  }

  ended(): Promise<unknown> | undefined {
    return this.#wait.ended();
  }

  wake(): void {
    this.#wait.wake();
    this.#waker.wake();
  }

  close(): void {
    this.#wait.close();
    this.#waker.close();
    this.#poll.close();
  }
}
