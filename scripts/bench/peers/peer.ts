/**
 * A server as the benchmark knows it, before and while it runs.
 *
 * @module
 */

import type { ServerProcess } from "../../server_process.ts";
import type { Ability, Service } from "../scenarios.ts";

/** A server that can be started. */
export interface Peer {
  /** Its name in the report. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** The services that it has. */
  readonly can: readonly Ability[];
  /**
   * Returns the command that starts it. It prints `listening on
   * 127.0.0.1:PORT`, and its process is the server's own.
   */
  command(service: Service): string[];
}

/** A peer that runs. */
export interface RunningPeer extends AsyncDisposable {
  /** Its name in the report. */
  readonly name: string;
  /** Its process. */
  readonly server: ServerProcess;
}
