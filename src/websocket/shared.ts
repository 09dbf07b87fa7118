/**
 * What the WebSockets of one kind share on one server of HTTP.
 *
 * @module
 */

import type { Service } from "../http/service.ts";
import { hubOf } from "./hubs.ts";
import { limitsOf, type WebSocketLimitOptions } from "./limits.ts";
import { webSocketProtocol } from "./protocol.ts";
import type { Receiver } from "./receiver.ts";
import { WebSocketService, type WebSocketServiceOptions } from "./service.ts";

/** A kind of WebSockets. */
export interface Kind
  extends Pick<WebSocketServiceOptions, "counts" | "slowSubscribers"> {
  /** Limits of its own, which go before those of the server. */
  readonly limits: WebSocketLimitOptions;
}

/** What the WebSockets of one kind share on one server. */
export interface Shared {
  /** Receiver, limits and counts. */
  readonly service: WebSocketService;
  /** The protocol of their transports. */
  readonly protocol: ReturnType<typeof webSocketProtocol>;
}

/** Makes what the WebSockets of a kind share on a server. */
export function sharedOn(
  http: Service,
  receiver: Receiver,
  { limits, ...kind }: Kind,
): Shared {
  // The object with the limits of requests has all limits of the server.
  const servers = http.limits as WebSocketLimitOptions & { writeMs?: number };
  const service = new WebSocketService(receiver, {
    ...kind,
    limits: limitsOf(limits, servers),
    host: http,
    hub: hubOf(http),
  });
  const { writeMs = Infinity } = servers;
  return { service, protocol: webSocketProtocol(service, writeMs) };
}
