/**
 * Both sides of the C ABI agree: `src/native/symbols.ts` and
 * `native/src/ffi/` have the same functions, with the same parameters by
 * name, order and type, and the same constants.
 *
 * @module
 */

import ts from "typescript";
import { type Fault, lineAt, type Project } from "./project.ts";
import { lineOf, parse, walk } from "./syntax.ts";
import { codeOf } from "./unsafe_code.ts";

const SYMBOLS = "src/native/symbols.ts";
const FFI = "native/src/ffi/";

/** Constants that both sides have, and where Rust's are. */
const CONSTANTS = [
  { name: "ABI_VERSION", rust: "ABI_VERSION", where: FFI },
  { name: "ACCEPT_WORDS", rust: "ACCEPT_WORDS", where: FFI },
  { name: "ADDRESS_BYTES", rust: "ADDRESS_BYTES", where: FFI },
  { name: "CLOCK_WORDS", rust: "CLOCK_WORDS", where: FFI },
  { name: "DATAGRAM_CUT", rust: "DATAGRAM_CUT", where: FFI },
  { name: "EVENTS_MAX", rust: "BATCH_MAX", where: "native/src/sys/mod.rs" },
];

/** Rust's types by the words that TypeScript has for them. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ["u32", "u32"],
  ["i32", "i32"],
  ["f64", "f64"],
  ["*const u8", "buffer"],
  ["*mut u8", "buffer"],
  ["*const u32", "buffer"],
  ["*mut u32", "buffer"],
  ["*mut f64", "buffer"],
  ["*mut StreamRead", "buffer"],
  ["*mut StreamWrite", "buffer"],
]);

const EXTERN = /pub (?:unsafe )?extern "C" fn (\w+)\(([^)]*)\)(?: -> (\w+))?/g;
/** Without it the linker knows another name. */
const NO_MANGLE = /#\[unsafe\(no_mangle\)\]\s*$/;

/** One function, as `name(handle: u32, address: buffer) -> i32`. */
interface Signature {
  readonly name: string;
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

/** Finds what one side has and the other has not, or otherwise. */
export function* abi({ files }: Project): Generator<Fault> {
  const symbols = files.get(SYMBOLS) ?? "";
  const ffi = [...files].filter(([file]) => file.startsWith(FFI));
  const here = byName(typeScriptSignatures(symbols));
  const there = byName(ffi.flatMap(([file, text]) => [
    ...rustSignatures(file, text),
  ]));
  for (const { name, text, line } of here.values()) {
    const rust = there.get(name);
    if (rust?.text === text) continue;
    const other = rust
      ? `${rust.file} has ${rust.text}`
      : `${FFI} has no ${name}`;
    yield { file: SYMBOLS, line, message: `${text}, but ${other}` };
  }
  for (const { name, file, line } of there.values()) {
    if (here.has(name)) continue;
    yield { file, line, message: `${name} is missing in ${SYMBOLS}` };
  }
  for (const [file, text] of ffi) yield* unnamed(file, text);
  yield* constants(files);
}

function* unnamed(file: string, ffi: string): Generator<Fault> {
  for (const { index, 1: name } of externs(ffi)) {
    if (NO_MANGLE.test(ffi.slice(0, index))) continue;
    const message = `${name} needs #[unsafe(no_mangle)] on the line before`;
    yield { file, line: lineAt(ffi, index), message };
  }
}

function* constants(files: Project["files"]): Generator<Fault> {
  const symbols = files.get(SYMBOLS) ?? "";
  for (const { name, rust, where } of CONSTANTS) {
    const here = constant(symbols, `export const ${name}`);
    const texts = [...files].filter(([file]) => file.startsWith(where))
      .map(([, text]) => text);
    const there = constant(texts.join("\n"), `const ${rust}`);
    if (here.value !== undefined && here.value === there.value) continue;
    const message = `${name} is ${here.value ?? "missing"}, but ${rust} in ` +
      `${where} is ${there.value ?? "missing"}`;
    yield { file: SYMBOLS, line: here.line, message };
  }
}

function constant(text: string, start: string) {
  const match = new RegExp(`${start}(?:: \\w+)? = ([^;]+);`).exec(text);
  return {
    value: match?.[1]?.replaceAll("_", ""),
    line: lineAt(text, match?.index ?? 0),
  };
}

function byName(all: Iterable<Signature>): Map<string, Signature> {
  return new Map([...all].map((signature) => [signature.name, signature]));
}

function* rustSignatures(
  file: string,
  ffi: string,
): Generator<Signature> {
  for (const { index, 1: name, 2: list, 3: result } of externs(ffi)) {
    const parameters = list!.split(",").filter((part) => part.trim() !== "")
      .map((part) => {
        const [parameter, type] = part.split(":").map((word) => word.trim());
        return `${parameter}: ${TYPES.get(type!) ?? type}`;
      });
    const text = signature(name!, parameters, result ?? "nothing");
    yield { name: name!, text, file, line: lineAt(ffi, index) };
  }
}

/** In code alone: a comment may quote one. `"C"` is a literal, and stays. */
function externs(ffi: string) {
  const code = codeOf(ffi);
  return [...ffi.matchAll(EXTERN)].filter(({ index }) => code[index] === "p");
}

function* typeScriptSignatures(symbols: string): Generator<Signature> {
  for (const node of walk(parse(SYMBOLS, symbols))) {
    if (!ts.isPropertyAssignment(node)) continue;
    const { name, initializer } = node;
    if (!ts.isObjectLiteralExpression(initializer)) continue;
    const parts = new Map(
      initializer.properties.filter(ts.isPropertyAssignment)
        .map((part) => [part.name.getText(), part.initializer]),
    );
    const list = parts.get("parameters");
    if (list === undefined || !ts.isArrayLiteralExpression(list)) continue;
    const parameters = list.elements.map((element) =>
      `${commentBefore(element)}: ${wordOf(element)}`
    );
    const result = wordOf(parts.get("result"));
    const text = signature(name.getText(), parameters, result);
    yield { name: name.getText(), text, file: SYMBOLS, line: lineOf(node) };
  }
}

function signature(
  name: string,
  parameters: string[],
  result: string,
): string {
  return `${name}(${parameters.join(", ")}) -> ${result}`;
}

/** The parameter's name, which TypeScript has in a comment. */
function commentBefore(element: ts.Expression): string {
  const [name] = element.getFullText().match(/(?<=\/\* )\w+(?= \*\/)/) ?? [];
  return name ?? "(unnamed)";
}

function wordOf(node: ts.Expression | undefined): string {
  return node !== undefined && ts.isStringLiteral(node) ? node.text : "nothing";
}
