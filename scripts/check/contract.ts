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

/** A test, by its file and title: `file: title`. */
interface Test {
  readonly file: string;
  readonly line: number;
  readonly items: readonly number[];
}

/** Finds items without a test, rows that are wrong, and tests without a row. */
export function* contract(files: Files): Generator<Fault> {
  const tests = new Map<string, Test>();
  for (const [file, text] of filesUnder(files, FOLDER, "_test.ts")) {
    for (const { index, 0: call } of text.matchAll(CALL)) {
      const line = lineAt(text, index);
      WORDS.lastIndex = index + call.length;
      const [, items, title] = WORDS.exec(text) ?? [];
      const message = "contractTest() takes items and title as plain strings";
      if (items === undefined) yield { file, line, message };
      else {
        const numbers = items.split(",").map(Number);
        tests.set(`${file}: ${title}`, { file, line, items: numbers });
      }
    }
  }
  for (const [file, text] of filesUnder(files, "native/", ".rs")) {
    for (const { 1: name } of text.matchAll(RUST_TEST)) {
      tests.set(`${file}: ${name}`, { file, line: 1, items: [] });
    }
  }
  yield* rowsAndTests(files.get(TABLE) ?? "", tests);
}

function* rowsAndTests(
  table: string,
  tests: ReadonlyMap<string, Test>,
): Generator<Fault> {
  const shown = new Set<string>();
  for (const [index, text] of table.split("\n").entries()) {
    if (!/^\| *\d/.test(text)) continue;
    const fault = (message: string) => ({
      file: TABLE,
      line: index + 1,
      message,
    });
    const row = ROW.exec(text)?.groups;
    if (row === undefined) {
      yield fault('a row is | item | what | `file`: "title" |, or `name`');
      continue;
    }
    const item = Number(row.item);
    const file = row.file!.includes("/") ? row.file : `${FOLDER}/${row.file}`;
    const title = row.title ?? row.name;
    const test = tests.get(`${file}: ${title}`);
    shown.add(`${item}`).add(`${item} ${file}: ${title}`);
    if (item < 1 || item > ITEMS) {
      yield fault(`there is no item ${item}, only 1 to ${ITEMS}`);
    }
    if (test === undefined) yield fault(`${file} has no test "${title}"`);
    else if (row.title !== undefined && !test.items.includes(item)) {
      yield fault(`"${title}" says that it is of ${test.items.join(", ")}`);
    }
  }
  for (let item = 1; item <= ITEMS; item++) {
    if (shown.has(`${item}`)) continue;
    yield { file: TABLE, line: 1, message: `item ${item} has no row` };
  }
  for (const [name, { file, line, items }] of tests) {
    for (const item of items.filter((item) => !shown.has(`${item} ${name}`))) {
      const message = `item ${item} has no row for "${name}" in ${TABLE}`;
      yield { file, line, message };
    }
  }
}
