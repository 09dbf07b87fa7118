/**
 * The sections that show plots, each with a table of what they show.
 *
 * @module
 */

import type { FigureName, Results, ScenarioResult } from "../bench/results.ts";
import { lined, type Markup, tag } from "../plot/markup.ts";
import { KEPT, missingScenarios, ordered, withFigure } from "./catalogue.ts";
import { medianOf } from "./comparison.ts";
import { barFigure, latencyFigure, scalingFigure } from "./figures.ts";
import { shareText } from "./numbers.ts";
import { SUBJECT } from "./peers.ts";
import type { Section } from "./sections.ts";
import { cpuCell, figureCell, latencyCell, matrix } from "./tables.ts";

/** What every section of plots says of its whiskers. */
const SPREAD = "Thin lines go from the smallest to the largest round.";

/** Scenarios in which servers are kept busy, each by a load of its own. */
const LOADS = /^(?!scale-|workers-|start$|idle$)/;

/** The sections, in their order. */
export const PLOTS: readonly Section[] = [
  {
    id: "cpu",
    title: "CPU a request, by scenario",
    content: cpu,
  },
  {
    id: "per-cpu-second",
    title: "Requests per CPU second",
    content: perCpuSecond,
  },
  { id: "latency", title: "Latency", content: latency },
  { id: "scaling", title: "Scaling", content: scaling },
  { id: "memory", title: "Memory of an idle connection", content: memory },
  { id: "start", title: "Start to first answer", content: start },
  { id: "system-calls", title: "System calls a request", content: systemCalls },
  {
    id: "allocation",
    title: "Bytes that V8 allocates for a request",
    content: allocation,
  },
];

function cpu(results: Results): Markup[] {
  const scenarios = beside(results, "cpuUs");
  return shown(scenarios, {
    lead: [
      tag(
        "p",
        {},
        "Microseconds of processor time of the server for each request, the " +
          "cheapest server first: ",
        tag("span", { class: "key" }),
        "in the program (user), ",
        tag("span", { class: "key system" }),
        "in the kernel (system). ",
        `${SPREAD} The bare loop answers fixed bytes and runs no handler: ` +
          "it shows what the machine allows.",
      ),
    ],
    figures: scenarios.map((scenario) =>
      barFigure({ section: "cpu", results, scenario }, "cpuUs", {
        second: "userUs",
      })
    ),
    tables: [matrix("CPU, µs: user + system", scenarios, cpuCell)],
    missing: missingLike(results, LOADS),
  });
}

function perCpuSecond(results: Results): Markup[] {
  return bySingleFigure(results, "perCpuSecond", {
    section: "rate",
    lead: "What a server would answer if it had one processor to itself and " +
      `nothing else held it up: more is better. ${SPREAD}`,
    caption: "Requests, messages or events per second of processor time",
  });
}

function latency(results: Results): Markup[] {
  const all = beside(results, "p50Us");
  const isLow = ({ group }: ScenarioResult) => group === "latency";
  // What a lone client waits says more than what a crowd does.
  const scenarios = [
    ...all.filter(isLow),
    ...all.filter((scenario) => !isLow(scenario)),
  ];
  return shown(scenarios, {
    lead: [
      tag(
        "p",
        {},
        "Microseconds from a request to the end of its answer, each axis " +
          "logarithmic: ● half are faster (p50), ○ one in a hundred is " +
          "slower (p99), | one in a thousand is (p99.9). With many " +
          "connections this is mostly waiting for one's turn.",
      ),
    ],
    figures: scenarios.map((scenario) =>
      latencyFigure({ section: "latency", results, scenario })
    ),
    tables: [
      matrix(
        "Latency, µs: p50, below it p99 and p99.9",
        scenarios,
        latencyCell,
      ),
    ],
    missing: missingLike(results, LOADS),
  });
}

function scaling(results: Results): Markup[] {
  const all = ordered(results).filter(({ group }) => group === "scaling");
  const byConnections = all.filter((scenario) =>
    scenario.workers === undefined && scenario.connections !== undefined
  ).toSorted((one, other) => one.connections! - other.connections!);
  const plots = SCALED.filter(({ figure }) => has(byConnections, figure));
  const connections = shown(byConnections, {
    lead: [
      tag(
        "p",
        {},
        "A server whose line is flat takes as much for a request whether one " +
          "connection is open or thousands.",
      ),
    ],
    figures: plots.map(({ figure, ...plot }) =>
      scalingFigure(byConnections, figure, plot)
    ),
    tables: plots.map(({ figure, title }) =>
      matrix(title, byConnections, figureCell(figure))
    ),
    missing: missingLike(results, /^scale-/),
  });
  return [...connections, ...kept(results), ...workers(results)];
}

/** What is left of a rate when thousands of others are connected. */
function kept(results: Results): Markup[] {
  const scenarios = withFigure(results, "perSecond")
    .filter(({ name }) => name === KEPT);
  return shown(scenarios, {
    lead: [
      tag(
        "p",
        {},
        "What busy connections keep of their rate when thousands of idle ones " +
          "are open beside them: 1 is all of it.",
      ),
    ],
    figures: scenarios.map((scenario) =>
      barFigure({ section: "kept", results, scenario }, "perSecond", {
        says: keptText(scenario),
      })
    ),
    tables: [matrix("Rate kept", scenarios, figureCell("perSecond"))],
    missing: missingLike(results, new RegExp(`^${KEPT}$`)),
  });
}

function keptText(scenario: ScenarioResult): string {
  const own = medianOf(scenario, SUBJECT, "perSecond");
  return own === undefined
    ? `${SUBJECT} was not measured.`
    : `${SUBJECT} keeps ${shareText(own)} its rate.`;
}

/** What is plotted over the number of connections. */
const SCALED = [
  { figure: "cpuUs", title: "CPU a request, µs", isLinear: true },
  { figure: "p99Us", title: "p99 of latency, µs", isLinear: false },
] as const;

/** What is plotted by Workers. */
const WORKED = [
  { figure: "perSecond", title: "requests per second" },
  { figure: "cpuUs", title: "CPU, µs a request" },
] as const;

function workers(results: Results): Markup[] {
  const scenarios = ordered(results).filter(({ workers }) =>
    workers !== undefined
  );
  const plots = WORKED.filter(({ figure }) => has(scenarios, figure));
  return shown(scenarios, {
    lead: [tag("p", {}, "The same on one core and on several:")],
    figures: plots.flatMap(({ figure, title }) =>
      scenarios.filter((scenario) => has([scenario], figure))
        .map((scenario) =>
          barFigure({
            section: `workers-${figure}`,
            results,
            scenario,
            title: `${scenario.title}: ${title}`,
          }, figure)
        )
    ),
    tables: plots.map(({ figure, title }) =>
      matrix(`By Workers: ${title}`, scenarios, figureCell(figure))
    ),
    missing: missingLike(results, /^workers-/),
  });
}

function memory(results: Results): Markup[] {
  return bySingleFigure(results, "bytesEach", {
    section: "memory",
    lead: "Resident memory that each connection adds to the server while it " +
      "waits for its next request; the axis is logarithmic.",
    caption: "Memory for each connection",
    isLogarithmic: true,
    expected: /^idle$/,
  });
}

function start(results: Results): Markup[] {
  return bySingleFigure(results, "startMs", {
    section: "start",
    lead: "Milliseconds from starting the program to its first answer. " +
      SPREAD,
    caption: "Start to first answer, ms",
    expected: /^start$/,
  });
}

function systemCalls(results: Results): Markup[] {
  return bySingleFigure(results, "systemCalls", {
    section: "calls",
    lead: "How often a server enters the kernel for each request.",
    caption: "System calls for each request, message or event",
  });
}

function allocation(results: Results): Markup[] {
  return bySingleFigure(results, "allocatedBytes", {
    section: "allocation",
    lead: "What a request leaves to V8's garbage collector. Servers that do " +
      "not run on V8 have no such figure.",
    caption: "Bytes allocated for each request",
  });
}

/** How a section of one figure a scenario is to look. */
interface Single {
  readonly section: string;
  readonly lead: string;
  readonly caption: string;
  readonly isLogarithmic?: boolean;
  /** Names of the scenarios that exist for this figure alone. */
  readonly expected?: RegExp;
}

function bySingleFigure(
  results: Results,
  figure: FigureName,
  { section, lead, caption, isLogarithmic, expected }: Single,
): Markup[] {
  const scenarios = beside(results, figure);
  return shown(scenarios, {
    lead: [tag("p", {}, lead)],
    figures: scenarios.map((scenario) =>
      barFigure({ section, results, scenario }, figure, {
        ...isLogarithmic && { isLogarithmic },
      })
    ),
    tables: [matrix(caption, scenarios, figureCell(figure))],
    missing: missingLike(results, expected ?? /^$/),
  });
}

function shown(
  scenarios: readonly ScenarioResult[],
  { lead, figures, tables, missing }: {
    lead: readonly Markup[];
    figures: readonly Markup[];
    tables: readonly Markup[];
    missing: readonly { title: string }[];
  },
): Markup[] {
  const titles = missing.map(({ title }) => title).join("; ");
  const rest = missing.length === 0
    ? []
    : [tag("p", { class: "aside" }, `Not in this run: ${titles}.`)];
  if (scenarios.length === 0) {
    return [tag("p", {}, "Nothing of this was measured in this run."), ...rest];
  }
  const plots = tag("div", { class: "plots" }, lined("", ...figures, ""));
  return [...lead, plots, ...rest, ...tables];
}

/** The scenarios that have a figure, but for those that vary one thing. */
function beside(results: Results, figure: FigureName): ScenarioResult[] {
  return withFigure(results, figure).filter(({ group }) => group !== "scaling");
}

/** The missing scenarios with such a name. */
function missingLike(
  results: Results,
  name: RegExp,
): { title: string }[] {
  return missingScenarios(results).filter((scenario) =>
    name.test(scenario.name)
  );
}

function has(
  scenarios: readonly ScenarioResult[],
  figure: FigureName,
): boolean {
  return scenarios.some(({ peers }) =>
    peers.some(({ figures }) => figures[figure] !== undefined)
  );
}
