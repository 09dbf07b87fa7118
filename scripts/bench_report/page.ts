/**
 * The page: one file of HTML that needs no other, nor a script.
 *
 * All of its figures come out of the results.
 *
 * @module
 */

import type { FigureName, Results } from "../bench/results.ts";
import { lined, Markup, tag } from "../plot/markup.ts";
import { scenarioOf } from "./catalogue.ts";
import { medianOf, phraseOf, ratioOf } from "./comparison.ts";
import { benchCommand, fullText, ranText, shareText } from "./numbers.ts";
import { BASELINE, isOwn, LIMIT, peersOf, SUBJECT } from "./peers.ts";
import { type Section, SECTIONS } from "./sections.ts";
import { PAGE_STYLE } from "./style.ts";

const TITLE = "What a request costs";

/** What the page begins with: denio beside Deno, in one figure each. */
const GIST: readonly (readonly [string, FigureName])[] = [
  ["get", "userUs"],
  ["pipeline", "perCpuSecond"],
  ["app", "userUs"],
  ["post", "userUs"],
  ["echo64", "userUs"],
  ["idle", "bytesEach"],
  ["latency", "p50Us"],
  ["start", "startMs"],
];

/** Returns the page. */
export function page(results: Results): string {
  const main = SECTIONS.map((part) => section(part, results));
  const body = lined("", header(results), tag("main", {}, lined("", ...main)));
  const html = tag(
    "html",
    { lang: "en" },
    lined("", head(results), tag("body", {}, body), ""),
  );
  return `<!doctype html>\n${html}\n`;
}

function head({ version }: Results): Markup {
  const viewport = "width=device-width, initial-scale=1";
  return tag(
    "head",
    {},
    lined(
      "",
      tag("meta", { charset: "utf-8" }),
      tag("meta", { name: "viewport", content: viewport }),
      tag("title", {}, `${TITLE}: ${SUBJECT} ${version}`),
      tag("style", {}, new Markup(PAGE_STYLE)),
      "",
    ),
  );
}

function section({ id, title, content }: Section, results: Results): Markup {
  return tag(
    "section",
    { id },
    lined("", tag("h2", {}, title), ...content(results), ""),
  );
}

function header(results: Results): Markup {
  const others = peersOf(results.scenarios).filter((peer) => !isOwn(peer))
    .map((peer) => peer === LIMIT ? `the ${LIMIT}` : peer);
  return tag(
    "header",
    {},
    lined(
      tag("p", { class: "faint" }, ranText(results)),
      tag("h1", {}, TITLE),
      tag(
        "p",
        {},
        others.length === 0
          ? "No other server took part. "
          : `${SUBJECT} beside ${listText(others)}: the processor time, the ` +
            `waiting and the memory that each takes for the same work. `,
        missingText(results),
      ),
      ...gist(results),
      tag("p", {}, "To measure it anew, in a clone:"),
      tag(
        "pre",
        {},
        tag("code", {}, `${benchCommand(results)} && deno task bench:report`),
      ),
      tag(
        "nav",
        { "aria-label": "sections" },
        ...SECTIONS.map((
          { id, title },
        ) => [tag("a", { href: `#${id}` }, title), " "]),
      ),
    ),
  );
}

function listText(names: readonly string[]): string {
  return names.length === 1
    ? names[0]!
    : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function missingText({ missing }: Results): string {
  if (missing.length === 0) return "";
  const servers = missing.map(({ peer, reason }) => `${peer} (${reason})`);
  return `Not here: ${listText(servers)}.`;
}

/** A large ratio each, with what it is the ratio of. */
function gist(results: Results): Markup[] {
  const items = GIST.flatMap(([name, figure]) => gistOf(results, name, figure));
  return items.length === 0
    ? [tag("p", {}, `No ratio: ${SUBJECT} and ${BASELINE} were not both run.`)]
    : [tag("ul", { class: "gist" }, lined("", ...items))];
}

function gistOf(results: Results, name: string, figure: FigureName): Markup[] {
  const scenario = scenarioOf(results, name);
  const ratio = scenario && ratioOf(scenario, figure, [SUBJECT, BASELINE]);
  if (scenario === undefined || ratio === undefined) return [];
  const [own, other] = [SUBJECT, BASELINE].map((peer) =>
    fullText(figure, medianOf(scenario, peer, figure)!)
  );
  return [
    tag(
      "li",
      {},
      tag("b", {}, shareText(ratio)),
      ` ${BASELINE}'s ${phraseOf(figure)} `,
      tag("span", {}, `${scenario.title}: ${own} against ${other}`),
    ),
  ];
}
