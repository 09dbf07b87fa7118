/**
 * From names to addresses, without holding the thread.
 *
 * `getaddrinfo(3)` on Deno's own threads, which is what `Deno.connect` asks:
 * it knows `/etc/hosts` and gives every address. `Deno.resolveDns` asks name
 * servers alone and needs a permission for each of them.
 *
 * @module
 */

import {
  decodeAddress,
  type HostPort,
  resolve,
  type TcpAddress,
} from "../net/address.ts";

/** What no name is: RFC 1123 section 2.1 keeps the two apart. */
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;

/** Returns the IP addresses of a name, the preferred ones first. */
export type Lookup = (address: HostPort) => Promise<string[]>;

/** Whether `hostname` is an IP address, which needs no lookup. */
export function isAddress(hostname: string): boolean {
  return hostname.includes(":") || IPV4.test(hostname);
}

/**
 * Asks the system's resolver.
 *
 * @throws {Deno.errors.NotFound} when nobody knows the name.
 */
export async function systemLookup(
  { hostname, port }: HostPort,
): Promise<string[]> {
  try {
    // On first use, since loading it takes some time.
    const { lookup } = await import("node:dns/promises");
    const found = await lookup(hostname, { all: true, verbatim: true });
    return found.map(({ address }) => address);
  } catch (error) {
    const { code } = error as { code?: string };
    // Allowed for one port, which a lookup by name alone cannot say. The
    // caller has asked for that; this resolver blocks, and finds one address.
    if (code === "EPERM") {
      const address = decodeAddress(resolve({ hostname, port }));
      return [(address as TcpAddress).hostname];
    }
    throw new Deno.errors.NotFound(
      `Cannot resolve "${hostname}": ${(error as Error).message}`,
      { cause: error },
    );
  }
}
