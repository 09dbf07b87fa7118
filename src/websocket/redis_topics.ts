/**
 * Topics across machines by Redis: PUBLISH and SUBSCRIBE.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { allowFunction, requireFunction, wrongType } from "../base/checks.ts";
import { soon } from "../base/own.ts";
import { checkRange } from "../http/http_limits.ts";
import type { AdapterStatus, TopicAdapter } from "./adapter.ts";

/** Topics of one SUBSCRIBE: a long command delays others. */
const COMMAND_TOPICS_MAX = 1_000;
/** See {@linkcode RedisTopicsOptions.pendingBytesMax}. */
const PENDING_BYTES_MAX = 4_194_304;
/** About what a command takes beside its message. */
const COMMAND_BYTES = 512;

/** What denio uses of a client of `npm:ioredis`. */
export interface RedisClient {
  /** `"ready"` when commands can be sent. */
  readonly status: string;
  /** Returns a client of its own for the same server. */
  duplicate(options: Record<string, unknown>): RedisClient;
  /** Sends PUBLISH. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** Sends SUBSCRIBE. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Sends UNSUBSCRIBE. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Adds a listener. */
  // deno-lint-ignore no-explicit-any -- each event has its own arguments
  on(event: string, listener: (...values: any[]) => void): unknown;
  /** Ends, without waiting for answers. */
  disconnect(): void;
}

/** Options of {@linkcode redisTopics}. */
export interface RedisTopicsOptions {
  /** What channels begin with; `"denio:"` when left out. */
  prefix?: string;
  /**
   * Bytes that Redis has not answered for; further messages are lost. 4 MiB when
   * left out. From 0.
   */
  pendingBytesMax?: number;
  /**
   * Called with errors of the connections; by default the first of each outage
   * is printed.
   */
  onError?: (error: Error) => void;
}

/** Counts of an adapter. */
export interface RedisTopicsCounts {
  /** Messages that Redis has taken. */
  published: number;
  /** Messages that came, those of this server too. */
  received: number;
  /** Messages that were lost, or perhaps were. */
  lost: number;
}

/** Topics by Redis. */
export interface RedisTopics extends TopicAdapter {
  /** Counts of messages. */
  readonly counts: Readonly<RedisTopicsCounts>;
}

/**
 * Returns an adapter that carries the messages of topics by Redis, for
 * `serve({ topics })`, or for the `topics` of a module that runs on Workers.
 *
 * Each message reaches a server at most once. It is lost where Redis cannot be
 * reached when it is published, or the connection breaks before Redis has got
 * it; and for a server that is not connected when Redis passes it on. A new
 * subscription takes effect when Redis has got it. Messages between WebSockets
 * of one server, with its Workers, do not go by Redis and are not lost then.
 *
 * The client itself is only copied, for one connection that publishes and one
 * that subscribes; they connect again as its `retryStrategy` says. A message
 * that waits never delays anything else.
 *
 * Any program can publish to the channel, `"denio:"` and the topic: a byte 1 for
 * a text or 2 for bytes, 16 zeros, and the message.
 *
 * @example Usage
 * ```ts ignore
 * import { Redis } from "ioredis";
 * import { redisTopics, serve } from "@denio/denio";
 *
 * serve({
 *   topics: redisTopics(new Redis("redis://10.0.0.7", { lazyConnect: true })),
 *   websocket: {
 *     open: (socket) => void socket.subscribe("news"),
 *     message: (socket, message) => void socket.publish("news", message),
 *   },
 * });
 * ```
 *
 * @param client A client of `npm:ioredis`.
 * @throws {TypeError} when `client` is no client, or an option is of a wrong
 * type.
 * @throws {RangeError} when `pendingBytesMax` is out of its range.
 */
export function redisTopics(
  client: RedisClient,
  options: RedisTopicsOptions = {},
): RedisTopics {
  if (typeof client !== "object" || client === null) {
    throw wrongType("client", client, "a client of ioredis");
  }
  for (const name of ["duplicate", "publish", "subscribe", "on"] as const) {
    requireFunction(`client.${name}`, client[name]);
  }
  const { prefix, pendingBytesMax = PENDING_BYTES_MAX, onError } = options;
  if (prefix !== undefined && typeof prefix !== "string") {
    throw wrongType("prefix", prefix, "a string");
  }
  checkRange("pendingBytesMax", pendingBytesMax, 0);
  allowFunction("onError", onError);
  return new Adapter(client, options);
}

class Adapter implements RedisTopics {
  readonly counts: RedisTopicsCounts = { published: 0, received: 0, lost: 0 };
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #pendingBytesMax: number;
  readonly #onError: ((error: Error) => void) | undefined;
  #publisher: RedisClient | undefined;
  #subscriptions: Subscriptions | undefined;
  /** Bytes that Redis has not answered for. */
  #pendingBytes = 0;
  #isClosed = false;
  /** Whether this outage was reported. */
  #isReported = false;

  constructor(client: RedisClient, options: RedisTopicsOptions) {
    this.#client = client;
    this.#prefix = options.prefix ?? "denio:";
    this.#pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX;
    this.#onError = options.onError;
  }

  get status(): AdapterStatus {
    if (this.#isClosed) return "closed";
    const isOpen = this.#publisher?.status === "ready" &&
      this.#subscriptions?.isReady;
    return isOpen ? "open" : "connecting";
  }

  open(receive: (topic: string, message: Uint8Array) => void): void {
    if (this.#publisher !== undefined) {
      throw new TypeError("Cannot open topics: another server has opened them");
    }
    this.#publisher = this.#connect();
    const subscriber = this.#connect();
    const report = (error: Error) => this.#report(error);
    this.#subscriptions = new Subscriptions(subscriber, this.#prefix, report);
    subscriber.on("messageBuffer", (channel: Buffer, message: Buffer) => {
      if (this.#isClosed) return;
      this.counts.received++;
      receive(channel.toString().slice(this.#prefix.length), message);
    });
  }

  subscribe(topic: string): void {
    this.#subscriptions?.set(topic, true);
  }

  unsubscribe(topic: string): void {
    this.#subscriptions?.set(topic, false);
  }

  publish(topic: string, message: Uint8Array<ArrayBuffer>): boolean {
    const size = message.byteLength + COMMAND_BYTES;
    const isFull = this.#pendingBytes > 0 &&
      this.#pendingBytes + size > this.#pendingBytesMax;
    if (this.#publisher?.status !== "ready" || isFull || this.#isClosed) {
      this.counts.lost++;
      return false;
    }
    this.#pendingBytes += size;
    const { buffer, byteOffset, byteLength } = message;
    const body = Buffer.from(buffer, byteOffset, byteLength);
    this.#send(this.#publisher, this.#prefix + topic, body)
      .then((isSent) => {
        this.#pendingBytes -= size;
        if (isSent) this.counts.published++;
        else this.counts.lost++;
      });
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#publisher?.disconnect();
    this.#subscriptions?.close();
  }

  /** Never rejects. */
  async #send(
    publisher: RedisClient,
    channel: string,
    message: Buffer,
  ): Promise<boolean> {
    try {
      await publisher.publish(channel, message);
      return true;
    } catch (error) {
      this.#report(error as Error);
      return false;
    }
  }

  /** Returns a connection that sends nothing twice, and keeps nothing back. */
  #connect(): RedisClient {
    const connection = this.#client.duplicate({
      lazyConnect: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      // Commands under way when a connection breaks fail at once.
      maxRetriesPerRequest: 0,
    });
    connection.on("error", (error: Error) => this.#report(error));
    connection.on("ready", () => this.#isReported = false);
    return connection;
  }

  #report(error: Error): void {
    // What the end itself interrupts is no error.
    if (this.#isClosed) return;
    try {
      if (this.#onError !== undefined) return this.#onError(error);
    } catch (second) {
      error = second as Error;
    }
    if (this.#isReported) return;
    this.#isReported = true;
    // The program gets the error nowhere else.
    // deno-lint-ignore no-console
    console.error("Topics by Redis:", error);
  }
}

/**
 * The topics that a connection subscribes to. One command is under way at a
 * time: peers that subscribe again and again make no queue.
 */
class Subscriptions {
  readonly #connection: RedisClient;
  readonly #prefix: string;
  readonly #report: (error: Error) => void;
  readonly #wanted = new Set<string>();
  /** Topics that Redis sends, as far as it has answered. */
  #active = new Set<string>();
  /** Topics that may be wanted and not active, or the other way round. */
  readonly #changed = new Set<string>();
  /** Grows with each connection: an answer to an old one counts no more. */
  #connections = 0;
  #isBusy = false;

  constructor(
    connection: RedisClient,
    prefix: string,
    report: (error: Error) => void,
  ) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#report = report;
    connection.on("ready", () => this.#begin());
  }

  /** Whether Redis has got all subscriptions. */
  get isReady(): boolean {
    return this.#connection.status === "ready" && !this.#isBusy &&
      this.#changed.size === 0;
  }

  set(topic: string, isWanted: boolean): void {
    if (isWanted) this.#wanted.add(topic);
    else this.#wanted.delete(topic);
    this.#changed.add(topic);
    // Later: a program mostly subscribes to several topics at once.
    if (!this.#isBusy) soon(() => this.#goOn());
  }

  close(): void {
    this.#connection.disconnect();
  }

  /** A new connection is subscribed to nothing. */
  #begin(): void {
    this.#connections++;
    this.#active = new Set();
    this.#changed.clear();
    for (const topic of this.#wanted) this.#changed.add(topic);
    this.#isBusy = false;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isBusy || this.#connection.status !== "ready") return;
    const added: string[] = [];
    const removed: string[] = [];
    for (const topic of this.#changed) {
      if (added.length + removed.length >= COMMAND_TOPICS_MAX) break;
      this.#changed.delete(topic);
      const isWanted = this.#wanted.has(topic);
      if (isWanted === this.#active.has(topic)) continue;
      (isWanted ? added : removed).push(topic);
    }
    if (added.length + removed.length > 0) this.#change(added, removed);
  }

  /** Never rejects. */
  async #change(added: string[], removed: string[]): Promise<void> {
    this.#isBusy = true;
    const connections = this.#connections;
    const channel = (topic: string) => this.#prefix + topic;
    try {
      const commands: Promise<unknown>[] = [];
      if (added.length > 0) {
        commands.push(this.#connection.subscribe(...added.map(channel)));
      }
      if (removed.length > 0) {
        commands.push(this.#connection.unsubscribe(...removed.map(channel)));
      }
      await Promise.all(commands);
      if (connections !== this.#connections) return;
      for (const topic of added) this.#active.add(topic);
      for (const topic of removed) this.#active.delete(topic);
    } catch (error) {
      // The next connection begins anew.
      this.#report(error as Error);
      if (connections !== this.#connections) return;
    }
    this.#isBusy = false;
    this.#goOn();
  }
}
