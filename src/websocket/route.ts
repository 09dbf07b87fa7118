/**
 * The WebSockets of one set of handlers: upgrades requests, and counts.
 *
 * @module
 */

import { wrongType } from "../base/checks.ts";
import type { ServeHandlerInfo, Service } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import { TakeoverAnswer, takeoverResponse } from "../http/takeover.ts";
import type { Transport } from "../stream/transport.ts";
import { type Codec, codecFor } from "./codec.ts";
import { type Beginning, WebSocketConnection } from "./connection.ts";
import { compressionSettings } from "./extension.ts";
import {
  checkHandlers,
  HandlersReceiver,
  type UpgradeOptions,
  type WebSocketHandlers,
} from "./handlers.ts";
import {
  type Handshake,
  type HandshakeOptions,
  isOwnField,
  requireRequest,
  shakeHands,
} from "./handshake.ts";
import { HubSet } from "./hubs.ts";
import { checkLimits } from "./limits.ts";
import { noCounts, type WebSocketCounts } from "./service.ts";
import { type Shared, sharedOn } from "./shared.ts";
import type { Sendable, SendOptions } from "./socket.ts";
import { textOrBytes } from "./text.ts";
import { checkTopic, type Hub, type TopicCounts } from "./topics.ts";

/**
 * WebSockets of one kind.
 *
 * @typeParam Data What the program keeps for each WebSocket.
 */
export interface WebSocketRoute<Data = unknown> {
  /**
   * Answers a request for a WebSocket: the handler returns this response, or a
   * copy of it with further fields, as middlewares make them. Where the request
   * is no valid handshake of RFC 6455, the response says why.
   *
   * @param request A request that denio serves.
   * @param options What the WebSocket begins with.
   * @throws {TypeError} when `request` is no request, `headers` has a field of
   * the handshake, or `protocol` chooses what the client does not offer.
   */
  upgrade(request: Request, options?: UpgradeOptions<Data>): Response;
  /**
   * Publishes a message to all subscribers of a topic: see
   * `ServerWebSocket.publish`. It goes to the servers that have this route; to
   * all servers of this thread, when none has it and none of its WebSockets was
   * upgraded yet.
   *
   * @returns How many WebSockets of this thread are subscribed.
   * @throws {TypeError} when `topic` is no string, or `message` is neither text
   * nor bytes.
   * @throws {RangeError} when `topic` is empty or too long.
   */
  publish(topic: string, message: Sendable, options?: SendOptions): number;
  /**
   * Returns how many WebSockets of this thread are subscribed to a topic, on the
   * servers that `publish` reaches.
   */
  subscriberCount(topic: string): number;
  /** Returns counts of its WebSockets, and of its servers' topics, up to now. */
  stats(): WebSocketStats;
}

/** Counts of the WebSockets of a route, on this thread. */
export interface WebSocketStats extends WebSocketCounts {
  /** Counts of the topics of its servers. */
  topics: TopicCounts;
}

/**
 * Returns the WebSockets of a set of handlers: for `serve({ websocket })`, or
 * for a handler that upgrades some of its requests.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { serve } from "../server/serve.ts";
 * import { webSocket } from "./route.ts";
 *
 * const greeting = webSocket<{ name: string }>({
 *   upgrade: (request) => ({ data: { name: request.url.split("/").at(-1)! } }),
 *   message: (socket, message) => {
 *     socket.send(`${message}, ${socket.data.name}`);
 *   },
 * });
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0, onListen() {}, websocket: greeting },
 * );
 *
 * const client = new WebSocket(`ws://127.0.0.1:${server.addr.port}/Ada`);
 * client.onopen = () => client.send("Hello");
 * const event = await new Promise<MessageEvent>((resolve) => {
 *   client.onmessage = resolve;
 * });
 * assertEquals(event.data, "Hello, Ada");
 * client.close();
 * ```
 *
 * @throws {TypeError} when a handler is no function, or a limit no number.
 * @throws {RangeError} when a limit is out of its range.
 */
export function webSocket<Data = unknown>(
  handlers: WebSocketHandlers<Data>,
): WebSocketRoute<Data> {
  return new Route(handlers as WebSocketHandlers) as WebSocketRoute<Data>;
}

/** The WebSockets of a set of handlers, on any number of servers. */
export class Route implements WebSocketRoute {
  readonly counts: WebSocketCounts = noCounts();
  readonly #handlers: WebSocketHandlers;
  readonly #receiver: HandlersReceiver;
  readonly #settings: HandshakeOptions;
  readonly #shared = new WeakMap<Service, Shared>();
  /** The topics of its servers. */
  readonly #hubs = new HubSet();

  /** @param handlers The handlers and limits. */
  constructor(handlers: WebSocketHandlers) {
    checkHandlers(handlers);
    checkLimits(handlers);
    const { origins, compression = false } = handlers;
    this.#settings = { origins, compression: compressionSettings(compression) };
    this.#handlers = handlers;
    this.#receiver = new HandlersReceiver(handlers);
  }

  upgrade(request: Request, options: UpgradeOptions = {}): Response {
    requireRequest(request);
    const agreed = this.#agree(request, options);
    if (agreed instanceof Response) return agreed;
    const headers = options.headers === undefined
      ? agreed.headers
      : joined(options.headers, agreed.headers);
    const opening = new Opening(this, agreed, options.data);
    return takeoverResponse(
      (transport, http, leftover) =>
        opening.takeover(transport, http, leftover),
      headers,
      { request },
    );
  }

  #agree(
    request: Request,
    { protocol }: UpgradeOptions,
  ): Handshake | Response {
    const settings = this.#settings;
    return shakeHands(
      request,
      protocol === undefined ? settings : { ...settings, protocol },
    );
  }

  /** Returns what compresses the messages of a WebSocket, as was agreed. */
  codecOf({ deflate }: Handshake): Codec | undefined {
    return deflate && codecFor(deflate, this.#settings.compression!);
  }

  stats(): WebSocketStats {
    const sum = { published: 0, dropped: 0, closed: 0, lost: 0 };
    for (const { counts } of this.#hubs) {
      for (const name of Object.keys(sum) as (keyof TopicCounts)[]) {
        sum[name] += counts[name];
      }
    }
    return { ...this.counts, topics: sum };
  }

  publish(topic: string, message: Sendable, options?: SendOptions): number {
    // A hub checks them, too, but there may be none.
    checkTopic(topic);
    const sent = textOrBytes(message);
    let receivers = 0;
    for (const hub of this.#hubs) {
      receivers += hub.publish(topic, sent, options);
    }
    return receivers;
  }

  subscriberCount(topic: string): number {
    let count = 0;
    for (const hub of this.#hubs) count += hub.sizeOf(topic);
    return count;
  }

  /** Publishes to the topics of a server from now on. */
  bind(hub: Hub): void {
    this.#hubs.add(hub);
  }

  /** Answers a request by the handlers' `upgrade`, or accepts it. */
  answer(
    request: Request,
    info: ServeHandlerInfo<ServeAddress>,
  ): Response | Promise<Response> {
    const decision = this.#handlers.upgrade?.(request, info);
    return decision instanceof Promise
      ? decision.then((decided) => this.#decided(request, decided))
      : this.#decided(request, decision);
  }

  #decided(
    request: Request,
    decision: UpgradeOptions | Response | undefined,
  ): Response {
    if (decision instanceof Response) return decision;
    if (decision?.headers !== undefined) return this.upgrade(request, decision);
    const isObject = typeof decision === "object" && decision !== null;
    if (isObject || decision === undefined) {
      const options = decision ?? NO_OPTIONS;
      const agreed = this.#agree(request, options);
      return agreed instanceof Response
        ? agreed
        : new Opening(this, agreed, options.data);
    }
    // A program that returns `false` wants to refuse.
    throw wrongType(
      "the result of websocket.upgrade",
      decision,
      "a Response, an object with data, protocol or headers, or undefined",
    );
  }

  /** Returns what its WebSockets share on a server. */
  sharedBy(http: Service): Shared {
    const known = this.#shared.get(http);
    if (known !== undefined) return known;
    const { counts } = this;
    const { slowSubscribers = "drop" } = this.#handlers;
    const kind = { limits: this.#handlers, counts, slowSubscribers };
    const made = sharedOn(http, this.#receiver, kind);
    this.bind(made.service.hub);
    this.#shared.set(http, made);
    return made;
  }
}

/** A WebSocket between its handshake and its beginning: one object for all. */
class Opening extends TakeoverAnswer implements Beginning {
  readonly #route: Route;
  readonly #agreed: Handshake;
  readonly data: unknown;

  constructor(route: Route, agreed: Handshake, data: unknown) {
    super();
    this.#route = route;
    this.#agreed = agreed;
    this.data = data;
  }

  get fields(): [name: string, value: string][] {
    return this.#agreed.headers;
  }

  get protocol(): string {
    return this.#agreed.protocol;
  }

  get codec(): Codec | undefined {
    return this.#route.codecOf(this.#agreed);
  }

  override takeover(
    transport: Transport,
    http: Service,
    leftover: Uint8Array<ArrayBuffer> | undefined,
  ): void {
    const { service, protocol } = this.#route.sharedBy(http);
    const socket = new WebSocketConnection(transport, service, this);
    transport.upgrade(protocol, socket, leftover);
  }
}

const NO_OPTIONS: UpgradeOptions = {};

/**
 * Returns the fields of the program with those of the handshake.
 *
 * @throws {TypeError} when the program has a field that belongs to the
 * handshake: the peer would hear of an agreement that nobody made.
 */
function joined(own: HeadersInit, fields: [string, string][]): Headers {
  const headers = new Headers(own);
  for (const name of headers.keys()) {
    if (!isOwnField(name)) continue;
    throw new TypeError(
      `Cannot use headers with "${name}": the handshake sends it, as protocol ` +
        "and compression say",
    );
  }
  for (const [name, value] of fields) headers.append(name, value);
  return headers;
}
