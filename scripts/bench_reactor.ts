/**
 * Prints what the reactor itself costs, without a system below it: a message
 * echoed, a timer set and cleared, a connection's memory. It asserts nothing;
 * compare two versions on one machine, in turns: `deno task bench:reactor`.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- the figures are what it is for

import { errnoNumber } from "../src/native/errors.ts";
import type { ReadBatch, WriteBatch } from "../src/net/batches.ts";
import { ACCEPT_MAX, AcceptBatch } from "../src/net/tcp_listener.ts";
import type { Events } from "../src/poll/events.ts";
import type { Source } from "../src/poll/registry.ts";
import type { Listener } from "../src/reactor/listener.ts";
import type { EngineListener } from "../src/reactor/listener/engine.ts";
import { Reactor } from "../src/reactor/reactor.ts";
import type {
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "../src/system/system.ts";

const MESSAGE_BYTES = 64;
const STREAMS = 64;
const MESSAGES = 6_400_000;
const ROUNDS = 5;
const PENDING = 100_000;
const CONNECTIONS = 15_000;
const TURN_MS = 0.1;
const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;

/** A stream that always has one message to read, and room to write. */
class EndlessStream implements StreamSocket {
  readonly peerKey = 0;
  readonly localAddress = ADDRESS;
  readonly peerAddress = ADDRESS;
  resetOnClose = false;

  constructor(readonly handle: number) {}

  tryRead(): number {
    return MESSAGE_BYTES;
  }

  tryWrite(_bytes: Uint8Array, _offset: number, length: number): number {
    return length;
  }

  tryWriteVectored(buffers: readonly Uint8Array[]): number {
    return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  shutdown(): void {}

  takeError(): undefined {}

  close(): void {}

  [Symbol.dispose](): void {}
}

/** A system whose streams are all ready all the time, until told to rest. */
class EndlessSystem implements System, ReactorPoll {
  readonly backend = "epoll";
  isResting = true;
  turns = 0;
  onTurn = (): void => {};
  readonly #tokens: number[] = [];
  #nowMs = 1_000;
  #wake: (() => void) | undefined = undefined;

  openPoll(): ReactorPoll {
    return this;
  }

  listen(): ListenerSocket {
    let left = CONNECTIONS;
    const nothing = () => {};
    return {
      handle: 0,
      localAddress: ADDRESS,
      batch: () => new AcceptBatch(),
      acceptBatch: (batch) => {
        const count = Math.min(left, ACCEPT_MAX);
        left -= count;
        batch.words[0] = left > 0 ? 0 : errnoNumber("EAGAIN");
        batch.stream = (index) => new EndlessStream(index) as never;
        return count;
      },
      close: nothing,
      [Symbol.dispose]: nothing,
    };
  }

  connect(): StreamSocket {
    return new EndlessStream(this.#tokens.length);
  }

  readAll(
    batch: ReadBatch,
    bytes: Uint8Array,
    offset: number,
    roomMin: number,
  ): number {
    const room = bytes.byteLength - offset - roomMin;
    const most = 1 + Math.floor(room / MESSAGE_BYTES);
    const count = Math.min(batch.length, most);
    for (let index = 0; index < count; index++) {
      batch.setCount(index, MESSAGE_BYTES);
    }
    return count;
  }

  writeAll(batch: WriteBatch): void {
    for (let index = 0; index < batch.length; index++) {
      batch.setCount(index, batch.end(index) - batch.start(index));
    }
  }

  defer(callback: () => void): void {
    queueMicrotask(callback);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  poll(events: Events): number {
    const count = this.isResting ? 0 : Math.min(STREAMS, this.#tokens.length);
    const { words } = events;
    this.#nowMs += TURN_MS;
    words[0] = Math.floor(this.#nowMs / 1e3);
    words[1] = this.#nowMs % 1e3 * 1e6;
    for (let index = 0; index < count; index++) {
      words[2 + 2 * index] = this.#tokens[index]!;
      // The first event of each says that it is connected.
      words[3 + 2 * index] = this.turns === 0 ? 3 : 1;
    }
    events.length = count;
    if (!this.isResting) this.turns++;
    this.onTurn();
    return count;
  }

  register(_source: Source, token: number): void {
    this.#tokens.push(token);
  }

  reregister(): void {}

  park(): Promise<void> {
    if (!this.isResting) return Promise.resolve();
    return new Promise((resolve) => this.#wake = resolve);
  }

  yieldToDeno(): Promise<void> {
    return Promise.resolve();
  }

  ref(): void {}

  rest(): void {}

  wake(): void {
    this.#wake?.();
  }

  close(): void {}
}

/** Nanoseconds of one message: an event, a read and a write. */
async function echoNs(options: object): Promise<number> {
  const system = new EndlessSystem();
  using reactor = new Reactor({ system });
  const address = { ...ADDRESS, ...options };
  const connections = Array.from(
    { length: STREAMS },
    () =>
      reactor.connect(address, {
        data: (connection, bytes, start, end) => {
          connection.write(bytes, start, end);
        },
      }),
  );
  await Promise.resolve();
  const turns = MESSAGES / STREAMS;
  const { promise, resolve } = Promise.withResolvers<void>();
  system.onTurn = () => {
    if (system.turns < turns) return;
    system.isResting = true;
    resolve();
  };
  const startMs = performance.now();
  system.isResting = false;
  reactor.setTimer(0, () => {});
  await promise;
  const elapsedMs = performance.now() - startMs;
  for (const connection of connections) connection.close();
  return elapsedMs * 1e6 / MESSAGES;
}

/** Nanoseconds of setting and clearing one timer beside many that wait. */
function timerNs(): { set: number; both: number } {
  using reactor = new Reactor({ system: new EndlessSystem() });
  const nothing = () => {};
  const delays = Array.from({ length: PENDING }, () => Math.random() * 6e4);
  const setMs = performance.now();
  for (const delayMs of delays) reactor.setTimer(delayMs, nothing);
  const startMs = performance.now();
  for (const delayMs of delays) {
    reactor.clearTimer(reactor.setTimer(delayMs, nothing));
  }
  const endMs = performance.now();
  return {
    set: (startMs - setMs) * 1e6 / PENDING,
    both: (endMs - startMs) * 1e6 / PENDING,
  };
}

/** Bytes of the heap, and beside it, that `make` leaves, per each of `count`. */
function bytesEach(count: number, make: () => unknown): string {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: buffers are freed behind the first.
  const collect = () => [gc?.(), gc?.()];
  collect();
  const before = Deno.memoryUsage();
  const kept = make();
  collect();
  const after = Deno.memoryUsage();
  const heap = (after.heapUsed - before.heapUsed) / count;
  const external = (after.external - before.external) / count;
  if (kept === undefined) throw new Error("Nothing was made");
  return `${heap.toFixed(0)} + ${external.toFixed(0)}`;
}

/** Connections that nothing happens on, with their fake sockets. */
function accepted(options: object): Reactor {
  const reactor = new Reactor({ system: new EndlessSystem() });
  const listener = reactor.listen(
    { ...ADDRESS, ...options },
    { data() {} },
  ) as Listener as EngineListener;
  while (reactor.size <= CONNECTIONS) listener.onReady(1);
  return reactor;
}

function pending(): Reactor {
  const reactor = new Reactor({ system: new EndlessSystem() });
  const nothing = () => {};
  for (let index = 0; index < PENDING; index++) {
    reactor.setTimer(index, nothing);
  }
  return reactor;
}

const TIMEOUTS = { timeouts: { idleMs: 60_000, writeMs: 60_000 } };
for (let round = 0; round < ROUNDS; round++) {
  const plain = (await echoNs({})).toFixed(1);
  const timed = (await echoNs(TIMEOUTS)).toFixed(1);
  console.log(`echo: ${plain} ns a message, ${timed} with timeouts`);
}
for (let round = 0; round < ROUNDS; round++) {
  const { set, both } = timerNs();
  console.log(
    `timers: ${set.toFixed(0)} ns to set, ${both.toFixed(0)} to set and clear` +
      ` with ${PENDING} pending`,
  );
}
const unit = "bytes of heap + beside it";
console.log(`timer: ${bytesEach(PENDING, pending)} ${unit}`);
const plain = bytesEach(CONNECTIONS, () => accepted({}));
console.log(`connection: ${plain} ${unit}`);
const timed = bytesEach(CONNECTIONS, () => accepted(TIMEOUTS));
console.log(`connection with timeouts: ${timed} ${unit}`);
if (!("gc" in globalThis)) console.log("(exact with --v8-flags=--expose-gc)");
