/**
 * The lab's page: the lesson's questions with the plots of one run, its system
 * calls side by side, a decision tree, the lesson, and every figure.
 *
 * @module
 */

import { Html, markup, type Part } from "../html.ts";
import { pageOf } from "../page.ts";
import { MODEL_NAMES } from "./models.ts";
import { LESSON, SOURCES } from "./lesson.ts";
import { Run, TITLES } from "./page/figures.ts";
import { listOf, names, QUESTIONS } from "./page/questions.ts";
import { tree } from "./page/tree.ts";
import type { FigureName, LabResults, Row } from "./results.ts";
import { shown } from "./view.ts";

/** Calls that fewer messages make have nothing to do with them. */
const SHARE_MIN = 0.005;
const FIGURES = Object.keys(TITLES) as FigureName[];

const STYLE = new Html(`
.tree{list-style:none;margin:.2rem 0 .4rem;padding:0 0 0 .9rem;
  border-left:2px solid var(--rule);max-width:46rem}
.tree li{margin:.5rem 0}
.tree p{margin:.2rem 0}
.lesson{columns:2 24rem;column-gap:3rem}
.lesson h3{margin-top:1.1rem;break-after:avoid}
nav{columns:2 16rem;margin:1.2rem 0}
nav a{display:block}
td.cannot{color:var(--unmet);text-align:left;white-space:normal}
`);

/** Returns the page. */
export function labPage(results: LabResults): string {
  const run = new Run(results);
  const body = markup`<style>${STYLE}</style>
${header(run)}
<main>
${QUESTIONS.map(([id, title, ask]) => section(id, title, ask(run)))}
${section("calls", "The system calls side by side", calls(run))}
${section("tree", "Which model for which server", tree(run))}
${section("lesson", "The lesson", lesson())}
${section("all", "Every figure", everyFigure(run))}
${section("run", "The run", conditions(run))}
</main>`;
  return pageOf("How servers wait", body);
}

/** Returns denio's version, and the time and the length of a run. */
export function runText({ version, date, seconds, size }: LabResults): string {
  const minute = date.slice(0, "2026-11-21T19:58".length).replace("T", " ");
  return `denio ${version}, ${minute} UTC; messages of ${size} bytes, ` +
    `${seconds} s for each model and load`;
}

/** Returns the command that measures the same. */
export function labCommand(results: LabResults): string {
  const { connections, seconds, size, busyOption } = results;
  const ran = names(new Run(results));
  const models = MODEL_NAMES.every((name) => ran.includes(name))
    ? ""
    : `--models ${ran.join(",")} `;
  return `deno task lab ${models}` +
    `--connections ${connections.join(",")} --busy ${busyOption} ` +
    `--size ${size} --seconds ${seconds}`;
}

function header(run: Run): Html {
  const { results, most } = run;
  const list = listOf(run);
  const links = [
    ...QUESTIONS.map(([id, title]) => [id, title]),
    ...[["calls", "The system calls side by side"]],
    ...[["tree", "Which model for which server"], ["lesson", "The lesson"]],
  ];
  const all = most.toLocaleString("en");
  return markup`<header>
<p class="faint">${runText(results)}</p>
<h1>How servers wait</h1>
<p>One echo server in every model of waiting, under the same load on this
machine. Some connections are busy: they send whenever their last message is
back. All others are silent, as most clients are.</p>
<ul class="gist">
${
    gist(
      run,
      "busy-loop",
      "restShare",
      `of a core, by a busy loop that has nothing to do; ${all} connections`,
    )
  }
${
    gist(
      run,
      "poll",
      "cpuUs",
      `µs of processor time for a message with poll, at ${all} connections`,
    )
  }
${gist(run, list, "cpuUs", `µs with ${list}, at ${all} connections`)}
${
    gist(
      run,
      "threads",
      "connectionBytes",
      "of RAM for a thread and its connection",
    )
  }
</ul>
<nav aria-label="Contents">
${
    links.map(([id, title]) =>
      markup`<a href="#${id!}">${title!}</a>
`
    )
  }</nav>
<p>To measure it anew, in a clone:</p>
<pre><code>${labCommand(results)} --report lab.html</code></pre>
</header>`;
}

function gist(
  run: Run,
  model: string,
  figure: FigureName,
  words: string,
): Part {
  if (run.value(model, run.most, figure) === undefined) return undefined;
  return markup`<li><b>${run.data(model, run.most, figure)}</b>
${words}</li>
`;
}

function section(id: string, title: string, content: Part): Html {
  return markup`<section id="${id}">
<h2>${title}</h2>
${content}</section>
`;
}

/** Calls of a message with one client and with the most, by model. */
function calls(run: Run): Part {
  const { connections } = run.results;
  const few = Math.min(...connections);
  const tables = [...new Set([few, run.most])].map((count) => {
    const all = run.results.rows.filter((row) =>
      row.connections === count && row.callsByName !== undefined
    );
    return callTable(all, count);
  });
  if (tables.every((table) => table === undefined)) {
    return markup`<p>This run could not tell system calls apart.</p>
`;
  }
  return [
    markup`<p>How often a server makes each call for one message. “lab watch
MODEL” shows them in their order, with a word on each.</p>
`,
    tables,
  ];
}

function callTable(all: readonly Row[], connections: number): Part {
  const seen = all.flatMap(({ callsByName }) =>
    Object.entries(callsByName!).filter(([, share]) => share >= SHARE_MIN)
      .map(([name]) => name)
  );
  const columns = [...new Set(seen)];
  if (columns.length === 0) return undefined;
  const rows = all.map(({ model, callsByName }) =>
    markup`<tr><th>${model}</th>${
      columns.map((name) => {
        const share = callsByName![name] ?? 0;
        if (share < SHARE_MIN) return markup`<td class="faint">·</td>`;
        const of = `${model} ${connections} ${name}`;
        return markup`<td><data value="${`${share}`}" data-calls="${of}">${
          shown(share)
        }</data></td>`;
      })
    }</tr>
`
  );
  return [
    markup`<h3>${countText(connections)}</h3>
`,
    table(["", ...columns], rows),
  ];
}

function lesson(): Html {
  const parts = LESSON.map(({ title, paragraphs }) =>
    markup`<h3>${title}</h3>
${
      paragraphs.map((text) =>
        markup`<p>${text}</p>
`
      )
    }`
  );
  return markup`<div class="lesson">
${parts}<h3>Sources</h3>
<ul>
${
    SOURCES.map((text) =>
      markup`<li>${text}</li>
`
    )
  }</ul>
</div>
`;
}

function everyFigure(run: Run): Part {
  return run.results.connections.map((count) => {
    const all = run.results.rows.filter((row) => row.connections === count);
    const rows = all.map(({ model, cannot }) => {
      const cells = cannot === undefined
        ? FIGURES.map((name) =>
          markup`<td>${run.data(model, count, name)}</td>`
        )
        : markup`<td class="cannot" colspan="${`${FIGURES.length}`}">
${cannot.seen}</td>`;
      return markup`<tr><th>${model}</th>${cells}</tr>
`;
    });
    const busy = (all[0]?.busy ?? 0).toLocaleString("en");
    return markup`<h3>${countText(count)}, ${busy} busy</h3>
${table(["", ...FIGURES.map((name) => TITLES[name]!)], rows)}`;
  });
}

function countText(count: number): string {
  return `${count.toLocaleString("en")} connection${count === 1 ? "" : "s"}`;
}

function conditions({ results }: Run): Html {
  const { notes, machine, missing } = results;
  const items = [
    ...notes,
    ...Object.entries(missing).map(([name, why]) => `Without ${name}: ${why}`),
  ];
  return markup`<ul>
${
    items.map((item) =>
      markup`<li>${item}</li>
`
    )
  }</ul>
<dl>
${
    Object.entries(machine).map(([name, text]) =>
      markup`<dt>${name}</dt><dd>${text}</dd>
`
    )
  }</dl>
`;
}

/** A table that scrolls by itself where it is too wide. */
function table(head: readonly string[], rows: Part): Html {
  return markup`<div class="scroll" tabindex="0" role="group" aria-label="table">
<table>
<thead><tr>${head.map((cell) => markup`<th>${cell}</th>`)}</tr></thead>
<tbody>
${rows}</tbody>
</table>
</div>
`;
}
