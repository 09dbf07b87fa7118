/**
 * An echo on a `Poll`, as a program of mio does it: without a reactor. A Worker
 * waits, so that this thread is free for signals; a `Waker` ends its wait.
 *
 * `deno run -A tests/examples/poll_echo.ts 7000`, or a path instead of a port
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import {
  AcceptBatch,
  Events,
  type HostPort,
  Interest,
  Poll,
  Readiness,
  Registry,
  type Stream,
  type StreamAddress,
  TcpListener,
  type Token,
  UnixListener,
  type UnixPath,
  UnixStream,
  Waker,
  WOULD_BLOCK,
} from "../../src/poll.ts";

/** The token by which a waker ends the echo. */
export const STOP: Token = 0;
const LISTENER: Token = 1;
const FIRST_STREAM: Token = 2;

/** An echo that blocks its thread while it runs. */
export class PollEcho implements Disposable {
  readonly #poll = new Poll();
  readonly #listener: TcpListener | UnixListener;
  readonly #accept: () => Stream<StreamAddress>[];
  readonly #streams = new Map<Token, Stream<StreamAddress>>();
  readonly #buffer = new Uint8Array(65_536);
  #next = FIRST_STREAM;

  /** Listens; {@linkcode PollEcho.run} accepts. */
  constructor(address: HostPort | UnixPath) {
    if ("path" in address) {
      const listener = this.#listener = UnixListener.bind(address);
      const batch = new AcceptBatch(UnixStream);
      this.#accept = () => streamsOf(batch, listener.acceptBatch(batch));
    } else {
      const listener = this.#listener = TcpListener.bind(address);
      const batch = new AcceptBatch();
      this.#accept = () => streamsOf(batch, listener.acceptBatch(batch));
    }
    this.#poll.registry.register(this.#listener, LISTENER, Interest.READABLE);
  }

  /** The bound address. */
  get addr(): StreamAddress {
    return this.#listener.localAddress;
  }

  /** The number of the poll's registry, by which another thread wakes it. */
  get registry(): number {
    return this.#poll.registry.handle;
  }

  /** Echoes until a waker ends it. */
  run(): void {
    const events = new Events();
    for (;;) {
      this.#poll.poll(events);
      for (const { token, readiness } of events) {
        if (token === STOP) return;
        if (token === LISTENER) this.#acceptAll();
        else this.#echo(token, readiness);
      }
    }
  }

  /** Closes all that is open. */
  [Symbol.dispose](): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#listener.close();
    this.#poll.close();
  }

  /** Accepts until none is left: an edge is reported once. */
  #acceptAll(): void {
    for (let streams; (streams = this.#accept()).length > 0;) {
      for (const stream of streams) {
        const token = this.#next++;
        this.#streams.set(token, stream);
        const both = Interest.READABLE | Interest.WRITABLE;
        this.#poll.registry.register(stream, token, both);
      }
    }
  }

  #echo(token: Token, readiness: number): void {
    const stream = this.#streams.get(token)!;
    try {
      if (readiness & Readiness.READABLE && this.#copy(stream)) return;
      if (!(readiness & Readiness.READABLE)) return;
    } catch (error) {
      console.error(`${error}`);
    }
    this.#streams.delete(token);
    stream.close();
  }

  /** Sends the bytes back that have come; returns whether more may follow. */
  #copy(stream: Stream<StreamAddress>): boolean {
    for (;;) {
      const length = stream.read(this.#buffer);
      if (length === WOULD_BLOCK) return true;
      if (length === 0) return false;
      // To keep this short, bytes that the system has no room for are lost.
      stream.write(this.#buffer, 0, length);
    }
  }
}

function streamsOf<S>(batch: AcceptBatch<S>, count: number): S[] {
  return Array.from({ length: count }, (_, index) => batch.stream(index));
}

/** The first message of the Worker of {@linkcode startPollEcho}. */
export interface Started {
  readonly addr: StreamAddress;
  readonly registry: number;
}

/** An echo in a Worker. */
export interface RunningEcho {
  readonly addr: StreamAddress;
  /** Ends the Worker's wait, and resolves when the echo is closed. */
  stop(): Promise<void>;
}

/** Starts an echo in a Worker. */
export async function startPollEcho(
  address: HostPort | UnixPath,
): Promise<RunningEcho> {
  const url = new URL("poll_echo_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const next = () =>
    new Promise<MessageEvent>((resolve) => {
      worker.addEventListener("message", resolve, { once: true });
    });
  worker.postMessage(address);
  const { addr, registry } = (await next()).data as Started;
  return {
    addr,
    async stop() {
      const ended = next();
      // The registry of another thread's poll, by its number.
      using waker = new Waker(new Registry(registry), STOP);
      waker.wake();
      await ended;
      worker.terminate();
    },
  };
}

if (import.meta.main) {
  const [place = "7000"] = Deno.args;
  const port = Number(place);
  const { addr, stop } = await startPollEcho(
    Number.isNaN(port) ? { path: place } : { hostname: "127.0.0.1", port },
  );
  console.log("echo on", addr);
  Deno.addSignalListener("SIGINT", () => stop().then(() => Deno.exit()));
}
