/**
 * What a server is to the benchmark, before and while it runs.
 *
 * @module
 */

import type { ServerProcess } from "../../server_process.ts";
import type { Ability, Service } from "../scenarios.ts";

/** A server that can be started. */
export interface Peer {
  /** What it is called in the report. */
  readonly name: string;
  /** Which version of it. */
  readonly version: string;
  /** What it can do. */
  readonly can: readonly Ability[];
  /**
   * Returns the command that starts it. It prints `listening on
   * 127.0.0.1:PORT`, and its process is the server's own.
   */
  command(service: Service): string[];
}

/** A peer that runs. */
export interface RunningPeer extends AsyncDisposable {
  /** What it is called in the report. */
  readonly name: string;
  /** Its process. */
  readonly server: ServerProcess;
}
