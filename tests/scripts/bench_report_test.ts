import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreaterOrEqual,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { pathToFileURL } from "node:url";
import {
  type FigureName,
  FIGURES,
  type Results,
} from "../../scripts/bench/results.ts";
import { comparison } from "../../scripts/bench_report/comparison.ts";
import {
  bytesText,
  dateText,
  numberText,
  rangeText,
  shareText,
} from "../../scripts/bench_report/numbers.ts";
import { parseReportOptions } from "../../scripts/bench_report/options.ts";
import { page } from "../../scripts/bench_report/page.ts";
import { shades } from "../../scripts/bench_report/peers.ts";
import { picture } from "../../scripts/bench_report/picture.ts";
import {
  blockOf,
  readmeBlock,
  RECORD,
  record,
  recorded,
  withBlock,
} from "../../scripts/bench_report/readme.ts";
import { THEMES } from "../../scripts/bench_report/style.ts";
import { Failure, UsageError } from "../../scripts/command_line.ts";
import {
  bars,
  logarithmicBars,
  reaches,
  type Room,
} from "../../scripts/plot/rows.ts";
import { linearMarks, logarithmicMarks } from "../../scripts/plot/scale.ts";
import { sampleResults } from "../util/bench_sample.ts";
import {
  type Element,
  elementsIn,
  named,
  parseElements,
  textOf,
} from "../util/elements.ts";
import { runProgram } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);
const SAMPLE = sampleResults();

/** A run of which next to nothing is left. */
const BARE: Results = {
  ...SAMPLE,
  machine: {},
  notes: [],
  missing: [],
  scenarios: [],
  crossCheck: [],
  budgets: [],
};

/** Results with only some scenarios, each with only some peers. */
function only(scenarios: string[], peers: string[]): Results {
  return {
    ...SAMPLE,
    scenarios: SAMPLE.scenarios
      .filter(({ name }) => scenarios.includes(name))
      .map((scenario) => ({
        ...scenario,
        peers: scenario.peers.filter(({ peer }) => peers.includes(peer)),
      })),
  };
}

function byId(root: Element, id: string): Element {
  const found = elementsIn(root).find(({ attributes }) =>
    attributes.get("id") === id
  );
  assert(found !== undefined, `nothing has the id "${id}"`);
  return found;
}

/** A table's cells, row by row; the first row is its head. */
function cellsOf(table: Element): Element[][] {
  return named(table, "tr").map((row) =>
    row.children.filter((child) => typeof child !== "string")
  );
}

const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

/** The numbers that a text shows, bytes as bytes. */
function numbersIn(text: string): number[] {
  const found = text.matchAll(/(-?[\d,]*\.?\d+)(?:\s([kMG]?B)\b)?/g);
  return [...found].map(([, digits, unit = ""]) =>
    Number(digits!.replaceAll(",", "")) * FACTORS[unit]!
  );
}

/** Whether a number is shown that could be another, rounded. */
function isShown(shown: number, value: number): boolean {
  const size = Math.abs(value);
  const error = Math.max(0.0051 * size, Math.min(0.0051, 0.051 * size));
  return Math.abs(shown - value) <= error;
}

Deno.test("the page is whole by itself, and each of its links leads somewhere", () => {
  for (const results of [SAMPLE, BARE, only(["get"], ["Deno"])]) {
    const html = page(results);
    const root = parseElements(html);
    const names = new Set(elementsIn(root).map(({ name }) => name));
    for (const name of ["script", "link", "img", "iframe", "object"]) {
      assert(!names.has(name), `the page has a <${name}>`);
    }
    assert(!/url\(|@import|https?:/.test(html), "the page needs a file");
    const ids = elementsIn(root).map((one) => one.attributes.get("id"))
      .filter((id) => id !== undefined).toArray();
    assertEquals(ids.length, new Set(ids).size, "an id comes twice");
    for (const link of named(root, "a")) {
      const target = link.attributes.get("href")!;
      assert(ids.includes(target.replace(/^#/, "")), `${target} is nowhere`);
    }
  }
});

Deno.test("each plot of the page says what it shows, to those who cannot see it", () => {
  const root = parseElements(page(SAMPLE));
  const plots = named(root, "svg");
  assertGreaterOrEqual(plots.length, 50);
  for (const plot of plots) {
    assertEquals(plot.attributes.get("role"), "img");
    const ids = plot.attributes.get("aria-labelledby")!.split(" ");
    const [title, description] = ids.map((id) => textOf(byId(plot, id)));
    assert(title!.length > 0);
    assertMatch(description!, /denio.*: .*\d/);
  }
});

Deno.test("a section with plots has a table of the same scenarios", () => {
  const root = parseElements(page(SAMPLE));
  const sections = named(root, "section").filter((section) =>
    named(section, "figure").length > 0
  );
  assertEquals(sections.length, 8);
  for (const section of sections) {
    const rows = named(section, "table").flatMap(cellsOf)
      .map(([name]) => textOf(name!));
    for (const link of named(section, "figcaption")) {
      const [title] = textOf(named(link, "h3")[0]!).split(": requests");
      const shown = title!.replace(": CPU, µs a request", "");
      if (named(link, "a").length > 0) assert(rows.includes(shown), shown);
    }
  }
});

/** What a cell of a whole table has: ratio, median, smallest and largest. */
function readCell(cell: Element): (number | undefined)[] {
  const of = (name: string, kind?: string) =>
    named(cell, name).filter(({ attributes }) =>
      attributes.get("class") === kind
    ).map(textOf)[0];
  const [low, high] = of("span", "small")!.split("–") as [string, string];
  const [unit] = / \w+$/.exec(high) ?? [""];
  return [
    of("span", "ratio"),
    of("b"),
    low.includes(" ") ? low : low + unit,
    high,
  ].map((text) => text && numbersIn(text)[0]) as (number | undefined)[];
}

/** What a figure is called over its column. */
function titleOf(scenario: string, figure: FigureName): string {
  // There it is a part of the rate without idle connections.
  const isKept = scenario === "idle-busy" && figure === "perSecond";
  return isKept ? "rate kept" : FIGURES[figure].title;
}

Deno.test("the page has every figure of every peer, as the results have it", () => {
  const root = parseElements(page(SAMPLE));
  for (const { name, peers } of SAMPLE.scenarios) {
    const [head, ...rows] = cellsOf(byId(root, `scenario-${name}`));
    const columns = head!.map((cell) => textOf(cell).split(",")[0]!);
    assertEquals(rows.length, peers.length);
    for (const { peer, figures, toBest } of peers) {
      const cells = rows.find(([first]) => textOf(first!) === peer)!;
      for (const [figure, spread] of Object.entries(figures)) {
        const key = figure as FigureName;
        const shown = readCell(cells[columns.indexOf(titleOf(name, key))]!);
        const { median, min, max } = spread;
        [toBest[key], median, min, max].forEach((value, index) => {
          const what = `${name}, ${peer}, ${figure}: ${shown} for ${value}`;
          if (value === undefined) assertEquals(shown[index], undefined, what);
          else assert(isShown(shown[index]!, value), what);
        });
      }
    }
  }
});

/** The tables of each section with plots, by the figures of their cells. */
const MATRICES: Readonly<Record<string, FigureName[][]>> = {
  "cpu": [["cpuUs", "userUs", "systemUs"]],
  "per-cpu-second": [["perCpuSecond"]],
  "latency": [["p50Us", "p99Us", "p999Us"]],
  "scaling": [["cpuUs"], ["p99Us"], ["perSecond"], ["perSecond"], ["cpuUs"]],
  "memory": [["bytesEach"]],
  "start": [["startMs"]],
  "system-calls": [["systemCalls"]],
  "allocation": [["allocatedBytes"]],
};

/** A peer's medians, of those that it has. */
function mediansOf(title: string, name: string, wanted: FigureName[]) {
  const scenario = SAMPLE.scenarios.find((one) => one.title === title);
  assert(scenario !== undefined, `there is no scenario "${title}"`);
  const found = scenario.peers.find(({ peer }) => peer === name);
  return wanted.map((figure) => found?.figures[figure]?.median)
    .filter((value) => value !== undefined);
}

for (const [id, tables] of Object.entries(MATRICES)) {
  Deno.test(`the tables of section "${id}" have what was measured, and no more`, () => {
    const found = named(byId(parseElements(page(SAMPLE)), id), "table");
    assertEquals(found.length, tables.length);
    found.forEach((table, index) => {
      const [head, ...rows] = cellsOf(table);
      assertGreaterOrEqual(rows.length, 1);
      for (const [title, ...cells] of rows) {
        cells.forEach((cell, column) => {
          const peer = textOf(head![column + 1]!);
          const wanted = mediansOf(textOf(title!), peer, tables[index]!);
          const shown = numbersIn(textOf(cell));
          const what = `${textOf(title!)}, ${peer}: ${textOf(cell)}`;
          assertEquals(shown.length, wanted.length, what);
          wanted.forEach((value, place) =>
            assert(isShown(shown[place]!, value), what)
          );
        });
      }
    });
  });
}

/** The rows of a figure's plot: the peer and the numbers beside it. */
function rowsOf(figure: Element): (readonly [string, number[]])[] {
  return named(figure, "g").map((row) => {
    const [peer, ...labels] = named(row, "text").map(textOf);
    return [peer!, labels.flatMap(numbersIn)] as const;
  });
}

/** What the labels of plots are, by section. */
const LABELS: Readonly<Record<string, FigureName[]>> = {
  "cpu": ["cpuUs"],
  "per-cpu-second": ["perCpuSecond"],
  "latency": ["p50Us", "p999Us"],
  "memory": ["bytesEach"],
  "start": ["startMs"],
  "system-calls": ["systemCalls"],
  "allocation": ["allocatedBytes"],
};

for (const [id, labels] of Object.entries(LABELS)) {
  Deno.test(`the plots of section "${id}" have what was measured, the best first`, () => {
    const figures = named(byId(parseElements(page(SAMPLE)), id), "figure");
    for (const figure of figures) {
      const title = textOf(named(figure, "h3")[0]!);
      const rows = rowsOf(figure);
      for (const [peer, shown] of rows) {
        const wanted = mediansOf(title, peer, labels);
        assertEquals(shown.length, labels.length, `${title}, ${peer}`);
        wanted.forEach((value, place) =>
          assert(isShown(shown[place]!, value), `${title}, ${peer}: ${shown}`)
        );
      }
      const sign = FIGURES[labels[0]!].lessIsBetter ? 1 : -1;
      const order = rows.map(([, [first]]) => first! * sign);
      assertEquals(order, order.toSorted((one, other) => one - other), title);
    }
  });
}

Deno.test("the cross-check has its ratio to the benchmark's own load", () => {
  const root = parseElements(page(SAMPLE));
  const [, ...rows] = cellsOf(byId(root, "cross-check"));
  const get = SAMPLE.scenarios.find(({ name }) => name === "get")!;
  SAMPLE.crossCheck.forEach(({ load, peer, cpuUs }, index) => {
    const cells = rows[index]!.map(textOf);
    assertEquals(cells.slice(0, 3), [get.title, peer, load]);
    const own = get.peers.find((one) => one.peer === peer)!.figures.cpuUs!;
    [cpuUs, own.median, cpuUs / own.median].forEach((value, place) =>
      assert(isShown(Number(cells[place + 3]), value), `${cells}`)
    );
  });
});

Deno.test("the page says of each budget, in words, whether it is met", () => {
  const [, ...rows] = cellsOf(byId(parseElements(page(SAMPLE)), "budgets"));
  assertEquals(rows.map((cells) => textOf(cells.at(-1)!)), [
    "✗ not met",
    "✓ met",
    "✓ met",
    "– not measured",
  ]);
  const odd = { name: "a", wanted: "b", measured: null, met: true };
  const unmeasured = page({ ...BARE, budgets: [odd] });
  assertStringIncludes(unmeasured, "– not measured");
  assert(!unmeasured.includes("✓"));
});

Deno.test("the page begins with what denio needs of what Deno does", () => {
  const [gist] = named(parseElements(page(SAMPLE)), "ul");
  const said = named(gist!, "li").map(textOf);
  assertEquals(said.length, 8);
  // 0.85 of 1.35, 391 of 18,300 and 48.3 of 36.1.
  assertMatch(said[0]!, /^0\.63 of Deno's user CPU.*0\.85\sµs against 1\.35/);
  assertMatch(said[5]!, /^0\.021 of Deno's memory.*391\sB against 18\.3\skB/);
  assertMatch(said[7]!, /^1\.34 times Deno's time/);
  assertStringIncludes(page(BARE), "were not both run");
});

Deno.test("the page names the command that measures for as long", () => {
  const [command] = named(parseElements(page(SAMPLE)), "pre");
  assertEquals(
    textOf(command!),
    "deno task bench --rounds 5 --seconds 3 && deno task bench:report",
  );
});

Deno.test("a peer that one scenario lacks is named there, and in its table", () => {
  const root = parseElements(page(SAMPLE));
  // nginx has no handler that answers a POST.
  assertStringIncludes(
    textOf(byId(root, "scenario-post")),
    "Not measured: nginx.",
  );
  const figures = named(byId(root, "cpu"), "figure").map(textOf);
  const post = figures.find((text) => text.startsWith("POST"))!;
  assert(post.endsWith("Not measured: nginx."), post);
  // Echo has other peers, and nginx is none of them.
  const echo = figures.find((text) => text.startsWith("TCP echo"))!;
  assert(!echo.includes("Not measured"), echo);
});

Deno.test("what took no part is named, with its reason", () => {
  const results = only(["get"], ["denio", "Deno"]);
  const root = parseElements(page(results));
  const missing = textOf(byId(root, "missing"));
  assertStringIncludes(missing, "h2oit is not installed");
  assertStringIncludes(missing, "POST of 1 KB JSON (post)");
  assertStringIncludes(missing, "15,000 connections (scale-15000)");
  assert(!missing.includes("(get)"));
  const [header] = named(root, "header");
  assertStringIncludes(textOf(header!), "h2o (it is not installed)");
  const cpu = textOf(byId(root, "cpu"));
  assertStringIncludes(cpu, "Not in this run: GET, sixteen in a pipeline");
  const kept = textOf(byId(parseElements(page(SAMPLE)), "scaling"));
  assertStringIncludes(kept, "denio keeps 0.99 of its rate.");
  for (const id of ["memory", "start", "scaling"]) {
    const text = textOf(byId(root, id));
    assertStringIncludes(text, "Nothing of this was measured in this run.");
    assertStringIncludes(text, "Not in this run: ");
  }
});

Deno.test("the page has no number that is none, whatever is missing or zero", () => {
  const zero = { median: 0, min: -3, max: 0 };
  const figures = Object.fromEntries(
    Object.keys(FIGURES).map((name) => [name, zero]),
  );
  const zeroes: Results = {
    ...SAMPLE,
    scenarios: SAMPLE.scenarios.map((scenario) => ({
      ...scenario,
      peers: scenario.peers.map(({ peer }) => ({ peer, figures, toBest: {} })),
    })),
  };
  const nothing: Results = {
    ...SAMPLE,
    scenarios: SAMPLE.scenarios.map((scenario) => ({ ...scenario, peers: [] })),
  };
  const names = SAMPLE.scenarios.map(({ name }) => name);
  const few = [BARE, nothing, zeroes, only(names, ["Go"]), only(names, [])];
  for (const results of [SAMPLE, ...few]) {
    for (const text of [page(results), picture(results)]) {
      parseElements(text);
      const [found] = text.match(/NaN|Infinity|undefined|null|\[object/) ?? [];
      assertEquals(found, undefined);
    }
    assert(!/NaN|Infinity|undefined/.test(readmeBlock(results)));
  }
});

const HOSTILE =
  `</title></svg><script>alert("1")</script>'&amp;|\n\u0000\ud800`;
/** The same as a page can show it. */
const TAMED = HOSTILE.replace("\u0000", "\ufffd").toWellFormed();

/** Results in which every text is hostile, but for known names. */
function hostileResults(): Results {
  const text = JSON.stringify(SAMPLE, (key, value) => {
    if (key === "machine") return { [HOSTILE]: HOSTILE };
    if (typeof value !== "string" || key === "group") return value;
    const isKnown = key === "name" || value === "denio" || value === "Deno";
    return isKnown ? value : `${value}${HOSTILE}`;
  });
  return JSON.parse(text);
}

Deno.test("the page and the picture show hostile text, and are not made of it", () => {
  const results = hostileResults();
  const root = parseElements(page(results));
  assertEquals(named(root, "script"), []);
  const shown = [
    textOf(byId(root, "notes")),
    textOf(byId(root, "machine")),
    textOf(byId(root, "missing")),
    textOf(byId(root, "budgets")),
    textOf(byId(root, "cross-check")),
    textOf(byId(root, "scenario-get")),
    textOf(named(root, "header")[0]!),
    textOf(named(root, "svg")[0]!),
    textOf(parseElements(picture(results))),
  ];
  for (const text of shown) assertStringIncludes(text, TAMED);
  const handlers = elementsIn(root).flatMap(({ attributes }) =>
    attributes.keys().filter((name) => name.startsWith("on"))
  );
  assertEquals([...handlers], []);
});

Deno.test("a scenario with any name has an id that links find", () => {
  const [first, ...others] = SAMPLE.scenarios;
  const scenarios = [{ ...first!, name: 'a" b' }, ...others];
  const root = parseElements(page({ ...SAMPLE, scenarios }));
  assertStringIncludes(textOf(byId(root, "scenario-0")), 'a" b');
});

Deno.test("the README's block keeps hostile text on its line and in its cell", () => {
  const block = readmeBlock(hostileResults());
  const table = block.split("\n").filter((line) => line.startsWith("|"));
  const columns = table[0]!.match(/(?<!\\)\|/g)!.length;
  assertEquals(columns, 7);
  for (const row of table) {
    assertEquals(row.match(/(?<!\\)\|/g)!.length, columns, row);
  }
  assert(!/(?<!\\)<script/.test(block));
});

Deno.test("numberText() has as many digits as are worth reading", () => {
  const texts = [0, 0.0371, 0.1, 5.876, 12.34, 123.4, 1234.5, 1_913_422];
  assertEquals(texts.map(numberText), [
    "0",
    "0.037",
    "0.10",
    "5.88",
    "12.3",
    "123",
    "1,235",
    "1,913,000",
  ]);
  assertEquals(numberText(-5.5), "-5.50");
});

Deno.test("bytesText() takes larger units for what is large", () => {
  assertEquals([0, 391, 9999, 15_306, 274e6, 2e9].map(bytesText), [
    "0 B",
    "391 B",
    "9,999 B",
    "15.3 kB",
    "274 MB",
    "2.00 GB",
  ]);
  const range = (min: number, max: number) =>
    rangeText("bytesEach", { median: min, min, max });
  assertEquals(range(390, 402), "390–402 B");
  assertEquals(range(390, 40_200), "390 B–40.2 kB");
});

Deno.test("shareText() and dateText() are as one says them", () => {
  assertEquals(shareText(0.66), "0.66 of");
  assertEquals(shareText(1.13), "1.13 times");
  assertEquals(dateText("2026-11-21T17:54:08.123Z"), "2026-11-21 17:54 UTC");
  assertEquals(dateText("yesterday"), "yesterday");
});

Deno.test("comparison() says who is best of the others, unless that is Deno", () => {
  const of = (...peers: string[]) =>
    comparison(only(["get"], peers).scenarios[0]!, "cpuUs", "userUs");
  assertEquals(
    of("denio", "Deno", "Go"),
    "denio needs 0.95 of Deno's whole CPU and 0.63 of its user CPU.",
  );
  assertEquals(
    of("denio", "Go", "bare loop"),
    "denio beside Go, the best of the others: 0.47 of its whole CPU.",
  );
  assertEquals(of("Deno"), "denio was not measured.");
});

const ROOM: Room = { width: 400, rowHeight: 20, nameWidth: 92 };
const ROW = { colour: "red", words: "" };

/** The attributes of the shapes of a kind, as numbers. */
function shapes(drawing: { markup: { text: string } }, kind: string) {
  const root = parseElements(`<svg>${drawing.markup.text}</svg>`);
  return elementsIn(root).filter(({ attributes }) =>
    attributes.get("class") === kind
  ).map(({ attributes }) => (name: string) => Number(attributes.get(name)))
    .toArray();
}

Deno.test("bars() are as long as their values, one part behind the other", () => {
  const bar = (user: number, system: number) => ({
    ...ROW,
    name: "a",
    label: "1",
    spread: [user + system, user + system] as const,
    parts: [
      { kind: "user", value: user },
      { kind: "system", value: system },
    ],
  });
  const drawing = bars([bar(1, 3), bar(2, 6)], ROOM);
  const [one, two] = shapes(drawing, "user");
  const [behindOne, behindTwo] = shapes(drawing, "system");
  assertAlmostEquals(two!("width"), 2 * one!("width"), 0.2);
  assertAlmostEquals(behindTwo!("width"), 3 * two!("width"), 0.2);
  assertAlmostEquals(behindOne!("x"), one!("x") + one!("width"), 0.2);
  const [label] = shapes(drawing, "undefined");
  assertEquals(label, undefined);
  assert(behindTwo!("x") + behindTwo!("width") < ROOM.width);
});

Deno.test("logarithmicBars() have no bar for what is zero or less", () => {
  const bar = (value: number) => ({
    ...ROW,
    name: "a",
    label: "1",
    spread: [value, value] as const,
    parts: [{ kind: "whole", value }],
  });
  const drawing = logarithmicBars([0, -5, 10, 100, 1000].map(bar), ROOM);
  const widths = shapes(drawing, "whole").map((of) => of("width"));
  assertEquals(widths.slice(0, 3), [0, 0, 0]);
  assert(widths[3]! > 0);
  assertAlmostEquals(widths[4]!, 2 * widths[3]!, 0.2);
});

Deno.test("reaches() go from left to right, and stay in the picture", () => {
  const reach = (...values: number[]) => ({
    ...ROW,
    name: "a",
    values,
    labels: ["1,000", "100,000"] as const,
  });
  const all = [reach(59, 110, 300), reach(1000, 12_000, 99_000)];
  const drawing = reaches(all, ROOM);
  const dots = shapes(drawing, "dot").map((of) => of("cx"));
  const rings = shapes(drawing, "ring").map((of) => of("cx"));
  const ends = shapes(drawing, "span").map((of) => of("x2"));
  assert(dots[0]! < rings[0]! && rings[0]! < ends[0]!);
  assert(dots[0]! > ROOM.nameWidth && Math.max(...ends) < ROOM.width - 40);
});

Deno.test("marks are round, few, and reach around what they mark", () => {
  assertEquals(linearMarks(31.8), [0, 10, 20, 30, 40]);
  assertEquals(linearMarks(0.3), [0, 0.1, 0.2, 0.3]);
  assertEquals(logarithmicMarks([50, 600]), [50, 100, 200, 500]);
  assertEquals(logarithmicMarks([1, 2e6]).length, 7);
});

/** What WCAG 2.2 calls contrast. */
function contrast(one: string, other: string): number {
  const [dark, light] = [one, other].map(luminance).sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((place) => {
    const share = parseInt(colour.slice(place, place + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

for (const name of ["light", "dark"] as const) {
  Deno.test(`letters and lines can be seen, in the ${name} theme`, () => {
    const theme = THEMES[name];
    for (const ink of ["ink", "faint", "met", "unmet", "link"] as const) {
      assertGreaterOrEqual(contrast(theme[ink], theme.ground), 4.5, ink);
    }
    for (const ink of ["ink", "faint"] as const) {
      assertGreaterOrEqual(contrast(theme[ink], theme.own), 4.5, ink);
    }
    for (const { variable, ...colours } of shades()) {
      const seen = contrast(colours[name], theme.ground);
      assertGreaterOrEqual(seen, 3, `${variable}: ${seen}`);
    }
  });
}

Deno.test("withBlock() replaces what is between the marks, and once only", () => {
  const readme = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n";
  const block = readmeBlock(SAMPLE);
  const written = withBlock(readme, block);
  assertEquals(withBlock(written, block), written);
  assertEquals(blockOf(written), block);
  assertEquals(withBlock(written, "old"), readme);
  assertThrows(() => withBlock("no marks", block), Failure, "bench:begin");
});

Deno.test("the README's block has the table, the run, the machine and the command", () => {
  const block = readmeBlock(SAMPLE);
  const row = block.split("\n").find((line) => line.startsWith("| **denio**"))!;
  const peers = ["get", "pipeline", "app", "echo64"].map((name) =>
    SAMPLE.scenarios.find((scenario) => scenario.name === name)!.peers
      .find(({ peer }) => peer === "denio")!
  );
  const wanted = peers.flatMap(({ figures, toBest }) => [
    figures.cpuUs!.median,
    toBest.cpuUs!,
  ]);
  const shown = numbersIn(row);
  wanted.forEach((value, index) => assert(isShown(shown[index]!, value), row));
  assertMatch(row, /\| 391 B \(\d\.\d+\) \|$/);
  for (
    const text of [
      "(scripts/bench/results/latest.svg)",
      "2026-11-21 17:54 UTC",
      "processor: SAMPLE, no machine",
      "h2o (it is not installed)",
      "`deno task bench --rounds 5 --seconds 3 && deno task bench:report",
    ]
  ) assertStringIncludes(block, text);
});

/** Calls `use` with a folder that has the project's README. */
async function inFolder(use: (folder: URL) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const url = pathToFileURL(`${folder}/`);
    await Deno.copyFile(new URL("README.md", ROOT), new URL("README.md", url));
    await use(url);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Checks that a project shows the run that it has kept, and no other. */
async function expectShown(root: URL): Promise<void> {
  const results = recorded(root);
  const readme = await Deno.readTextFile(new URL(RECORD.readme, root));
  assertEquals(blockOf(readme), readmeBlock(results));
  if (results === undefined) return;
  const svg = await Deno.readTextFile(new URL(RECORD.picture, root));
  assertEquals(svg, picture(results));
}

Deno.test("README shows the recorded run, and no figure is typed by hand", async () => {
  await expectShown(ROOT);
});

Deno.test("record() keeps a run, shows it, and leaves nothing to format", async () => {
  await inFolder(async (folder) => {
    record(SAMPLE, folder);
    assertEquals(recorded(folder), SAMPLE);
    await expectShown(folder);
    const once = await Deno.readTextFile(new URL("README.md", folder));
    record(SAMPLE, folder);
    const twice = await Deno.readTextFile(new URL("README.md", folder));
    assertEquals(twice, once);
    const { code, stderr } = await runProgram(
      [Deno.execPath(), "fmt", "--check", "."],
      { cwd: folder },
    );
    assertEquals(code, 0, stderr);
  });
});

Deno.test("parseReportOptions() takes one file, and says what it will not take", () => {
  assertEquals(parseReportOptions([]), {
    input: undefined,
    out: undefined,
    readme: false,
    help: false,
  });
  const { input, out, readme } = parseReportOptions(
    ["a.json", "--out", "b.html", "--readme"],
  );
  assertEquals([input, out, readme], ["a.json", "b.html", true]);
  for (const args of [["a", "b"], ["--outt", "a"], ["--out"]]) {
    assertThrows(() => parseReportOptions(args), UsageError);
  }
});

/** Runs the task as a user does, from some folder. */
function runTask(folder: URL, ...args: string[]) {
  const config = new URL("deno.json", ROOT).pathname;
  const task = ["task", "--quiet", "--config", config, "bench:report"];
  return runProgram([Deno.execPath(), ...task, ...args], { cwd: folder });
}

Deno.test("bench:report writes the page where it is told to", async () => {
  await inFolder(async (folder) => {
    const file = new URL("results.json", folder);
    await Deno.writeTextFile(file, JSON.stringify(SAMPLE));
    const { code, stdout, stderr } = await runTask(
      folder,
      "results.json",
      "--out",
      "pages/page.html",
    );
    assertEquals([code, stderr], [0, ""]);
    const [, path] = stdout.match(/^Written to (.+)$/m) ?? [];
    const html = await Deno.readTextFile(path!);
    assertEquals(html, page(SAMPLE));
    assertEquals(
      await Deno.realPath(path!),
      await Deno.realPath(new URL("pages/page.html", folder)),
    );
  });
});

Deno.test("bench:report --help tells the options", async () => {
  const { code, stdout } = await runTask(ROOT, "--help");
  assertEquals(code, 0);
  for (const option of ["--out", "--readme", "bench.json", "bench.html"]) {
    assertStringIncludes(stdout, option);
  }
});

const UNREADABLE: Readonly<Record<string, string>> = {
  "is empty": "",
  "is no JSON": "{",
  "is a list": "[]",
  "has another format": JSON.stringify({ ...SAMPLE, format: 2 }),
  "has no scenarios": JSON.stringify({ ...SAMPLE, scenarios: undefined }),
};

for (const [what, text] of Object.entries(UNREADABLE)) {
  Deno.test(`bench:report says in one line that its file ${what}`, async () => {
    await inFolder(async (folder) => {
      await Deno.writeTextFile(new URL("wrong.json", folder), text);
      const { code, stderr } = await runTask(folder, "wrong.json");
      assertEquals(code, 2, stderr);
      assertMatch(
        stderr,
        /^error: Cannot report on ".*wrong\.json": [^\n]+\n$/,
      );
    });
  });
}

Deno.test("bench:report says in one line that there is no such file", async () => {
  await inFolder(async (folder) => {
    const { code, stderr } = await runTask(folder, "none.json");
    assertEquals(code, 2, stderr);
    assertMatch(stderr, /^error: Cannot report on ".*none\.json"[^\n]+\n$/);
    const usage = await runTask(folder, "a.json", "b.json");
    assertEquals(usage.code, 2);
    assertMatch(usage.stderr, /^error: Cannot report on "b\.json"[^\n]+\n$/);
  });
});

Deno.test("bench:report says in one line that it cannot write", async () => {
  await inFolder(async (folder) => {
    const file = new URL("results.json", folder);
    await Deno.writeTextFile(file, JSON.stringify(SAMPLE));
    // A file is where a folder would have to be.
    const { code, stderr } = await runTask(
      folder,
      "results.json",
      "--out=README.md/page.html",
    );
    assertEquals(code, 1, stderr);
    assertMatch(stderr, /^error: Cannot write ".*page\.html": [^\n]+\n$/);
  });
});
