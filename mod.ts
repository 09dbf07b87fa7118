/**
 * Servers and clients for Deno on their own event loop: HTTP/1.1 and WebSockets
 * (`serve`); any protocol over TCP and Unix sockets, by handlers (`Reactor`) or
 * by fibers (`Fibers`); UDP and pipes.
 *
 * `denio/poll` has the sockets, and the `Poll` below the event loop.
 * `denio/testing` has a system in memory, for tests.
 *
 * @module
 */

export {
  echo,
  type EchoOptions,
  type EchoServer,
  type EchoUnixOptions,
} from "./src/server/echo.ts";
export { serve } from "./src/server/serve.ts";
export { http, type HttpOptions } from "./src/server/http_protocol.ts";
export type {
  HandlerOptions,
  HttpServer,
  ServeBaseOptions,
  ServeOptions,
  ServeUnixOptions,
} from "./src/server/http_server.ts";
export { trace, type TraceOptions } from "./src/trace/trace.ts";
export type {
  Balance,
  ServeModuleBaseOptions,
  ServeModuleOptions,
  ServeModuleUnixOptions,
  WorkerEnd,
} from "./src/server/worker/group_options.ts";
export type { WorkersServer } from "./src/server/worker/workers.ts";
export type { RelayCounts } from "./src/server/worker/topic_relay.ts";
export type { MemberOptions } from "./src/server/worker/control.ts";
export type { BodyBytesMax, LimitOptions } from "./src/http/http_limits.ts";
export type { Handler, ServeHandlerInfo } from "./src/http/service.ts";
export type {
  Observer,
  RequestAnswered,
  RequestBegan,
  RequestEnded,
  RequestFailed,
  RequestRefused,
} from "./src/http/observer.ts";
export type { AdmissionOptions } from "./src/server/admission.ts";
export type { LimitedOptions } from "./src/server/option_table.ts";
export type { ServeAddress } from "./src/http/transport.ts";
export type { WebSockets } from "./src/server/web_sockets.ts";
export type {
  UpgradeOptions,
  WebSocketHandlers,
} from "./src/websocket/handlers.ts";
export type { CompressionOptions } from "./src/websocket/extension.ts";
export type { OriginCheck, ProtocolChoice } from "./src/websocket/handshake.ts";
export type { AdapterStatus, TopicAdapter } from "./src/websocket/adapter.ts";
export {
  type RedisClient,
  type RedisTopics,
  redisTopics,
  type RedisTopicsCounts,
  type RedisTopicsOptions,
} from "./src/websocket/redis_topics.ts";
export type { WebSocketLimitOptions } from "./src/websocket/limits.ts";
export {
  upgradeWebSocket,
  type UpgradeWebSocketOptions,
} from "./src/websocket/drop_in.ts";
export {
  webSocket,
  type WebSocketRoute,
  type WebSocketStats,
} from "./src/websocket/route.ts";
export type { WebSocketCounts } from "./src/websocket/service.ts";
export type { SlowSubscribers } from "./src/websocket/topic.ts";
export type { TopicCounts } from "./src/websocket/topics.ts";
export type {
  Message,
  Sendable,
  SendOptions,
  SendResult,
  ServerWebSocket,
  WebSocketStreams,
} from "./src/websocket/socket.ts";
export { HttpError } from "./src/http/errors.ts";
export { Reactor, type ReactorOptions } from "./src/reactor/reactor.ts";
export type {
  Connection,
  ConnectionHandlers,
} from "./src/reactor/connection.ts";
export type { CloseReason, TimeoutReason } from "./src/stream/close_reason.ts";
export type { Timeouts } from "./src/stream/timeouts.ts";
export type { Protocol, Transport } from "./src/stream/transport.ts";
export type {
  ConnectionOptions,
  TimeoutSet,
} from "./src/reactor/connection_options.ts";
export type { LagStats, ReactorStats } from "./src/reactor/stats.ts";
export type { AnyListener, Listener } from "./src/reactor/listener.ts";
export type { Abortable } from "./src/base/abortable.ts";
export type {
  ConnectOptions,
  UnixConnectOptions,
} from "./src/fiber/connect.ts";
export type { Fiber, FiberBody, FiberOptions } from "./src/fiber/fiber.ts";
export type {
  AnyFiberConnection,
  FiberConnection,
} from "./src/fiber/fiber_connection.ts";
export type { FiberListener } from "./src/fiber/fiber_listener.ts";
export type {
  FiberHandler,
  FiberServer,
  ServeFibersOptions,
  ServeFibersUnixOptions,
} from "./src/fiber/fiber_server.ts";
export {
  type AttemptFailure,
  AttemptsFailed,
} from "./src/reactor/happy_eyeballs.ts";
export { Fibers } from "./src/fiber/fibers.ts";
export type { Owned, Owner } from "./src/fiber/owned.ts";
export type { Guest, GuestLoop, ReactorClosed } from "./src/reactor/guest.ts";
export type { Lookup } from "./src/net/lookup.ts";
export type { Beat, Timer } from "./src/reactor/timers.ts";
export type { ReadyHandler, Watch } from "./src/reactor/watch.ts";
export { loadLibrary } from "./src/native/library.ts";
export type {
  HostPort,
  StreamAddress,
  TcpAddress,
  UnixAddress,
  UnixPath,
} from "./src/net/address.ts";
