/**
 * A system that forwards each call to another system and shows the first
 * connections as timelines of their system calls.
 *
 * It changes no call and makes none of its own. A reactor without a trace does
 * not use it.
 *
 * @module
 */

import { nowMs } from "../base/own.ts";
import { errnoName } from "../native/errors.ts";
import {
  addressText,
  type HostPort,
  pathText,
  type StreamAddress,
  type UnixPath,
} from "../net/address.ts";
import { UnixStream } from "../net/unix_stream.ts";
import type { Shutdown } from "../net/stream.ts";
import type { ListenOptions } from "../net/tcp_listener.ts";
import type { UnixListenOptions } from "../net/unix_listener.ts";
import { type Events, Readiness } from "../poll/events.ts";
import { describeInterest, type InterestSet } from "../poll/interest.ts";
import type { Backend, PollOptions } from "../poll/poll.ts";
import type { Source } from "../poll/registry.ts";
import type { Token } from "../poll/token.ts";
import type {
  AcceptedBatch,
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "../system/system.ts";
import { HEADING, type Loop, Timeline, type Watch } from "./timeline.ts";

/** Which connections to trace, and where to print. */
export interface TraceOptions {
  /** Prints one line; it must not throw. By default, to standard error. */
  print?: (line: string) => void;
  /** The number of connections to trace, the first ones; 1 when left out. */
  connections?: number;
}

/** The same, with a watch of the protocol. */
export interface TracedSystemOptions extends TraceOptions {
  /** Makes the watch of a new connection. */
  watch?: () => Watch;
}

/** A wait that returned an event of a source. */
interface WaitNotice {
  readonly turn: number;
  readonly args: string;
  readonly count: number;
  readonly begunMs: number;
  readonly endedMs: number;
}

/** A registered source that a trace follows. */
interface Traced {
  /** The source's poll. */
  poll: TracedPoll | undefined;
  /** Its name in lines. */
  readonly name: string;
  /** Called when a wait has returned an event of the source. */
  waited(wait: WaitNotice): void;
  /** Called when the source was registered or reregistered. */
  registered?(call: Registering): void;
}

/** A call that registers. */
interface Registering {
  readonly operation: "ADD" | "MOD";
  readonly interest: InterestSet;
  readonly result: number | string;
  readonly begunMs: number;
  readonly endedMs: number;
}

/** System calls by backend. `""`: registering needs no system call. */
const CALLS: Readonly<Record<Backend, { wait: string; control: string }>> = {
  epoll: { wait: "epoll_wait", control: "epoll_ctl" },
  kqueue: { wait: "kevent", control: "kevent" },
  poll: { wait: "poll", control: "" },
  select: { wait: "select", control: "" },
  // What is registered is submitted with the next wait.
  "io_uring": { wait: "io_uring_enter", control: "" },
};

/** The call that counts unacknowledged bytes on this system. */
const UNACKED_CALL: readonly [call: string, request: string] =
  Deno.build.os === "darwin"
    ? ["getsockopt", "SO_NWRITE"]
    : ["ioctl", Deno.build.os === "linux" ? "SIOCOUTQ" : "FIONWRITE"];

/** The call that counts unread bytes. */
const UNREAD_CALL = ["ioctl", "FIONREAD"] as const;

/** macOS has no `accept4`. */
const ACCEPT = Deno.build.os === "darwin" ? "accept" : "accept4";

/**
 * Returns a system like `system` that shows the first connections, accepted or
 * connected, step by step, and their sums when they close.
 *
 * The lines are printed after the turn, so that printing does not change the
 * times. The trace does not see calls that native code repeats: an accept of a
 * connection that is gone already, a call that a signal interrupted, a wait of
 * poll or select without a new event.
 *
 * @throws {RangeError} when `connections` is no whole number from 1 on.
 */
export function tracedSystem(
  system: System,
  options: TracedSystemOptions = {},
): System {
  const tracer = new Tracer(options);
  return {
    openPoll: (pollOptions: PollOptions) =>
      new TracedPoll(tracer, system.openPoll(pollOptions)),
    listen: (listenOptions: ListenOptions | UnixListenOptions) =>
      new TracedListener(tracer, system.listen(listenOptions)),
    connect: (address: HostPort | UnixPath, isPermitted?: boolean) =>
      tracer.connect(system, address, isPermitted),
    defer: (callback: () => void) => system.defer(callback),
  };
}

/** The state that all parts of one traced system share. */
class Tracer {
  /** Traced streams and all listeners, by handle. */
  readonly sources: Map<number, Traced> = new Map();
  /** The number of connections that are not traced. */
  others = 0;
  readonly #connections: number;
  readonly #write: (line: string) => void;
  readonly #watch: (() => Watch) | undefined;
  #pending: string[] = [];
  #count = 0;

  constructor({ print, connections = 1, watch }: TracedSystemOptions) {
    if (!Number.isInteger(connections) || connections < 1) {
      throw new RangeError(
        `Cannot trace "${connections}" connections: it must be a whole ` +
          "number from 1 on",
      );
    }
    this.#connections = connections;
    this.#write = print ?? writeError;
    this.#watch = watch;
  }

  /**
   * Returns the name of a new connection, or `undefined` for one not traced.
   */
  next(): string | undefined {
    if (this.#count === this.#connections) {
      if (this.others++ === 0) {
        this.print(`conn ${this.#count + 1} and later ones are not traced`);
      }
      return undefined;
    }
    if (this.#count++ === 0) this.print(HEADING);
    return `conn ${this.#count}`;
  }

  /** Begins a timeline. */
  timeline(name: string, startMs: number, loop: Loop): Timeline {
    const print = (line: string) => this.print(line);
    const watch = this.#watch?.();
    return new Timeline({ name, startMs, loop, watch, print });
  }

  /** Connects; the stream is traced while fewer than the limit are. */
  connect(
    system: System,
    address: HostPort | UnixPath,
    isPermitted?: boolean,
  ): StreamSocket {
    const name = this.next();
    if (name === undefined) return system.connect(address, isPermitted);
    const begunMs = nowMs();
    const inner = system.connect(address, isPermitted);
    const connecting = { begunMs, endedMs: nowMs(), address };
    return new TracedStream(this, inner, { name, connecting });
  }

  /** Keeps a line until the turn is over. */
  print(line: string): void {
    this.#pending.push(line);
  }

  /** Writes the lines of the turn. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const lines = this.#pending;
    this.#pending = [];
    for (const line of lines) this.#write(line);
  }
}

class TracedPoll implements ReactorPoll, Loop {
  turn = 0;
  parks = 0;
  readonly waitCall: string;
  readonly #controlCall: string;
  readonly #tracer: Tracer;
  readonly #inner: ReactorPoll;
  readonly #tokens: Map<Token, Traced> = new Map();

  constructor(tracer: Tracer, inner: ReactorPoll) {
    this.#tracer = tracer;
    this.#inner = inner;
    const { wait, control } = CALLS[inner.backend];
    this.waitCall = wait;
    this.#controlCall = control;
  }

  get backend(): Backend {
    return this.#inner.backend;
  }

  get lacksPriority(): boolean {
    return this.#inner.lacksPriority ?? false;
  }

  get heldBytes(): number | undefined {
    return this.#inner.heldBytes;
  }

  nowMs(): number {
    return this.#inner.nowMs();
  }

  poll(events: Events, timeoutMs: number): number {
    this.#tracer.flush();
    const turn = ++this.turn;
    const begunMs = nowMs();
    const count = this.#inner.poll(events, timeoutMs);
    const endedMs = nowMs();
    for (let index = 0; index < count; index++) {
      const source = this.#tokens.get(events.token(index));
      if (source === undefined) continue;
      const bits = describeReadiness(events.readiness(index));
      const args = `[${source.name} ${bits}], ${Math.ceil(timeoutMs)}`;
      source.waited({ turn, args, count, begunMs, endedMs });
    }
    return count;
  }

  register(source: Source, token: Token, interest: InterestSet): void {
    const traced = this.#tracer.sources.get(source.handle);
    if (traced !== undefined) {
      traced.poll = this;
      this.#tokens.set(token, traced);
    }
    this.#control(traced, "ADD", interest, () => {
      this.#inner.register(source, token, interest);
    });
  }

  reregister(source: Source, token: Token, interest: InterestSet): void {
    const traced = this.#tracer.sources.get(source.handle);
    this.#control(traced, "MOD", interest, () => {
      this.#inner.reregister(source, token, interest);
    });
  }

  park(
    timeoutMs: number | undefined,
    refed: boolean,
    woken?: () => void,
  ): Promise<unknown> {
    this.parks++;
    this.#tracer.flush();
    return this.#inner.park(timeoutMs, refed, woken);
  }

  yieldToDeno(nowMs: number, refed: boolean): Promise<unknown> {
    return this.#inner.yieldToDeno(nowMs, refed);
  }

  ref(): void {
    this.#inner.ref();
  }

  rest(): void {
    this.#inner.rest();
  }

  ended(): Promise<unknown> | undefined {
    return this.#inner.ended?.();
  }

  wake(): void {
    this.#inner.wake();
  }

  close(): void {
    this.#tracer.flush();
    this.#inner.close();
  }

  /** Forgets a closed source. */
  forget(source: Traced): void {
    for (const [token, traced] of this.#tokens) {
      if (traced === source) this.#tokens.delete(token);
    }
  }

  /** The system call that registers; `""` for none. */
  get controlCall(): string {
    return this.#controlCall;
  }

  #control(
    traced: Traced | undefined,
    operation: "ADD" | "MOD",
    interest: InterestSet,
    run: () => void,
  ): void {
    if (traced?.registered === undefined) return run();
    const begunMs = nowMs();
    let result: number | string = 0;
    try {
      run();
    } catch (error) {
      result = failure(error);
      throw error;
    } finally {
      const endedMs = nowMs();
      traced.registered({ operation, interest, result, begunMs, endedMs });
    }
  }
}

class TracedListener implements ListenerSocket, Traced {
  readonly name = "listener";
  poll: TracedPoll | undefined = undefined;
  readonly #tracer: Tracer;
  readonly #inner: ListenerSocket;
  readonly #batch: AcceptedBatch;
  #wait: WaitNotice | undefined;

  constructor(tracer: Tracer, inner: ListenerSocket) {
    this.#tracer = tracer;
    this.#inner = inner;
    this.#batch = inner.batch();
    tracer.sources.set(inner.handle, this);
  }

  get handle(): number {
    return this.#inner.handle;
  }

  get localAddress(): StreamAddress {
    return this.#inner.localAddress;
  }

  batch(): AcceptedBatch {
    return this.#inner.batch();
  }

  waited(wait: WaitNotice): void {
    this.#wait = wait;
  }

  acceptBatch(batch: AcceptedBatch): number {
    const begunMs = nowMs();
    const count = this.#inner.acceptBatch(this.#batch);
    const endedMs = nowMs();
    const streams: StreamSocket[] = [];
    let first: TracedStream | undefined;
    for (let index = 0; index < count; index++) {
      const stream = this.#accepted(index, begunMs, endedMs, !first);
      if (stream instanceof TracedStream) first ??= stream;
      streams.push(stream);
    }
    this.#wait = undefined;
    const { stopped } = this.#batch;
    // The last call of the batch is shown on the first connection's timeline.
    if (stopped !== 0) first?.acceptStopped(stopped, endedMs);
    batch.words[0] = stopped;
    batch.words[1] = this.#batch.passedOver;
    batch.stream = (index) => streams[index]!;
    return count;
  }

  close(): void {
    this.#forget();
    this.#inner.close();
  }

  [Symbol.dispose](): void {
    this.#forget();
    this.#inner[Symbol.dispose]();
  }

  #forget(): void {
    this.#tracer.sources.delete(this.handle);
    this.poll?.forget(this);
  }

  #accepted(
    index: number,
    begunMs: number,
    endedMs: number,
    isFirst: boolean,
  ): StreamSocket {
    const inner = this.#batch.stream(index);
    const name = this.#tracer.next();
    if (name === undefined) return inner;
    const wait = isFirst && this.#wait?.turn === this.poll?.turn
      ? this.#wait
      : undefined;
    const accepting = { begunMs, endedMs, wait, poll: this.poll! };
    return new TracedStream(this.#tracer, inner, { name, accepting });
  }
}

/** How a traced connection was opened: accepted or connected. */
interface TracedOpening {
  readonly name: string;
  readonly accepting?: {
    readonly begunMs: number;
    readonly endedMs: number;
    /** The wait that returned the listener's event. */
    readonly wait: WaitNotice | undefined;
    readonly poll: TracedPoll;
  };
  readonly connecting?: {
    readonly begunMs: number;
    readonly endedMs: number;
    readonly address: HostPort | UnixPath;
  };
}

class TracedStream implements StreamSocket, Traced {
  readonly name: string;
  poll: TracedPoll | undefined;
  readonly #tracer: Tracer;
  readonly #inner: StreamSocket;
  readonly #origin: TracedOpening;
  /** The system call by which native code reads the stream. */
  readonly #readCall: string;
  #timeline: Timeline | undefined;
  readonly #othersBefore: number;
  #isClosed = false;

  constructor(tracer: Tracer, inner: StreamSocket, origin: TracedOpening) {
    this.name = origin.name;
    this.#tracer = tracer;
    this.#inner = inner;
    this.#origin = origin;
    this.#readCall = inner instanceof UnixStream ? "recvmsg" : "recvfrom";
    this.#othersBefore = tracer.others;
    tracer.sources.set(inner.handle, this);
    if (origin.accepting !== undefined) this.#begin(origin.accepting.poll);
  }

  get handle(): number {
    return this.#inner.handle;
  }

  get localAddress(): StreamAddress {
    return this.#call("getsockname", "", () => this.#inner.localAddress);
  }

  get peerAddress(): StreamAddress {
    // Accepting returned the address already, without another system call.
    if (this.#origin.accepting !== undefined) return this.#inner.peerAddress;
    return this.#call("getpeername", "", () => this.#inner.peerAddress);
  }

  get peerKey(): number {
    return this.#inner.peerKey;
  }

  get unackedBytes(): number | undefined {
    return this.#count(UNACKED_CALL, () => this.#inner.unackedBytes);
  }

  get unreadBytes(): number | undefined {
    return this.#count(UNREAD_CALL, () => this.#inner.unreadBytes);
  }

  get userTimeout(): number {
    return this.#inner.userTimeout ?? 0;
  }

  set userTimeout(ms: number) {
    this.#call("setsockopt", "TCP_USER_TIMEOUT", () => {
      this.#inner.userTimeout = ms;
    });
  }

  get resetOnClose(): boolean {
    return this.#inner.resetOnClose ?? false;
  }

  set resetOnClose(reset: boolean) {
    this.#call("setsockopt", "SO_LINGER", () => {
      this.#inner.resetOnClose = reset;
    });
  }

  tryRead(
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const begunMs = nowMs();
    const count = this.#inner.tryRead(buffer, start, end);
    const endedMs = nowMs();
    this.#timeline?.read(
      {
        call: this.#readCall,
        args: `${this.name}, ${end - start}`,
        result: resultOf(count),
        begunMs,
        endedMs,
        note: count === 0 ? "the peer's end" : "",
      },
      buffer,
      start,
    );
    return count;
  }

  tryWrite(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): number {
    const begunMs = nowMs();
    const count = this.#inner.tryWrite(bytes, start, end);
    const endedMs = nowMs();
    this.#timeline?.write(
      {
        call: "sendto",
        args: `${this.name}, ${end - start}`,
        result: resultOf(count),
        begunMs,
        endedMs,
      },
      bytes,
      start,
    );
    return count;
  }

  tryWriteVectored(buffers: readonly Uint8Array<ArrayBuffer>[]): number {
    const begunMs = nowMs();
    const count = this.#inner.tryWriteVectored(buffers);
    const endedMs = nowMs();
    const length = buffers.reduce((sum, one) => sum + one.byteLength, 0);
    const bytes = joined(buffers, Math.max(0, count));
    this.#timeline?.write(
      {
        call: "sendmsg",
        args: `${this.name}, ${length}`,
        result: resultOf(count),
        begunMs,
        endedMs,
      },
      bytes,
      0,
    );
    return count;
  }

  shutdown(how: Shutdown): void {
    this.#call("shutdown", how, () => this.#inner.shutdown(how));
  }

  setLastWords(words: number): void {
    this.#inner.setLastWords?.(words);
  }

  takeError(): Error | undefined {
    return this.#call("getsockopt", "SO_ERROR", () => this.#inner.takeError());
  }

  close(): void {
    this.#call("close", "", () => this.#inner.close());
    this.#end();
  }

  [Symbol.dispose](): void {
    if (!this.#isClosed) this.close();
  }

  waited({ args, count, begunMs, endedMs }: WaitNotice): void {
    const call = this.poll!.waitCall;
    const step = { call, args, result: count, begunMs, endedMs };
    this.#timeline?.take(step);
  }

  registered(call: Registering): void {
    const { controlCall } = this.poll!;
    if (this.#timeline === undefined) this.#begin(this.poll!);
    if (controlCall === "") return;
    const { operation, interest, ...rest } = call;
    const names = describeInterest(interest).replaceAll(" ", "");
    const args = `${operation}, ${this.name}, ${names}`;
    this.#timeline!.take({ call: controlCall, args, ...rest });
  }

  /** Shows the accept call that ended the stream's batch. */
  acceptStopped(errno: number, ms: number): void {
    this.#timeline?.take({
      call: ACCEPT,
      args: "listener",
      result: `-1 ${errnoName(errno)}`,
      begunMs: ms,
      endedMs: ms,
    });
  }

  /** Begins the timeline, once the stream's poll is known. */
  #begin(poll: TracedPoll): void {
    const { accepting, connecting } = this.#origin;
    const { begunMs, endedMs } = accepting ?? connecting!;
    const startMs = accepting?.wait?.endedMs ?? begunMs;
    this.#timeline = this.#tracer.timeline(this.name, startMs, poll);
    this.poll = poll;
    if (accepting?.wait !== undefined) this.waited(accepting.wait);
    const address = connecting?.address ?? this.#inner.peerAddress;
    this.#timeline.take({
      call: accepting ? ACCEPT : "connect",
      args: accepting ? "listener" : this.name,
      result: accepting ? this.name : "-1 EINPROGRESS",
      begunMs,
      endedMs,
      note: "path" in address ? pathText(address.path) : addressText(address),
    });
  }

  #end(): void {
    this.#isClosed = true;
    this.#tracer.sources.delete(this.handle);
    this.poll?.forget(this);
    this.#timeline?.end(this.#tracer.others - this.#othersBefore);
    this.#timeline = undefined;
    this.#tracer.flush();
  }

  /** Shows a call that writes a number into its last argument. */
  #count(
    [call, request]: readonly [call: string, request: string],
    ask: () => number | undefined,
  ): number | undefined {
    const begunMs = nowMs();
    let count: number | undefined;
    let result: number | string = 0;
    try {
      return count = ask();
    } catch (error) {
      result = failure(error);
      throw error;
    } finally {
      const endedMs = nowMs();
      const args = `${this.name}, ${request}, [${count ?? ""}]`;
      this.#timeline?.take({ call, args, result, begunMs, endedMs });
    }
  }

  #call<T>(call: string, args: string, run: () => T): T {
    const begunMs = nowMs();
    let result: number | string = 0;
    try {
      return run();
    } catch (error) {
      result = failure(error);
      throw error;
    } finally {
      const endedMs = nowMs();
      const all = args === "" ? this.name : `${this.name}, ${args}`;
      this.#timeline?.take({ call, args: all, result, begunMs, endedMs });
    }
  }
}

function describeReadiness(readiness: number): string {
  return Object.entries(Readiness)
    .filter(([, bit]) => readiness & bit)
    .map(([name]) => name)
    .join("|");
}

/** Returns the first `length` bytes: the sent part of perhaps huge buffers. */
function joined(buffers: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const buffer of buffers) {
    const part = buffer.subarray(0, length - at);
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function resultOf(count: number): number | string {
  return count < 0 ? `-1 ${errnoName(-count)}` : count;
}

function failure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return `-1 ${code || String(error)}`;
}

function writeError(line: string): void {
  // Standard error is the documented default of `print`.
  // deno-lint-ignore no-console
  console.error(line);
}
