/**
 * A board of notes in one file: all see each other write, move notes and point.
 * Every path is a board of its own. Machines share their boards over Redis.
 *
 * - `deno task serve tests/examples/live_board.ts --workers 2`
 * - `REDIS_URL=… deno run -A src/cli/main.ts tests/examples/live_board.ts`
 *
 * The server keeps nothing: it passes messages on, and each page has the whole
 * board. So Workers and machines may come and go. A page that comes is told the
 * board by one of the others, and a board is gone when its last page is closed.
 *
 * Messages get lost for pages that are 64 KiB behind, and between machines when
 * Redis is away. Every four seconds or so a page says the whole board, and all
 * agree again. When two pages change a note at the same time, one change stays.
 *
 * @module
 */

import { type Message, redisTopics, webSocket } from "../../mod.ts";

const REDIS_URL = Deno.env.get("REDIS_URL");
const IOREDIS = "npm:ioredis@6.0.0";
/** Tells Workers and machines apart: pages show it. */
const SERVER = crypto.randomUUID().slice(0, 4);
/** The notes of a board: this bounds what a page keeps. */
const PLACES = 64;
const TEXT_CHARACTERS_MAX = 200;
/** A page may say 25 things a second, and be two seconds ahead of that. */
const MESSAGE_MS = 40;
const BURST_MS = 2_000;

let pages = 0;

const boards = webSocket<{ id: string; board: string; dueMs: number }>({
  messageBytesMax: 100_000, // 64 notes fit, even with all characters escaped.
  backpressureBytesMax: 65_536,
  upgrade({ url }) {
    const board = new URL(url).pathname.slice(0, 50);
    return { data: { id: `${SERVER}-${++pages}`, board, dueMs: 0 } };
  },
  open(socket) {
    const { id, board } = socket.data;
    for (const to of ["", id]) socket.subscribe(`${board}#${to}`);
    socket.send(JSON.stringify({ you: id }));
  },
  message(socket, message) {
    const { id, board } = socket.data;
    try {
      const { to, said } = checked(message);
      socket.publish(`${board}#${to}`, JSON.stringify({ from: id, ...said }));
    } catch {
      return socket.close(1008, "Not of this board");
    }
    return turnOf(socket.data);
  },
  close({ data: { id, board } }) {
    boards.publish(`${board}#`, JSON.stringify({ left: id }));
  },
});

/** Returns a promise for a page that says too much: until then it is not read
 * from. Nothing is lost, and what it says meanwhile waits in the page. */
function turnOf(page: { dueMs: number }): Promise<void> | undefined {
  const now = Date.now();
  page.dueMs = Math.max(page.dueMs + MESSAGE_MS, now - BURST_MS);
  if (page.dueMs <= now) return undefined;
  return new Promise((resolve) => setTimeout(resolve, page.dueMs - now));
}

/** Returns what a page says, cut to size and without anything else. */
function checked(message: Message) {
  const { to = "", here, notes } = JSON.parse(`${message}`);
  const some = notes.slice(0, PLACES).map(itemOf);
  return { to: text(to), said: { here: itemOf(here), notes: some } };
}

/** Returns a note, or a pointer with a name: x and y are in thousandths. */
const itemOf = (item: Record<string, number>) => ({
  place: number(item.place, PLACES - 1),
  version: item.version! | 0,
  x: number(item.x, 1000),
  y: number(item.y, 1000),
  hue: number(item.hue, 360),
  text: item.text === null ? null : text(item.text),
});
const number = (value: unknown, max: number) =>
  Math.min(Math.max(Math.round(Number(value)) || 0, 0), max);
const text = (value: unknown) => `${value}`.slice(0, TEXT_CHARACTERS_MAX);

async function redis(url: string) {
  // No literal: Deno would fetch that also where there is no Redis.
  const { Redis } = await import(IOREDIS);
  return redisTopics(new Redis(url, { lazyConnect: true }));
}

const PAGE = String.raw`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Live board</title>
<style>
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif;
  color: light-dark(#222, #e6e8eb); background: light-dark(#f6f4ef, #16181c) }
* { box-sizing: border-box; margin: 0; font: inherit; color: inherit }
body { display: flex; flex-direction: column; height: 100dvh }
body > header { display: flex; flex-wrap: wrap; gap: .5rem .8rem;
  padding: .6rem 1rem; align-items: center; background: #8882 }
h1 { font-weight: 700 } output { flex: 1 0 55%; font-size: .8rem }
button, input { padding: .3rem .7rem; border: 0; border-radius: .4rem;
  background: #8883 } button { cursor: pointer } input { width: 9rem }
ul { display: flex; flex: 1 0 100%; gap: .4rem; padding: 0; overflow-x: auto;
  list-style: none } span { padding: .1rem .6rem; font-size: .8rem;
  border-radius: 1rem; white-space: nowrap }
span, article { box-shadow: 0 2px 8px #0004; background:
  light-dark(hsl(var(--hue) 75% 84%), hsl(var(--hue) 40% 28%)) }
main { position: relative; flex: 1; overflow: hidden; background:
  radial-gradient(#8886 1px, transparent 1px) 0 0 / 24px 24px }
article { position: absolute; left: min(100% * var(--x), 100% - 160px);
  top: min(100% * var(--y), 100% - 150px); width: 160px; border-radius: .5rem }
article header { display: flex } article button { background: none }
article:focus-within { z-index: 1 }
.grip { flex: 1; text-align: left; cursor: grab; touch-action: none }
textarea { display: block; width: 100%; height: 118px; padding: .2rem .7rem;
  border: 0; border-radius: .5rem; resize: none; background: none }
div { position: absolute; left: calc(100% * var(--x)); z-index: 2;
  top: calc(100% * var(--y)); pointer-events: none; transition: .08s linear }
div::before { content: ""; display: block; width: 14px; height: 18px;
  clip-path: polygon(0 0, 100% 65%, 45% 70%, 15% 100%);
  background: hsl(var(--hue) 70% 50%) }
</style>
<header><h1>Live board</h1><output></output>
  <input aria-label="Your name" maxlength="20"><button>New note</button>
  <ul aria-label="Who is here"></ul></header>
<main></main>
<template><article><header>
    <button class="grip" aria-label="Move: drag, or arrow keys">⠿</button>
    <button aria-label="Delete">✕</button></header>
    <textarea aria-label="Note" maxlength="200"></textarea></article>
  <div aria-hidden="true"><span></span></div><li><span></span></li></template>
<script type="module">
const find = (name, within = document) => within.querySelector(name);
const board = find("main"), nameField = find("input"), status = find("output");
const any = (below) => Math.floor(Math.random() * below);
const here = { x: any(1000), y: any(1000), hue: any(360) }, people = new Map();
const notes = Array(64).fill(), articles = [], unsent = new Set();
let socket, me = "", retryMs = 500, beatAt, beats, hasMoved = false, drag;

function connect() {
  socket = new WebSocket("ws" + location.origin.slice(4) + location.pathname);
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = () => {
    me = "";
    status.value = "Away: your changes wait";
    [...people.keys()].forEach(leave);
    setTimeout(connect, retryMs + any(retryMs));
    retryMs = Math.min(retryMs * 2, 10_000);
  };
}
function hear({ you, left, from, here: there, notes: heard = [] }) {
  if (left) return leave(left);
  if (you) {
    status.value = "Live, by server " + you.split("-")[0];
    return [me, retryMs, beatAt, beats] = [you, 500, 0, 0];
  }
  const isFirst = [...people.keys()].sort()[0] === me; // One tells the board.
  if (!people.has(from)) say(isFirst ? all() : [], from);
  show(from, there);
  for (const note of heard) if (isNewer(note, notes[note.place])) keep(note);
}
setInterval(() => { // While the server does not read, the last state waits.
  if (me === "" || socket.bufferedAmount > 0) return;
  const now = Date.now(), isBeat = now - beatAt > 4_000;
  if (isBeat) [beatAt, beats] = [now, beats + 1];
  if (isBeat && beats % people.size === 0) say(all()); // What got lost, too.
  else if (isBeat || hasMoved || unsent.size > 0) {
    say([...unsent].map((place) => notes[place]));
  }
  hasMoved = false;
  unsent.clear();
  for (const [id, { at }] of people) if (now - at > 12_000) leave(id);
}, 50);
const all = () => notes.filter((note) => note);
function say(notes, to) {
  here.text = nameField.value || "?";
  show(me, here);
  socket.send(JSON.stringify({ to, here, notes }));
}
const isNewer = (note, old) => // Versions wrap, so that each has a next one.
  !old || (note.version - old.version | 0) > 0 ||
  note.version === old.version && JSON.stringify(note) > JSON.stringify(old);

const make = (name, parent = board) =>
  parent.appendChild(find(name, find("template").content).cloneNode(true));
const put = (one, { x, y, hue }) =>
  one.style = "--x:" + x / 1000 + "; --y:" + y / 1000 + "; --hue:" + hue;
function show(id, there) {
  const drawn = people.get(id)?.drawn ?? [make("div"), make("li", find("ul"))];
  for (const one of drawn) {
    put(one, there);
    find("span", one).textContent = there.text;
  }
  drawn[0].hidden = id === me;
  people.set(id, { drawn, at: Date.now() });
}
function leave(id) {
  for (const one of people.get(id)?.drawn ?? []) one.remove();
  people.delete(id);
}
function keep(note) {
  const { place, text } = notes[note.place] = note;
  if (text === null) return articles[place] = articles[place]?.remove();
  put(articles[place] ??= make("article"), note);
  const area = find("textarea", articles[place]), caret = area.selectionStart;
  if (area.value === text) return;
  area.value = text; // No page can put elements into another.
  if (area === document.activeElement) area.setSelectionRange(caret, caret);
}
function change(old, what) {
  const { place, version = 0, x, y, hue, text } = { ...old, ...what };
  keep({ place, version: version + 1 | 0, x: fit(x), y: fit(y), hue, text });
  unsent.add(place);
}
function add(x, y) {
  const free = [...notes.keys()].filter((place) => !articles[place]);
  const place = free[any(free.length)]; // Two pages seldom take the same one.
  if (free.length === 0) return status.value = "The board is full";
  change({ ...notes[place], place }, { x, y, hue: here.hue, text: "" });
  find("textarea", articles[place]).focus();
}
const fit = (value) => Math.round(Math.min(Math.max(value, 0), 1000));
const noteOf = ({ target }) =>
  notes[articles.indexOf(target.closest("article"))];
find("header > button").onclick = () => add(any(600), any(600));
board.ondblclick = ({ target }) => target === board && add(here.x, here.y);
board.oninput = (event) => change(noteOf(event), { text: event.target.value });
board.onclick = (event) => event.target.ariaLabel === "Delete" &&
  change(noteOf(event), { text: null });
board.onkeydown = (event) => {
  const way = "LURD".indexOf(/^Arrow(.)/.exec(event.key)?.[1]);
  if (way < 0 || event.target.className !== "grip") return;
  const note = noteOf(event), axis = "xy"[way % 2];
  change(note, { [axis]: note[axis] + (way < 2 ? -20 : 20) });
  event.preventDefault();
};
function point({ clientX, clientY }) {
  const { left, top, width, height } = board.getBoundingClientRect();
  here.x = (clientX - left) / width * 1000;
  here.y = (clientY - top) / height * 1000;
  hasMoved = true;
}
board.onpointerdown = (event) => {
  point(event);
  if (event.target.className !== "grip") return;
  const { place, x, y } = noteOf(event);
  drag = { place, x: x - here.x, y: y - here.y };
};
addEventListener("pointerup", () => drag = undefined);
addEventListener("pointermove", (event) => {
  point(event);
  if (!drag) return;
  change(notes[drag.place], { x: drag.x + here.x, y: drag.y + here.y });
});
nameField.value = localStorage.name ?? "Guest " + any(100);
nameField.onchange = () => localStorage.name = nameField.value;
addEventListener("pagehide", () => socket.close());
connect();
</script>
</html>`;

export default {
  fetch: () => new Response(PAGE, { headers: { "content-type": "text/html" } }),
  websocket: boards,
  ...REDIS_URL && { topics: await redis(REDIS_URL) },
};
