/**
 * From what was counted to what is compared.
 *
 * @module
 */

import type { CpuUse } from "./cpu_watch.ts";
import type { LoadSeen } from "./load_generators.ts";
import { LIMIT, SUBJECT } from "./peers.ts";
import {
  type FigureName,
  FIGURES,
  type PeerResult,
  type Spread,
} from "./results.ts";

const US_PER_SECOND = 1_000_000;
/** denio's other face, for echo: a fiber for each connection. */
export const FIBERS = "denio fibers";
const OURS: readonly string[] = [SUBJECT, FIBERS];

/** What was measured of a server. */
export type Figures = PeerResult["figures"];

/** One round of one server. */
export interface Sample extends Omit<LoadSeen, "endedMs"> {
  /** What the server used meanwhile. */
  readonly cpu: CpuUse;
}

/** Returns the median and the spread of some numbers, at least one. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
  };
}

/** Returns the middle of some numbers, of which there is at least one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Returns what a server is worth by its rounds, at least one. */
export function figuresOf(samples: readonly Sample[]): Figures {
  const of = (figure: (sample: Sample) => number) =>
    spreadOf(samples.map(figure));
  const cpuUs = of(({ cpu, requests }) => cpu.totalUs / requests);
  // Whose it was is a guess: only all rounds together make a good one.
  const userUs = sum(samples, ({ cpu }) => cpu.userUs);
  const userShare = userUs / (userUs + sum(samples, ({ cpu }) => cpu.systemUs));
  return finite({
    userUs: scaled(cpuUs, userShare),
    systemUs: scaled(cpuUs, 1 - userShare),
    cpuUs,
    perSecond: of(({ requests, seconds }) => requests / seconds),
    perCpuSecond: of(({ requests, cpu }) =>
      requests / cpu.totalUs * US_PER_SECOND
    ),
    p50Us: of(({ latencyUs }) => latencyUs.p50Us ?? NaN),
    p99Us: of(({ latencyUs }) => latencyUs.p99Us ?? NaN),
    p999Us: of(({ latencyUs }) => latencyUs.p999Us ?? NaN),
  });
}

/**
 * Returns each server's figures with their ratios to the best of the others. No
 * server can be better than the bare loop, so none is compared with it, and
 * denio's faces are no rivals.
 */
export function withRatios(
  peers: readonly Omit<PeerResult, "toBest">[],
): PeerResult[] {
  return peers.map((own) => {
    const rivals = peers.filter(({ peer }) =>
      peer !== LIMIT &&
      !(peer === own.peer || OURS.includes(peer) && OURS.includes(own.peer))
    );
    const { peer, figures, ...note } = own;
    return { peer, figures, toBest: ratiosOf(figures, rivals), ...note };
  });
}

function ratiosOf(
  figures: Figures,
  rivals: readonly { readonly figures: Figures }[],
): PeerResult["toBest"] {
  const ratios: Partial<Record<FigureName, number>> = {};
  for (const [key, own] of Object.entries(figures)) {
    const name = key as FigureName;
    const best = bestOf(name, rivals.map((rival) => rival.figures));
    // A ratio to nothing, or to less than that, would say nothing.
    if (best !== undefined && best > 0) ratios[name] = own.median / best;
  }
  return ratios;
}

function bestOf(
  name: FigureName,
  figures: readonly Figures[],
): number | undefined {
  const medians = figures
    .map((of) => of[name]?.median)
    .filter((value) => value !== undefined);
  if (medians.length === 0) return undefined;
  const better = FIGURES[name].lessIsBetter ? Math.min : Math.max;
  return better(...medians);
}

function scaled({ median, min, max }: Spread, by: number): Spread {
  return { median: median * by, min: min * by, max: max * by };
}

/** Leaves out what could not be measured: JSON knows no such number. */
function finite(figures: Record<string, Spread>): Figures {
  return Object.fromEntries(
    Object.entries(figures).filter(([, { median, min, max }]) =>
      [median, min, max].every(Number.isFinite)
    ),
  );
}

function sum(
  samples: readonly Sample[],
  figure: (sample: Sample) => number,
): number {
  return samples.reduce((total, sample) => total + figure(sample), 0);
}
