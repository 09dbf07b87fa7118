/**
 * Scenario: a server of fibers that echo, sleep, give up, fail and have
 * children. Every fiber settles, and fibers write the bytes that they read.
 *
 * @module
 */

import { READ_BUFFER_BYTES } from "../../src/bytes/read_buffer.ts";
import type { Fiber } from "../../src/fiber/fiber.ts";
import type { FiberConnection } from "../../src/fiber/fiber_connection.ts";
import { HIGH_WATER_BYTES } from "../../src/reactor/connection_options.ts";
import { expectTagged, taggedBytes } from "./bytes.ts";
import { PlannedError } from "./http_handler.ts";
import { Peer, planOf } from "./peer.ts";
import { servePeers } from "./serving.ts";
import type { Simulation } from "./simulation.ts";
import { Fibers } from "../../mod.ts";

const PORT = 7;
const STREAM_BYTES_MAX = 300_000;
const SLEEP_MS = 20;

/** What one fiber does. */
const MANNERS = ["echo", "echo", "sleepy", "parent", "hasty", "thrower"];

/** Runs the scenario in one world. */
export async function fibersScenario(simulation: Simulation): Promise<void> {
  const { world, reactor, audit } = simulation;
  const fibers = new Fibers(reactor);
  audit.bufferedBytesMax = HIGH_WATER_BYTES + 2 * READ_BUFFER_BYTES;
  audit.expectsReport = isExpected;
  const peers: Peer[] = [];
  let pending = 0;
  const serve = async (connection: FiberConnection, fiber: Fiber) => {
    pending++;
    try {
      const { port } = connection.remoteAddr;
      const peer = peers.find(({ stream }) => stream?.handle === port)!;
      await new Work(world, peer).run(connection, fiber);
    } finally {
      pending--;
    }
  };
  const server = fibers.serve(
    { hostname: "192.0.2.1", port: PORT },
    serve,
  );
  for (let index = world.whole(1, 6); index > 0; index--) {
    peers.push(newPeer(simulation, index));
  }
  await servePeers(simulation, { server, peers, port: PORT }, (ending) => {
    if (ending !== "patient") return;
    for (const peer of peers) expectDone(simulation, peer);
  });
  world.expect(pending === 0, () => `${pending} fibers have not settled`);
  await simulation.finish();
}

/** What one fiber does with its connection. */
class Work {
  readonly #world: Simulation["world"];
  readonly #peer: Peer;
  #received = 0;

  constructor(world: Simulation["world"], peer: Peer) {
    this.#world = world;
    this.#peer = peer;
  }

  async run(connection: FiberConnection, fiber: Fiber): Promise<void> {
    const manner = this.#world.pick(MANNERS);
    this.#world.log(this.#peer.name, `meets a fiber: ${manner}`);
    if (manner === "parent") {
      fiber.spawn((child) => child.sleep(this.#world.delayMs(SLEEP_MS)));
    }
    for (;;) {
      const chunk = await this.#read(connection, fiber, manner);
      if (chunk === null) return;
      if (manner === "sleepy") await fiber.sleep(this.#world.delayMs(SLEEP_MS));
      // Deno's own promises: the reactor must yield to them.
      if (manner === "parent" && this.#world.chance(0.1)) {
        await this.#world.sleep(SLEEP_MS);
      }
      if (manner === "thrower" && this.#world.chance(0.3)) {
        this.#peer.excuse();
        throw new PlannedError("The fiber failed");
      }
      await connection.write(chunk);
    }
  }

  async #read(
    connection: FiberConnection,
    fiber: Fiber,
    manner: string | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const reading = connection.readChunk();
    const chunk = manner === "hasty"
      ? await fiber.withTimeout(SLEEP_MS, reading).catch((error) => {
        if (error instanceof Deno.errors.TimedOut) this.#leave();
        throw error;
      })
      : await reading;
    if (chunk === null) return null;
    const { name, plan: { bytes } } = this.#peer;
    const start = this.#received;
    this.#received += chunk.byteLength;
    if (this.#received > bytes.byteLength) {
      this.#world.fail(`a fiber has read more than ${name} sent`);
    }
    const right = bytes.subarray(start, this.#received);
    if (!chunk.every((byte, index) => byte === right[index])) {
      this.#world.fail(`a fiber has not read what ${name} sent`);
    }
    return chunk;
  }

  #leave(): void {
    this.#peer.excuse();
  }
}

function newPeer({ world }: Simulation, tag: number): Peer {
  const bytes = taggedBytes(tag, 0, world.size(STREAM_BYTES_MAX) - 1);
  const peer: Peer = new Peer(world, {
    name: `peer ${tag}`,
    plan: planOf(world, bytes),
    ears: {
      heard: (heard) => {
        const start = peer.received - heard.byteLength;
        expectTagged(world, heard, { stream: tag, start, name: peer.name });
      },
    },
  });
  return peer;
}

function isExpected(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined
    ? error.cause
    : error;
  return cause instanceof PlannedError ||
    cause instanceof Deno.errors.TimedOut ||
    cause instanceof Deno.errors.ConnectionReset ||
    cause instanceof Deno.errors.BrokenPipe ||
    cause instanceof Error && "code" in cause &&
      ["ENOBUFS", "ENOTCONN"].includes(String(cause.code));
}

/** Checks the end: nothing happens any more, so missing bytes never come. */
function expectDone({ world }: Simulation, peer: Peer): void {
  const { name, plan, sent, received } = peer;
  world.expect(!peer.isWronged, () => `${name} was reset for nothing`);
  if (!peer.isOwed || peer.isStuck) return;
  world.expect(peer.isSilent, () => `${name}: only ${sent} bytes were read`);
  world.expect(
    received === sent,
    () => `${name}: ${received} of ${sent} bytes came back`,
  );
  const hasEnded = plan.end === "half" && sent === plan.bytes.byteLength;
  world.expect(
    !hasEnded || peer.end === "end",
    () => `${name} heard ${peer.end} and no end`,
  );
}
