/**
 * Says what was measured, for people and for programs.
 *
 * @module
 */

import { type Figures, type Ratios, ratiosOf } from "./figures.ts";
import { type Row, rows } from "../table.ts";
import type { IdleFigures } from "./idle.ts";
import { BASELINE, LIMIT, SUBJECT } from "./peers.ts";

/** What came of a run. */
export interface Report {
  /** Under which conditions, a line each. */
  readonly notes: readonly string[];
  /** Scenarios under load, by title; servers by name. */
  readonly load: ReadonlyMap<string, ReadonlyMap<string, Figures>>;
  /** Servers with idle connections, by name. */
  readonly idle: ReadonlyMap<string, IdleFigures>;
}

const LOAD_HEAD: Row = ["", "user", "system", "both", "per s", "per CPU s"];
const IDLE_HEAD: Row = ["", "connections", "bytes each"];

/** Returns the report as lines of text. */
export function reportLines({ notes, load, idle }: Report): string[] {
  const lines = notes.map((note) => `- ${note}`);
  for (const [title, servers] of load) {
    const body = [...servers].map(([name, figures]) => loadRow(name, figures));
    lines.push("", `${title} (microseconds of CPU a request, requests)`);
    lines.push(...rows(LOAD_HEAD, body), ...ratioLines(servers));
  }
  if (idle.size > 0) {
    const body = [...idle].map(([name, figures]) => [
      name,
      count(figures.connections),
      count(figures.bytesPerConnection),
    ]);
    lines.push("", "Idle connections", ...rows(IDLE_HEAD, body));
  }
  return lines;
}

/** Returns the report as one object. */
export function reportJson(
  { notes, load, idle }: Report,
): Record<string, unknown> {
  const scenarios = [...load].map(([title, servers]) =>
    [
      title,
      Object.fromEntries(
        [...servers].map(([name, figures]) => [name, {
          ...figures,
          toDenoServe: ratios(figures, servers.get(BASELINE)),
          toBareLoop: ratios(figures, servers.get(LIMIT)),
        }]),
      ),
    ] as const
  );
  return {
    notes,
    load: Object.fromEntries(scenarios),
    idle: Object.fromEntries(idle),
  };
}

function loadRow(name: string, figures: Figures): Row {
  return [
    name,
    figures.userUs.toFixed(2),
    figures.systemUs.toFixed(2),
    figures.cpuUs.toFixed(2),
    count(figures.requestsPerSecond),
    count(figures.requestsPerCpuSecond),
  ];
}

/** What denio is to the others, which is what a run is for. */
function ratioLines(servers: ReadonlyMap<string, Figures>): string[] {
  const subject = servers.get(SUBJECT);
  if (subject === undefined) return [];
  return [BASELINE, LIMIT].flatMap((name) => {
    const ratio = ratios(subject, servers.get(name));
    if (ratio === null) return [];
    const { user, cpu, requestsPerCpuSecond } = ratio;
    return `  ${SUBJECT} / ${name}: user CPU ${user.toFixed(2)}, CPU ` +
      `${cpu.toFixed(2)}, requests per CPU s ${
        requestsPerCpuSecond.toFixed(2)
      }`;
  });
}

function ratios(figures: Figures, base: Figures | undefined): Ratios | null {
  return base === undefined ? null : ratiosOf(figures, base);
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
