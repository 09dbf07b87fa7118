import { assert, assertEquals, assertThrows } from "@std/assert";
import { FIGURE_NAMES, Results } from "../../scripts/bench/results.ts";
import { benchCommand, page } from "../../scripts/bench_report/page.ts";
import {
  picture,
  readmeBlock,
  RECORD,
  recorded,
  withBlock,
} from "../../scripts/bench_report/readme.ts";
import { Failure } from "../../scripts/command_line.ts";
import { documentOf } from "../../scripts/packages/plot.ts";
import { runTask } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);
const RESULTS = recorded(ROOT);

Deno.test("the report's page has every number of the results", () => {
  const document = documentOf(page(RESULTS));
  const tables = [...document.querySelectorAll("h3 + p + .scroll table")];
  assertEquals(tables.length, RESULTS.scenarios().length);
  for (const [place, scenario] of RESULTS.scenarios().entries()) {
    const rows = [...tables[place]!.querySelectorAll("tbody tr")];
    const shown = rows.flatMap((row) => {
      const peer = row.querySelector("th")!.textContent;
      return [...row.querySelectorAll("data")].map((data) =>
        `${peer} ${data.getAttribute("value")}`
      );
    });
    const measured = RESULTS.peers(scenario).flatMap((peer) =>
      FIGURE_NAMES.map((figure) => RESULTS.median(scenario, peer, figure))
        .filter((value) => !Number.isNaN(value))
        .map((value) => `${peer} ${value}`)
    );
    assertEquals(shown.toSorted(), measured.toSorted(), scenario);
  }
});

Deno.test("the report's page needs no other file, and its plots say what they show", () => {
  const text = page(RESULTS);
  assert(!/<(script|link|img|iframe)|@import|url\(|NaN|undefined/.test(text));
  const document = documentOf(text);
  for (const link of document.querySelectorAll("a")) {
    const [, id] = /^#(.+)$/.exec(link.getAttribute("href")!)!;
    assert(document.querySelector(`[id="${id}"]`) !== null, id);
  }
  const plots = [...document.querySelectorAll("svg")];
  assert(plots.length > RESULTS.scenarios().length);
  for (const plot of plots) {
    assert(plot.getAttribute("aria-label"));
    assert(plot.getAttribute("aria-description")!.includes("denio"));
  }
});

Deno.test("the report's command measures the scenarios of the run, and no others", () => {
  const results = new Results({ ...RESULTS.run, rounds: 2, seconds: 0.3 });
  results.add("get", "denio", {});
  results.add("churn", "denio", {});
  assertEquals(
    benchCommand(results),
    "deno task bench --only get,churn --rounds 2 --seconds 0.3",
  );
});

Deno.test("the report shows hostile text, and is not made of it", () => {
  const hostile = `<script>"&'\`|` + "\n# \ud800";
  const results = new Results({
    ...RESULTS.run,
    notes: [hostile],
    machine: { [hostile]: hostile },
    missing: { [hostile]: hostile },
  });
  results.add("get", hostile, { cpuUs: [1, 1, 1] });
  const document = documentOf(page(results));
  assertEquals(document.querySelector("script"), null);
  const shown = document.querySelector("main")!.textContent;
  assert(shown.includes('<script>"&'));
  assert(!readmeBlock(results).includes("\n# "));
  assert(!picture(results).includes("<script"));
});

Deno.test("README and its picture show the recorded run, and nothing typed by hand", () => {
  const readme = Deno.readTextFileSync(new URL("README.md", ROOT));
  assertEquals(withBlock(readme, readmeBlock(RESULTS)), readme);
  const svg = Deno.readTextFileSync(new URL(RECORD.picture, ROOT));
  assertEquals(picture(RESULTS), svg);
  assertThrows(() => withBlock("no marks", ""), Failure, "Cannot write into");
});

Deno.test("bench:report writes the page to a given path, or prints why not", async () => {
  const folder = await Deno.makeTempDir();
  const report = (...words: string[]) =>
    runTask("bench:report", words, { cwd: folder });
  const results = `${ROOT.pathname}${RECORD.results}`;
  const { code, stderr } = await report("--out", "page.html", results);
  assertEquals(code, 0, stderr);
  const written = await Deno.readTextFile(`${folder}/page.html`);
  assertEquals(written, page(RESULTS));
  await Deno.writeTextFile(`${folder}/wrong.json`, '{"format":1}');
  for (
    const [words, complaint] of [
      [["none.json"], `Cannot report on "${folder}/none.json": there is no`],
      [["wrong.json"], `Cannot report on "${folder}/wrong.json": Cannot read`],
      [["a", "b"], 'Cannot use "b"; see --help'],
    ] as const
  ) {
    const { code, stderr } = await report(...words);
    assertEquals(code, 2);
    assert(stderr.startsWith(`error: ${complaint}`), stderr);
  }
  await Deno.remove(folder, { recursive: true });
});
