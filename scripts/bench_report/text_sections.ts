/**
 * The sections that are tables and words alone.
 *
 * @module
 */

import type { Results, ScenarioResult } from "../bench/results.ts";
import { type Child, lined, type Markup, tag } from "../plot/markup.ts";
import { missingScenarios, ordered } from "./catalogue.ts";
import { idOf } from "./figures.ts";
import { absentFrom } from "./peers.ts";
import type { Section } from "./sections.ts";
import { budgetTable, crossCheckTable, table, wholeTable } from "./tables.ts";

/** What was promised, which comes before all else. */
export const BUDGETS: Section = {
  id: "budgets",
  title: "The budgets",
  content: budgets,
};

/** What follows the plots. */
export const TEXTS: readonly Section[] = [
  { id: "scenarios", title: "Every scenario", content: everyScenario },
  { id: "cross-check", title: "Cross-check", content: crossCheck },
  { id: "missing", title: "What is missing", content: missing },
  { id: "notes", title: "Notes", content: notes },
  { id: "machine", title: "The machine", content: machine },
];

function budgets(results: Results): Markup[] {
  const all = results.budgets;
  if (all.length === 0) return [tag("p", {}, "This run has no budgets.")];
  const known = all.filter(({ measured }) => measured !== null);
  const count = (kept: boolean) =>
    known.filter(({ met }) => met === kept).length;
  const [met, unmet] = [count(true), count(false)];
  return [
    tag(
      "p",
      {},
      `Of ${all.length} budgets ${met} ${met === 1 ? "is" : "are"} met, ` +
        `${unmet} ${unmet === 1 ? "is" : "are"} not, and ` +
        `${all.length - known.length} ` +
        `${all.length - known.length === 1 ? "was" : "were"} not measured.`,
    ),
    budgetTable(results),
  ];
}

function everyScenario(results: Results): Markup[] {
  const all = ordered(results);
  if (all.length === 0) return [tag("p", {}, "No scenario was run.")];
  return all.map((scenario) =>
    tag(
      "section",
      { id: idOf(scenario, results) },
      lined(
        "",
        tag("h3", {}, scenario.title, " ", tag("code", {}, scenario.name)),
        ...asides(scenario, results),
        wholeTable(scenario),
        "",
      ),
    )
  );
}

function asides(scenario: ScenarioResult, results: Results): Markup[] {
  const notes = scenario.peers.flatMap(({ peer, note }) =>
    note === undefined ? [] : [`${peer}: ${note}`]
  );
  const absent = absentFrom(scenario, results);
  if (absent.length > 0) notes.push(`Not measured: ${absent.join(", ")}.`);
  return notes.map((note) => tag("p", { class: "aside" }, note));
}

function crossCheck(results: Results): Markup[] {
  return results.crossCheck.length === 0
    ? [tag("p", {}, "No other load generator took part.")]
    : [crossCheckTable(results)];
}

function missing(results: Results): Markup[] {
  const scenarios = missingScenarios(results);
  const servers = results.missing.length === 0
    ? tag("p", {}, "No server is missing.")
    : table({
      caption: "Servers that took no part",
      head: ["", "why"],
      rows: results.missing.map(({ peer, reason }) => [peer, reason]),
      kind: "prose",
    });
  return [
    servers,
    tag(
      "p",
      {},
      scenarios.length === 0
        ? "No scenario is missing."
        : `Scenarios that were not run: ${
          scenarios.map(({ title, name }) => `${title} (${name})`).join("; ")
        }.`,
    ),
  ];
}

function notes({ notes }: Results): Markup[] {
  if (notes.length === 0) return [tag("p", {}, "There are none.")];
  const items: Child[] = notes.map((note) => tag("li", {}, note));
  return [tag("ul", {}, lined("", ...items, ""))];
}

function machine(results: Results): Markup[] {
  const entries = Object.entries(results.machine);
  if (entries.length === 0) return [tag("p", {}, "It was not described.")];
  return [
    tag(
      "dl",
      {},
      lined(
        "",
        ...entries.map(([name, text]) => [
          tag("dt", {}, name),
          tag("dd", {}, text),
        ]),
        "",
      ),
    ),
  ];
}
