/**
 * Addresses: in Deno's form, and in the bytes that native code reads.
 *
 * @module
 */

import { errnoNumber, unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";

/** The first byte of a Unix address in native form. */
const FAMILY_UNIX = 1;
/** The first byte of an IPv4 address in native form. */
export const FAMILY_V4 = 4;
/** The first byte of an IPv6 address in native form. */
const FAMILY_V6 = 6;
/** Offset of an IPv6 address's scope: four bytes in network order. */
export const SCOPE_START = 4;
/** Offset of the bytes of an IP address. */
export const IP_START = 8;
const PATH_START = 8;
const PORT_MAX = 65535;
/** Native code's answer for a text that is no address. */
const NOT_FOUND = -errnoNumber("ENOENT");

/** A name never has this form: RFC 1123 section 2.1. */
const IPV4_PATTERN = /^\d+\.\d+\.\d+\.\d+$/;

/**
 * Bytes of a path that fit `sun_path` (`unix(7)`; four fewer on the BSDs),
 * without the NUL that ends a path or begins an abstract name.
 */
const PATH_BYTES_MAX = Deno.build.os === "linux" ? 107 : 103;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A TCP address in Deno's form. */
export interface TcpAddress extends Deno.NetAddr {
  /** Always TCP. */
  transport: "tcp";
}

/** A UDP address in Deno's form. */
export interface UdpAddress extends Deno.NetAddr {
  /** Always UDP. */
  transport: "udp";
}

/** The address of a Unix socket in Deno's form. */
export interface UnixAddress extends Deno.UnixAddr {
  /** Always a stream. */
  transport: "unix";
  /**
   * The path; an abstract name begins with `"\0"`. It is `""` for a socket
   * without a name, such as the connecting end of a connection.
   */
  path: string;
}

/** Where to listen or connect. */
export interface HostPort {
  /**
   * An IP address (IPv6 with or without brackets). Reactors, fibers and servers
   * also take a name. Sockets on a `Poll` do not: the system's resolver would
   * block the thread.
   */
  hostname: string;
  /** From 0 to 65535. For a listener, 0 lets the system choose. */
  port: number;
}

/** Where a Unix socket listens. */
export interface UnixPath {
  /**
   * A path in the file system: at most 107 bytes on Linux, 103 elsewhere. On
   * Linux also `"\0"` and an abstract name of at most 107 bytes: no file bears
   * it, and it ends with its socket (`unix(7)`).
   */
  path: string;
}

/** The address of a stream. */
export type StreamAddress = TcpAddress | UnixAddress;

/** The address of any socket. */
export type SocketAddress = TcpAddress | UdpAddress | UnixAddress;

/**
 * Returns host and port without brackets. Each property is read once, so that
 * the caller uses the same values for the permission and for the call.
 */
export function hostPort({ hostname, port }: HostPort): HostPort {
  const isBracketed = hostname.startsWith("[") && hostname.endsWith("]") &&
    hostname.includes(":");
  return { hostname: isBracketed ? hostname.slice(1, -1) : hostname, port };
}

/** Whether `hostname` is an IP address, which needs no resolver. */
export function isAddress(hostname: string): boolean {
  return hostname.includes(":") || IPV4_PATTERN.test(hostname);
}

/**
 * Returns an IP address and a port in native form, without asking a resolver.
 *
 * @throws {TypeError} when the host is no IP address.
 * @throws {RangeError} when the port is no integer from 0 to 65535.
 */
export function encodeAddress(
  { hostname, port }: HostPort,
): Uint8Array<ArrayBuffer> {
  const bytes = encodeIp(hostname);
  if (bytes !== undefined) return withPort(bytes, port);
  throw new TypeError(
    `Cannot use host "${hostname}": it must be an IP address; ` +
      "systemLookup() returns those of a name, and connect() of a reactor or " +
      "of fibers takes one",
  );
}

/** Returns an IP address in native form; `undefined` for any other text. */
export function encodeIp(
  hostname: string,
): Uint8Array<ArrayBuffer> | undefined {
  const { code, bytes } = ask(hostname, true);
  if (code === NOT_FOUND) return undefined;
  unwrap(code, `parse "${hostname}"`);
  return bytes;
}

/**
 * Returns the first address of a name, and the port, in native form. Blocks the
 * thread while the system's resolver works, as `Deno.listen` does. Listeners
 * use it: their names are the machine's own, and `listen` is synchronous.
 *
 * @throws {RangeError} when the port is no integer from 0 to 65535.
 * @throws {Deno.errors.NotFound} when the name has no address.
 * @throws {Error} with code `EAI_AGAIN` when no name server answers, with
 * `EAI_FAIL` when the name server fails: `getaddrinfo(3)`.
 */
export function resolveOwn(
  { hostname, port }: HostPort,
): Uint8Array<ArrayBuffer> {
  checkPort(port);
  const { code, bytes } = ask(hostname, false);
  if (unwrap(code, `resolve "${hostname}"`) > 0) return withPort(bytes, port);
  throw new Deno.errors.NotFound(
    `Cannot resolve "${hostname}": it has no address`,
  );
}

/** Asks for one address. `code` is a count or `-errno`, `bytes` the address. */
function ask(
  hostname: string,
  isAddress: boolean,
): { code: number; bytes: Uint8Array<ArrayBuffer> } {
  const name = encoder.encode(hostPort({ hostname, port: 0 }).hostname);
  const bytes = new Uint8Array(ADDRESS_BYTES);
  const { length } = name;
  const flag = isAddress ? 1 : 0;
  const code = native().denio_name_resolve(name, length, bytes, 1, flag);
  return { code, bytes };
}

/** Writes a port into an address in native form. */
function withPort(
  bytes: Uint8Array<ArrayBuffer>,
  port: number,
): Uint8Array<ArrayBuffer> {
  checkPort(port);
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  return bytes;
}

/**
 * Returns a Unix path in native form.
 *
 * @throws {TypeError} when it is empty, too long or has a NUL inside.
 */
export function encodePath(path: string): Uint8Array<ArrayBuffer> {
  const why = path === ""
    ? "it must not be empty"
    : path.includes("\0", 1)
    ? "only its first character may be a NUL"
    : undefined;
  const isAbstract = path.startsWith("\0");
  const bytesMax = PATH_BYTES_MAX + (isAbstract ? 1 : 0);
  const bytes = encoder.encode(path);
  if (why === undefined && bytes.length <= bytesMax) return bytes;
  throw new TypeError(
    `Cannot use Unix path "${pathText(path)}": ${
      why ?? `it has ${bytes.length} bytes, the most is ${bytesMax}`
    }`,
  );
}

/**
 * Returns an address in the form of `Deno.NetAddr` or `Deno.UnixAddr`.
 *
 * @param transport The transport of an IP address; a Unix address has its own.
 * @throws {TypeError} when the family is unknown.
 */
export function decodeAddress(
  bytes: Uint8Array,
  transport: "tcp" | "udp" = "tcp",
): SocketAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ADDRESS_BYTES);
  const port = view.getUint16(2);
  const family = view.getUint8(0);
  switch (family) {
    case FAMILY_V4:
      return { transport, hostname: ipv4Text(view, IP_START), port };
    case FAMILY_V6:
      return { transport, hostname: ipv6Text(view), port };
    case FAMILY_UNIX:
      return { transport: "unix", path: pathOf(bytes) };
    default:
      throw new TypeError(`Cannot use an address of family "${family}"`);
  }
}

/** Returns a Unix path for messages: its NUL is shown as `\0`. */
export function pathText(path: string): string {
  return path.replaceAll("\0", "\\0");
}

/** Returns an address as text, IPv6 in brackets. */
export function addressText({ hostname, port }: HostPort): string {
  return hostname.includes(":")
    ? `[${hostname}]:${port}`
    : `${hostname}:${port}`;
}

/**
 * Returns `port`.
 *
 * @throws {RangeError} when it is no integer from 0 to 65535.
 */
export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= PORT_MAX) return port;
  throw new RangeError(
    `Cannot use port "${port}": it must be an integer from 0 to ${PORT_MAX}`,
  );
}

function pathOf(bytes: Uint8Array): string {
  return decoder.decode(bytes.subarray(PATH_START, PATH_START + bytes[1]!));
}

function ipv4Text(view: DataView, start: number): string {
  return [0, 1, 2, 3].map((index) => view.getUint8(start + index)).join(".");
}

function ipv6Text(view: DataView): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) => view.getUint16(IP_START + 2 * index),
  );
  // RFC 5952 section 5: an IPv4-mapped address keeps its dotted form.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 65535) {
    return `::ffff:${ipv4Text(view, IP_START + 12)}`;
  }
  // The URL serialiser compresses zeros by the rules of RFC 5952.
  const text = groups.map((group) => group.toString(16)).join(":");
  const scope = view.getUint32(SCOPE_START);
  const short = new URL(`http://[${text}]`).hostname.slice(1, -1);
  return scope === 0 ? short : `${short}%${scope}`;
}
