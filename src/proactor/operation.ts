/**
 * The kinds of operations, and the Linux that has each.
 *
 * @module
 */

import { nativeProactor } from "../native/library.ts";

/** The name of a kind of operations. */
export type Operation =
  | "nop"
  | "timeout"
  | "accept"
  | "accept-multishot"
  | "connect"
  | "receive"
  | "receive-multishot"
  | "send"
  | "send-zero-copy"
  | "shutdown"
  | "close"
  | "poll"
  | "poll-multishot"
  | "open"
  | "read"
  | "write"
  | "fsync"
  | "stat"
  | "splice"
  | "message"
  | "cancel";

/** In the order of the numbers of `native/proactor/src/operation.rs`. */
const NAMES: readonly Operation[] = [
  "nop",
  "timeout",
  "accept",
  "accept-multishot",
  "connect",
  "receive",
  "receive-multishot",
  "send",
  "send-zero-copy",
  "shutdown",
  "close",
  "poll",
  "poll-multishot",
  "open",
  "read",
  "write",
  "fsync",
  "stat",
  "splice",
  "message",
  "cancel",
];

/** The numbers of the operations, which native code uses. */
export const Code: Readonly<Record<Operation, number>> = Object.fromEntries(
  NAMES.map((name, number) => [name, number]),
) as Record<Operation, number>;

/** Returns the name of an operation's number. */
export function operationOf(code: number): Operation {
  return NAMES[code]!;
}

/** Returns the first Linux that has an operation: `"5.6"`. */
export function leastKernel(operation: Operation): string {
  const number = nativeProactor().denio_proactor_least_kernel(Code[operation]);
  return `${Math.floor(number / 1000)}.${number % 1000}`;
}
