/**
 * What all plots look like: their colours and the style sheet that they share,
 * in a page as in a document of their own.
 *
 * @module
 */

/**
 * Okabe and Ito's colours, which most people can tell apart; without their
 * yellow, which nobody sees on white.
 */
export const COLOURS = {
  blue: "#0072b2",
  vermillion: "#d55e00",
  green: "#009e73",
  purple: "#cc79a7",
  orange: "#e69f00",
  sky: "#56b4e9",
} as const;

/**
 * Rules for plots. What a shape's colour is, its `--c` says; the page says what
 * ink, faint lines and ground are, and a document of its own is on white.
 */
export const PLOT_STYLE = [
  ".plot text,text{font:12px system-ui,sans-serif;fill:var(--ink,#222)}",
  "text.faint{fill:var(--faint,#595959);font-size:11px}",
  "text.title{font-size:14px;font-weight:600}",
  "text.strong{font-weight:700}",
  "text.limit{font-style:italic}",
  ".grid{stroke:var(--rule,#ddd);fill:none}",
  ".leader{stroke:var(--faint,#595959);stroke-width:.5}",
  ".line{fill:none;stroke:var(--c);stroke-width:1.75}",
  ".line.strong{stroke-width:3.5}",
  ".line.dashed{stroke-dasharray:5 3}",
  ".user,.dot{fill:var(--c)}",
  // Pale enough for a whisker to be seen in them, and bounded for contrast.
  ".system,.whole{fill:var(--c);fill-opacity:.3;stroke:var(--c)}",
  ".whole{fill-opacity:.55}",
  ".span{stroke:var(--c);stroke-width:2}",
  ".ring{fill:var(--ground,#fff);stroke:var(--c);stroke-width:2}",
  ".whisker{stroke:var(--ink,#222);stroke-width:1;fill:none}",
].join("");
