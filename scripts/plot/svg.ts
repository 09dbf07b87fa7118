/**
 * Line plots as SVG, on logarithmic scales.
 *
 * @module
 */

/** One line. */
export interface Series {
  /** Written at its end. */
  readonly name: string;
  /** Pairs of x and y; those that are not above zero have no place. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Lines over one pair of axes. */
export interface Plot {
  /** Written above. */
  readonly title: string;
  /** What x counts. */
  readonly xLabel: string;
  /** What y counts. */
  readonly yLabel: string;
  /** The lines. */
  readonly series: readonly Series[];
}

const WIDTH = 640;
const HEIGHT = 300;
/** Where the axes lie in that, with room for what is written around them. */
const AREA = { left: 70, top: 40, right: 560, bottom: 250 };
/** Okabe and Ito's colours, which most people can tell apart. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];
const STYLE = "text{font:12px system-ui,sans-serif;fill:#222}" +
  ".title{font-size:14px;font-weight:600}.grid{stroke:#ddd}" +
  "path{fill:none;stroke-width:2}";

/** What a name takes, with some air. */
const NAME_WIDTH = 60;
const NAME_HEIGHT = 13;

type Place = readonly [x: number, y: number];

/** A line in the picture. */
interface Drawn {
  readonly name: string;
  readonly places: readonly Place[];
}

/** A line's name in the picture. */
interface Named {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  /** The line's number, which has its colour. */
  readonly index: number;
}

/** Maps a value to a place along an axis. */
type Scale = (value: number) => number;

/** Returns a document with the plots one below the other. */
export function svg(plots: readonly Plot[]): string {
  const height = HEIGHT * plots.length;
  const parts = plots.map((plot, index) =>
    `<g transform="translate(0 ${index * HEIGHT})">\n${panel(plot)}\n</g>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" ` +
    `viewBox="0 0 ${WIDTH} ${height}">\n<style>${STYLE}</style>\n` +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n` +
    `${parts.join("\n")}\n</svg>\n`;
}

function panel({ title, xLabel, yLabel, series }: Plot): string {
  const lines = series.map(({ name, points }) => ({
    name,
    points: points.filter(([x, y]) => x > 0 && y > 0),
  })).filter(({ points }) => points.length > 0);
  const all = lines.flatMap(({ points }) => points);
  const xs = decades(all.map(([x]) => x));
  const ys = decades(all.map(([, y]) => y));
  const x = logarithmic(xs, AREA.left, AREA.right);
  const y = logarithmic(ys, AREA.bottom, AREA.top);
  const drawn = lines.map(({ name, points }) => ({
    name,
    places: points.map(([a, b]) => [round(x(a)), round(y(b))] as const),
  }));
  const middle = (AREA.top + AREA.bottom) / 2;
  return [
    text(AREA.left, 24, title, 'class="title"'),
    ...xs.map((value) => verticalMark(x(value), label(value))),
    ...ys.map((value) => horizontalMark(y(value), label(value))),
    text(AREA.right, AREA.bottom + 36, xLabel, 'text-anchor="end"'),
    text(16, middle, yLabel, `transform="rotate(-90 16 ${middle})"`),
    ...drawn.map(({ places }, index) => path(places, colourOf(index))),
    ...apart(drawn).map(({ name, x, y, index }) =>
      text(x + 8, y + 4, name, `style="fill:${colourOf(index)}"`)
    ),
  ].join("\n");
}

/** Where each line ends, which is where it is named: no two names too near. */
function apart(drawn: readonly Drawn[]): Named[] {
  const names = drawn.map(({ name, places }, index) => {
    const [x, y] = places.at(-1)!;
    return { name, x, y, index };
  }).sort((one, other) => one.y - other.y);
  const placed: Named[] = [];
  for (const one of names) {
    const above = placed.filter(({ x }) => Math.abs(x - one.x) < NAME_WIDTH);
    const y = Math.max(one.y, ...above.map(({ y }) => y + NAME_HEIGHT));
    placed.push({ ...one, y });
  }
  return placed;
}

function path(places: readonly Place[], colour: string): string {
  const steps = places.map(([a, b], i) => `${i === 0 ? "M" : "L"}${a} ${b}`);
  const dots = places.map(([a, b]) =>
    `<circle cx="${a}" cy="${b}" r="3" fill="${colour}"/>`
  );
  return `<path d="${steps.join("")}" stroke="${colour}"/>${dots.join("")}`;
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

/** The powers of ten around the values, at least one decade of them. */
function decades(values: readonly number[]): number[] {
  const logs = values.map(Math.log10);
  const first = Math.floor(Math.min(...logs, Infinity) || 0);
  const last = Math.ceil(Math.max(...logs, -Infinity) || 0);
  if (!Number.isFinite(first) || !Number.isFinite(last)) return [1, 10];
  const count = Math.max(1, last - first);
  return Array.from({ length: count + 1 }, (_, index) => 10 ** (first + index));
}

function logarithmic(
  marks: readonly number[],
  start: number,
  end: number,
): Scale {
  const [low, high] = [Math.log10(marks[0]!), Math.log10(marks.at(-1)!)];
  return (value) =>
    start + (Math.log10(value) - low) / (high - low) * (end - start);
}

function verticalMark(x: number, name: string): string {
  return `<line class="grid" x1="${round(x)}" x2="${round(x)}" ` +
    `y1="${AREA.top}" y2="${AREA.bottom}"/>` +
    text(x, AREA.bottom + 18, name, 'text-anchor="middle"');
}

function horizontalMark(y: number, name: string): string {
  return `<line class="grid" x1="${AREA.left}" x2="${AREA.right}" ` +
    `y1="${round(y)}" y2="${round(y)}"/>` +
    text(AREA.left - 8, y + 4, name, 'text-anchor="end"');
}

function text(x: number, y: number, words: string, more: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${
    escape(words)
  }</text>`;
}

function label(value: number): string {
  return value >= 1 ? value.toLocaleString("en") : String(value);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
