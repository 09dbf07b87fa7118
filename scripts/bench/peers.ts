/**
 * The servers that are compared: which of them this machine has, and how they
 * are started.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import { type ServerProcess, startServer } from "../server_process.ts";
import { hasProgram } from "./machine.ts";
import { checkAnswers } from "./peers/answers.ts";
import type { Missing, Peer, RunningPeer, Service } from "./peers/peer.ts";
import { RECIPES } from "./peers/recipes.ts";
import type { Tools } from "./peers/tools.ts";

export type { Missing, Peer, RunningPeer, Service } from "./peers/peer.ts";
export { BASELINE, LIMIT, SUBJECT } from "./peers/recipes.ts";

/** How long a server that has been started may take to listen. */
const LISTEN_MS = 5_000;
/** How often a port is tried on which nobody listens yet. */
const LOOK_MS = 5;

/** Every peer's name, in the order of the report. */
export const PEER_NAMES: readonly string[] = Object.keys(RECIPES);

/** Which peers are wanted, and what may be done to get them. */
export interface PrepareOptions {
  /** By name; all of them when left out. */
  readonly names?: readonly string[];
  /** Told of what takes long. */
  readonly progress: (line: string) => void;
  /** Whether npm packages may be fetched; they may when left out. */
  readonly mayInstall?: boolean;
  /** Whether a program is on PATH; asked of the system when left out. */
  readonly has?: (program: string) => boolean;
}

/** Builds and installs what is wanted, and says what cannot be had and why. */
export async function preparePeers(
  { names = PEER_NAMES, progress, mayInstall = true, has = hasProgram }:
    PrepareOptions,
): Promise<{ peers: Peer[]; missing: Missing[] }> {
  const peers: Peer[] = [];
  const missing: Missing[] = [];
  for (const name of new Set(names)) {
    try {
      peers.push(await prepare(name, { has, progress, mayInstall }));
    } catch (error) {
      // Whatever it is, the others can still be measured.
      const [reason = ""] = (error as Error).message.split("\n");
      missing.push({ peer: name, reason });
    }
  }
  return { peers, missing };
}

async function prepare(name: string, tools: Tools): Promise<Peer> {
  const recipe = Object.hasOwn(RECIPES, name) ? RECIPES[name] : undefined;
  if (recipe !== undefined) return await recipe(tools);
  throw new Failure(
    `no peer has this name; there are ${PEER_NAMES.join(", ")}`,
  );
}

/**
 * Starts a peer on the core that is the servers', and asks it once for each
 * route that it supports.
 *
 * @throws {Failure} that names the peer, and the route that it answers wrongly.
 */
export async function startPeer(
  peer: Peer,
  service: Service,
  machine: { readonly onServerCore: readonly string[] },
): Promise<RunningPeer> {
  const { name } = peer;
  const command = [...machine.onServerCore, ...peer.command(service)];
  const server = await startServer(command);
  const stop = () => server.stop();
  try {
    await untilItListens(server);
    await checkAnswers(peer, service, server.port);
    return { name, server, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw new Failure(`Cannot measure ${name}: ${(error as Error).message}`);
  }
}

/** One peer says where it will listen before it does: nginx. */
async function untilItListens({ port }: ServerProcess): Promise<void> {
  const endMs = performance.now() + LISTEN_MS;
  for (;;) {
    try {
      using _conn = await Deno.connect({ hostname: "127.0.0.1", port });
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      if (performance.now() > endMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
