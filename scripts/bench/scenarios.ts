/**
 * What is measured.
 *
 * @module
 */

/** A way to put load on a server. */
export interface LoadScenario {
  /** What it is, for people. */
  readonly title: string;
  /** Connections that are open at once. */
  readonly connections: number;
  /** Requests that are sent before an answer comes. */
  readonly depth: number;
}

/** A way to put idle connections on a server. */
export interface IdleScenario {
  /** What it is, for people. */
  readonly title: string;
  /** Connections wanted; fewer where descriptors are short. */
  readonly idleConnections: number;
}

/** A scenario of either kind. */
export type Scenario = LoadScenario | IdleScenario;

/** Every scenario, by the name that `--only` takes. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  get: { title: "GET, keep-alive", connections: 64, depth: 1 },
  pipeline: {
    title: "GET, sixteen in a pipeline",
    connections: 64,
    depth: 16,
  },
  idle: {
    title: "memory of a connection that waits",
    idleConnections: 15_000,
  },
};
