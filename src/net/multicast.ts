/**
 * Multicast groups and network interfaces, as native code takes them.
 *
 * @module
 */

import { encodeIp, FAMILY_V4, IP_START, SCOPE_START } from "./address.ts";

const INDEX_MAX = 0xffff_ffff;

/**
 * Returns a multicast group in native form.
 *
 * @throws {TypeError} when it is no multicast address: 224.0.0.0 to
 * 239.255.255.255 (RFC 5771), or one that begins with ff (RFC 4291).
 */
export function encodeGroup(group: string): Uint8Array<ArrayBuffer> {
  const bytes = encodeIp(group);
  if (bytes !== undefined) {
    const first = bytes[IP_START]!;
    const isGroup = bytes[0] === FAMILY_V4
      ? first >= 224 && first <= 239
      : first === 255;
    if (isGroup) return bytes;
  }
  throw new TypeError(
    `Cannot use multicast group "${group}": it must be an IP address from ` +
      "224.0.0.0 to 239.255.255.255, or one that begins with ff",
  );
}

/**
 * Chooses the network interface for a group. Returns the interface in native
 * form for an IPv4 group. For an IPv6 group it writes the index into the group
 * as its scope and returns `null`, as it does for the system's choice.
 *
 * @param group The group to join, in native form.
 * @throws {TypeError} when the interface is not an IPv4 address for an IPv4
 * group, or not an index for an IPv6 group.
 * @throws {RangeError} when the index is out of range.
 */
export function chooseInterface(
  group: Uint8Array<ArrayBuffer>,
  networkInterface: string | number | undefined,
): Uint8Array<ArrayBuffer> | null {
  if (networkInterface === undefined) return null;
  if (group[0] === FAMILY_V4) return interfaceByAddress(networkInterface);
  const index = checkIndex(networkInterface);
  new DataView(group.buffer).setUint32(SCOPE_START, index);
  return null;
}

function checkIndex(index: string | number): number {
  if (typeof index !== "number") {
    throw new TypeError(
      `Cannot use network interface "${index}" with an IPv6 group: it must ` +
        "be the number of its index",
    );
  }
  if (Number.isInteger(index) && index >= 0 && index <= INDEX_MAX) return index;
  throw new RangeError(
    `Cannot use network interface "${index}": it must be an integer from 0 ` +
      `to ${INDEX_MAX}`,
  );
}

function interfaceByAddress(address: string | number): Uint8Array<ArrayBuffer> {
  const bytes = typeof address === "string" ? encodeIp(address) : undefined;
  if (bytes?.[0] === FAMILY_V4) return bytes;
  throw new TypeError(
    `Cannot use network interface "${address}" with an IPv4 group: it must ` +
      "be one of its IPv4 addresses",
  );
}
