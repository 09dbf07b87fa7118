/**
 * What a server is to the benchmark, before and while it runs.
 *
 * @module
 */

import type { ServerProcess } from "../../server_process.ts";

/**
 * What a server may be asked for: `http`, all routes; `hello`, HTTP with one
 * answer to everything, the least that a handler can do; `echo`, TCP; and
 * `hello` on one Worker or two, which only denio has.
 */
export type Service = "http" | "hello" | "echo" | "workers-1" | "workers-2";

/** A server that can be started. */
export interface Peer {
  /** What it is called in the report. */
  readonly name: string;
  /** Which version of it. */
  readonly version: string;
  /**
   * Whether it can be asked for a route of a service: `hello`, `app`, `json`,
   * `echo`, `big` or `events`. Of `echo` there is only one, by any name.
   */
  supports(service: Service, route: string): boolean;
  /**
   * Returns the command that starts it. It prints `listening on
   * 127.0.0.1:PORT`, and its process is the server's own.
   */
  command(service: Service): string[];
}

/** A server that cannot be measured here. */
export interface Missing {
  /** Its name. */
  readonly peer: string;
  /** Why, in one line. */
  readonly reason: string;
}

/** A peer that runs. */
export interface RunningPeer extends AsyncDisposable {
  /** What it is called in the report. */
  readonly name: string;
  /** Its process. */
  readonly server: ServerProcess;
}

/** Every route of `http`. */
export const ROUTES = [
  "hello",
  "app",
  "json",
  "echo",
  "big",
  "events",
] as const;

/** A route of `http`. */
export type Route = typeof ROUTES[number];

/** Returns a peer's `supports`, from the routes of each service. */
export function supporting(
  routes: {
    readonly http?: readonly Route[];
    readonly echo?: true;
    readonly workers?: true;
  },
): Peer["supports"] {
  const { http = [], echo = false, workers = false } = routes;
  return (service, route) => {
    if (service === "echo") return echo;
    if (service !== "http" && route !== "hello") return false;
    if (service !== "http" && service !== "hello") return workers;
    return http.some((known) => known === route);
  };
}
