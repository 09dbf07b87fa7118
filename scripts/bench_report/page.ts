/**
 * The page: one file of HTML that needs no other file and no script. All of its
 * figures come from the results.
 *
 * @module
 */

import { budgetsOf } from "../bench/budgets.ts";
import {
  type FigureName,
  FIGURES,
  type Results,
  type Spread,
} from "../bench/results.ts";
import {
  BASELINE,
  type Group,
  isOwn,
  type Scenario,
  scenarioOf,
  SCENARIOS,
  SUBJECT,
} from "../bench/scenarios.ts";
import { figureText, headText, numberText } from "../bench/text.ts";
import { type Html, markup, type Part } from "../html.ts";
import { keyOf, pageOf, plotsOf } from "../page.ts";
import { barChart, colourOf, latencyChart, scalingChart } from "./charts.ts";

/** The first part of the page: denio beside Deno, in one figure each. */
const GIST: readonly (readonly [scenario: string, figure: FigureName])[] = [
  ["get", "ownUs"],
  ["pipeline", "cpuUs"],
  ["app", "ownUs"],
  ["post", "ownUs"],
  ["echo64", "ownUs"],
  ["idle", "bytesEach"],
  ["latency", "p50Us"],
  ["start", "startMs"],
];

const SPREAD = "Thin lines go from the smallest to the largest round.";

/** A part of the page with plots of one figure, of all groups if none is named. */
type Section = readonly [
  title: string,
  figure: FigureName,
  lead: string,
  ...groups: Group[],
];

const SECTIONS: readonly Section[] = [
  [
    "Processor time",
    "cpuUs",
    "Microseconds of the server's processor time for each request, the " +
    "cheapest server first. The pale part of a bar is what the bare loop " +
    "needs, which sends fixed bytes and runs no handler: mostly the kernel's " +
    `work. The rest is the server's own part. ${SPREAD}`,
    "http",
    "tcp",
    "websocket",
  ],
  [
    "Latency",
    "p50Us",
    "Microseconds from a request to the end of its answer, each axis " +
    "logarithmic: ● half are faster (p50, the figure), ○ one in a hundred is " +
    "slower (p99), | one in a thousand is (p99.9). With many connections " +
    "this is mostly waiting for one's turn.",
  ],
  [
    "The rate beside idle connections",
    "rateKept",
    "What busy connections keep of their rate while thousands of idle ones " +
    `are open: 1 is all of it. ${SPREAD}`,
  ],
  [
    "On several Workers",
    "perSecond",
    `Requests a second, more is better. ${SPREAD}`,
    "workers",
  ],
  [
    "Memory of an idle connection",
    "bytesEach",
    "Resident memory that each connection adds to the server while it waits " +
    `for its next request. ${SPREAD}`,
  ],
  [
    "Start to first answer",
    "startMs",
    `Milliseconds from starting the program. ${SPREAD}`,
  ],
  [
    "System calls",
    "systemCalls",
    "How often a server enters the kernel for each request.",
  ],
];

/** Returns the page. */
export function page(results: Results): string {
  const sections = [
    section("What is wanted", budgets(results)),
    ...SECTIONS.map((part) => plots(results, part)),
    scaling(results),
    section("Every scenario", everyScenario(results)),
    section("The run", run(results)),
  ];
  const title = `What a request costs: denio ${results.run.version}`;
  const main = markup`<main>
${sections}
</main>`;
  return pageOf(title, [header(results), main]);
}

function header(results: Results): Html {
  return markup`<header>
<p class="faint">${runText(results)}</p>
<h1>What a request costs</h1>
<p>The processor time, the waiting and the memory that denio and other servers
take for the same work.</p>
<ul class="gist">
${GIST.map(([scenario, figure]) => gist(results, scenario, figure))}
</ul>
<p>To measure it anew, in a clone:</p>
<pre><code>${
    benchCommand(results)
  } &amp;&amp; deno task bench:report</code></pre>
</header>`;
}

/** Returns denio's version, and the time and length of the run. */
export function runText({ run }: Results): string {
  const { version, date, rounds, seconds } = run;
  const minute = date.slice(0, "2026-11-21T19:58".length).replace("T", " ");
  return `denio ${version}, ${minute} UTC; medians of ${rounds} ` +
    `round${rounds === 1 ? "" : "s"} of ${seconds} s`;
}

/** Returns the command that measures the same scenarios for as long. */
export function benchCommand(results: Results): string {
  const { rounds, seconds } = results.run;
  const names = results.scenarios();
  const only = names.length < SCENARIOS.length
    ? ` --only ${names.join(",")}`
    : "";
  return `deno task bench${only} --rounds ${rounds} --seconds ${seconds}`;
}

/** A large ratio, with what it is the ratio of. */
function gist(results: Results, name: string, figure: FigureName): Part {
  const medians = [SUBJECT, BASELINE].map((peer) =>
    results.median(name, peer, figure)
  );
  const ratio = Math.max(0, medians[0]! / medians[1]!);
  if (Number.isNaN(ratio) || medians[1]! <= 0) return undefined;
  const [own, other] = medians.map((value) => figureText(figure, value));
  const { title, unit } = FIGURES[figure];
  return markup`<li><b>${numberText(ratio)} ${ratio < 1 ? "of" : "times"}</b>
Deno’s ${title} <span>${scenarioOf(name).title}: ${own} against ${other}
${unit === "bytes" ? "" : unit}</span></li>
`;
}

function section(title: string, content: Part): Html {
  return markup`<section>
<h2>${title}</h2>
${content}</section>
`;
}

function budgets(results: Results): Part {
  const rows = budgetsOf(results).map(({ name, wanted, measured, isMet }) => {
    const isKnown = !Number.isNaN(measured);
    const verdict = !isKnown
      ? markup`<td class="faint">not run</td>`
      : isMet
      ? markup`<td class="met">✓ met</td>`
      : markup`<td class="unmet">✗ not met</td>`;
    const text = numberText(measured);
    return markup`<tr><th>${name}</th><td>${wanted}</td><td>${text}</td>${verdict}</tr>
`;
  });
  return table(["", "wanted", "measured", ""], rows, "prose");
}

/** Nothing when a run has no such figure. */
function plots(
  results: Results,
  [title, figure, lead, ...groups]: Section,
): Part {
  const isShown = ({ name, group }: Scenario) =>
    (groups.length === 0 ? group !== "scaling" : groups.includes(group)) &&
    results.figures(name).includes(figure);
  const scenarios = results.scenarios().map(scenarioOf).filter(isShown);
  if (scenarios.length === 0) return undefined;
  // The wait of a lone client shows more than that of a crowd.
  const isCrowd = ({ group }: Scenario) => Number(group !== "latency");
  const sorted = scenarios.toSorted((a, b) => isCrowd(a) - isCrowd(b));
  const figures = sorted.map((scenario) =>
    [
      markup`<a href="#${scenario.name}">${scenario.title}</a>`,
      figure === "p50Us"
        ? latencyChart(results, scenario)
        : barChart(results, scenario, figure),
    ] as const
  );
  return section(title, [markup`<p>${lead}</p>`, plotsOf(figures)]);
}

/** How figures change with the number of connections. */
function scaling(results: Results): Part {
  const names = results.scenarios()
    .filter((name) => scenarioOf(name).group === "scaling");
  if (names.length < 2) return undefined;
  const key = keyOf(results.peers(names[0]!), colourOf);
  const figures = (["cpuUs", "p99Us"] as const).map((figure) =>
    [[headText(figure), key], scalingChart(results, names, figure)] as const
  );
  const lead = "A server whose line is flat takes as much for a request " +
    "whether one connection is open or thousands.";
  return section("Scaling", [markup`<p>${lead}</p>`, plotsOf(figures)]);
}

function everyScenario(results: Results): Part {
  return results.scenarios().map((name) => {
    const { title, unit } = scenarioOf(name);
    const figures = results.figures(name);
    const main = figures[0]!;
    const rows = results.ranked(name, main).map((peer) => {
      const ratio = numberText(results.toBest(name, peer, main));
      const cells = figures.map((figure) =>
        cell(results.spread(name, peer, figure), figure)
      );
      const kind = isOwn(peer) ? "own" : "";
      return markup`<tr class="${kind}"><th>${peer}</th><td>${ratio}</td>${cells}</tr>
`;
    });
    return markup`<h3 id="${name}">${title} <code>${name}</code></h3>
<p class="faint">For each ${unit}: median, smallest and largest round</p>
${table(["", "to best", ...figures.map(headText)], rows)}`;
  });
}

/** A figure with the exact value of the results as its `value`. */
function cell(spread: Spread | undefined, figure: FigureName): Html {
  if (spread === undefined) return markup`<td>–</td>`;
  const [median, min, max] = spread;
  const [text, low, high] = spread.map((value) => figureText(figure, value));
  const range = min === max ? "" : markup`<small>${low!}–${high!}</small>`;
  return markup`<td><data value="${`${median}`}">${text!}</data>${range}</td>`;
}

function run(results: Results): Part {
  const { machine, notes, missing } = results.run;
  const names = results.scenarios();
  const absent = SCENARIOS.filter(({ name }) => !names.includes(name));
  const items = [
    ...notes,
    ...Object.entries(missing).map(([peer, why]) => `Without ${peer}: ${why}`),
    ...absent.map(({ title }) => `Not run: ${title}`),
    "A bare loop is no server: “to best” compares with the best of the others",
  ];
  const parts = Object.entries(machine).map(([name, text]) =>
    markup`<dt>${name}</dt><dd>${text}</dd>
`
  );
  return markup`<ul>
${
    items.map((item) =>
      markup`<li>${item}</li>
`
    )
  }</ul>
<dl>
${parts}</dl>
`;
}

/** A table that scrolls by itself where it is too wide. */
function table(head: readonly string[], rows: Part, kind = ""): Html {
  return markup`<div class="scroll" tabindex="0" role="group" aria-label="table">
<table class="${kind}">
<thead><tr>${head.map((cell) => markup`<th>${cell}</th>`)}</tr></thead>
<tbody>
${rows}</tbody>
</table>
</div>
`;
}
