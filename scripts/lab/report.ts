/**
 * Writes the lab's page, and keeps a run with its plot for the README: no figure
 * is typed by hand.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { UsageError, writing } from "../command_line.ts";
import { Run } from "./page/figures.ts";
import { scaling } from "./page/questions.ts";
import { labPage } from "./page.ts";
import { FORMAT, type LabResults } from "./results.ts";

/** The files of a kept run, by path from the project's top. */
export const KEPT = {
  results: "scripts/lab/results/latest.json",
  picture: "scripts/lab/results/latest.svg",
} as const;

const PICTURE_WIDTH = 720;
const GROUND = "#fdfdfb";
const INK = "#1b1b1b";

/** Writes a page of the results. */
export function writePage(file: URL, results: LabResults): void {
  const page = labPage(results);
  writing(file, () => Deno.writeTextFileSync(file, page));
}

/** Keeps a run in the project at `root`, for the README. */
export function keep(root: URL, results: LabResults): void {
  const [text, svg] = [JSON.stringify(results, undefined, 2), picture(results)];
  writing(root, () => {
    Deno.writeTextFileSync(new URL(KEPT.results, root), `${text}\n`);
    Deno.writeTextFileSync(new URL(KEPT.picture, root), svg);
  });
}

/**
 * Reads results that `--json` has printed.
 *
 * @throws {UsageError} when a file has none.
 */
export function readLabResults(file: URL): LabResults {
  try {
    const results = JSON.parse(Deno.readTextFileSync(file));
    if (results?.format === FORMAT) return results;
    throw new Error(`its format is not ${FORMAT}: it must be of "lab --json"`);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(
      `Cannot read results from "${fileURLToPath(file)}": ${message}`,
      { cause: error },
    );
  }
}

/** Returns the plot of the README, on a background of its own. */
export function picture(results: LabResults): string {
  const plot = scaling(new Run(results), PICTURE_WIDTH)!.text;
  return plot.replace(
    /(<svg[^>]*)>/,
    `$1 color="${INK}"><rect width="100%" height="100%" fill="${GROUND}"/>`,
  ) + "\n";
}
