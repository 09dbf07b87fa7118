/**
 * Draws plots with Observable Plot, as SVG that stands in a page or in a file
 * of its own. No browser is needed: linkedom gives Plot a document.
 *
 * @module
 */

import { documentOf, type Element, Plot } from "./packages/plot.ts";

export { Plot };

/** A plot without the words for it. */
export type Unnamed = Omit<Plot.PlotOptions, "ariaLabel" | "ariaDescription">;

/** About a phone's width: wider screens have several plots side by side. */
export const WIDTH = 360;
const LINES_HEIGHT = 260;
/** Values that differ by more are drawn on a logarithmic axis. */
const LINEAR_RATIO_MAX = 50;

const PAGE = documentOf("<html></html>");
const NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * Returns a plot as the text of an `<svg>` element, with its title in a few
 * words, and a description for readers who cannot see it.
 */
export function drawn(
  drawing: Unnamed & { ariaLabel: string; ariaDescription: string },
): string {
  const options: Plot.PlotOptions = { ...drawing, className: "plot" };
  const svg: Element = Plot.plot({ ...options, document: PAGE as never });
  // The page has a style sheet, and one sheet for each plot would repeat it.
  svg.querySelector("style")?.remove();
  svg.setAttribute("role", "img");
  svg.setAttribute("xmlns", NAMESPACE);
  return svg.outerHTML;
}

/** A point of a line. */
export interface Point {
  /** The name of the line. */
  readonly line: string;
  /** Its place, the same for the points of all lines. */
  readonly x: number;
  /** Its value; a point that is not above zero is left out. */
  readonly y: number;
}

/** Returns a plot with lines over places that are evenly apart. */
export function lines(
  all: readonly Point[],
  { label, xLabel, colourOf }: {
    readonly label: string;
    readonly xLabel: string;
    readonly colourOf: (line: string) => string;
  },
): string {
  const points = all.filter(({ y }) => y > 0);
  const values = points.map(({ y }) => y);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const isLog = most / least > LINEAR_RATIO_MAX;
  const tickFormat = (value: number) => value.toLocaleString("en");
  const stroke = ({ line }: Point) => colourOf(line);
  const place = { x: "x", y: "y", z: "line", stroke };
  return drawn({
    ariaLabel: label,
    ariaDescription: points.map(({ line, x, y }) => `${line} ${y} at ${x}`)
      .join(", "),
    width: WIDTH,
    height: LINES_HEIGHT,
    marginLeft: 64,
    marginBottom: 38,
    style: { fontSize: "12px" },
    x: { type: "point", tickFormat, label: xLabel, labelOffset: 32 },
    y: {
      type: isLog ? "log" : "linear",
      domain: isLog ? [least, most] : [0, most],
      grid: true,
      ticks: isLog ? decades(least, most) : 4,
      label: null,
      tickFormat,
    },
    marks: [
      Plot.line(points, { ...place, strokeWidth: 2 }),
      Plot.dot(points, { ...place, fill: stroke, r: 3 }),
    ],
  });
}

/** Returns the powers of ten between two numbers. */
export function decades(least: number, most: number): number[] {
  const first = Math.ceil(Math.log10(least));
  const count = Math.floor(Math.log10(most)) - first + 1;
  return Array.from({ length: count }, (_, index) => 10 ** (first + index));
}
