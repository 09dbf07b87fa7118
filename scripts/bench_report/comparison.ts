/**
 * denio beside others, in words.
 *
 * @module
 */

import {
  type FigureName,
  FIGURES,
  type PeerResult,
  type ScenarioResult,
  type Spread,
} from "../bench/results.ts";
import { shareText } from "./numbers.ts";
import { BASELINE, FIBERS, isOwn, LIMIT, SUBJECT } from "./peers.ts";

/** Returns the median of a peer's figure. */
export function medianOf(
  scenario: ScenarioResult,
  peer: string,
  figure: FigureName,
): number | undefined {
  return spreadOf(scenario, peer, figure)?.median;
}

/** Returns a peer's figure. */
function spreadOf(
  { peers }: ScenarioResult,
  name: string,
  figure: FigureName,
): Spread | undefined {
  return peers.find(({ peer }) => peer === name)?.figures[figure];
}

/** Returns the peers that have a figure, the best first. */
export function sortedBy(
  { peers }: ScenarioResult,
  figure: FigureName,
): PeerResult[] {
  const sign = FIGURES[figure].lessIsBetter ? 1 : -1;
  const of = ({ figures }: PeerResult) => figures[figure]!.median * sign;
  return peers.filter(({ figures }) => figures[figure] !== undefined)
    .toSorted((one, other) => of(one) - of(other));
}

/** Returns a peer's figure in units of another's. */
export function ratioOf(
  scenario: ScenarioResult,
  figure: FigureName,
  [peer, base]: readonly [string, string],
): number | undefined {
  const own = medianOf(scenario, peer, figure);
  const other = medianOf(scenario, base, figure);
  return own === undefined || !other ? undefined : own / other;
}

/** What is said of a figure: denio does, of somebody's what. */
const PHRASES: Readonly<Partial<Record<FigureName, [string, string]>>> = {
  userUs: ["needs", "user CPU"],
  cpuUs: ["needs", "whole CPU"],
  perSecond: ["does", "work per second"],
  perCpuSecond: ["does", "work per CPU second"],
  p50Us: ["has", "p50"],
  p99Us: ["has", "p99"],
  p999Us: ["has", "p99.9"],
  systemCalls: ["makes", "system calls"],
  bytesEach: ["takes", "memory"],
  startMs: ["takes", "time"],
  allocatedBytes: ["allocates", "bytes"],
};

function verbOf(figure: FigureName): string {
  return PHRASES[figure]?.[0] ?? "has";
}

/** Returns what a figure is called in a sentence. */
export function phraseOf(figure: FigureName): string {
  return PHRASES[figure]?.[1] ?? FIGURES[figure].title;
}

/**
 * Returns sentences that compare denio in a figure, and perhaps a second one:
 * with Deno, and with the best of the others.
 */
export function comparison(
  scenario: ScenarioResult,
  figure: FigureName,
  second?: FigureName,
): string {
  if (medianOf(scenario, SUBJECT, figure) === undefined) {
    return `${SUBJECT} was not measured.`;
  }
  return [
    withBaseline(scenario, figure, second),
    fibersWithBaseline(scenario, figure),
    withBest(scenario, figure),
  ].filter((sentence) => sentence !== undefined).join(" ");
}

function withBaseline(
  scenario: ScenarioResult,
  figure: FigureName,
  second?: FigureName,
): string | undefined {
  const pair = [SUBJECT, BASELINE] as const;
  const ratio = ratioOf(scenario, figure, pair);
  if (ratio === undefined) return undefined;
  const more = second === undefined
    ? undefined
    : ratioOf(scenario, second, pair);
  const and = more === undefined
    ? ""
    : ` and ${shareText(more)} its ${phraseOf(second!)}`;
  return `${SUBJECT} ${verbOf(figure)} ${shareText(ratio)} ` +
    `${BASELINE}'s ${phraseOf(figure)}${and}.`;
}

function fibersWithBaseline(
  scenario: ScenarioResult,
  figure: FigureName,
): string | undefined {
  const ratio = ratioOf(scenario, figure, [FIBERS, BASELINE]);
  return ratio === undefined
    ? undefined
    : `Its fibers: ${shareText(ratio)} ${BASELINE}'s.`;
}

/** Not said of Deno again, when that is the best. */
function withBest(
  scenario: ScenarioResult,
  figure: FigureName,
): string | undefined {
  const best = sortedBy(scenario, figure)
    .find(({ peer }) => !isOwn(peer) && peer !== LIMIT)?.peer;
  if (best === undefined || best === BASELINE) return undefined;
  const ratio = ratioOf(scenario, figure, [SUBJECT, best]);
  return ratio === undefined
    ? undefined
    : `${SUBJECT} beside ${best}, the best of the others: ` +
      `${shareText(ratio)} its ${phraseOf(figure)}.`;
}
