/**
 * The servers that are compared: which of them this machine has, and how they
 * are started.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { type ServerProcess, startServer } from "../server_process.ts";
import { recipeOf, RECIPES } from "./peers/recipes.ts";
import type { Peer, Tools } from "./peers/tools.ts";
import type { Service } from "./scenarios.ts";

export type { Peer };

/** A peer that runs. */
export type RunningPeer = ServerProcess & { readonly name: string };

/** How long a server may take from its start until it listens. */
const LISTEN_MS = 5_000;
/** How often the benchmark tries a port until a server listens. */
const RETRY_MS = 1;

/** Every peer's name, in the order of the report. */
export const PEER_NAMES: readonly string[] = Object.keys(RECIPES);

/** Builds and installs the servers, and notes why some cannot be had. */
export async function preparePeers(
  names: readonly string[],
  tools: Tools,
): Promise<{ peers: Peer[]; missing: Record<string, string> }> {
  const peers: Peer[] = [];
  const missing: Record<string, string> = {};
  for (const name of new Set(names)) {
    try {
      peers.push({ ...await recipeOf(name)(tools), name });
    } catch (error) {
      // The others can still be measured.
      missing[name] = (error as Error).message.split("\n", 1)[0]!;
    }
  }
  return { peers, missing };
}

/**
 * Starts a peer on the servers' core, and waits until it listens.
 *
 * @throws {Failure} when it does not.
 */
export async function startPeer(
  { name, command }: Peer,
  service: Service,
  onServerCore: readonly string[] = [],
): Promise<RunningPeer> {
  const server = await startServer([...onServerCore, ...command(service)]);
  try {
    using _connection = await connected(server.port);
    return { ...server, name };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Connects: nginx prints its address before it listens. */
export async function connected(port: number): Promise<Deno.TcpConn> {
  const deadlineMs = performance.now() + LISTEN_MS;
  for (;;) {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      if (performance.now() > deadlineMs) throw new Failure(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
