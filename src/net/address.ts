/**
 * Addresses, as Deno shows them and as native code lays them out.
 *
 * @module
 */

import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { ADDRESS_BYTES } from "../native/symbols.ts";

/** The most addresses that are looked at for one name. */
const ADDRESSES_MAX = 16;
const FAMILY_V6 = 6;
const PORT_MAX = 65535;
const IP_START = 8;

/** A TCP address, as Deno has it. */
export interface TcpAddress extends Deno.NetAddr {
  /** Always TCP. */
  transport: "tcp";
}

/** Where to listen or connect. */
export interface HostPort {
  /** An IP address, or a name that the system's resolver knows. */
  hostname: string;
  /** From 0 to 65535; 0 lets the system choose when listening. */
  port: number;
}

/**
 * Returns an address in native form, asking the system's resolver for a name,
 * which blocks; an IP address is only parsed.
 *
 * @throws {RangeError} when the port is no integer from 0 to 65535.
 * @throws {Deno.errors.NotFound} when nobody knows the name.
 */
export function resolve({ hostname, port }: HostPort): Uint8Array<ArrayBuffer> {
  checkPort(port);
  const name = new TextEncoder().encode(hostname);
  const found = new Uint8Array(ADDRESS_BYTES * ADDRESSES_MAX);
  const count = unwrap(
    native().denio_name_resolve(name, name.length, found, ADDRESSES_MAX),
    `resolve "${hostname}"`,
  );
  if (count === 0) {
    throw new Deno.errors.NotFound(
      `Cannot resolve "${hostname}": it has no address`,
    );
  }
  const address = found.slice(0, ADDRESS_BYTES);
  new DataView(address.buffer).setUint16(2, port);
  return address;
}

/** Returns the address in the form of `Deno.NetAddr`. */
export function decodeAddress(bytes: Uint8Array): TcpAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ADDRESS_BYTES);
  const hostname = view.getUint8(0) === FAMILY_V6
    ? ipv6Text(view)
    : ipv4Text(view, IP_START);
  return { transport: "tcp", hostname, port: view.getUint16(2) };
}

/** Returns an address as one writes it: IPv6 in brackets. */
export function addressText({ hostname, port }: HostPort): string {
  return hostname.includes(":")
    ? `[${hostname}]:${port}`
    : `${hostname}:${port}`;
}

/**
 * Returns `port` when it is one.
 *
 * @throws {RangeError} when it is no integer from 0 to 65535.
 */
export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= PORT_MAX) return port;
  throw new RangeError(
    `Cannot use port "${port}": it must be an integer from 0 to ${PORT_MAX}`,
  );
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
  // The URL serialiser compresses zeros as RFC 5952 asks.
  const text = groups.map((group) => group.toString(16)).join(":");
  const scope = view.getUint32(4);
  const short = new URL(`http://[${text}]`).hostname.slice(1, -1);
  return scope === 0 ? short : `${short}%${scope}`;
}
