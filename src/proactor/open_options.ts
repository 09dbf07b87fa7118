/**
 * How a file is opened, as by `Deno.open`.
 *
 * @module
 */

/** Bits of native code: `open` in `native/proactor/src/request.rs`. */
const BITS = {
  read: 1,
  write: 2,
  append: 4,
  create: 8,
  truncate: 16,
  createNew: 32,
} as const;
/** The path must not end in a symbolic link. */
const NO_FOLLOW = 64;
/** Permissions of a new file, less those of the process's umask: `open(2)`. */
const MODE_DEFAULT = 0o666;
const MODE_MAX = 0o7777;

/** The numbers of an open for native code. */
export interface OpenNumbers {
  /** The options' bits. */
  bits: number;
  mode: number;
  read: boolean;
  write: boolean;
  create: boolean;
}

/**
 * Checks options. Without any, the file is read.
 *
 * @throws {TypeError} when nothing is to be done with the file, or options
 * contradict each other.
 * @throws {RangeError} when the mode is no integer from 0 to 0o7777.
 */
export function openNumbers(options: Deno.OpenOptions): OpenNumbers {
  const { read, write, append, create, truncate, createNew } = options;
  const { mode = MODE_DEFAULT } = options;
  const writes = write === true || append === true;
  const isAsked = Object.keys(BITS).some((name) =>
    options[name as keyof typeof BITS] !== undefined
  );
  const reads = read === true || (!isAsked && options.mode === undefined);
  if ((create === true || createNew === true) && !writes) {
    throw wrong('"create" and "createNew" need "write" or "append"');
  }
  if (!reads && !writes) {
    throw wrong('one of "read", "write" and "append" must be true');
  }
  if (truncate === true && (write !== true || append === true)) {
    throw wrong('"truncate" needs "write", without "append"');
  }
  if (!Number.isInteger(mode) || mode < 0 || mode > MODE_MAX) {
    throw new RangeError(
      `Cannot use mode "${mode}": it must be an integer from 0 to 0o7777`,
    );
  }
  let bits = reads ? BITS.read : 0;
  for (const [name, bit] of Object.entries(BITS)) {
    if (options[name as keyof typeof BITS] === true) bits |= bit;
  }
  const makes = create === true || createNew === true;
  return { bits, mode, read: reads, write: writes, create: makes };
}

/** Returns the bits for a path that may, or may not, end in a link. */
export function bitsFor(bits: number, follows: boolean): number {
  return follows ? bits : bits | NO_FOLLOW;
}

function wrong(rule: string): TypeError {
  return new TypeError(`Cannot open a file with these options: ${rule}`);
}
