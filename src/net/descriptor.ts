/**
 * Taking over descriptors that the process has from its start: inherited ones,
 * and those of socket activation.
 *
 * @module
 */

import { errnoNumber, unwrap } from "../native/errors.ts";
import { nativeOthers } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";
import { decodeAddress } from "./address.ts";
import { requireNet, requireUnix } from "./permissions.ts";

/** The kinds of descriptors, with their numbers in native code. */
export const DescriptorKind = {
  TCP_LISTENER: 1,
  TCP_STREAM: 2,
  UNIX_LISTENER: 3,
  UNIX_STREAM: 4,
  UDP_SOCKET: 5,
  PIPE_READER: 6,
  PIPE_WRITER: 7,
} as const;

/** One kind of descriptor. */
export type DescriptorKind = typeof DescriptorKind[keyof typeof DescriptorKind];

/** The name of each kind in messages. */
const NAMES: Readonly<Record<number, string>> = {
  [DescriptorKind.TCP_LISTENER]: "a TCP listener",
  [DescriptorKind.TCP_STREAM]: "a TCP stream",
  [DescriptorKind.UNIX_LISTENER]: "a Unix listener",
  [DescriptorKind.UNIX_STREAM]: "a Unix stream",
  [DescriptorKind.UDP_SOCKET]: "a UDP socket",
  [DescriptorKind.PIPE_READER]: "the reading end of a pipe",
  [DescriptorKind.PIPE_WRITER]: "the writing end of a pipe",
};

const FD_MAX = 0x7fff_ffff;

/**
 * Takes a descriptor over and returns the handle that owns it from then on:
 * closing the handle closes the descriptor. A descriptor of another kind, or at
 * an address without permission, stays as it is.
 *
 * @throws {RangeError} when `fd` is no integer from 0 to 2147483647.
 * @throws {TypeError} when the descriptor is of another kind.
 * @throws {Deno.errors.NotCapable} without the permission for its address.
 * @throws {Deno.errors.BadResource} when there is no such descriptor.
 * @throws {Deno.errors.Busy} when another handle owns it.
 */
export function adopt(fd: number, kind: DescriptorKind): number {
  if (!Number.isInteger(fd) || fd < 0 || fd > FD_MAX) {
    throw new RangeError(
      `Cannot adopt descriptor "${fd}": it must be an integer from 0 to ` +
        `${FD_MAX}`,
    );
  }
  const address = new Uint8Array(ADDRESS_BYTES);
  const found = describe(fd, kind, address);
  if (found !== kind) throw otherKind(fd, kind, NAMES[found]!);
  requireAddress(kind, address);
  return unwrap(
    nativeOthers().denio_source_adopt(fd, kind),
    `adopt descriptor ${fd}`,
  );
}

function describe(
  fd: number,
  kind: DescriptorKind,
  address: Uint8Array<ArrayBuffer>,
): number {
  const found = nativeOthers().denio_descriptor_describe(fd, address);
  switch (found) {
    case -errnoNumber("EBADF"):
      throw new Deno.errors.BadResource(
        `Cannot adopt descriptor ${fd}: it is not open`,
      );
    case -errnoNumber("ENOTSOCK"):
      throw otherKind(fd, kind, "neither a socket nor a pipe");
    case -errnoNumber("EPROTOTYPE"):
      throw otherKind(fd, kind, "a socket of another type, or not connected");
    default:
      return unwrap(found, `describe descriptor ${fd}`);
  }
}

function otherKind(fd: number, kind: DescriptorKind, found: string): TypeError {
  return new TypeError(
    `Cannot adopt descriptor ${fd}: it is ${found}, not ${NAMES[kind]}`,
  );
}

/**
 * Requires the permissions that opening the same socket requires. A pipe or a
 * socket without a name requires none: only the program that started this
 * process can have passed it on.
 */
function requireAddress(kind: DescriptorKind, bytes: Uint8Array): void {
  switch (kind) {
    case DescriptorKind.PIPE_READER:
    case DescriptorKind.PIPE_WRITER:
      return;
    case DescriptorKind.UNIX_LISTENER:
    case DescriptorKind.UNIX_STREAM: {
      const address = decodeAddress(bytes);
      if (address.transport === "unix" && address.path !== "") {
        requireUnix(address.path);
      }
      return;
    }
    default: {
      const address = decodeAddress(bytes);
      if (address.transport !== "unix") {
        // The interface of a link-local address is no part of a permission.
        const [hostname] = address.hostname.split("%");
        requireNet(hostname!, address.port);
      }
    }
  }
}
