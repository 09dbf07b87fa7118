/**
 * Whether this process may use io_uring, and which operations its kernel has.
 *
 * @module
 */

import { errorFrom } from "../native/errors.ts";
import { native, nativeProactor } from "../native/library.ts";
import { refusalText } from "../native/refusals.ts";
import { Code, leastKernel, type Operation } from "./operation.ts";

/** The oldest kernel on which proactors work. */
const LEAST = "Linux 5.19";

/** The reason that may be over later. */
const RESOURCES = 5;

/** What the kernel supports, by operation, once known. */
let supported: ReadonlySet<Operation> | undefined;

/**
 * Returns why this process cannot use io_uring, as the end of a sentence, or
 * `undefined` when it can.
 */
export function refusal(): string | undefined {
  return refusalText(nativeProactor().denio_proactor_refusal(), LEAST);
}

/** Returns the error for a proactor that cannot be opened. */
export function openError(errno: number): Error {
  const number = nativeProactor().denio_proactor_refusal();
  if (number === 0 || number === RESOURCES) {
    return errorFrom(errno, "open a proactor");
  }
  return new Deno.errors.NotSupported(
    `Cannot open a proactor, which needs io_uring: ${
      refusalText(number, LEAST)
    }`,
  );
}

/** Returns the error for an operation that the kernel does not have. */
export function operationError(operation: Operation): Error {
  return new Deno.errors.NotSupported(
    `Cannot submit operation "${operation}": it needs Linux ` +
      `${leastKernel(operation)}, and this kernel does not have it`,
  );
}

/** Returns whether the kernel has an operation, and lets this process use it. */
export function supports(operation: Operation): boolean {
  supported ??= ask();
  return supported?.has(operation) ?? false;
}

/** Asks the kernel, by a small proactor; `undefined` while none opens. */
function ask(): ReadonlySet<Operation> | undefined {
  const symbols = nativeProactor();
  const proactor = symbols.denio_proactor_new(1, 0, 0, 0, 0, 0);
  if (proactor < 0) return undefined;
  const has = (operation: Operation) =>
    symbols.denio_proactor_supports(proactor, Code[operation]) > 0;
  const found = new Set((Object.keys(Code) as Operation[]).filter(has));
  native().denio_source_close(proactor);
  return found;
}
