/**
 * What every scenario is measured with, and who fell out of which.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import type { CpuReader } from "./cpu_watch.ts";
import { stillWanted } from "./interruption.ts";
import { type LoadCommand, type LoadSeen, runLoad } from "./load_generators.ts";
import type { Machine } from "./machine.ts";
import { type Peer, type RunningPeer, startPeer } from "./peers.ts";
import type { Progress } from "./progress.ts";
import type { Scenario } from "./scenarios.ts";
import type { CallCounter } from "./system_calls.ts";

/** What a benchmark is made with. */
export interface BenchInit {
  /** Servers that can be started. */
  readonly peers: readonly Peer[];
  /** Where they run. */
  readonly machine: Machine;
  /** What tells how much of a processor they used. */
  readonly reader: CpuReader;
  /** What counts system calls, if anything can. */
  readonly countCalls: CallCounter | undefined;
  /** Returns what puts load on servers in a scenario. */
  readonly loadOf: (scenario: Scenario) => LoadCommand;
  /** How often each server is measured. */
  readonly rounds: number;
  /** How long each time. */
  readonly seconds: number;
  /** Told of each step. */
  readonly progress: Progress;
}

/** Servers that run for a scenario, and end with it. */
export interface Servers extends AsyncDisposable {
  /** Those that could be started. */
  readonly running: readonly RunningPeer[];
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
  contestants({ service, route, peers }: Scenario): Peer[] {
    return this.init.peers.filter((peer) =>
      peer.supports(service, route) && (peers?.includes(peer.name) ?? true)
    );
  }

  /** Starts a server, which has all of its core. */
  async start(peer: Peer, { service }: Scenario): Promise<RunningPeer> {
    await stillWanted();
    return await startPeer(peer, service, this.init.machine);
  }

  /** Leaves a server half of its core, if the scenario has it so. */
  limit({ server }: RunningPeer, { isLimited }: Scenario): void {
    if (isLimited) this.init.machine.quota?.add(server.pid);
  }

  /** Starts every server that takes part, and drops those that cannot. */
  async startAll(scenario: Scenario): Promise<Servers> {
    const running: RunningPeer[] = [];
    const stack = new AsyncDisposableStack();
    for (const peer of this.contestants(scenario)) {
      try {
        running.push(stack.use(await this.start(peer, scenario)));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        await this.drop(scenario, peer, error);
      }
    }
    return { running, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  /** Runs a command on the load's core. */
  async load(command: readonly string[]): Promise<LoadSeen> {
    await stillWanted();
    return await runLoad([...this.init.machine.onLoadCore, ...command]);
  }

  /** Says that a server is out of a scenario, and why. */
  async drop(
    { name }: Pick<Scenario, "name">,
    { name: peer }: { readonly name: string },
    error: Failure,
  ): Promise<void> {
    // What fails because everything is being ended is nobody's fault.
    await stillWanted();
    this.failed.add(peer);
    this.notes.push(`${name}: ${peer} is left out: ${error.message}`);
  }
}
