/**
 * The servers in the report: their order, and the colour that each has in
 * every plot.
 *
 * @module
 */

import { COLOURS } from "../plot/style.ts";
import type { Results, ScenarioResult } from "../bench/results.ts";

/** What the report is about. */
export const SUBJECT = "denio";
/** Its other face, of TCP alone. */
export const FIBERS = "denio fibers";
/** Its Workers with a socket each, beside those that share one. */
const REUSE_PORT = "denio reuse-port";
/** What it is compared with in words. */
export const BASELINE = "Deno";
/** What no server can be better than. */
export const LIMIT = "bare loop";

/** A colour in each theme. */
export interface Shade {
  /** The name of the CSS variable that holds it. */
  readonly variable: string;
  /** On a light ground. */
  readonly light: string;
  /** On a dark one. */
  readonly dark: string;
}

const OTHER: Shade = { variable: "other", light: "#767676", dark: "#8c8c8c" };

/**
 * Okabe and Ito's colours; the pale ones are darker on a light ground, so that
 * each is seen on either (WCAG 2.2, 1.4.11: three to one). What is alike is
 * dashed as well, and every line is named where it ends.
 */
const SHADES: Readonly<Record<string, Shade>> = {
  [LIMIT]: { variable: "limit", light: "#444444", dark: "#bbbbbb" },
  [SUBJECT]: one("denio", COLOURS.blue),
  [FIBERS]: one("denio", COLOURS.blue),
  [REUSE_PORT]: one("denio", COLOURS.blue),
  [BASELINE]: one("deno", COLOURS.vermillion),
  node: one("node", COLOURS.green),
  Bun: { variable: "bun", light: "#c0689a", dark: COLOURS.purple },
  uWebSockets: OTHER,
  Go: { variable: "go", light: "#2f8fc9", dark: COLOURS.sky },
  nginx: { variable: "nginx", light: "#b47a00", dark: COLOURS.orange },
};

const DASHED = [LIMIT, FIBERS, REUSE_PORT, "uWebSockets", "Go"];
/** In bars, which stand beside their names, few colours say more than many. */
const COLOURED = [SUBJECT, FIBERS, REUSE_PORT, BASELINE];
const ORDER = Object.keys(SHADES);

/** Every colour once. */
export function shades(): Shade[] {
  const all = [...Object.values(SHADES), OTHER];
  return [...new Map(all.map((shade) => [shade.variable, shade])).values()];
}

/** Returns a line's colour, as CSS has it; outside of a page, the light one. */
export function lineColour(peer: string): string {
  return colour(shadeOf(peer));
}

/** Returns a bar's colour. */
export function barColour(peer: string): string {
  return colour(COLOURED.includes(peer) ? shadeOf(peer) : OTHER);
}

/** Whether a line is dashed. */
export function isDashed(peer: string): boolean {
  return DASHED.includes(peer);
}

/** Whether a peer is denio, by either face. */
export function isOwn(peer: string): boolean {
  return peer === SUBJECT || peer === FIBERS;
}

/** Returns the class that sets a peer's name off from others. */
export function kindOf(peer: string): string | undefined {
  if (isOwn(peer)) return "strong";
  return peer === LIMIT ? "limit" : undefined;
}

/** Returns all peers of some scenarios: known ones first, in their order. */
export function peersOf(scenarios: readonly ScenarioResult[]): string[] {
  const found = new Set(
    scenarios.flatMap(({ peers }) => peers.map(({ peer }) => peer)),
  );
  const known = ORDER.filter((peer) => found.has(peer));
  return [...known, ...[...found].filter((peer) => !ORDER.includes(peer))];
}

/**
 * Returns the peers that were measured in scenarios of this one's kind, and
 * not in this one.
 */
export function absentFrom(
  scenario: ScenarioResult,
  { scenarios }: Results,
): string[] {
  const present = peersOf([scenario]);
  const alike = scenarios.filter(({ group, workers }) =>
    group === scenario.group &&
    (workers === undefined) === (scenario.workers === undefined)
  );
  return peersOf(alike).filter((peer) => !present.includes(peer));
}

function one(variable: string, light: string): Shade {
  return { variable, light, dark: light };
}

function shadeOf(peer: string): Shade {
  return Object.hasOwn(SHADES, peer) ? SHADES[peer]! : OTHER;
}

function colour({ variable, light }: Shade): string {
  return `var(--${variable},${light})`;
}
