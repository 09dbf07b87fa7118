/**
 * Both sides of the C ABI agree: `src/native/symbols.ts` and
 * `native/src/ffi/` have the same functions, with the same parameters by
 * name, order and type, and the same constants.
 *
 * @module
 */

import { type Fault, type Files, filesUnder, lineAt } from "./project.ts";

const SYMBOLS = "src/native/symbols.ts";
const FFI = "native/src/ffi/";

/** Constants that both sides have, and where Rust's are. */
const CONSTANTS = [
  { name: "ABI_VERSION", rust: "ABI_VERSION", where: FFI },
  { name: "ACCEPT_WORDS", rust: "ACCEPT_WORDS", where: FFI },
  { name: "ADDRESS_BYTES", rust: "ADDRESS_BYTES", where: FFI },
  { name: "CLOCK_WORDS", rust: "CLOCK_WORDS", where: FFI },
  { name: "COMPLETION_BYTES", rust: "COMPLETION_BYTES", where: FFI },
  { name: "DATAGRAM_CUT", rust: "DATAGRAM_CUT", where: FFI },
  { name: "PROACTOR_STATS", rust: "PROACTOR_STATS", where: FFI },
  { name: "REQUEST_BYTES", rust: "REQUEST_BYTES", where: FFI },
  {
    name: "EVENTS_MAX",
    rust: "BATCH_MAX",
    where: "native/poll/src/sys/mod.rs",
  },
];

/** `denio_x: { parameters: [/* name *\/ "u32", ...], result: "i32" }`. */
const SYMBOL =
  /^ *(denio_\w+): \{\s*parameters: \[([^\]]*)\],\s*result: "(\w+)"/gm;
const EXTERN =
  /^(#\[unsafe\(no_mangle\)\]\s*)?pub (?:unsafe )?extern "C" fn (\w+)\(([^)]*)\)(?: -> (\w+))?/gm;

/** One function, as `name(handle: u32, address: buffer) -> i32`. */
interface Signature {
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

/** Finds functions and constants in which the two sides differ. */
export function* abi(files: Files): Generator<Fault> {
  const here = new Map(typeScriptSignatures(files.get(SYMBOLS) ?? ""));
  const there = new Map<string, Signature>();
  for (const [file, text] of filesUnder(files, FFI, ".rs")) {
    for (
      const { index, 0: all, 1: noMangle, 2: name } of text.matchAll(EXTERN)
    ) {
      const line = lineAt(text, index + all.indexOf("pub "));
      there.set(name!, { text: rustSignature(all), file, line });
      if (noMangle !== undefined) continue;
      const message = `${name} needs #[unsafe(no_mangle)] on the line before`;
      yield { file, line, message };
    }
  }
  for (const [name, { text, line }] of here) {
    const rust = there.get(name);
    if (rust?.text === text) continue;
    const other = rust
      ? `${rust.file} has ${rust.text}`
      : `${FFI} has no ${name}`;
    yield { file: SYMBOLS, line, message: `${text}, but ${other}` };
  }
  for (const [name, { file, line }] of there) {
    if (here.has(name)) continue;
    yield { file, line, message: `${name} is missing in ${SYMBOLS}` };
  }
  yield* constants(files);
}

function* constants(files: Files): Generator<Fault> {
  const symbols = files.get(SYMBOLS) ?? "";
  for (const { name, rust, where } of CONSTANTS) {
    const here = constant(symbols, `export const ${name}`);
    const rustFiles = [...filesUnder(files, where, ".rs")];
    const there = constant(rustFiles.join("\n"), `const ${rust}`);
    if (here.value !== undefined && here.value === there.value) continue;
    const message = `${name} is ${here.value ?? "missing"}, but ${rust} in ` +
      `${where} is ${there.value ?? "missing"}`;
    yield { file: SYMBOLS, line: here.line, message };
  }
}

function constant(text: string, start: string) {
  const match = new RegExp(`${start}(?:: \\w+)? = ([^;]+);`).exec(text);
  const value = match?.[1]?.replaceAll("_", "");
  return { value, line: lineAt(text, match?.index ?? 0) };
}

function* typeScriptSignatures(
  symbols: string,
): Generator<[name: string, Signature]> {
  for (
    const { index, 0: all, 1: name, 2: list, 3: result } of symbols.matchAll(
      SYMBOL,
    )
  ) {
    const parameters = parts(list!).map((part) => {
      const [, parameter, type] =
        /^(?:\/\* (\w+) \*\/)?\s*"(\w+)"$/.exec(part) ?? [];
      return `${parameter ?? "(unnamed)"}: ${type}`;
    });
    const line = lineAt(symbols, index + all.indexOf(name!));
    const text = `${name}(${parameters.join(", ")}) -> ${result}`;
    yield [name!, { text, file: SYMBOLS, line }];
  }
}

/** Rust's types become Deno's words for them. */
function rustSignature(all: string): string {
  const [, , name, list, result = "nothing"] = new RegExp(EXTERN.source, "m")
    .exec(all)!;
  const parameters = parts(list!).map((part) =>
    part.replace(/: \*(const|mut) \w+$/, ": buffer")
  );
  return `${name}(${parameters.join(", ")}) -> ${result}`;
}

function parts(list: string): string[] {
  return list.split(",").map((part) => part.trim()).filter((part) => part);
}
