/**
 * Pages of plots: one file of HTML that needs no other file and no script, and
 * can be read on a desk, on a phone, in the dark and on paper.
 *
 * @module
 */

import { Html, markup, type Part } from "./html.ts";

const LIGHT = "--ground:#fdfdfb;--ink:#1b1b1b;--faint:#5a5a5a;--rule:#d8d8d4;" +
  "--own:#e8f1f8;--met:#00684b;--unmet:#a84300;--link:#00568a;" +
  "--denio:#0072b2;--deno:#d55e00;--other:#767676";
const DARK = "--ground:#15171a;--ink:#e8e8e4;--faint:#aaaaa6;--rule:#3a3d42;" +
  "--own:#1b2a38;--met:#4cc79f;--unmet:#ff9a57;--link:#7cc0ee;" +
  "--denio:#3b9bd6;--deno:#e8792f;--other:#8c8c8c";

const STYLE = new Html(`
:root{${LIGHT};color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:78rem;padding:1.5rem 1.25rem 4rem;
  background:var(--ground);color:var(--ink);
  font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:2.1rem;line-height:1.15;margin:.2rem 0 .6rem}
h2{font-size:1.35rem;margin:3.5rem 0 .4rem;padding-top:.8rem;
  border-top:2px solid var(--ink)}
h3{font-size:1rem;margin:1.6rem 0 0}
p{max-width:44rem;margin:.4rem 0 .9rem}
a{color:var(--link)}
.faint,small,code,.gist span{color:var(--faint)}
pre{padding:.6rem .8rem;border:1px solid var(--rule);white-space:pre-wrap}
.gist{list-style:none;margin:1.6rem 0;padding:0;display:grid;gap:1.4rem 2rem;
  grid-template-columns:repeat(auto-fill,minmax(min(100%,15.5rem),1fr))}
.gist li{border-left:4px solid var(--denio);padding-left:.8rem;
  font-size:.9rem;line-height:1.4}
.gist b{display:block;font-size:1.9rem;line-height:1.2}
.gist span{display:block}
.plots{display:grid;gap:1.8rem 2.4rem;align-items:start;margin:1.2rem 0;
  grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr))}
figure{margin:0;max-width:27rem;break-inside:avoid}
figcaption{margin-bottom:.3rem;font-weight:600;line-height:1.3}
figcaption a{color:inherit;text-decoration-color:var(--rule)}
svg.plot{display:block;width:100%;height:auto;color:var(--ink);
  font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;margin:.4rem 0 1.6rem}
table{border-collapse:separate;border-spacing:0;font-size:.85rem;line-height:1.35;
  font-variant-numeric:tabular-nums}
th,td{padding:.3rem .65rem;text-align:right;vertical-align:top;
  border-bottom:1px solid var(--rule)}
thead th{vertical-align:bottom;border-bottom-color:var(--ink)}
tbody th{font-weight:400}
tbody .own th{font-weight:600}
th:first-child{text-align:left;position:sticky;left:0;
  background:var(--ground);min-width:6rem;max-width:15rem}
td{white-space:nowrap}
td small{display:block}
.own td,.own th:first-child{background:var(--own)}
.prose th,.prose td{text-align:left;white-space:normal}
.prose .met,.prose .unmet{font-weight:600;white-space:nowrap}
.met{color:var(--met)}
.unmet{color:var(--unmet)}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;
  gap:.25rem 1.2rem}
dt{font-weight:600}
dd{margin:0}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
@media(max-width:30rem){
body{padding:1rem 1rem 3rem}
h1{font-size:1.7rem}
.gist{grid-template-columns:1fr 1fr;gap:1.2rem 1rem}
.gist b{font-size:1.4rem}
.prose{font-size:.78rem}
.prose th:first-child{position:static;min-width:0}
.prose .met,.prose .unmet{white-space:normal}
.prose th,.prose td{padding:.3rem .4rem}}
@media print{
@page{size:landscape;margin:11mm}
body{max-width:none;padding:0;font-size:10pt}
h2,h3{break-after:avoid}
.plots{grid-template-columns:repeat(3,1fr)}
.scroll{overflow:visible}
table{font-size:7.5pt}
th,td{padding:.15rem .28rem}
th:first-child{position:static}
tr{break-inside:avoid}
*{print-color-adjust:exact}}
`);

/** Returns a page. */
export function pageOf(title: string, body: Part): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}

/** Returns plots side by side, each with its caption. */
export function plotsOf(
  plots: readonly (readonly [caption: Part, plot: Html])[],
): Html {
  const figures = plots.map(([caption, plot]) =>
    markup`<figure>
<figcaption>${caption}</figcaption>
${plot}
</figure>
`
  );
  return markup`<div class="plots">
${figures}</div>
`;
}

/** Returns a legend: names in their colours. */
export function keyOf(
  names: readonly string[],
  colourOf: (name: string) => string,
): Part {
  return names.map((name) =>
    markup` <span style="color:${colourOf(name)}">● ${name}</span>`
  );
}
