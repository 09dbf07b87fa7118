/**
 * Every item of the contract has a test, and the table that says which is true.
 *
 * @module
 */

import ts from "typescript";
import { type Fault, type Project, typeScriptUnder } from "./project.ts";
import { lineOf, parse, walk } from "./syntax.ts";

/** How many items there are. */
export const ITEMS = 79;

const FOLDER = "tests/contract";
const TABLE = `${FOLDER}/README.md`;
/** What registers a test in TypeScript, with its items and its title. */
const REGISTERS = "contractTest";

/** `| 41 | What it is | `file`: "title" |`, or `name` of a test in Rust. */
const ROW =
  /^\| *(?<item>\d+) *\|.*\| *`(?<file>[^`]+)`: (?:"(?<title>[^"]+)"|`(?<name>\w+)`) *\|$/;
const RUST_TEST = /#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (\w+)/g;

/** A test in TypeScript that says which items it shows. */
interface Test {
  readonly file: string;
  readonly line: number;
  readonly title: string;
  readonly items: readonly number[];
}

/** A row of the table. */
interface Row {
  readonly line: number;
  readonly item: number;
  /** From the top of the project. */
  readonly file: string;
  readonly title: string;
}

/** Finds items without a test, rows that are wrong, and tests without a row. */
export function* contract(project: Project): Generator<Fault> {
  const text = project.files.get(TABLE);
  if (text === undefined) {
    yield { file: TABLE, line: 1, message: "the contract has no table" };
    return;
  }
  const tests: Test[] = [];
  for (const [file, source] of typeScriptUnder(project, FOLDER)) {
    for (const found of testsIn(file, source)) {
      if ("message" in found) yield found;
      else tests.push(found);
    }
  }
  const rows: Row[] = [];
  for (const found of rowsIn(text)) {
    if ("message" in found) yield found;
    else rows.push(found);
  }
  for (const row of rows) yield* wrongIn(row, tests, project);
  yield* missing(rows, tests);
}

function* rowsIn(text: string): Generator<Row | Fault> {
  for (const [index, line] of text.split("\n").entries()) {
    if (!/^\| *\d/.test(line)) continue;
    const groups = ROW.exec(line)?.groups;
    if (groups === undefined) {
      const message = 'a row is | item | what | `file`: "title" |, or `name`';
      yield { file: TABLE, line: index + 1, message };
      continue;
    }
    const { item, file, title, name } = groups;
    yield {
      line: index + 1,
      item: Number(item),
      file: file!.includes("/") ? file! : `${FOLDER}/${file}`,
      title: (title ?? name)!,
    };
  }
}

function* testsIn(file: string, source: string): Generator<Test | Fault> {
  for (const node of walk(parse(file, source))) {
    if (!ts.isCallExpression(node)) continue;
    if (node.expression.getText() !== REGISTERS) continue;
    const [items, title] = node.arguments;
    const line = lineOf(node);
    if (
      items === undefined || !ts.isStringLiteral(items) ||
      title === undefined || !ts.isStringLiteral(title)
    ) {
      const message = `${REGISTERS}() takes items and title as plain strings`;
      yield { file, line, message };
      continue;
    }
    const numbers = items.text.split(",").map(Number);
    yield { file, line, title: title.text, items: numbers };
  }
}

function* wrongIn(
  { line, item, file, title }: Row,
  tests: readonly Test[],
  project: Project,
): Generator<Fault> {
  const fault = (message: string): Fault => ({ file: TABLE, line, message });
  if (item < 1 || item > ITEMS) {
    yield fault(`there is no item ${item}, only 1 to ${ITEMS}`);
  }
  if (file.endsWith(".rs")) {
    const source = project.files.get(file) ?? "";
    const names = [...source.matchAll(RUST_TEST)].map(([, name]) => name);
    if (!names.includes(title)) yield fault(`${file} has no test "${title}"`);
    return;
  }
  const test = tests.find((test) => test.file === file && test.title === title);
  if (test === undefined) yield fault(`${file} has no test "${title}"`);
  else if (!test.items.includes(item)) {
    yield fault(`"${title}" says that it is of ${test.items.join(", ")}`);
  }
}

function* missing(
  rows: readonly Row[],
  tests: readonly Test[],
): Generator<Fault> {
  for (let item = 1; item <= ITEMS; item++) {
    if (rows.some((row) => row.item === item)) continue;
    yield { file: TABLE, line: 1, message: `item ${item} has no row` };
  }
  for (const { file, line, title, items } of tests) {
    for (const item of items) {
      const isThere = rows.some((row) =>
        row.item === item && row.file === file && row.title === title
      );
      if (isThere) continue;
      const message = `item ${item} has no row for "${title}" in ${TABLE}`;
      yield { file, line, message };
    }
  }
}
