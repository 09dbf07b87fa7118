/** What a negative answer of native code becomes. */

import { constants } from "node:os";
import {
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type ErrnoName,
  errnoName,
  errnoNumber,
  errorFrom,
  unwrap,
  WOULD_BLOCK,
} from "../../src/native/errors.ts";

/** What Deno itself throws for each. */
const CLASSES: Record<ErrnoName, new (message: string) => Error> = {
  EPERM: Deno.errors.PermissionDenied,
  ENOENT: Deno.errors.NotFound,
  EINTR: Deno.errors.Interrupted,
  EIO: Error,
  EBADF: Deno.errors.BadResource,
  EAGAIN: Deno.errors.WouldBlock,
  ENOMEM: Error,
  EACCES: Deno.errors.PermissionDenied,
  EFAULT: TypeError,
  EBUSY: Deno.errors.Busy,
  EEXIST: Deno.errors.AlreadyExists,
  ENODEV: Error,
  ENOTDIR: Deno.errors.NotADirectory,
  EISDIR: Deno.errors.IsADirectory,
  EINVAL: TypeError,
  ENFILE: Error,
  EMFILE: Error,
  ESPIPE: Error,
  EROFS: Error,
  ERANGE: RangeError,
  ENOSPC: Error,
  EPIPE: Deno.errors.BrokenPipe,
  ENAMETOOLONG: Error,
  ELOOP: Deno.errors.FilesystemLoop,
  ENOTSOCK: TypeError,
  EDESTADDRREQ: Error,
  EMSGSIZE: Error,
  EPROTOTYPE: TypeError,
  ENOPROTOOPT: TypeError,
  ENOTSUP: Deno.errors.NotSupported,
  EAFNOSUPPORT: TypeError,
  EADDRINUSE: Deno.errors.AddrInUse,
  EADDRNOTAVAIL: Deno.errors.AddrNotAvailable,
  ENETUNREACH: Deno.errors.NetworkUnreachable,
  ECONNABORTED: Deno.errors.ConnectionAborted,
  ECONNRESET: Deno.errors.ConnectionReset,
  ENOBUFS: Error,
  EISCONN: Error,
  ENOTCONN: Deno.errors.NotConnected,
  ETIMEDOUT: Deno.errors.TimedOut,
  ECONNREFUSED: Deno.errors.ConnectionRefused,
  EHOSTUNREACH: Deno.errors.NetworkUnreachable,
  EALREADY: Error,
  EINPROGRESS: Error,
  ECANCELED: Deno.errors.Interrupted,
};

const NAMES = Object.keys(CLASSES) as ErrnoName[];

/** A number that no system uses. */
const UNKNOWN = 4095;

Deno.test("errorFrom() makes the class, the code and the message, for every errno", () => {
  for (const name of NAMES) {
    const number = errnoNumber(name);
    const error = errorFrom(number, "do it");
    assertStrictEquals(error.constructor, CLASSES[name], name);
    assertEquals(error.code, name);
    assertEquals(error.message.startsWith("Cannot do it: "), true, name);
    assertEquals(
      error.message.endsWith(` (${name}, os error ${number})`),
      true,
      error.message,
    );
  }
});

Deno.test("errorFrom() quotes the call and names the errno, in one sentence", () => {
  const error = errorFrom(errnoNumber("EPIPE"), "write to stream 7");
  assertEquals(
    error.message,
    "Cannot write to stream 7: broken pipe (EPIPE, os error 32)",
  );
});

Deno.test("errorFrom() still makes an error, when the errno is unknown", () => {
  const error = errorFrom(UNKNOWN, "do it");
  assertStrictEquals(error.constructor, Error);
  assertEquals(error.code, "errno 4095");
  assertEquals(
    error.message,
    "Cannot do it: unexpected error (errno 4095, os error 4095)",
  );
});

Deno.test("errorFrom() names what only the resolver says", () => {
  const error = errorFrom(1001, 'resolve "a.example"');
  assertEquals([error.constructor, error.code], [Error, "EAI_AGAIN"]);
  assertEquals(
    error.message,
    'Cannot resolve "a.example": no name server has answered (EAI_AGAIN)',
  );
});

Deno.test("errnoNumber() is the system's own, for every name", () => {
  for (const name of NAMES) {
    assertEquals(errnoNumber(name), constants.errno[name], name);
  }
});

Deno.test("errnoName() turns a number back, and says which when it has no name", () => {
  for (const name of NAMES) assertEquals(errnoName(errnoNumber(name)), name);
  assertEquals(errnoName(UNKNOWN), "errno 4095");
});

Deno.test("unwrap() returns what it is given, when that is no error", () => {
  for (const count of [0, 1, 0x7fff_ffff]) {
    assertEquals(unwrap(count, "do it"), count);
  }
});

Deno.test("unwrap() throws the error of the errno, when the answer is negative", () => {
  const thrown = assertThrows(
    () => unwrap(-errnoNumber("EADDRINUSE"), 'listen on "127.0.0.1:80"'),
    Deno.errors.AddrInUse,
    'Cannot listen on "127.0.0.1:80": address already in use',
  );
  assertInstanceOf(thrown, Error);
});

Deno.test("WOULD_BLOCK is the negative EAGAIN, and unwrap() throws WouldBlock for it", () => {
  assertEquals(WOULD_BLOCK, -constants.errno.EAGAIN);
  assertThrows(() => unwrap(WOULD_BLOCK, "read"), Deno.errors.WouldBlock);
});
