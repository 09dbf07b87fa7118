/**
 * Line plots as an SVG document, on logarithmic scales.
 *
 * @module
 */

import { type Frame, lines, type Plot } from "./lines.ts";
import { lined, Markup, tag } from "./markup.ts";
import { PLOT_STYLE } from "./style.ts";

export type { Plot, Series } from "./lines.ts";

const WIDTH = 640;
const HEIGHT = 300;
const FRAME: Frame = { left: 70, top: 40, right: 540, bottom: 250 };

/** Returns a document with the plots one below the other. */
export function svg(plots: readonly Plot[]): string {
  const height = HEIGHT * plots.length;
  const document = tag(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${WIDTH} ${height}`,
    },
    lined(
      "",
      tag("style", {}, new Markup(PLOT_STYLE)),
      tag("rect", { width: WIDTH, height, fill: "#fff" }),
      ...plots.map((plot, index) =>
        tag(
          "g",
          { transform: `translate(0 ${index * HEIGHT})` },
          lined(...lines(plot, FRAME)),
        )
      ),
    ),
  );
  return `${document}\n`;
}
