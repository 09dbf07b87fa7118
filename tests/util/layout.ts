/**
 * How Chromium lays the plots of a page out.
 *
 * @module
 */

import { Browser } from "./browser.ts";

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
const MEASURE = `(() => {
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
return { pageWidth: document.documentElement.scrollWidth, plots };
})()`;

/** Opens a page on a screen that is so wide, and measures what is drawn. */
export async function layoutOf(page: string, width: number): Promise<Layout> {
  const file = await Deno.makeTempFile({ suffix: ".html" });
  try {
    await Deno.writeTextFile(file, page);
    await using browser = await Browser.start();
    return await (await browser.open(`file://${file}`, width)).run(MEASURE);
  } finally {
    await Deno.remove(file);
  }
}
