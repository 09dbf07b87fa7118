/**
 * The tables and the page of plots.
 *
 * @module
 */

import { Html, markup } from "../html.ts";
import { keyOf, pageOf, plotsOf } from "../page.ts";
import { rows } from "../table.ts";

/** The figures of a line at a place. */
export interface Result {
  readonly line: string;
  readonly size: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** A subject: a table and a plot for each of its figures. */
export interface Subject {
  /** The unit of its figures, and how they were measured. */
  readonly lead: string;
  /** The unit of a size. */
  readonly sizes: string;
  /** The title of each figure. */
  readonly titles: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

/** Of the lines, in their order. */
const COLOURS = ["denio", "deno", "ink", "other"];

/** Returns a table for each figure. */
export function tableLines({ lead, titles, results }: Subject): string[] {
  const sizes = [...new Set(results.map(({ size }) => size))];
  const byLine = Map.groupBy(results, ({ line }) => line);
  const head = ["", ...sizes.map((size) => size.toLocaleString("en"))];
  const tables = Object.entries(titles).flatMap(([figure, title]) => {
    const body = [...byLine].map(([line, own]) => [
      line,
      ...sizes.map((size) => {
        const found = own.find((result) => result.size === size);
        return found?.figures[figure]?.toFixed(2) ?? "-";
      }),
    ]);
    return ["", title, ...rows(head, body)];
  });
  return ["", lead, ...tables];
}

/** Returns the page. It needs a document: import this where nothing is timed. */
export async function pollPage(subjects: readonly Subject[]): Promise<string> {
  const { lines } = await import("../plot.ts");
  const title = "What a poll costs";
  const parts = subjects.map(({ lead, sizes, titles, results }) => {
    const names = [...new Set(results.map(({ line }) => line))];
    const colourOf = (line: string) => `var(--${COLOURS[names.indexOf(line)]})`;
    const plots = Object.entries(titles).map(([figure, label]) => {
      const points = results.map(({ line, size, figures }) => (
        { line, x: size, y: figures[figure]! }
      ));
      const svg = lines(points, { label, xLabel: sizes, colourOf });
      return [label, new Html(svg)] as const;
    });
    return markup`<p>${lead}:${keyOf(names, colourOf)}</p>
${plotsOf(plots)}`;
  });
  return pageOf(
    title,
    markup`<h1>${title}</h1>
${parts}`,
  );
}
