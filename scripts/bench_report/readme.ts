/**
 * The README's part about the last recorded run, written from its results: no
 * figure is typed by hand.
 *
 * @module
 */

import { SUBJECT } from "../bench/scenarios.ts";
import { PEER_NAMES } from "../bench/peers.ts";
import { type FigureName, Results } from "../bench/results.ts";
import { figureText } from "../bench/text.ts";
import { Failure } from "../command_line.ts";
import { drawn, Plot } from "../plot.ts";
import { barMarks, barsOf } from "./charts.ts";
import { benchCommand, runText } from "./page.ts";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

/** The files that a recorded run leaves in the project, by path. */
export const RECORD = {
  results: "scripts/bench/results/latest.json",
  picture: "scripts/bench/results/latest.svg",
  readme: "README.md",
} as const;

/** The scenarios that the README shows, by the figure in the table. */
const COLUMNS: readonly (readonly [string, string, FigureName])[] = [
  ["get", "GET", "cpuUs"],
  ["pipeline", "GET, 16 in a pipeline", "cpuUs"],
  ["app", "a browser's GET", "cpuUs"],
  ["echo64", "TCP echo of 64 B", "cpuUs"],
  ["ws-64", "WebSocket echo of 64 B", "cpuUs"],
  ["idle", "an idle connection", "bytesEach"],
  ["ws-idle", "an idle WebSocket", "bytesEach"],
];

const WIDTH = 800;
const ROW = 20;
const TOP = 56;
const GROUND = "#fdfdfb";
/** Room for the figure at the end of the longest bar. */
const ROOM_FOR_LABELS = 1.3;

/**
 * Keeps a run in the project at `root`, and shows it in the README.
 *
 * @throws {Failure} when the README has no place for it.
 */
export function record(results: Results, root: URL): void {
  const readme = new URL(RECORD.readme, root);
  const text = withBlock(Deno.readTextFileSync(readme), readmeBlock(results));
  Deno.writeTextFileSync(new URL(RECORD.results, root), results.toText());
  Deno.writeTextFileSync(new URL(RECORD.picture, root), picture(results));
  Deno.writeTextFileSync(readme, text);
}

/** Returns the run that the project at `root` has kept. */
export function recorded(root: URL): Results {
  return Results.parse(Deno.readTextFileSync(new URL(RECORD.results, root)));
}

/**
 * Returns a README with another block between its two marks.
 *
 * @throws {Failure} when it has no such marks.
 */
export function withBlock(readme: string, block: string): string {
  const parts = readme.split(new RegExp(`${BEGIN}[^]*?${END}`));
  if (parts.length === 2) return parts.join(`${BEGIN}\n${block}\n${END}`);
  throw new Failure(
    `Cannot write into README.md: it must have "${BEGIN}" once, then "${END}"`,
  );
}

/** Returns the text between the marks, as `deno fmt` leaves it. */
export function readmeBlock(results: Results): string {
  const { machine, missing } = results.run;
  const described = Object.entries(machine)
    .map(([name, text]) => `${name} ${text}`).join(", ");
  const absent = Object.keys(missing).map((peer) => `, without ${peer}`);
  return `
<!-- deno-fmt-ignore-start -->

![Processor time of a request, by server and scenario](${RECORD.picture})

${tableLines(results).join("\n")}

Microseconds of processor time for a request or a message, in brackets the server's own part: what it needs above the bare loop, an epoll loop in Rust that sends fixed bytes and runs no handler. What is idle: memory.

${runText(results)}; ${escaped(described + absent.join(""))}. By \`${
    benchCommand(results)
  } && deno task bench:report --readme\`.

<!-- deno-fmt-ignore-end -->
`;
}

function tableLines(results: Results): string[] {
  const rows = peersOf(results).map((peer) => [
    peer === SUBJECT ? `**${peer}**` : peer,
    ...COLUMNS.map(([name, , figure]) => cell(results, name, peer, figure)),
  ]);
  const head = ["", ...COLUMNS.map(([, title]) => title)];
  const rule = ["---", ...COLUMNS.map(() => "---:")];
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`);
}

/** The servers that the README shows, in the benchmark's order. */
function peersOf(results: Results): string[] {
  const found = COLUMNS.flatMap(([name]) => results.peers(name));
  return PEER_NAMES.filter((peer) => found.includes(peer));
}

function cell(
  results: Results,
  scenario: string,
  peer: string,
  figure: FigureName,
): string {
  const text = figureText(figure, results.median(scenario, peer, figure));
  const own = results.median(scenario, peer, "ownUs");
  return Number.isNaN(own) ? text : `${text} (${figureText("ownUs", own)})`;
}

/**
 * Returns the picture as a document. It has a background of its own, so that
 * it can be read on a light page and on a dark page.
 */
export function picture(results: Results): string {
  const shown = COLUMNS.filter(([name, , figure]) =>
    figure === "cpuUs" && results.ranked(name, figure).length > 0
  );
  const peers = peersOf(results);
  const bars = shown.flatMap(([name, title]) =>
    barsOf(results, name, "cpuUs").map((bar) => ({ ...bar, title }))
  ).filter(({ peer }) => peers.includes(peer));
  const most = Math.max(...bars.map(({ value }) => value));
  const drawing = drawn({
    ariaLabel: "Processor time of a request, microseconds",
    ariaDescription: bars.map(({ title, peer, label }) =>
      `${title}, ${peer}: ${label}`
    ).join("; "),
    width: WIDTH,
    height: TOP + ROW * peers.length + 14,
    marginTop: TOP,
    marginLeft: 104,
    marginBottom: 14,
    marginRight: 12,
    style: { fontSize: "12px", color: "#1b1b1b" },
    x: { axis: null, domain: [0, most * ROOM_FOR_LABELS] },
    y: { domain: peers, label: null, tickSize: 0, padding: 0 },
    fx: {
      domain: shown.map(([, title]) => title),
      axis: "top",
      label: null,
      padding: 0.06,
    },
    marks: [
      ...barMarks(bars, { fx: "title" }),
      Plot.text(bars, {
        fx: "title",
        x: "value",
        y: "peer",
        text: "label",
        textAnchor: "start",
        dx: 4,
      }),
    ],
  });
  const title = `<text x="16" y="24" font-size="14" font-weight="600" ` +
    `text-anchor="start">Processor time of a request, µs; ` +
    `pale: what the bare loop needs, too</text>`;
  const ground = `<rect width="100%" height="100%" fill="${GROUND}"/>`;
  return drawing.replace(/(<svg[^>]*>)/, `$1${ground}${title}`) + "\n";
}

/** Returns text as Markdown writes it, on one line. */
function escaped(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>|&~#!]/g, "\\$&");
}
