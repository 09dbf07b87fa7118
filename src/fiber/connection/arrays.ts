/**
 * Arrays that programs read into or write from, and how they are misused.
 *
 * @module
 */

/** Whether `bytes` are none, and their buffer was not transferred. */
export function isEmpty(bytes: Uint8Array): boolean {
  return bytes.byteLength === 0 && !(bytes.buffer as ArrayBuffer).detached;
}

/**
 * Answers a read or a write whose array has no bytes: 0, or a rejection when
 * `bytes` is no array or its buffer was transferred.
 *
 * @param verb What the program wanted to do, for the message.
 */
export function countNothing(verb: string, bytes: Uint8Array): Promise<number> {
  if (isEmpty(bytes)) return Promise.resolve(0);
  const message = bytes instanceof Uint8Array
    ? `Cannot ${verb} an array whose buffer was transferred`
    : `Cannot ${verb} "${String(bytes)}": it must be a Uint8Array`;
  return Promise.reject(new TypeError(message));
}

/** Returns the error of a read whose array has lost its buffer meanwhile. */
export function transferredError(): TypeError {
  return new TypeError(
    "Cannot use the buffer: it was transferred or resized meanwhile",
  );
}
