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

/** What a plot shows, in words too. */
export interface Drawing extends Unnamed {
  /** What it is, in a few words. */
  readonly ariaLabel: string;
  /** What can be seen in it, for readers who cannot see it. */
  readonly ariaDescription: string;
}

const PAGE = documentOf("<html></html>");
const NAMESPACE = "http://www.w3.org/2000/svg";

/** Returns a plot as the text of an `<svg>` element. */
export function drawn(drawing: Drawing): string {
  const options: Plot.PlotOptions = { ...drawing, className: "plot" };
  const svg: Element = Plot.plot({ ...options, document: PAGE as never });
  // The page has a style sheet, and one sheet for each plot would repeat it.
  svg.querySelector("style")?.remove();
  svg.setAttribute("role", "img");
  svg.setAttribute("xmlns", NAMESPACE);
  return svg.outerHTML;
}
