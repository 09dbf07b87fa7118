/**
 * io_uring, which a program owns: the kernel accepts, reads and writes, and the
 * program hears when that is done. No reactor, no callbacks.
 *
 * @example A nop
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Completions, Operations, Proactor } from "./proactor.ts";
 *
 * using proactor = new Proactor();
 * const operations = new Operations();
 * operations.nop(1);
 * proactor.submit(operations);
 *
 * const completions = new Completions();
 * proactor.wait(completions);
 * assertEquals(completions.token(0), 1);
 * ```
 *
 * @module
 */

export type { Abortable } from "./base/abortable.ts";
export { WOULD_BLOCK } from "./native/errors.ts";
export type {
  HostPort,
  TcpAddress,
  UnixAddress,
  UnixPath,
} from "./net/address.ts";
export { Endpoint } from "./net/endpoint.ts";
export type { Keepalive } from "./net/keepalive.ts";
export {
  AcceptBatch,
  ListeningSocket,
  type StreamClass,
} from "./net/listener.ts";
export { Socket } from "./net/socket.ts";
export { type Shutdown, Stream } from "./net/stream.ts";
export { type ListenOptions, TcpListener } from "./net/tcp_listener.ts";
export { TcpStream } from "./net/tcp_stream.ts";
export { UnixListener, type UnixListenOptions } from "./net/unix_listener.ts";
export { UnixStream } from "./net/unix_stream.ts";
export type { InterestSet } from "./poll/interest.ts";
export type { Source } from "./poll/registry.ts";
export type { Token } from "./poll/token.ts";
export {
  type AnyStream,
  AsyncProactor,
  type AsyncProactorOptions,
  type ByteSource,
  type SpliceOptions,
} from "./proactor/async_proactor.ts";
export { Batching, type Policies } from "./proactor/batching.ts";
export { Completions } from "./proactor/completions.ts";
export { File } from "./proactor/file.ts";
export type { Operation } from "./proactor/operation.ts";
export { Operations } from "./proactor/operations.ts";
export {
  Proactor,
  type ProactorOptions,
  type ProactorStats,
} from "./proactor/proactor.ts";
export type {
  PositionOptions,
  ProactorFile,
} from "./proactor/proactor_file.ts";
export { Producer } from "./proactor/producer.ts";
export { Reaper } from "./proactor/reaper.ts";
export { decodeStat } from "./proactor/stat.ts";
