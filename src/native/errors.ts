/**
 * Turns `-errno` into the error that Deno itself would throw.
 *
 * @module
 */

type ErrorClass = new (message: string, options?: ErrorOptions) => Error;

interface Errno {
  readonly linux: number;
  readonly bsd: number;
  readonly text: string;
  readonly class: ErrorClass;
}

const E = Deno.errors;

/** `errno(3)`: the numbers of Linux and of the BSDs, macOS among them. */
const ERRNOS = {
  EPERM: errno(1, 1, "operation not permitted", E.PermissionDenied),
  ENOENT: errno(2, 2, "not found", E.NotFound),
  EINTR: errno(4, 4, "interrupted", E.Interrupted),
  EIO: errno(5, 5, "input or output failed", Error),
  EBADF: errno(9, 9, "handle is closed or was never open", E.BadResource),
  EAGAIN: errno(11, 35, "would block", E.WouldBlock),
  ENOMEM: errno(12, 12, "out of memory", Error),
  EACCES: errno(13, 13, "permission denied", E.PermissionDenied),
  EFAULT: errno(14, 14, "bad buffer", TypeError),
  EBUSY: errno(16, 16, "busy", E.Busy),
  EEXIST: errno(17, 17, "already registered", E.AlreadyExists),
  ENODEV: errno(19, 19, "no such interface", Error),
  ENOTDIR: errno(20, 20, "not a directory", E.NotADirectory),
  EISDIR: errno(21, 21, "is a directory", E.IsADirectory),
  EINVAL: errno(22, 22, "invalid argument", TypeError),
  ENFILE: errno(23, 23, "too many open files in the system", Error),
  EMFILE: errno(24, 24, "too many open files", Error),
  ESPIPE: errno(29, 29, "has no positions", Error),
  EROFS: errno(30, 30, "read-only file system", Error),
  ERANGE: errno(
    34,
    34,
    "select cannot watch descriptors from FD_SETSIZE on, use another backend",
    RangeError,
  ),
  ENOSPC: errno(28, 28, "no space left", Error),
  EPIPE: errno(32, 32, "broken pipe", E.BrokenPipe),
  ENAMETOOLONG: errno(36, 63, "name too long", Error),
  ELOOP: errno(40, 62, "too many symbolic links", E.FilesystemLoop),
  ENOTSOCK: errno(88, 38, "not a socket", TypeError),
  EDESTADDRREQ: errno(89, 39, "no destination", Error),
  EMSGSIZE: errno(90, 40, "message too long", Error),
  EPROTOTYPE: errno(91, 41, "socket of another type", TypeError),
  ENOPROTOOPT: errno(92, 42, "no such option of this socket", TypeError),
  ENOTSUP: errno(95, 45, "not supported here", E.NotSupported),
  EAFNOSUPPORT: errno(97, 47, "unknown address family", TypeError),
  EADDRINUSE: errno(98, 48, "address already in use", E.AddrInUse),
  EADDRNOTAVAIL: errno(99, 49, "address not available", E.AddrNotAvailable),
  ENETUNREACH: errno(101, 51, "network unreachable", E.NetworkUnreachable),
  ECONNABORTED: errno(103, 53, "connection aborted", E.ConnectionAborted),
  ECONNRESET: errno(104, 54, "connection reset", E.ConnectionReset),
  ENOBUFS: errno(105, 55, "no buffer space", Error),
  EISCONN: errno(106, 56, "already connected", Error),
  ENOTCONN: errno(107, 57, "not connected", E.NotConnected),
  ETIMEDOUT: errno(110, 60, "timed out", E.TimedOut),
  ECONNREFUSED: errno(111, 61, "connection refused", E.ConnectionRefused),
  EHOSTUNREACH: errno(113, 65, "host unreachable", E.NetworkUnreachable),
  EALREADY: errno(114, 37, "already in progress", Error),
  EINPROGRESS: errno(115, 36, "in progress", Error),
  ECANCELED: errno(125, 89, "ended before it was done", E.Interrupted),
} satisfies Record<string, Errno>;

/** The name of an errno in this module's table. */
export type ErrnoName = keyof typeof ERRNOS;

/**
 * Errors of `getaddrinfo(3)` that have no errno, by the numbers of
 * `native/poll/src/sys/resolver.rs`.
 */
const RESOLVER_ERRORS = {
  EAI_AGAIN: errno(1001, 1001, "no name server has answered", Error),
  EAI_FAIL: errno(1002, 1002, "the name server has failed", Error),
};

const IS_LINUX = Deno.build.os === "linux" || Deno.build.os === "android";

const BY_NUMBER = new Map(
  Object.entries({ ...ERRNOS, ...RESOLVER_ERRORS }).map(([name, entry]) =>
    [numberOf(entry), { name, ...entry }] as const
  ),
);

/**
 * The result of a read, a write or an accept that would have to wait:
 * `-EAGAIN`. The call does not throw: compare its result with this number.
 */
export const WOULD_BLOCK: number = -errnoNumber("EAGAIN");

/** Returns this system's number for an errno. */
export function errnoNumber(name: ErrnoName): number {
  return numberOf(ERRNOS[name]);
}

/** Returns the name of an errno, or `errno N` when this table lacks it. */
export function errnoName(number: number): string {
  return BY_NUMBER.get(number)?.name ?? `errno ${number}`;
}

/**
 * Returns the error for an errno: of the class that Deno would throw, with the
 * errno's name as its `code`.
 *
 * @param number A positive errno.
 * @param call The call that failed, for the message: `bind "127.0.0.1:80"`.
 */
export function errorFrom(
  number: number,
  call: string,
): Error & { code: string } {
  const known = BY_NUMBER.get(number);
  const text = known?.text ?? "unexpected error";
  const code = errnoName(number);
  const where = code in RESOLVER_ERRORS ? "" : `, os error ${number}`;
  const message = `Cannot ${call}: ${text} (${code}${where})`;
  return Object.assign(new (known?.class ?? Error)(message), { code });
}

/**
 * Returns a native count, or throws the error for a negative result.
 *
 * @example Usage
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 * import { unwrap } from "./errors.ts";
 *
 * assertEquals(unwrap(3, "poll"), 3);
 * assertThrows(() => unwrap(-9, "poll"), Deno.errors.BadResource);
 * ```
 *
 * @param code A count when zero or more, `-errno` otherwise.
 * @param call The call that failed, for the message: `bind "127.0.0.1:80"`.
 * @throws {Deno.errors.BadResource} for `EBADF`, and so on by errno.
 */
export function unwrap(code: number, call: string): number {
  if (code >= 0) return code;
  throw errorFrom(-code, call);
}

function errno(
  linux: number,
  bsd: number,
  text: string,
  type: ErrorClass,
): Errno {
  return { linux, bsd, text, class: type };
}

function numberOf(entry: Errno): number {
  return IS_LINUX ? entry.linux : entry.bsd;
}
