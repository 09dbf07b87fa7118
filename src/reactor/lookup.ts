/**
 * From names to addresses, without holding the thread.
 *
 * `getaddrinfo(3)` on Deno's own threads, which is what `Deno.connect` asks:
 * it knows `/etc/hosts` and gives every address. `Deno.resolveDns` asks name
 * servers alone and needs a permission for each of them.
 *
 * @module
 */

import type { HostPort } from "../net/address.ts";

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
 * @throws {Deno.errors.NotCapable} when Deno does not permit to look it up.
 */
export async function systemLookup(
  { hostname, port }: HostPort,
): Promise<string[]> {
  // On first use, since loading it takes some time.
  const { lookup } = await import("node:dns");
  return new Promise((resolve, reject) => {
    // Deno looks a name up that is permitted for one port, when told which. The
    // promises' face of the same function does not pass it on.
    const options = { all: true, verbatim: true, port } as const;
    lookup(hostname, options, (error, found) => {
      if (error === null || error === undefined) {
        return resolve(found.map(({ address }) => address));
      }
      const Class = error.code === "EPERM"
        ? Deno.errors.NotCapable
        : Deno.errors.NotFound;
      const text = `Cannot resolve "${hostname}": ${error.message}`;
      reject(new Class(text, { cause: error }));
    });
  });
}
