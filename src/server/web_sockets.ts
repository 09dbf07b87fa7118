/**
 * The WebSockets of a server: requests that ask for one go to its handlers, all
 * others to the server's own handler.
 *
 * @module
 */

import { LazyRequest } from "../http/request.ts";
import type { Handler } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { WebSocketHandlers } from "../websocket/handlers.ts";
import { asksForWebSocket } from "../websocket/handshake.ts";
import { Route, type WebSocketRoute } from "../websocket/route.ts";

/** Handlers of WebSockets, or what `webSocket` has made of some. */
// deno-lint-ignore no-explicit-any -- handlers for any data
export type WebSockets = WebSocketHandlers<any> | WebSocketRoute<any>;

/**
 * Returns the WebSockets of a server; `undefined` when it has none.
 *
 * @throws {TypeError} when `webSockets` is neither handlers nor a route.
 * @throws {RangeError} when one of its limits is out of range.
 */
export function routeOf(webSockets: WebSockets | undefined): Route | undefined {
  return webSockets === undefined || webSockets instanceof Route
    ? webSockets
    : new Route(webSockets as WebSocketHandlers);
}

/**
 * Returns a handler that passes requests for a WebSocket to `route`. Clients
 * that offer another protocol, such as `h2c`, want an answer all the same.
 */
export function withWebSockets(
  handler: Handler<ServeAddress>,
  route: Route,
): Handler<ServeAddress> {
  return (request, info) =>
    LazyRequest.offersUpgrade(request) && asksForWebSocket(request)
      ? route.answer(request, info)
      : handler(request, info);
}

/** Answers for a server without a handler: RFC 9110 section 15.5.22. */
export function upgradeRequired(): Response {
  return new Response("This server has WebSockets only\n", {
    status: 426,
    headers: { upgrade: "websocket" },
  });
}
