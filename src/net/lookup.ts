/**
 * From names to addresses, without blocking the thread.
 *
 * Deno's own threads call `getaddrinfo(3)`, as for `Deno.connect`: it reads
 * `/etc/hosts` and returns every address. `Deno.resolveDns` would ask only name
 * servers, and needs a permission for each of them.
 *
 * @module
 */

import type { HostPort } from "./address.ts";

/** Returns the IP addresses of a name, the preferred ones first. */
export type Lookup = (address: HostPort) => Promise<string[]>;

/** The classes of the resolver's errors, by code; all others are `Error`. */
const CLASSES: Record<
  string,
  new (message: string, options: ErrorOptions) => Error
> = {
  ENOTFOUND: Deno.errors.NotFound,
  EPERM: Deno.errors.NotCapable,
};

/**
 * Asks the system's resolver for the IP addresses of a name, since a socket on
 * a `Poll` takes only addresses. For an IP address it returns that address.
 *
 * @example Connect to a name, on a Poll
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { systemLookup } from "./lookup.ts";
 * import { TcpListener } from "./tcp_listener.ts";
 * import { TcpStream } from "./tcp_stream.ts";
 *
 * using listener = TcpListener.bind({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.localAddress;
 * const addresses = await systemLookup({ hostname: "localhost", port });
 * const hostname = addresses.find((address) => !address.includes(":"))!;
 * using stream = TcpStream.connect({ hostname, port });
 * assertEquals(stream.peerAddress, listener.localAddress);
 * ```
 *
 * @throws {Deno.errors.NotFound} when the name has no address.
 * @throws {Deno.errors.NotCapable} without `--allow-net` for name and port.
 * @throws {Error} with code `EAI_AGAIN` when no name server answers.
 */
export async function systemLookup(
  { hostname, port }: HostPort,
): Promise<string[]> {
  // Loaded on first use: it takes 3 milliseconds of a program's start.
  const { lookup } = await import("node:dns");
  return new Promise((resolve, reject) => {
    // Deno checks the permission for the name and this port. `dns.promises`
    // does not pass the port on: Deno would then refuse a name that is
    // permitted for one port.
    const options = { all: true, verbatim: true, port } as const;
    lookup(hostname, options, (error, found) => {
      if (error === null || error === undefined) {
        return resolve(found.map(({ address }) => address));
      }
      const { code = "" } = error;
      const text = `Cannot resolve "${hostname}": ${error.message}`;
      const failure = new (CLASSES[code] ?? Error)(text, { cause: error });
      reject(Object.assign(failure, { code }));
    });
  });
}
