/**
 * The report's plots: the costs of a scenario's servers, the times of answers,
 * and how both change with the number of connections.
 *
 * @module
 */

import { type FigureName, FIGURES, type Results } from "../bench/results.ts";
import {
  BASELINE,
  isOwn,
  LIMIT,
  type Scenario,
  scenarioOf,
} from "../bench/scenarios.ts";
import { figureText } from "../bench/text.ts";
import { Html } from "../html.ts";
import { drawn, lines, Plot, type Unnamed, WIDTH } from "../plot.ts";

const ROW = 22;
const MARGINS = { marginTop: 2, marginLeft: 92, marginRight: 68 };
/** A round that took much longer than the others would make all bars short. */
const ROOM_FOR_ROUNDS = 1.25;
/** The part of a bar that the bare loop needs as well. */
const FLOOR_OPACITY = 0.35;

/**
 * Each server's colour, as a CSS variable; outside of a page the light one.
 * Okabe and Ito chose these colours for readers with any colour vision.
 */
export function colourOf(peer: string): string {
  if (isOwn(peer)) return "var(--denio,#0072b2)";
  return peer === BASELINE ? "var(--deno,#d55e00)" : "var(--other,#767676)";
}

/** A bar of a server. */
export interface Bar {
  readonly peer: string;
  /** The part of the value that the bare loop needs as well; 0 if unknown. */
  readonly floor: number;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly label: string;
}

/** Returns a scenario's bars, the best server first. */
export function barsOf(
  results: Results,
  scenario: string,
  figure: FigureName,
): Bar[] {
  const floor = results.median(scenario, LIMIT, figure);
  return results.ranked(scenario, figure).map((peer) => {
    const [value, min, max] = results.spread(scenario, peer, figure)!;
    return {
      peer,
      floor: figure === "cpuUs" && floor > 0 ? Math.min(floor, value) : 0,
      ...{ value, min, max },
      label: figureText(figure, value),
    };
  });
}

/** Returns the marks of bars, the bare loop's part of each in a pale colour. */
export function barMarks(
  bars: readonly Bar[],
  facet: { readonly fx?: string } = {},
): Plot.Markish[] {
  const common = {
    y: "peer",
    fill: (bar: Bar) => colourOf(bar.peer),
    insetTop: 4,
    insetBottom: 4,
    ...facet,
  };
  return [
    Plot.barX(bars, {
      ...common,
      x1: 0,
      x2: "floor",
      fillOpacity: FLOOR_OPACITY,
    }),
    Plot.barX(bars, { ...common, x1: "floor", x2: "value" }),
  ];
}

/** Returns a plot with a bar for each server, and its rounds as a thin line. */
export function barChart(
  results: Results,
  scenario: Scenario,
  figure: FigureName,
): Html {
  const bars = barsOf(results, scenario.name, figure);
  const end = Math.max(...bars.map(({ value }) => value)) * ROOM_FOR_ROUNDS;
  return chart(scenario, figure, bars, {
    x: {
      axis: null,
      domain: [Math.min(0, ...bars.map(({ min }) => min)), end],
    },
    marks: [
      ...barMarks(bars),
      Plot.ruleY(bars, {
        x1: "min",
        x2: ({ max }: Bar) => Math.min(max, end),
        y: "peer",
      }),
    ],
  });
}

/** Returns a plot with p50, p99 and p99.9 of each server on a logarithm. */
export function latencyChart(results: Results, scenario: Scenario): Html {
  const { name } = scenario;
  const bars = barsOf(results, name, "p50Us");
  const of = (figure: FigureName) => ({ peer, value }: Bar) =>
    results.median(name, peer, figure) || value;
  const [p50, p99, p999] = [of("p50Us"), of("p99Us"), of("p999Us")];
  const stroke = ({ peer }: Bar) => colourOf(peer);
  const common = { y: "peer", stroke, strokeWidth: 2 };
  return chart(scenario, "p50Us", bars, {
    x: { type: "log", axis: null, nice: true },
    marks: [
      Plot.ruleY(bars, { ...common, x1: p50, x2: p999 }),
      Plot.dot(bars, { ...common, x: p50, fill: stroke, r: 4 }),
      Plot.dot(bars, { ...common, x: p99, fill: "var(--ground,white)", r: 4 }),
      Plot.tickX(bars, { ...common, x: p999, insetTop: 5, insetBottom: 5 }),
    ],
  });
}

/** Names on the left, figures on the right, and marks between them. */
function chart(
  { title }: Scenario,
  figure: FigureName,
  bars: readonly Bar[],
  options: Unnamed,
): Html {
  const names = (own: boolean) =>
    Plot.text(bars, {
      filter: ({ peer }: Bar) => isOwn(peer) === own,
      y: "peer",
      text: "peer",
      frameAnchor: "left",
      textAnchor: "end",
      dx: -6,
      fontWeight: own ? 600 : 400,
    });
  return new Html(drawn({
    ariaLabel: `${title}: ${FIGURES[figure].title}`,
    ariaDescription: bars.map(({ peer, label }) => `${peer} ${label}`)
      .join(", "),
    width: WIDTH,
    height: ROW * bars.length + 4,
    marginBottom: 2,
    ...MARGINS,
    style: { fontSize: "12px" },
    y: { axis: null, domain: bars.map(({ peer }) => peer), padding: 0 },
    ...options,
    marks: [
      ...options.marks ?? [],
      names(true),
      names(false),
      Plot.text(bars, {
        y: "peer",
        text: "label",
        frameAnchor: "right",
        textAnchor: "start",
        dx: 6,
      }),
    ],
  }));
}

/** Returns a plot with a line for each server, over ever more connections. */
export function scalingChart(
  results: Results,
  scenarios: readonly string[],
  figure: FigureName,
): Html {
  const points = scenarios.flatMap((name) =>
    results.peers(name).map((line) => ({
      line,
      x: scenarioOf(name).connections,
      y: results.median(name, line, figure),
    }))
  );
  const label = `${FIGURES[figure].title} by connections`;
  return new Html(lines(points, { label, xLabel: "connections", colourOf }));
}
