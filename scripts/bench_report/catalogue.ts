/**
 * Which scenarios the report expects, so that it can say which are missing.
 *
 * @module
 */

import type { FigureName, Results, ScenarioResult } from "../bench/results.ts";

/** What each scenario is called where it was not run and has no title. */
const EXPECTED: Readonly<Record<string, string>> = {
  get: "GET, keep-alive",
  pipeline: "GET, sixteen in a pipeline",
  app: "a browser's GET, JSON answered",
  post: "POST of 1 KB JSON",
  upload: "POST of 64 KiB, sent back",
  big: "GET of 1 MiB",
  sse: "server-sent events",
  churn: "connect, GET, close",
  echo1: "TCP echo, 1 connection",
  echo64: "TCP echo, 64 connections",
  echo512: "TCP echo, 512 connections",
  echo64k: "TCP echo of 64 KiB",
  idle: "memory of a connection that waits",
  "idle-busy": "busy connections beside idle ones",
  latency: "one connection, one request after the other",
  "latency-20ms": "one connection, a request every 20 ms",
  "latency-50ms": "one connection, a request every 50 ms",
  start: "start to first answer",
  "scale-1": "1 connection",
  "scale-8": "8 connections",
  "scale-64": "64 connections",
  "scale-512": "512 connections",
  "scale-4096": "4,096 connections",
  "scale-15000": "15,000 connections",
  "workers-1": "1 Worker",
  "workers-2": "2 Workers",
};

const NAMES = Object.keys(EXPECTED);

/** The scenarios that the README shows and the page begins with. */
export const MAIN = ["get", "pipeline", "app", "echo64"] as const;

/**
 * The scenario whose `perSecond` is no rate but the part of it that is kept
 * beside idle connections.
 */
export const KEPT = "idle-busy";

/** Returns the scenarios in the report's order: unknown ones at the end. */
export function ordered(results: Results): ScenarioResult[] {
  const place = ({ name }: ScenarioResult) =>
    NAMES.includes(name) ? NAMES.indexOf(name) : NAMES.length;
  return results.scenarios.toSorted((one, other) => place(one) - place(other));
}

/** Returns a scenario by its name. */
export function scenarioOf(
  { scenarios }: Results,
  name: string,
): ScenarioResult | undefined {
  return scenarios.find((scenario) => scenario.name === name);
}

/** Returns the scenarios, in order, in which a figure was measured. */
export function withFigure(
  results: Results,
  figure: FigureName,
): ScenarioResult[] {
  return ordered(results).filter(({ peers }) =>
    peers.some(({ figures }) => figures[figure] !== undefined)
  );
}

/** Returns the expected scenarios that are not in the results, by name. */
export function missingScenarios(
  { scenarios }: Results,
): { name: string; title: string }[] {
  const found = new Set(scenarios.map(({ name }) => name));
  return NAMES.filter((name) => !found.has(name))
    .map((name) => ({ name, title: EXPECTED[name]! }));
}
