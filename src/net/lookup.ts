/**
 * From names to addresses, without holding the thread.
 *
 * `getaddrinfo(3)` on Deno's own threads, which is what `Deno.connect` asks:
 * it knows `/etc/hosts` and gives every address. `Deno.resolveDns` asks name
 * servers alone and needs a permission for each of them.
 *
 * @module
 */

import type { HostPort } from "./address.ts";

/** Returns the IP addresses of a name, the preferred ones first. */
export type Lookup = (address: HostPort) => Promise<string[]>;

/** The classes of the resolver's errors; others are of `Error`. */
const CLASSES: Record<
  string,
  new (message: string, options: ErrorOptions) => Error
> = {
  ENOTFOUND: Deno.errors.NotFound,
  EPERM: Deno.errors.NotCapable,
};

/**
 * Asks the system's resolver for the addresses of a name: what a socket on a
 * `Poll` needs, which takes addresses alone. An address is its own.
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
 * @throws {Deno.errors.NotFound} when nobody knows the name.
 * @throws {Deno.errors.NotCapable} without `--allow-net` for name and port.
 * @throws {Error} with code `EAI_AGAIN` when no name server has answered.
 */
export async function systemLookup(
  { hostname, port }: HostPort,
): Promise<string[]> {
  // On first use: a program would start 3 milliseconds later for it.
  const { lookup } = await import("node:dns");
  return new Promise((resolve, reject) => {
    // Deno looks a name up that is permitted for one port, when told which. The
    // promises' face of the same function does not pass it on.
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
