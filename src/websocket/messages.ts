/**
 * The messages of a WebSocket as an async iterator and as a pair of streams,
 * for programs that would rather wait than be called.
 *
 * At most one message waits here: reading is held until the program wants the
 * next one.
 *
 * @module
 */

import { defer } from "../base/own.ts";
import { forgive } from "../http/unawaited.ts";
import type { Message, Sendable, WebSocketStreams } from "./socket.ts";
import {
  BUSY,
  extrasOf,
  type MessageReader,
  Phase,
  phaseOf,
  type SocketRecord,
  UNCLAIMED,
} from "./state.ts";

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Returns the messages from now on.
 *
 * @throws {TypeError} when another loop or stream has the messages.
 */
export function messagesOf(socket: SocketRecord): AsyncIterator<Message> {
  return new Messages(socket);
}

/**
 * Returns the WebSocket as streams.
 *
 * @throws {TypeError} when another loop or stream has the messages.
 */
export function streamsOf(socket: SocketRecord): WebSocketStreams {
  const messages = new Messages(socket);
  const readable = new ReadableStream<Message>({
    async pull(controller) {
      const { done, value } = await messages.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => socket.close(),
  }, { highWaterMark: 0 });
  const writable = new WritableStream<Sendable>({
    write: (chunk) => messages.write(chunk),
    close: () => socket.close(),
    abort: () => socket.close(),
  });
  return { readable, writable };
}

class Messages implements MessageReader, AsyncIterator<Message> {
  readonly #socket: SocketRecord;
  #message: Message | undefined = undefined;
  #wanted: PromiseWithResolvers<IteratorResult<Message, undefined>> | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  /** Whether the program works, which is counted: on a message, or behind. */
  #isWorking = false;
  /** Whether the promise of the loop's handler is pending. */
  #isAwaited = false;
  #hasEnded = false;
  #error: Error | undefined = undefined;

  constructor(socket: SocketRecord) {
    if (socket.extras?.reader !== undefined) {
      throw new TypeError(
        "Cannot read the messages twice: another loop or stream has them",
      );
    }
    this.#socket = socket;
    this.#hasEnded = phaseOf(socket) === Phase.CLOSED;
    if (this.#hasEnded) return;
    extrasOf(socket).reader = this;
    // The handler that loops over messages has not returned yet.
    socket.state &= ~BUSY;
    socket.goOn();
  }

  push(message: Message): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted === undefined) this.#message = message;
    else wanted.resolve({ done: false, value: message });
    const { state, transport } = this.#socket;
    this.#socket.state = state | UNCLAIMED;
    transport.pause();
    this.#work();
  }

  drained(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  end(code: number, wasClean: boolean): void {
    this.#hasEnded = true;
    // The handler may work behind its loop.
    if (this.#isAwaited) this.#work();
    else this.#claim();
    if (!wasClean) {
      this.#error = this.#forgiven(
        new Deno.errors.ConnectionReset(
          `The WebSocket has ended without a closing handshake (${code})`,
        ),
      );
    }
    this.drained();
    this.#settle();
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const pending = this.#wanted?.promise;
    if (pending !== undefined) {
      return pending.then(() => this.next(), () => this.next());
    }
    const value = this.#message;
    if (value !== undefined) {
      this.#message = undefined;
      return Promise.resolve({ done: false, value });
    }
    const wanted = this.#wanted = Promise.withResolvers();
    if (this.#hasEnded) this.#settle();
    else {
      this.#claim();
      this.#socket.goOn();
    }
    return wanted.promise;
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    // Later: an error that leaves the loop closes with 1011 by then, and the
    // program may close with a code of its own.
    defer(() => this.#socket.close());
    return Promise.resolve(DONE);
  }

  /** Sends a message when there is room, and resolves when there is more. */
  async write(message: Sendable): Promise<void> {
    const socket = this.#socket;
    for (;;) {
      if (phaseOf(socket) !== Phase.OPEN) {
        throw this.#error ?? this.#forgiven(
          new Deno.errors.BadResource(
            "Cannot send: the WebSocket is closed, or about to be",
          ),
        );
      }
      const result = socket.send(message);
      if (result === "sent") return;
      this.#room ??= Promise.withResolvers();
      await this.#room.promise;
      if (result === "queued") return;
    }
  }

  awaited(): void {
    this.#isAwaited = true;
    if (this.#hasEnded) this.#work();
  }

  done(): void {
    this.#isAwaited = false;
    if (this.#hasEnded) this.#claim();
  }

  #work(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#socket.service.host.beginWork();
  }

  /** The program wants the next message, or none any more. */
  #claim(): void {
    const socket = this.#socket;
    socket.state &= ~UNCLAIMED;
    if (!this.#isWorking) return;
    this.#isWorking = false;
    socket.service.host.endWork();
  }

  /** A peer must not end the process by an error that nobody awaits. */
  #forgiven(error: Error): Error {
    const { host } = this.#socket.service;
    forgive(error, (unawaited) => host.report(unawaited));
    return error;
  }

  #settle(): void {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    this.#wanted = undefined;
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) wanted.resolve(DONE);
    else wanted.reject(error);
  }
}
