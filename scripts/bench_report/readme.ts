/**
 * What the README says of the last recorded run: written from its results, so
 * that nobody can type a figure.
 *
 * @module
 */

import { Failure } from "../command_line.ts";
import {
  type FigureName,
  parseResults,
  type Results,
  type ScenarioResult,
} from "../bench/results.ts";
import { MAIN, scenarioOf } from "./catalogue.ts";
import { benchCommand, figureText, numberText, ranText } from "./numbers.ts";
import { peersOf, SUBJECT } from "./peers.ts";
import { picture } from "./picture.ts";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";
const FOLDER = "scripts/bench/results/";
/** Short enough that `deno fmt` leaves it on its line. */
const NO_RUN = "No run has been recorded yet.";

/** The table's lines may be long: `deno fmt` leaves them as they are. */
const NO_FMT = "<!-- deno-fmt-ignore-start -->";
const FMT = "<!-- deno-fmt-ignore-end -->";

/** The table below has all that can be seen in it. */
const PICTURE = "Bars: processor time a request, by server and scenario";

/** What the table has beside the main scenarios' processor time. */
const MEMORY = { name: "idle", figure: "bytesEach" } as const;

/** What a recorded run leaves in the project, each by its path. */
export const RECORD = {
  results: `${FOLDER}latest.json`,
  picture: `${FOLDER}latest.svg`,
  readme: "README.md",
} as const;

/**
 * Keeps a run in the project at `root`, and has the README show it.
 *
 * @throws {Failure} when the README has no place for it.
 */
export function record(results: Results, root: URL): void {
  const readme = new URL(RECORD.readme, root);
  const text = withBlock(Deno.readTextFileSync(readme), readmeBlock(results));
  Deno.mkdirSync(new URL(FOLDER, root), { recursive: true });
  const json = `${JSON.stringify(results, null, 2)}\n`;
  Deno.writeTextFileSync(new URL(RECORD.results, root), json);
  Deno.writeTextFileSync(new URL(RECORD.picture, root), picture(results));
  Deno.writeTextFileSync(readme, text);
}

/** Returns the run that the project at `root` has kept, if it has. */
export function recorded(root: URL): Results | undefined {
  try {
    return parseResults(Deno.readTextFileSync(new URL(RECORD.results, root)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Returns a README with another block between its two marks. */
export function withBlock(readme: string, block: string): string {
  const { before, after } = around(readme);
  return `${before}\n${block}\n${after}`;
}

/** Returns what a README has between its two marks. */
export function blockOf(readme: string): string {
  const { before, after } = around(readme);
  return readme.slice(before.length + 1, -after.length - 1);
}

function around(readme: string): { before: string; after: string } {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin >= 0 && end > begin) {
    const before = readme.slice(0, begin + BEGIN.length);
    return { before, after: readme.slice(end) };
  }
  throw new Failure(
    `Cannot write into README.md: it must have "${BEGIN}" and then "${END}"`,
  );
}

/** Returns what stands between the marks for a run, or for none. */
export function readmeBlock(results: Results | undefined): string {
  if (results === undefined) return `\n${NO_RUN}\n`;
  return [
    "",
    NO_FMT,
    "",
    `![${PICTURE}](${RECORD.picture})`,
    "",
    ...costs(results),
    "",
    EXPLANATION,
    "",
    `${escape(runText(results))} By ` +
    `\`${benchCommand(results)} && deno task bench:report --readme\`.`,
    "",
    FMT,
    "",
  ].join("\n");
}

const EXPLANATION = "Microseconds of processor time (user and system) a " +
  "request; memory of an idle connection. In brackets: the ratio to the best " +
  "of the other servers, of which the bare loop is none; below 1 is better " +
  "than all of them.";

function costs(results: Results): string[] {
  const columns = columnsOf(results);
  const peers = peersOf(columns.map(({ scenario }) => scenario));
  if (peers.length === 0) return ["The main scenarios were not run."];
  const rows = peers.map((peer) => [
    peer === SUBJECT ? `**${escape(peer)}**` : escape(peer),
    ...columns.map(({ scenario, figure }) => costOf(scenario, peer, figure)),
  ]);
  const head = ["", ...columns.map(({ scenario }) => escape(scenario.title))];
  const rule = ["---", ...columns.map(() => "---:")];
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`);
}

/** A column of the table. */
interface Column {
  readonly scenario: ScenarioResult;
  readonly figure: FigureName;
}

function columnsOf(results: Results): Column[] {
  const wanted = [
    ...MAIN.map((name) => ({ name, figure: "cpuUs" as const })),
    MEMORY,
  ];
  return wanted.flatMap(({ name, figure }) => {
    const scenario = scenarioOf(results, name);
    return scenario === undefined ? [] : [{ scenario, figure }];
  });
}

function costOf(
  { peers }: ScenarioResult,
  name: string,
  figure: FigureName,
): string {
  const found = peers.find(({ peer }) => peer === name);
  const value = found?.figures[figure]?.median;
  if (value === undefined) return "–";
  const ratio = found?.toBest[figure];
  const text = figureText(figure, value);
  return ratio === undefined ? text : `${text} (${numberText(ratio)})`;
}

/** When and where it was, and what took no part. */
function runText(results: Results): string {
  const machine = Object.entries(results.machine)
    .map(([name, text]) => `${name}: ${text}`).join(", ");
  const servers = results.missing
    .map(({ peer, reason }) => `${peer} (${reason})`);
  const scenarios = MAIN.filter((name) => !scenarioOf(results, name));
  const missing = [...servers, ...scenarios];
  return `${ranText(results)}. ` +
    (machine === "" ? "" : `Machine: ${machine}. `) +
    (missing.length === 0 ? "" : `Missing: ${missing.join(", ")}. `);
}

/** Returns text as Markdown writes it, on one line. */
function escape(text: string): string {
  return text.toWellFormed().replace(/[\s\p{Cc}]+/gu, " ").trim()
    .replace(/[\\`*_[\]<>|&~#!]/g, "\\$&");
}
