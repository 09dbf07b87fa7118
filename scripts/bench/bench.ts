/**
 * The options and programs that every scenario is measured with, and the
 * servers that cannot take part.
 *
 * @module
 */

import type { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { type LoadSeen, ownLoad, runLoad, wrk } from "./load.ts";
import type { Machine } from "./machine.ts";
import { type Peer, type RunningPeer, startPeer } from "./peers.ts";
import type { Progress } from "./progress.ts";
import { backendOf, loadFor, type Scenario, SUBJECT } from "./scenarios.ts";

/** The parts of a benchmark. */
export interface BenchInit {
  readonly peers: readonly Peer[];
  readonly machine: Machine;
  /** How often each server is measured. */
  readonly rounds: number;
  /** How many seconds each time. */
  readonly seconds: number;
  /** Whether system calls can be counted. */
  readonly countsCalls: boolean;
  readonly progress: Progress;
}

/** A run of the benchmark. */
export class Bench {
  /** Lines for the reader about the conditions of the run. */
  readonly notes: string[] = [];
  /** Servers that cannot take part in a scenario. */
  readonly failed: Set<string> = new Set();

  /** Measures nothing yet. */
  constructor(readonly init: BenchInit) {}

  /** Returns the servers that take part in a scenario. */
  contestants({ needs, peers }: Scenario): Peer[] {
    return this.init.peers.filter(({ name, can }) => {
      const face = backendOf(name) === undefined ? name : SUBJECT;
      return can.includes(needs) && (peers?.includes(face) ?? true);
    });
  }

  /** Starts a server, which has its whole core. */
  async start(peer: Peer, { service }: Scenario): Promise<RunningPeer> {
    await stillWanted();
    return await startPeer(peer, service, this.init.machine.onServerCore);
  }

  /** Returns the command of a scenario's load on a server. */
  commandOf(
    { name, port }: RunningPeer,
    scenario: Scenario,
    seconds?: number,
  ): string[] {
    const { connections, isByWrk } = scenario;
    const command = isByWrk
      ? wrk(port, connections, seconds!)
      : ownLoad(port, connections, loadFor(scenario, name), seconds);
    return [...this.init.machine.onLoadCore, ...command];
  }

  /** Puts a scenario's load on a server. */
  async load(
    server: RunningPeer,
    scenario: Scenario,
    seconds: number,
  ): Promise<LoadSeen> {
    return await runLoad(this.commandOf(server, scenario, seconds));
  }

  /** Notes that a server is out of a scenario, and why. */
  async drop(
    { name }: Scenario,
    { name: peer }: Peer,
    error: Failure,
  ): Promise<void> {
    // A failure because the script ends is no fault of the server.
    await stillWanted();
    this.failed.add(peer);
    this.notes.push(`${name}: ${peer} is left out: ${error.message}`);
  }
}
