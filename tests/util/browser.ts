/**
 * Pages as Chromium lays them out.
 *
 * @module
 */

import { escapeHtml } from "../../scripts/packages/std.ts";
import { documentOf } from "../../scripts/packages/plot.ts";
import { lacks } from "./machine.ts";
import { runProgram } from "./program.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The name of a browser that is there. */
export const browser: string | undefined = NAMES.find((name) => {
  try {
    const args = ["--version"];
    return new Deno.Command(name, { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
});

/** Whether there is none. */
export const NO_BROWSER: boolean = lacks("Chromium", () => !!browser);

/** What a browser has drawn. */
export interface Layout {
  /** How wide the page is, more than the screen when it has to be moved. */
  readonly pageWidth: number;
  /** Its plots. */
  readonly plots: readonly {
    /** Its name. */
    readonly label: string;
    /** Its width in pixels. */
    readonly plotWidth: number;
    /** Shapes and texts that take room. */
    readonly marks: number;
    /** Pairs of texts that lie on one another. */
    readonly overlaps: readonly string[];
    /** Texts that are cut at the plot's end. */
    readonly outside: readonly string[];
  }[];
}

/** Runs in the browser: no name of this file is known there. */
const MEASURE = `
const { document } = frames[0];
const root = document.documentElement;
const box = (element) => element.getBoundingClientRect();
const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 &&
  a.top < b.bottom - 1 && b.top < a.bottom - 1;
const plots = [...document.querySelectorAll("svg.plot")].map((svg) => {
  const shapes = [...svg.querySelectorAll("path,rect,circle,line,text")]
    .filter((one) => box(one).width + box(one).height > 0);
  const texts = [...svg.querySelectorAll("text")];
  const outside = texts.filter((one) => !(box(one).left >= box(svg).left &&
    box(one).right <= box(svg).right + 1 && box(one).top >= box(svg).top - 1 &&
    box(one).bottom <= box(svg).bottom + 1)).map((one) => one.textContent);
  const overlaps = texts.flatMap((one, place) => texts.slice(place + 1)
    .filter((other) => meet(box(one), box(other)))
    .map((other) => one.textContent + " | " + other.textContent));
  return { label: svg.getAttribute("aria-label"), plotWidth: box(svg).width,
    marks: shapes.length, overlaps, outside };
});
return { pageWidth: root.scrollWidth, plots };
`;

/** Opens a page on a screen that is so wide, and measures what is drawn. */
export async function layoutOf(
  browser: string,
  page: string,
  width: number,
): Promise<Layout> {
  const folder = await Deno.makeTempDir();
  // A window of Chromium's has a least width, a frame in it has none.
  const frame = `<!doctype html><meta charset="utf-8">
<iframe width="${width}" height="2000" style="border:0"
  srcdoc="${escapeHtml(page)}"></iframe>
<script>addEventListener("load", () => {
const layout = (() => {${MEASURE}})();
const pre = document.createElement("pre");
pre.textContent = JSON.stringify(layout);
document.body.replaceChildren(pre);
});</script>`;
  await Deno.writeTextFile(`${folder}/frame.html`, frame);
  const { stdout, stderr } = await runProgram([
    ...[browser, "--headless", "--no-sandbox", "--disable-gpu"] as const,
    ...[`--user-data-dir=${folder}/profile`, "--dump-dom"],
    ...[
      "--hide-scrollbars",
      "--window-size=1400,2200",
      `file://${folder}/frame.html`,
    ],
  ]);
  await Deno.remove(folder, { recursive: true });
  const pre = documentOf(stdout).querySelector("pre");
  if (pre === null) throw new Error(`Chromium has drawn nothing: ${stderr}`);
  return JSON.parse(pre.textContent);
}
