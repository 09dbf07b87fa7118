/**
 * What the page looks like: on a desk, on a phone, in the dark and on paper.
 *
 * @module
 */

import { PLOT_STYLE } from "../plot/style.ts";
import { shades } from "./peers.ts";

/** A theme: inks whose contrast with its ground is five to one or more. */
interface Theme {
  readonly ground: string;
  readonly ink: string;
  readonly faint: string;
  readonly rule: string;
  readonly own: string;
  readonly met: string;
  readonly unmet: string;
  readonly link: string;
}

/** The page's colours by theme. */
export const THEMES: Readonly<Record<"light" | "dark", Theme>> = {
  light: {
    ground: "#fdfdfb",
    ink: "#1b1b1b",
    faint: "#5a5a5a",
    rule: "#d8d8d4",
    own: "#e8f1f8",
    met: "#00684b",
    unmet: "#a84300",
    link: "#00568a",
  },
  dark: {
    ground: "#15171a",
    ink: "#e8e8e4",
    faint: "#aaaaa6",
    rule: "#3a3d42",
    own: "#1b2a38",
    met: "#4cc79f",
    unmet: "#ff9a57",
    link: "#7cc0ee",
  },
};

const LIGHT = variables("light");
const DARK = variables("dark");

const PAGE = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;color-scheme:light dark}
body{margin:0 auto;max-width:78rem;padding:1.5rem 1.25rem 4rem;
  background:var(--ground);color:var(--ink);
  font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:2.1rem;line-height:1.15;margin:.2rem 0 .6rem}
h2{font-size:1.35rem;line-height:1.25;margin:3.5rem 0 .4rem;padding-top:.8rem;
  border-top:2px solid var(--ink)}
h3{font-size:1rem;line-height:1.3;margin:0}
p{max-width:44rem;margin:.4rem 0 .9rem}
a{color:var(--link)}
h3 a{color:inherit;text-decoration-color:var(--rule)}
.faint,.aside,caption,figcaption p{color:var(--faint)}
.aside,figcaption p{font-size:.85rem;line-height:1.4;margin:.15rem 0 .5rem}
nav{margin:1.2rem 0 0;font-size:.9rem}
nav a{display:inline-block;margin:.1rem .9rem .1rem 0;padding:.2rem 0}
pre{margin:.6rem 0;padding:.6rem .8rem;border:1px solid var(--rule);
  white-space:pre-wrap;font-size:.9rem}
.gist{list-style:none;margin:1.6rem 0;padding:0;display:grid;gap:1.4rem 2rem;
  grid-template-columns:repeat(auto-fill,minmax(min(100%,15.5rem),1fr))}
.gist li{border-left:4px solid var(--denio);padding-left:.8rem;
  font-size:.9rem;line-height:1.4}
.gist b{display:block;font-size:1.9rem;line-height:1.2;
  font-variant-numeric:tabular-nums}
.gist span{display:block;color:var(--faint)}
.plots{display:grid;gap:1.8rem 2.4rem;align-items:start;margin:1.2rem 0;
  grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr))}
figure{margin:0;max-width:27rem;break-inside:avoid}
figcaption:has(p){min-height:4.4rem}
figcaption{margin-bottom:.4rem}
svg.plot{display:block;width:100%;height:auto}
.scroll{overflow-x:auto;margin:1rem 0 1.6rem}
table{min-width:min(100%,20rem);border-collapse:collapse;font-size:.85rem;line-height:1.35;
  font-variant-numeric:tabular-nums}
caption{caption-side:top;text-align:left;padding:0 0 .4rem}
caption span{display:inline-block;position:sticky;left:0;
  max-width:min(44rem,calc(100vw - 2.5rem))}
th,td{padding:.3rem .65rem;text-align:right;vertical-align:top;
  border-bottom:1px solid var(--rule)}
th{font-weight:600}
tbody th{font-weight:400}
tbody .own>th{font-weight:600}
thead th{vertical-align:bottom;border-bottom:1px solid var(--ink)}
th:first-child{text-align:left;padding-left:.4rem;position:sticky;left:0;
  background:var(--ground);min-width:7rem;max-width:15rem}
td{white-space:nowrap}
td b{font-weight:600}
.dense{font-size:.78rem}
.dense th,.dense td{padding:.25rem .42rem}
.dense th:first-child{min-width:5.5rem}
tr.own>*,tr.own th:first-child,td.own,th.own{background:var(--own)}
.prose th:first-child{max-width:32rem}
.prose th,.prose td{text-align:left;white-space:normal}
tbody th{font-weight:400}
tbody .own>th{font-weight:600}
.ratio{color:var(--faint);font-size:.92em;margin-right:.35em}
.small{display:block;color:var(--faint);font-size:.92em}
abbr{text-decoration:none;color:var(--faint)}
.met,.unmet,.unknown{font-weight:600}
.met{color:var(--met)}
.unmet{color:var(--unmet)}
.unknown{color:var(--faint)}
.key{display:inline-block;width:1.6em;height:.75em;margin:0 .25em 0 .1em;
  border:1px solid var(--denio);background:var(--denio)}
.key.system{background:color-mix(in srgb,var(--denio) 30%,transparent)}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;
  gap:.25rem 1.2rem;max-width:60rem}
dt{font-weight:600}
dd{margin:0}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
@media(max-width:30rem){
body{padding:1rem 1rem 3rem}
h1{font-size:1.7rem}
.gist{grid-template-columns:1fr 1fr;gap:1.2rem 1rem}
.gist li{padding-left:.6rem;font-size:.82rem}
.gist b{font-size:1.4rem}
figcaption:has(p){min-height:0}
.prose th:first-child{position:static}
.prose th:first-child{max-width:32rem}
.prose th,.prose td{padding:.3rem .4rem}
dl{display:block}
dd{margin:0 0 .5rem}}
@media print{
@page{size:landscape;margin:11mm}
body{max-width:none;padding:0;font-size:10pt}
nav{display:none}
h2,h3{break-after:avoid}
h2{margin-top:1.6rem}
.plots{grid-template-columns:repeat(3,1fr)}
.scroll{overflow:visible}
.scroll,.aside{break-before:avoid}
table{font-size:8pt}
.dense{font-size:7pt}
.dense th,.dense td{padding:.15rem .28rem}
th:first-child{position:static}
tr{break-inside:avoid}
thead{display:table-header-group}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;

/** The page's style sheet. */
export const PAGE_STYLE = `:root{${LIGHT}}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}}
${PLOT_STYLE}${PAGE}`;

function variables(theme: "light" | "dark"): string {
  const page = Object.entries(THEMES[theme]);
  const peers = shades().map((shade) => [shade.variable, shade[theme]]);
  return [...page, ...peers].map(([name, value]) => `--${name}:${value}`)
    .join(";");
}
