/**
 * Tables and plots of what was measured.
 *
 * @module
 */

import type { Plot } from "../plot/svg.ts";
import { rows } from "../table.ts";
import type { Figures } from "./field.ts";
import type { Results } from "./results.ts";

/** What each figure is called. */
const TITLES: Readonly<Record<keyof Figures, string>> = {
  poll: "A wait, one source of N ready",
  register: "Registering a source",
  reregister: "Reregistering a source",
  deregister: "Deregistering a source",
  transfer: "Writing a byte and reading it",
};

const FIGURES = Object.keys(TITLES) as (keyof Figures)[];

/** Returns a table for each figure, as lines. */
export function tables(results: Results): string[] {
  return FIGURES.flatMap((figure) => ["", TITLES[figure], ...table(figure)]);

  function table(figure: keyof Figures): string[] {
    const sizes = sizesIn(results);
    const head = ["", ...sizes.map((size) => size.toLocaleString("en"))];
    const body = [...results].map(([backend, bySize]) => [
      backend,
      ...sizes.map((size) => bySize.get(size)?.[figure].toFixed(2) ?? "-"),
    ]);
    return rows(head, body);
  }
}

/** Returns a plot for each figure. */
export function plots(results: Results): Plot[] {
  return FIGURES.map((figure) => ({
    title: TITLES[figure],
    xLabel: "sources",
    yLabel: "microseconds",
    series: [...results].map(([name, bySize]) => ({
      name,
      points: [...bySize].map(([size, figures]) =>
        [size, figures[figure]] as const
      ),
    })),
  }));
}

function sizesIn(results: Results): number[] {
  const sizes = [...results.values()].flatMap((bySize) => [...bySize.keys()]);
  return [...new Set(sizes)].sort((one, other) => one - other);
}
