/**
 * The cost of a poll, as a page of plots.
 *
 * @module
 */

import { Html, markup } from "../html.ts";
import { keyOf, pageOf, plotsOf } from "../page.ts";
import { lines } from "../plot.ts";
import { FIGURE_TITLES, type FigureName, type Result } from "./field.ts";

const COLOURS: Readonly<Record<string, string>> = {
  epoll: "var(--denio)",
  kqueue: "var(--denio)",
  poll: "var(--deno)",
};

const colourOf = (backend: string) => COLOURS[backend] ?? "var(--other)";

/** Returns the page. */
export function pollPage(results: readonly Result[]): string {
  const backends = new Set(results.map(({ backend }) => backend));
  const figures = Object.entries(FIGURE_TITLES).map(([figure, title]) => {
    const points = results.map(({ backend, size, figures }) => (
      { line: backend, x: size, y: figures[figure as FigureName] }
    ));
    const svg = lines(points, { label: title, xLabel: "sources", colourOf });
    return [`${title}, µs`, new Html(svg)] as const;
  });
  const title = "What a poll costs";
  return pageOf(
    title,
    markup`<h1>${title}</h1>
<p>Microseconds of wall time a call:${keyOf([...backends], colourOf)}</p>
${plotsOf(figures)}`,
  );
}
