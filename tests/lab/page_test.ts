/** The lab's page: its figures are those of the results, and can be seen. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UsageError } from "../../scripts/command_line.ts";
import {
  LESSON,
  lessonLines,
  lessonWords,
  SOURCES,
} from "../../scripts/lab/lesson.ts";
import { labCommand, labPage } from "../../scripts/lab/page.ts";
import { Run, textOf, TITLES } from "../../scripts/lab/page/figures.ts";
import { KEPT, picture, readLabResults } from "../../scripts/lab/report.ts";
import type { FigureName } from "../../scripts/lab/results.ts";
import { shown } from "../../scripts/lab/view.ts";
import { documentOf } from "../../scripts/packages/plot.ts";
import { NO_BROWSER } from "../util/browser.ts";
import { layoutOf } from "../util/layout.ts";

const ROOT = new URL("../../", import.meta.url);
const RESULTS = readLabResults(new URL(KEPT.results, ROOT));
const RUN = new Run(RESULTS);
const PAGE = labPage(RESULTS);
const WORDS_MAX = 1_500;
/** A phone, and a desk. */
const WIDTHS = [390, 1280];

/** `epoll-level 10000 cpuUs`: a figure of the results. */
function valueOf(text: string): number {
  const [model, connections, name] = text.split(" ");
  return RUN.value(model!, Number(connections), name as FigureName)!;
}

Deno.test("every figure of the page is one of the results", () => {
  const document = documentOf(PAGE);
  const seen = new Set<string>();
  for (const data of document.querySelectorAll("data[data-of]")) {
    const of = data.getAttribute("data-of")!;
    const [value, base] = of.split(" / ").map(valueOf);
    const wanted = base === undefined ? value! : value! / base;
    assertEquals(data.getAttribute("value"), `${wanted}`, of);
    const name = of.split(" ")[2] as FigureName;
    const text = base === undefined ? textOf(name, wanted) : shown(wanted);
    assertEquals(data.textContent, text);
    seen.add(of);
  }
  for (const { model, connections, figures } of RESULTS.rows) {
    for (const name of Object.keys(TITLES)) {
      if ((figures?.[name as FigureName] ?? null) === null) continue;
      assert(seen.has(`${model} ${connections} ${name}`), `${model} ${name}`);
    }
  }
});

Deno.test("the system calls of the page are those of the results", () => {
  const cells = [...documentOf(PAGE).querySelectorAll("data[data-calls]")];
  assert(cells.length > RESULTS.models.length);
  for (const data of cells) {
    const [model, connections, call] = data.getAttribute("data-calls")!
      .split(" ");
    const { callsByName } = RUN.row(model!, Number(connections))!;
    const value = callsByName![call!]!;
    assertEquals(data.getAttribute("value"), `${value}`);
    assertEquals(data.textContent, shown(value));
  }
});

Deno.test("what plots say of their lines is in the results", () => {
  const plots = [...documentOf(PAGE).querySelectorAll("svg.plot")];
  assert(plots.length >= 7);
  let points = 0;
  for (const plot of plots) {
    const label = plot.getAttribute("aria-label")!;
    const figure = label.startsWith("Processor time") ? "cpuUs" : "p50Us";
    const text = plot.getAttribute("aria-description")!;
    for (const [, model, value, x] of text.matchAll(/(\S+) (\S+) at (\d+)/g)) {
      assertEquals(value, textOf(figure, valueOf(`${model} ${x} ${figure}`)));
      points++;
    }
  }
  assert(points > RESULTS.connections.length * 5);
});

Deno.test("the page needs no other file, and its links lead somewhere", () => {
  assert(!/<(script|link|img|iframe)|@import|url\(|NaN|undefined/.test(PAGE));
  const document = documentOf(PAGE);
  for (const link of document.querySelectorAll("a")) {
    const [, id] = /^#(.+)$/.exec(link.getAttribute("href")!)!;
    assert(document.querySelector(`[id="${id}"]`) !== null, id);
  }
  const text = document.querySelector("main")!.textContent;
  for (const { paragraphs } of LESSON) assert(text.includes(paragraphs[0]!));
});

Deno.test("a page of one model, without figures, leaves out what it lacks", () => {
  const [row] = RESULTS.rows;
  const figures = Object.fromEntries(
    Object.keys(row!.figures!).map((name) => [name, null]),
  ) as unknown as NonNullable<typeof row>["figures"];
  const { callsByName: _, ...plain } = row!;
  const hostile = `<script>"&`;
  const page = labPage({
    ...RESULTS,
    connections: [1],
    models: RESULTS.models.slice(0, 1),
    rows: [{ ...plain, figures: figures! }],
    notes: [hostile],
  });
  assert(!/<script|NaN|undefined/.test(page));
  assert(documentOf(page).querySelector("main")!.textContent.includes(hostile));
  assertEquals(labPage({ ...RESULTS, rows: [] }).includes("NaN"), false);
});

for (const width of WIDTHS) {
  Deno.test({
    name: `Chromium draws the page's plots at ${width} pixels, labels apart`,
    ignore: NO_BROWSER,
    async fn() {
      const { plots, pageWidth } = await layoutOf(PAGE, width);
      assertEquals(pageWidth, width, "nothing is wider than the screen");
      assert(plots.length >= 7);
      for (const { label, marks, plotWidth, ...bad } of plots) {
        assert(marks > 3 && plotWidth > 250, `${label}: ${marks} marks`);
        assertEquals(bad, { overlaps: [], outside: [] }, label);
      }
    },
  });
}

Deno.test("the lesson is short, and names its sources", () => {
  const count = lessonWords().length;
  assert(count <= WORDS_MAX, `${count} words`);
  for (const source of ["epoll(7)", "select(2)", "io_uring(7)", "C10K"]) {
    assert(SOURCES.some((text) => text.includes(source)), source);
  }
  const text = lessonLines(80).join(" ");
  for (const word of ["Worker is not a thread", "awaited fiber is not free"]) {
    assert(text.includes(word), word);
  }
  for (const line of lessonLines(80)) assert(line.length <= 80, line);
});

Deno.test("the README shows the kept run's plot, and the commands", () => {
  const readme = Deno.readTextFileSync(new URL("README.md", ROOT));
  assert(readme.includes(`](${KEPT.picture})`));
  const svg = Deno.readTextFileSync(new URL(KEPT.picture, ROOT));
  assertEquals(picture(RESULTS), svg);
  assertMatch(readme, /^deno task lab --report lab\.html/m);
  assertMatch(readme, /^deno task lab watch /m);
});

Deno.test("the page's command measures the same as its run", () => {
  const results = {
    ...RESULTS,
    ...{ connections: [1, 5], seconds: 0.3, size: 9, busyOption: "10%" },
    models: RESULTS.models.filter(({ name }) => name === "tokio"),
  };
  assertEquals(
    labCommand(results),
    "deno task lab --models tokio --connections 1,5 --busy 10% --size 9 " +
      "--seconds 0.3",
  );
});

Deno.test("results of another form are refused", () => {
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, '{"format":0}');
  const url = new URL(`file://${file}`);
  assertThrows(() => readLabResults(url), UsageError, "its format is not");
  Deno.removeSync(file);
  assertThrows(() => readLabResults(url), UsageError, "Cannot read results");
});
