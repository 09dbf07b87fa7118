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

export { WOULD_BLOCK } from "./native/errors.ts";
export type { HostPort } from "./net/address.ts";
export { Endpoint } from "./net/endpoint.ts";
export type { Shutdown } from "./net/stream.ts";
export type { InterestSet } from "./poll/interest.ts";
export type { Source } from "./poll/registry.ts";
export type { Token } from "./poll/token.ts";
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
export { Producer } from "./proactor/producer.ts";
export { Reaper } from "./proactor/reaper.ts";
export { decodeStat } from "./proactor/stat.ts";
