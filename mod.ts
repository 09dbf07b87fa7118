/**
 * TCP, UDP, Unix sockets, pipes and HTTP for Deno on a `Poll` of your own.
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
export type {
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
export type { MemberOptions } from "./src/server/worker/control.ts";
export type { BodyBytesMax, LimitOptions } from "./src/http/limits.ts";
export type { Handler, ServeHandlerInfo } from "./src/http/service.ts";
export type { AdmissionOptions } from "./src/server/admission.ts";
export type { StreamAddr } from "./src/http/transport.ts";
export { HttpError } from "./src/http/errors.ts";
export type {
  Batch,
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
  System,
} from "./src/system/system.ts";
export { Reactor, type ReactorOptions } from "./src/reactor/reactor.ts";
export type {
  Connection,
  ConnectionHandlers,
} from "./src/reactor/connection.ts";
export type { CloseReason, TimeoutReason } from "./src/stream/close_reason.ts";
export type { Protocol } from "./src/stream/protocol.ts";
export type { Transport } from "./src/stream/transport.ts";
export type {
  ConnectionOptions,
  Limits,
  Timeouts,
  TimeoutSet,
} from "./src/reactor/limits.ts";
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
export type { Guest, GuestLoop } from "./src/reactor/guest.ts";
export { type Lookup, systemLookup } from "./src/net/lookup.ts";
export type { Beat, Timer } from "./src/reactor/timers.ts";
export { WOULD_BLOCK } from "./src/native/errors.ts";
export { loadLibrary } from "./src/native/library.ts";
export type {
  HostPort,
  StreamAddress,
  TcpAddress,
  UdpAddress,
  UnixAddress,
  UnixPath,
} from "./src/net/address.ts";
export { ReadBatch, WriteBatch } from "./src/net/batches.ts";
export { Endpoint } from "./src/net/endpoint.ts";
export { Socket } from "./src/net/socket.ts";
export { type Shutdown, Stream } from "./src/net/stream.ts";
export {
  AcceptBatch,
  ListeningSocket,
  type StreamClass,
} from "./src/net/listener.ts";
export { type ListenOptions, TcpListener } from "./src/net/tcp_listener.ts";
export { TcpStream } from "./src/net/tcp_stream.ts";
export type { Keepalive } from "./src/net/keepalive.ts";
export {
  UnixListener,
  type UnixListenOptions,
} from "./src/net/unix_listener.ts";
export { UnixStream } from "./src/net/unix_stream.ts";
export { type UdpBindOptions, UdpSocket } from "./src/net/udp_socket.ts";
export { type Pipe, pipe, PipeReader, PipeWriter } from "./src/net/pipe.ts";
export { type Event, Events, Readiness } from "./src/poll/events.ts";
export {
  describeInterest,
  Interest,
  type InterestSet,
} from "./src/poll/interest.ts";
export type { Mode, RegisterOptions } from "./src/poll/mode.ts";
export {
  type Backend,
  type Feature,
  Poll,
  type PollOptions,
} from "./src/poll/poll.ts";
export {
  type CustomSource,
  Registry,
  type Source,
} from "./src/poll/registry.ts";
export { type Token, TOKEN_MAX } from "./src/poll/token.ts";
export { Waker } from "./src/poll/waker.ts";
