/**
 * Topics across machines: an adapter carries messages by a system that all of
 * them reach, such as Redis, NATS or Postgres.
 *
 * @module
 */

import { requireFunction, wrongType } from "../base/checks.ts";
import { Publication } from "./frame_log.ts";
import { type Hub, ORIGIN_BYTES, type TopicLink } from "./topics.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Whether an adapter carries messages. */
export type AdapterStatus = "connecting" | "open" | "closed";

/**
 * Carries the messages of topics between servers. A message is bytes of any
 * value, which the adapter does not look at. No method waits or throws: what it
 * cannot carry now is lost.
 *
 * @example An adapter within one program
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import type { TopicAdapter } from "./adapter.ts";
 *
 * const bus = new EventTarget();
 *
 * function busAdapter(): TopicAdapter {
 *   const topics = new Set<string>();
 *   return {
 *     status: "open",
 *     open: (receive) => {
 *       bus.addEventListener("message", (event) => {
 *         const { topic, bytes } = (event as CustomEvent).detail;
 *         if (topics.has(topic)) receive(topic, bytes);
 *       });
 *     },
 *     subscribe: (topic) => void topics.add(topic),
 *     unsubscribe: (topic) => void topics.delete(topic),
 *     publish: (topic, bytes) => {
 *       const detail = { topic, bytes: bytes.slice() };
 *       return bus.dispatchEvent(new CustomEvent("message", { detail }));
 *     },
 *     close: () => {},
 *   };
 * }
 *
 * const received: string[] = [];
 * const [one, other] = [busAdapter(), busAdapter()];
 * other.open((topic) => void received.push(topic));
 * other.subscribe("news");
 * one.publish("news", new Uint8Array(1));
 * assertEquals(received, ["news"]);
 * ```
 */
export interface TopicAdapter {
  /** Whether it carries messages now. */
  readonly status: AdapterStatus;
  /**
   * Begins; a server calls it once. `receive` takes the messages of subscribed
   * topics, and may be called at any time. It has copied the bytes when it
   * returns.
   */
  open(receive: (topic: string, message: Uint8Array) => void): void;
  /** Messages of this topic are received from now on, or soon. */
  subscribe(topic: string): void;
  /** Messages of this topic are not needed any more. */
  unsubscribe(topic: string): void;
  /**
   * Sends a message to all servers that have subscribed to its topic. It may
   * come back to this server, which drops it.
   *
   * @param message Never changed any more, so the adapter may keep it.
   * @returns Whether the message was taken. It may be lost all the same.
   */
  publish(topic: string, message: Uint8Array<ArrayBuffer>): boolean;
  /** Ends. The server calls it when it has shut down. */
  close(): void;
}

/**
 * A message between servers: a byte for its kind, the 16 bytes of its origin,
 * and the payload. Another program may send zeros as the origin.
 */
const TEXT = 1;
const BINARY = 2;
const HEAD_BYTES = 1 + ORIGIN_BYTES;

// It only checks: a text that is not UTF-8 would end the receivers' WebSockets.
const checker = new TextDecoder("utf-8", { fatal: true });

/** The way from a server's topics to other machines. */
export class AdapterLink implements TopicLink {
  readonly #adapter: TopicAdapter;
  readonly #hub: Hub;
  readonly #report: (error: unknown) => void;

  /** @param report Gets what a method of the adapter throws. */
  constructor(
    adapter: TopicAdapter,
    hub: Hub,
    report: (error: unknown) => void,
  ) {
    this.#adapter = adapter;
    this.#hub = hub;
    this.#report = report;
    adapter.open((topic, message) => this.#receive(topic, message));
    hub.link(this);
  }

  subscribed(topic: string): void {
    this.#call(() => this.#adapter.subscribe(topic));
  }

  unsubscribed(topic: string): void {
    this.#call(() => this.#adapter.unsubscribe(topic));
  }

  published(topic: string, { isText, bytes }: Publication): void {
    const message = new Uint8Array(HEAD_BYTES + bytes.byteLength);
    message[0] = isText ? TEXT : BINARY;
    message.set(this.#hub.origin, 1);
    message.set(bytes, HEAD_BYTES);
    const isTaken = this.#call(() => this.#adapter.publish(topic, message));
    if (isTaken !== true) this.#hub.counts.lost++;
  }

  /** Ends the adapter. */
  close(): void {
    this.#hub.unlink(this);
    this.#call(() => this.#adapter.close());
  }

  #call<Result>(call: () => Result): Result | undefined {
    try {
      return call();
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  #receive(topic: string, message: Uint8Array): void {
    if (isFrom(this.#hub.origin, message)) return;
    const isText = message[0] === TEXT;
    // What no server of denio's has sent, or a program in a wrong form.
    const isKnown = isText || message[0] === BINARY;
    const payload = message.subarray(HEAD_BYTES) as Bytes;
    if (message.byteLength < HEAD_BYTES || !isKnown) return;
    if (isText && !isUtf8(payload)) return;
    this.#hub.deliver(topic, new Publication(payload, { isText }));
  }
}

/** Whether a message is this server's own, or of another Worker of its group. */
function isFrom(origin: Bytes, message: Uint8Array): boolean {
  for (let at = 0; at < ORIGIN_BYTES; at++) {
    if (message[1 + at] !== origin[at]) return false;
  }
  return true;
}

function isUtf8(bytes: Bytes): boolean {
  try {
    checker.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const METHODS = ["open", "subscribe", "unsubscribe", "publish", "close"];

/**
 * Returns the adapter of an option; `undefined` for a missing one.
 *
 * @throws {TypeError} when it is no adapter.
 */
export function adapterOf(option: unknown): TopicAdapter | undefined {
  if (option === undefined || option === null) return undefined;
  if (typeof option !== "object") {
    throw wrongType("topics", option, "a TopicAdapter");
  }
  const methods = option as Record<string, unknown>;
  for (const name of METHODS) requireFunction(`topics.${name}`, methods[name]);
  return option as TopicAdapter;
}
