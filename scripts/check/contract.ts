/**
 * Each item of the contract has a test, and the table says which.
 *
 * @module
 */

import { type Fault, type Files, filesUnder, lineAt } from "./project.ts";

/** How many items there are. */
export const ITEMS = 79;

const FOLDER = "tests/contract";
const TABLE = `${FOLDER}/README.md`;

/** `| 41 | What it is | `file`: "title" |`, or `name` of a test in Rust. */
const ROW =
  /^\| *(?<item>\d+) *\|.*\| *`(?<file>[^`]+)`: (?:"(?<title>[^"]+)"|`(?<name>\w+)`) *\|$/;
/** A test in TypeScript registers itself with its items and its title. */
const CALL = /^ *contractTest\(/gm;
const WORDS = /\s*"([\d, ]+)",\s*"([^"]+)"/y;
const RUST_TEST = /#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (\w+)/g;

/** Finds items without a test, rows that are wrong, and tests without a row. */
export function* contract(files: Files): Generator<Fault> {
  // By `item file: title`, in Rust by `file: name`.
  const tests = new Map<string, { file: string; line: number }>();
  for (const [file, text] of filesUnder(files, FOLDER, "_test.ts")) {
    for (const { index, 0: call } of text.matchAll(CALL)) {
      const line = lineAt(text, index);
      WORDS.lastIndex = index + call.length;
      const [, items, title] = WORDS.exec(text) ?? [];
      const message = "contractTest() takes items and title as plain strings";
      if (items === undefined) yield { file, line, message };
      for (const item of items?.split(",") ?? []) {
        tests.set(`${Number(item)} ${file}: ${title}`, { file, line });
      }
    }
  }
  const inRust = new Set<string>();
  for (const [file, text] of filesUnder(files, "native/", ".rs")) {
    for (const { 1: name } of text.matchAll(RUST_TEST)) {
      inRust.add(`${file}: ${name}`);
    }
  }
  const shown = new Set<string>();
  for (const [index, text] of (files.get(TABLE) ?? "").split("\n").entries()) {
    if (!/^\| *\d/.test(text)) continue;
    const fault = { file: TABLE, line: index + 1 };
    const row = ROW.exec(text)?.groups;
    if (row === undefined) {
      const message = 'a row is | item | what | `file`: "title" |, or `name`';
      yield { ...fault, message };
      continue;
    }
    const { item, title, name } = row;
    const file = row.file!.includes("/") ? row.file : `${FOLDER}/${row.file}`;
    const test = `${item} ${file}: ${title}`;
    shown.add(item!).add(test);
    if (Number(item) < 1 || Number(item) > ITEMS) {
      const message = `there is no item ${item}, only 1 to ${ITEMS}`;
      yield { ...fault, message };
    }
    if (tests.has(test) || inRust.has(`${file}: ${name}`)) continue;
    const message = `${file} has no test "${title ?? name}" of item ${item}`;
    yield { ...fault, message };
  }
  for (let item = 1; item <= ITEMS; item++) {
    if (shown.has(`${item}`)) continue;
    yield { file: TABLE, line: 1, message: `item ${item} has no row` };
  }
  for (const [test, place] of tests) {
    if (shown.has(test)) continue;
    yield { ...place, message: `${TABLE} has no row for item ${test}` };
  }
}
