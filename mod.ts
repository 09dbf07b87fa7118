/**
 * TCP and HTTP for Deno on a `Poll` of your own.
 *
 * @module
 */

export { echo, type EchoOptions, type EchoServer } from "./src/server/echo.ts";
export {
  type HttpServer,
  serve,
  type ServeOptions,
} from "./src/server/serve.ts";
export type { Handler, ServeHandlerInfo } from "./src/http/service.ts";
export { HttpError } from "./src/http/errors.ts";
export { Reactor, type ReactorOptions } from "./src/reactor/reactor.ts";
export type {
  Connection,
  ConnectionHandlers,
  WriteRoom,
} from "./src/reactor/connection.ts";
export type { Listener } from "./src/reactor/listener.ts";
export type { Timer } from "./src/reactor/timers.ts";
export { WOULD_BLOCK } from "./src/native/errors.ts";
export type { HostPort, TcpAddress } from "./src/net/address.ts";
export {
  AcceptBatch,
  type ListenOptions,
  TcpListener,
} from "./src/net/tcp_listener.ts";
export { type Shutdown, TcpStream } from "./src/net/tcp_stream.ts";
export { type Event, Events, Readiness } from "./src/poll/events.ts";
export {
  describeInterest,
  Interest,
  type InterestSet,
} from "./src/poll/interest.ts";
export { type Backend, Poll, type PollOptions } from "./src/poll/poll.ts";
export { Registry, type Source } from "./src/poll/registry.ts";
export { type Token, TOKEN_MAX } from "./src/poll/token.ts";
export { Waker } from "./src/poll/waker.ts";
