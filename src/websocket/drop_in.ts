/**
 * `upgradeWebSocket` in the shape of Deno's: for programs and frameworks that
 * use it, on denio's servers.
 *
 * @module
 */

import { requireNumber } from "../base/checks.ts";
import { MS_MAX } from "../http/http_limits.ts";
import { LazyRequest } from "../http/request.ts";
import type { Service } from "../http/service.ts";
import { takeHandover, takeoverResponse } from "../http/takeover.ts";
import { codecFor } from "./codec.ts";
import { WebSocketConnection } from "./connection.ts";
import { EventSocket } from "./event_socket.ts";
import {
  type CompressionOptions,
  type CompressionSettings,
  compressionSettings,
} from "./extension.ts";
import { isOwnField, requireRequest, shakeHands } from "./handshake.ts";
import { WEB_SOCKET_LIMITS } from "./limits.ts";
import { noCounts } from "./service.ts";
import { type Shared, sharedOn } from "./shared.ts";

/** As Deno has it: nginx closes what is silent for a minute. */
const IDLE_SECONDS = 30;
const SECOND_MS = 1_000;
/** `send` of a `WebSocket` refuses nothing: memory has its own limit. */
const [, BACKPRESSURE_BYTES_MAX] = WEB_SOCKET_LIMITS.backpressureBytesMax.range;
/** Idle times with kept services; a program has one or two. */
const IDLE_TIMES_MAX = 16;

/** What the WebSockets of a server share, by their idle time. */
const shared = new WeakMap<Service, Map<number, Shared>>();
const counts = noCounts();
const upgraded = new WeakSet<Request>();

/** Of `compression: true`, checked once. */
const COMPRESSION = compressionSettings(true);

/** Options of {@linkcode upgradeWebSocket}: those of Deno's, and two more. */
export interface UpgradeWebSocketOptions extends Deno.UpgradeWebSocketOptions {
  /**
   * Further fields of the answer, such as `Set-Cookie`. Fields that belong to the
   * handshake are left out: frameworks pass `Sec-WebSocket-Protocol` here, too.
   */
  headers?: HeadersInit | undefined;
  /**
   * Whether to compress messages for peers that offer it, and how: see
   * `WebSocketHandlers.compression`. No message is compressed when left out.
   */
  compression?: boolean | CompressionOptions | undefined;
}

/** Deno's own, a getter that loads it. */
const DENOS = Object.getOwnPropertyDescriptor(Deno, "upgradeWebSocket")!;

/**
 * Answers a request for a WebSocket, as `Deno.upgradeWebSocket` does: with a
 * `WebSocket`, and the response that the handler must return.
 *
 * What is no valid handshake of RFC 6455, and Deno would take all the same, gets
 * a response that refuses it, and a socket that closes with 1006. A request that
 * denio does not serve goes to Deno's own function. The socket opens when the
 * response is returned: if the handler returns another one, the client gets that,
 * and the socket an `error` and a `close` with 1006.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { serve } from "../server/serve.ts";
 * import { upgradeWebSocket } from "./drop_in.ts";
 *
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0, onListen() {} },
 *   (request) => {
 *     const { socket, response } = upgradeWebSocket(request);
 *     socket.onmessage = ({ data }) => socket.send(`Hello, ${data}`);
 *     return response;
 *   },
 * );
 *
 * const client = new WebSocket(`ws://127.0.0.1:${server.addr.port}`);
 * client.onopen = () => client.send("Ada");
 * const event = await new Promise<MessageEvent>((resolve) => {
 *   client.onmessage = resolve;
 * });
 * assertEquals(event.data, "Hello, Ada");
 * client.close();
 * ```
 *
 * @param request A handler's request.
 * @param options `protocol`, a subprotocol that the client must offer;
 * `idleTimeout`, the seconds in which the peer must give a sign of life: 30 when
 * left out, 0 for no limit; and what Deno does not have, `headers` and
 * `compression`.
 * @throws {TypeError} when the request does not ask for a WebSocket, or does not
 * offer the subprotocol, or an option is of a wrong type.
 * @throws {RangeError} when `idleTimeout`, or a number of `compression`, is out
 * of range.
 * @throws {Deno.errors.Http} when the request was upgraded before.
 */
export function upgradeWebSocket(
  request: Request,
  options: UpgradeWebSocketOptions = {},
): Deno.WebSocketUpgrade {
  requireRequest(request);
  if (!LazyRequest.isLazy(request)) return denosUpgrade()(request, options);
  if (upgraded.has(request)) throw new Deno.errors.Http("Already upgraded");
  const { protocol, idleTimeout } = options;
  const idleMs = idleMsOf(idleTimeout ?? IDLE_SECONDS);
  const compression = settingsOf(options);
  const fields = options.headers ? ownFields(options.headers) : [];
  checkAsDeno(request.headers, protocol);
  upgraded.add(request);
  const agreed = shakeHands(request, { protocol, compression });
  if (agreed instanceof Response) {
    const socket = new EventSocket("");
    EventSocket.lose(socket, `Handshake refused with ${agreed.status}`);
    return upgradeOf(socket, agreed);
  }
  const socket = new EventSocket(agreed.protocol);
  const { deflate } = agreed;
  const codec = deflate && codecFor(deflate, compression!);
  const own = { data: socket, protocol: agreed.protocol, codec };
  const response = takeoverResponse(
    (transport, http, leftover) => {
      const { service, protocol } = sharedBy(http, idleMs);
      const connection = new WebSocketConnection(transport, service, own);
      transport.upgrade(protocol, connection, leftover);
    },
    fields.length === 0 ? agreed.headers : [...agreed.headers, ...fields],
    { request, lost: () => EventSocket.lose(socket) },
  );
  loseUnlessReturned(socket, request, response);
  return upgradeOf(socket, response);
}

/** Ends a socket when its request was answered by another response. */
function loseUnlessReturned(
  socket: EventSocket,
  request: Request,
  response: Response,
): void {
  const lose = (message?: string) => {
    const exchange = LazyRequest.exchangeOf(request);
    if (takeHandover(response, exchange)) EventSocket.lose(socket, message);
  };
  LazyRequest.completed(request).then(
    () => lose("The request was answered by another response"),
    () => lose(),
  );
}

function upgradeOf(
  socket: EventSocket,
  response: Response,
): Deno.WebSocketUpgrade {
  return { response, socket: socket as unknown as WebSocket };
}

function settingsOf(
  { compression }: UpgradeWebSocketOptions,
): CompressionSettings | undefined {
  return compression === true
    ? COMPRESSION
    : compressionSettings(compression ?? false);
}

/** Returns the fields of a program, without those of the handshake. */
function ownFields(headers: HeadersInit): [string, string][] {
  return [...new Headers(headers)].filter(([name]) => !isOwnField(name));
}

function denosUpgrade(): typeof Deno.upgradeWebSocket {
  return DENOS.value ?? DENOS.get!.call(Deno);
}

/** Throws what Deno throws: programs may catch that. */
function checkAsDeno(headers: Headers, protocol: string | undefined): void {
  checkToken(headers, "upgrade", "websocket");
  checkToken(headers, "connection", "Upgrade");
  if (!headers.has("sec-websocket-key")) {
    throw new TypeError(
      "Invalid Header: 'sec-websocket-key' header must be set",
    );
  }
  if (!protocol) return;
  const offered = headers.get("sec-websocket-protocol") ?? "";
  if (elementsOf(offered).includes(protocol)) return;
  throw new TypeError(
    `Protocol '${protocol}' not in the request's protocol list (non ` +
      "negotiable)",
  );
}

function checkToken(headers: Headers, name: string, token: string): void {
  const value = headers.get(name)?.toLowerCase() ?? "";
  if (elementsOf(value).includes(token.toLowerCase())) return;
  throw new TypeError(
    `Invalid Header: '${name}' header must contain '${token}'`,
  );
}

function elementsOf(list: string): string[] {
  return list.split(",").map((element) => element.trim());
}

/** Returns the milliseconds for an `idleTimeout`. */
function idleMsOf(seconds: number): number {
  requireNumber("idleTimeout", seconds);
  if (seconds === 0) return Infinity;
  const { range: [min] } = WEB_SOCKET_LIMITS.webSocketIdleMs;
  const ms = seconds * SECOND_MS;
  if (ms >= min && ms <= MS_MAX) return ms;
  throw new RangeError(
    `Cannot use idleTimeout "${seconds}": it must be 0, or from ` +
      `${min / SECOND_MS} to ${MS_MAX / SECOND_MS}`,
  );
}

/** Returns what WebSockets of a server with an idle time share. */
function sharedBy(http: Service, webSocketIdleMs: number): Shared {
  let byTime = shared.get(http);
  if (byTime === undefined) shared.set(http, byTime = new Map());
  const known = byTime.get(webSocketIdleMs);
  if (known !== undefined) return known;
  if (byTime.size === IDLE_TIMES_MAX) byTime.clear();
  const made = sharedOn(http, EventSocket.receiver, {
    limits: { webSocketIdleMs, backpressureBytesMax: BACKPRESSURE_BYTES_MAX },
    counts,
    slowSubscribers: "drop",
  });
  byTime.set(webSocketIdleMs, made);
  return made;
}
