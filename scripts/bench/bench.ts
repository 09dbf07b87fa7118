/**
 * What every scenario is measured with, and which servers fell out of which.
 *
 * @module
 */

import type { Failure } from "../command_line.ts";
import { stillWanted } from "../interrupt.ts";
import { type LoadSeen, ownLoad, runLoad, wrk } from "./load.ts";
import type { Machine } from "./machine.ts";
import { type Peer, type RunningPeer, startPeer } from "./peers.ts";
import type { Progress } from "./progress.ts";
import { inTurns } from "./rounds.ts";
import { loadFor, type Scenario } from "./scenarios.ts";

/** What a benchmark is made with. */
export interface BenchInit {
  /** Servers that can be started. */
  readonly peers: readonly Peer[];
  /** Where they run. */
  readonly machine: Machine;
  /** How often each server is measured. */
  readonly rounds: number;
  /** How many seconds each time. */
  readonly seconds: number;
  /** Whether system calls can be counted. */
  readonly countsCalls: boolean;
  /** Takes each step. */
  readonly progress: Progress;
}

/** A run of the benchmark. */
export class Bench {
  /** What it was made with. */
  readonly init: BenchInit;
  /** What a reader must know of what happened. */
  readonly notes: string[] = [];
  /** Servers that fell out of a scenario. */
  readonly failed: Set<string> = new Set();

  /** Measures nothing yet. */
  constructor(init: BenchInit) {
    this.init = init;
  }

  /** Returns the servers that take part in a scenario. */
  contestants({ needs, peers }: Scenario): Peer[] {
    return this.init.peers.filter(({ name, can }) =>
      can.includes(needs) && (peers?.includes(name) ?? true)
    );
  }

  /** Starts a server, which has all of its core. */
  async start(peer: Peer, { service }: Scenario): Promise<RunningPeer> {
    await stillWanted();
    return await startPeer(peer, service, this.init.machine.onServerCore);
  }

  /** Leaves a server half of its core, if the scenario wants that. */
  limit({ server }: RunningPeer, { isLimited }: Scenario): void {
    if (isLimited) this.init.machine.quota?.add(server.pid);
  }

  /**
   * Starts every server that takes part, has each measured in turns, and stops
   * them. `measure` says for each round what it does.
   */
  async inTurns<S>(
    scenario: Scenario,
    { warmUp, measure, finish }: {
      readonly warmUp: (server: RunningPeer) => Promise<void>;
      readonly measure: (server: RunningPeer, round: number) => Promise<S>;
      /** Called while the servers still run. */
      readonly finish: (samples: Map<RunningPeer, S[]>) => Promise<void>;
    },
  ): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const running = new Map<Peer, RunningPeer>();
    const samples = await inTurns(this.contestants(scenario), {
      rounds: this.init.rounds,
      warmUp: async (peer) => {
        this.init.progress.step(`warming up ${peer.name}`);
        const server = stack.use(await this.start(peer, scenario));
        running.set(peer, server);
        await warmUp(server);
      },
      measure: (peer, round) => {
        this.step(round, peer);
        return measure(running.get(peer)!, round);
      },
      drop: (peer, error) => this.drop(scenario, peer, error),
    });
    await finish(
      new Map([...samples].map(([peer, all]) => [running.get(peer)!, all])),
    );
  }

  /** Says which round of which server begins, and of what. */
  step(round: number, { name }: { readonly name: string }, what = ""): void {
    const { progress, rounds } = this.init;
    const of = Math.max(rounds, round + 1);
    progress.step(`round ${round + 1} of ${of}, ${name}${what}`);
  }

  /** Returns the command of a scenario's load on a server. */
  commandOf(
    { name, server: { port } }: RunningPeer,
    scenario: Scenario,
    seconds: number,
  ): string[] {
    const { connections, isByWrk } = scenario;
    return isByWrk
      ? wrk(port, connections, seconds)
      : ownLoad(port, connections, loadFor(scenario, name), seconds);
  }

  /** Runs a command on the load's core. */
  async load(command: readonly string[]): Promise<LoadSeen> {
    return await runLoad([...this.init.machine.onLoadCore, ...command]);
  }

  /** Notes that a server is out of a scenario, and why. */
  async drop(
    { name }: Scenario,
    { name: peer }: { readonly name: string },
    error: Failure,
  ): Promise<void> {
    // What fails because the script is being ended is no server's fault.
    await stillWanted();
    this.failed.add(peer);
    this.notes.push(`${name}: ${peer} is left out: ${error.message}`);
  }
}
