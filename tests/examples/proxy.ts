/**
 * A TCP proxy: it carries the bytes of a client to another server, and back.
 *
 * The proxy reads from one side only when the other has taken its bytes, so a
 * slow reader slows the writer. The end of one direction is passed on; a reset
 * on either side resets both.
 *
 * `deno run -A tests/examples/proxy.ts 8080 example.com:80`
 *
 * @module
 */

import {
  AttemptsFailed,
  type FiberConnection,
  Fibers,
  type FiberServer,
  type HostPort,
  Reactor,
} from "../../mod.ts";

/** How long connecting to the server may take, in milliseconds. */
const CONNECT_MS = 10_000;
/** The most bytes that the proxy holds in one direction. */
const CHUNK_BYTES = 65_536;

/** Where to listen and where to connect. */
export interface ProxyOptions {
  /** Where clients connect. */
  readonly listen: HostPort;
  /** Where their bytes go. */
  readonly target: HostPort;
  /** The reactor; this thread's shared one when left out. */
  readonly reactor?: Reactor;
}

/** Runs a proxy. */
export function proxy({ listen, target, reactor }: ProxyOptions): FiberServer {
  const options = { ...listen, name: "proxy" };
  return new Fibers(reactor ?? Reactor.shared).serve(
    options,
    async (client, fiber) => {
      const server = await fiber.connect({ ...target, timeoutMs: CONNECT_MS })
        .catch((error) => {
          throw new Error(`The target cannot be reached: ${reasonOf(error)}`);
        });
      try {
        await Promise.all([carry(client, server), carry(server, client)]);
      } catch (error) {
        const isPeers = client.failedWith(error) || server.failedWith(error);
        client.abort();
        server.abort();
        if (!isPeers) throw error;
      }
    },
  );
}

/** Returns why each address of the target refused. */
function reasonOf(error: Error): string {
  if (!(error.cause instanceof AttemptsFailed)) return error.message;
  const reasons = error.cause.failures.map(({ address, error }) =>
    `${address} (${error.name})`
  );
  return reasons.join(", ");
}

/** Carries bytes, and then the end, in one direction. */
async function carry(
  from: FiberConnection,
  to: FiberConnection,
): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) return await to.closeWrite();
    await to.write(buffer.subarray(0, count));
  }
}

if (import.meta.main) {
  const [port = "8080", target = "localhost:80"] = Deno.args;
  const [hostname = "localhost", targetPort = "80"] = target.split(":");
  const { addr } = proxy({
    listen: { hostname: "127.0.0.1", port: Number(port) },
    target: { hostname, port: Number(targetPort) },
  });
  // deno-lint-ignore no-console -- this is a program
  console.log(`Carrying connections of port ${addr.port} to ${target}`);
}
