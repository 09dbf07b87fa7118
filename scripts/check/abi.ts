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

/** A constant that both sides have: all that are public in `native/src/ffi/`. */
const CONSTANT = /^pub const (\w+): \w+ = ([^;]+);/gm;
/** Another, which has two names. */
const BATCH_MAX = "native/poll/src/sys/mod.rs";

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
    for (const match of text.matchAll(EXTERN)) {
      const [all, noMangle, name] = match;
      const line = lineAt(text, match.index + all.indexOf("pub "));
      there.set(name!, { text: rustSignature(match), file, line });
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
  const rust = [...filesUnder(files, FFI, ".rs").map(([, text]) => text)]
    .concat(files.get(BATCH_MAX)?.replace("BATCH_MAX", "EVENTS_MAX") ?? "");
  for (const [, name, there] of rust.join("\n").matchAll(CONSTANT)) {
    const match = new RegExp(`^export const ${name} = ([^;]+);`, "m")
      .exec(symbols);
    const [here, wanted] = [match?.[1], there].map((value) =>
      value?.replaceAll("_", "")
    );
    if (here === wanted) continue;
    const message = `${name} is ${here ?? "missing"}, but ${wanted} in Rust`;
    yield { file: SYMBOLS, line: lineAt(symbols, match?.index ?? 0), message };
  }
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
function rustSignature(match: RegExpExecArray): string {
  const [, , name, list, result = "nothing"] = match;
  const parameters = parts(list!).map((part) =>
    part.replace(/: \*(const|mut) \w+$/, ": buffer")
  );
  return `${name}(${parameters.join(", ")}) -> ${result}`;
}

function parts(list: string): string[] {
  return list.split(",").map((part) => part.trim()).filter((part) => part);
}
