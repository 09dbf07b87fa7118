/**
 * From names to addresses, without holding the thread.
 *
 * `getaddrinfo(3)` on Deno's own threads, which is what `Deno.connect` asks:
 * it knows `/etc/hosts` and gives every address. `Deno.resolveDns` asks name
 * servers alone and needs a permission for each of them.
 *
 * @module
 */

import { lookup as lookUp } from "node:dns/promises";
import { isIP } from "node:net";
import { decodeAddress, type HostPort, resolve } from "../net/address.ts";

/** Returns the IP addresses of a name, the preferred ones first. */
export type Lookup = (address: HostPort) => Promise<string[]>;

/** Whether `hostname` is an IP address, which needs no lookup. */
export function isAddress(hostname: string): boolean {
  return isIP(hostname) !== 0;
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
    const found = await lookUp(hostname, { all: true, verbatim: true });
    return found.map(({ address }) => address);
  } catch (error) {
    const { code } = error as { code?: string };
    // Allowed for one port, which a lookup by name alone cannot say. The
    // caller has asked for that; this resolver blocks, and finds one address.
    if (code === "EPERM") {
      return [decodeAddress(resolve({ hostname, port })).hostname];
    }
    throw new Deno.errors.NotFound(
      `Cannot resolve "${hostname}": ${(error as Error).message}`,
      { cause: error },
    );
  }
}
