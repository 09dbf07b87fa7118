/**
 * One operation of the pump, and what it has brought.
 *
 * @module
 */

import type { Token } from "../poll/token.ts";
import type { Operations } from "./operations.ts";

/** An operation to submit. */
export interface Request {
  /**
   * Adds the operation to a batch. It may be called later, and again, when the
   * proactor has no room.
   */
  readonly add: (operations: Operations, token: Token) => void;
  /** The source that it works on, if any. */
  readonly source?: { readonly handle: number };
  /** What its range refers to. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/** How an operation ended, or what it has brought so far. */
export interface Completed {
  /** A number of zero or more, or `-errno`. */
  readonly result: number;
  /** The handle of what was opened. */
  readonly handle: number;
  /** Whether other completions of the operation follow. */
  readonly more: boolean;
  /** The bytes, until the receiver returns. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}
