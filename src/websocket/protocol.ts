/**
 * WebSocket as a protocol, for any transport.
 *
 * @module
 */

import type { Protocol, Transport } from "../stream/transport.ts";
import { gone, peerEnded, shutdown, timeout } from "./closing.ts";
import type { WebSocketConnection } from "./connection.ts";
import { receive } from "./receiving.ts";
import type { WebSocketService } from "./service.ts";

/** A close frame with 1012: the client should connect again. */
const SERVICE_RESTART = 0x88_02_03_f4;

/** The times in which a transport must move bytes, as the reactor has them. */
interface Times {
  readonly idleMs: number;
  readonly writeMs: number;
}

/**
 * Returns WebSocket as a protocol for transports that are upgraded; their `data`
 * is the WebSocket.
 *
 * @param writeMs Milliseconds for which the peer may take nothing.
 */
export function webSocketProtocol(
  { limits }: WebSocketService,
  writeMs: number,
): Protocol<WebSocketConnection> & { readonly timeouts: Times } {
  return {
    lastWords: SERVICE_RESTART,
    // A ping is sent at half of the time.
    timeouts: { idleMs: limits.webSocketIdleMs / 2, writeMs },
    open: ({ data }: Transport<WebSocketConnection>) => data.opened(),
    data: ({ data }, bytes, start, end) => receive(data, bytes, start, end),
    end: ({ data }) => peerEnded(data),
    drain: ({ data }) => data.drained(),
    broken: ({ data }) => data.broke(),
    timeout: ({ data }, reason) => timeout(data, reason),
    close: ({ data }, reason) => gone(data, reason),
    shutdown: ({ data }) => shutdown(data),
  };
}
