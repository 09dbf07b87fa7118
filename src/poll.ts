/**
 * mio's `Poll`, which a program owns: it waits until sockets and pipes are
 * ready. No reactor, no callbacks, no promises.
 *
 * @example Wait for a datagram
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Events, Interest, Poll, UdpSocket } from "./poll.ts";
 *
 * using poll = new Poll();
 * using socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
 * poll.registry.register(socket, 1, Interest.READABLE);
 * socket.sendTo(new TextEncoder().encode("hello"), socket.localAddress);
 *
 * const events = new Events();
 * poll.poll(events);
 * for (const { token } of events) assertEquals(token, 1);
 * assertEquals(socket.receive(new Uint8Array(16)), 5);
 * ```
 *
 * @module
 */

export { WOULD_BLOCK } from "./native/errors.ts";
export type {
  HostPort,
  StreamAddress,
  TcpAddress,
  UdpAddress,
  UnixAddress,
  UnixPath,
} from "./net/address.ts";
export { systemLookup } from "./net/lookup.ts";
export { Endpoint } from "./net/endpoint.ts";
export { Socket } from "./net/socket.ts";
export { type Shutdown, Stream } from "./net/stream.ts";
export {
  AcceptBatch,
  ListeningSocket,
  type StreamClass,
} from "./net/listener.ts";
export { type ListenOptions, TcpListener } from "./net/tcp_listener.ts";
export { TcpStream } from "./net/tcp_stream.ts";
export type { Keepalive } from "./net/keepalive.ts";
export { UnixListener, type UnixListenOptions } from "./net/unix_listener.ts";
export { UnixStream } from "./net/unix_stream.ts";
export { type UdpBindOptions, UdpSocket } from "./net/udp_socket.ts";
export { type Pipe, pipe, PipeReader, PipeWriter } from "./net/pipe.ts";
export { type Event, Events, Readiness } from "./poll/events.ts";
export { Interest, type InterestSet } from "./poll/interest.ts";
export type { Mode, RegisterOptions } from "./poll/mode.ts";
export {
  type Backend,
  type Feature,
  Poll,
  type PollOptions,
} from "./poll/poll.ts";
export { type CustomSource, Registry, type Source } from "./poll/registry.ts";
export type { Token } from "./poll/token.ts";
export { Waker } from "./poll/waker.ts";
