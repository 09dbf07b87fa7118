/**
 * The questions of the lesson, each with the plots and figures that answer it.
 * A sentence whose figures a run does not have is left out.
 *
 * @module
 */

import { type Html, markup, type Part } from "../../html.ts";
import { plotsOf } from "../../page.ts";
import { bars, held, lines, type Shown } from "./charts.ts";
import type { Run } from "./figures.ts";

const IS_RING = /ring|completion|proactor/;
const CPU = "Processor time of a message, µs";

/** A question, and what answers it; nothing when a run has no such figure. */
export type Question = (run: Run) => Part;

/** All of them, in the lesson's order. */
export const QUESTIONS: readonly (readonly [string, string, Question])[] = [
  ["busy", "Why is busy waiting bad?", busyWaiting],
  ["select", "Where does select end?", whereSelectEnds],
  ["epoll", "What does epoll win when most clients are silent?", whatEpollWins],
  ["threads", "What does a thread cost?", whatThreadsCost],
  ["completions", "What do completions save?", whatCompletionsSave],
];

/** The kernel's list of this system. */
export function listOf(run: Run): string {
  return run.has("kqueue-level") ? "kqueue-level" : "epoll-level";
}

/** The plot that the README shows, too: O(n) against a list in the kernel. */
export function scaling(run: Run, width?: number): Html | undefined {
  const models = ["busy-loop", "select", "poll", "threads", listOf(run)];
  return lines(run, { title: CPU, figure: "cpuUs", models }, width);
}

function busyWaiting(run: Run): Part {
  const { most } = run;
  const list = listOf(run);
  const models = names(run);
  const figure = "restShare";
  const title = `Share of a core while no message comes, ${count(most)} open`;
  return [
    markup`<p>A loop that asks every socket “has something come?” works as hard
when the answer is no. With ${count(most)} silent connections the busy loop uses
${run.data("busy-loop", most, figure)} of a core, ${list}
${run.data(list, most, figure)}. And when one client does send, the loop has
asked all others first: a message then takes
${run.data("busy-loop", most, "cpuUs")} µs of processor time.</p>
`,
    plots([title, bars(run, { title, figure, models }, most)]),
  ];
}

function whereSelectEnds(run: Run): Part {
  const { most, results } = run;
  const refusals = results.models.flatMap(({ name }) => {
    const row = results.rows.find((row) =>
      row.model === name && row.cannot !== undefined
    );
    if (row?.cannot === undefined) return [];
    const { seen, why } = row.cannot;
    return [
      markup`<dt>${name}</dt>
<dd>${seen}${why === null ? "" : `. It cannot hold ${why}.`}</dd>
`,
    ];
  });
  const models = names(run).filter((name) => /^(select|poll)$/.test(name));
  return [
    markup`<p>At descriptor 1,024: its sets have no bit for a larger number, and
a process has other files open, too. It becomes slow before that. poll has no
such end, but it looks at every client as select does. ● held the load; ✗ did
not, with how many clients were answered.</p>
`,
    plots(
      ["Which model holds how many connections", held(run, "Loads held")],
      [CPU, lines(run, { title: CPU, figure: "cpuUs", models })],
    ),
    refusals.length > 0
      ? markup`<dl>
${refusals}</dl>
`
      : markup`<p>Every model has held ${count(most)} connections.</p>
`,
  ];
}

function whatEpollWins(run: Run): Part {
  const { most, results } = run;
  const list = listOf(run);
  const first = results.connections.toSorted((a, b) => a - b)
    .find((count) => (run.row(list, count)?.busy ?? 0) > 1) ?? most;
  const busy = run.row(list, most)?.busy;
  const times = (model: string) =>
    run.ratio("cpuUs", [model, most], [model, first]);
  const [grown, flat] = [times("poll"), times(list)];
  const latency = "Half of the messages took no longer than, µs";
  const models = ["select", "poll", list];
  return [
    busy === undefined ? undefined : markup`<p>${count(most)} connections, of
which ${count(busy)} are busy: the usual case, since most clients are silent
most of the time.${
      grown && flat && markup` From ${count(first)} connections to
${count(most)}, the processor time of a message becomes ${grown} times as much
with poll, and ${flat} times as much with ${list}: a silent client costs
nothing when the kernel keeps the list.`
    }</p>
`,
    plots(
      [`${CPU}, by connections`, scaling(run)],
      [latency, lines(run, { title: latency, figure: "p50Us", models })],
    ),
  ];
}

function whatThreadsCost(run: Run): Part {
  const { most } = run;
  const at = run.mostOf("threads") ?? most;
  const models = names(run).filter((name) =>
    !/^(blocking|busy-loop|select|poll|timers)$/.test(name)
  );
  const of = (figure: Shown["figure"], title: string) =>
    [
      `${title}, ${count(at)} connections`,
      bars(run, { title, figure, models }, at),
    ] as const;
  return [
    markup`<p>Less memory than its stack suggests, and a context switch for each
message. ${count(at)} connections are ${run.data("threads", at, "threads")}
threads. Their addresses are ${run.data("threads", at, "virtualBytes")}, but in
RAM they are ${
      run.data("threads", at, "residentBytes")
    }: the kernel gives memory
when a stack is touched. Its own stack for each thread, 16 KiB, comes on top and
is in no process's figures. And a thread
waits for each message, at which the kernel switches to another one:
${run.data("threads", at, "voluntary")} switches a message. A loop that finds
several messages in one wait does not sleep between them.</p>
`,
    plots(
      of("connectionBytes", "RAM that a connection adds"),
      of("voluntary", "Waits for each message (context switches)"),
    ),
  ];
}

function whatCompletionsSave(run: Run): Part {
  const ring = names(run).find((name) => IS_RING.test(name));
  const at = ring === undefined ? undefined : run.mostOf(ring);
  const shown = at ?? run.most;
  const title = `System calls of a message, ${count(shown)} connections`;
  const models = names(run).filter((name) => name !== "busy-loop");
  const list = listOf(run);
  return [
    markup`<p>Calls. A loop over readiness waits, reads and writes: with ${list}
a message takes ${run.data(list, shown, "systemCalls")} calls at
${count(shown)} connections, since one wait finds several messages. By edge it
reads until nothing is left, which is a call more. ${
      ring === undefined || at === undefined
        ? markup`With completions reads, writes and waits leave in one call for
many messages; this run has no figures of such a model, so the bars show what
there is to save.`
        : markup`Over completions it takes ${
          run.data(ring, at, "systemCalls")
        } calls, and ${run.data(ring, at, "cpuUs")} µs of processor time instead
of ${run.data(list, at, "cpuUs")}.`
    } Each call costs the way into the kernel and back; the work in it, to move
bytes and to wake the peer, stays.</p>
`,
    plots([title, bars(run, { title, figure: "systemCalls", models }, shown)]),
  ];
}

/** Returns the models' names, in the order of the run. */
export function names(run: Run): string[] {
  return run.results.models.map(({ name }) => name);
}

function count(number: number): string {
  return number.toLocaleString("en");
}

function plots(
  ...all: readonly (readonly [string, Html | undefined])[]
): Part {
  const there = all.filter((plot): plot is readonly [string, Html] =>
    plot[1] !== undefined
  );
  return there.length === 0 ? undefined : plotsOf(there);
}
