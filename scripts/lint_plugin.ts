/**
 * The house rules that Deno's linter can check: `deno lint`.
 *
 * @module
 */

import { arrowFault } from "./check/arrows.ts";

/** The most lines of a function; aim at 25. */
export const LINES_MAX = 70;

/** A doc comment before everything else, with text and the tag. */
const MODULE_DOC =
  /^(#!.*\n)?\/\*\*\s*\n \* [^@\s](?:(?!\*\/)[^])*\* @module\b/;

const ROOT = new URL("../", import.meta.url).pathname;

type Node = Deno.lint.Node;
type Visitor = (
  context: Deno.lint.RuleContext,
  path: string,
) => Deno.lint.LintVisitor;

/** Makes a rule for the files whose path from the top matches. */
function rule(place: RegExp, visitor: Visitor): Deno.lint.Rule {
  return {
    create(context) {
      const path = context.filename.replace(ROOT, "");
      return place.test(path) ? visitor(context, path) : {};
    },
  };
}

const functionLength = rule(/^(src|scripts)\//, (context) => {
  const check = (node: Node) => {
    const lines = context.sourceCode.getText(node).split("\n").length;
    if (lines <= LINES_MAX) return;
    const message = `This function has ${lines} lines, more than ${LINES_MAX}`;
    context.report({ node, message, hint: "Move a part into a helper" });
  };
  return {
    FunctionDeclaration: check,
    FunctionExpression: check,
    ArrowFunctionExpression: check,
  };
});

const moduleDocs = rule(/^(src|scripts)\//, (context) => ({
  Program() {
    if (MODULE_DOC.test(context.sourceCode.text)) return;
    const message = "A file opens with a doc comment that says its subject " +
      "and ends in @module";
    context.report({ range: [0, 0], message });
  },
}));

const dlopen = rule(/^src\/(?!native\/)/, (context) => {
  const report = (node: Node) => {
    const message = "Deno.dlopen belongs in src/native";
    context.report({ node, message, hint: "Call native() of library.ts" });
  };
  return {
    "Identifier[name='dlopen']": report,
    "Literal[value='dlopen']": report,
  };
});

/** What fake timers replace: see `src/base/own.ts`. */
const FAKED =
  /^((set|clear)(Timeout|Interval|Immediate)|queueMicrotask|performance|Date)$/;

const ownClock = rule(/^src\/(?!base\/own\.ts$)/, (context) => {
  const check = (node: Node, used: Node) => {
    if (used.type !== "Identifier" || !FAKED.test(used.name)) return;
    const message = `${used.name} may be a fake`;
    context.report({ node, message, hint: "Use src/base/own.ts" });
  };
  return {
    CallExpression: (node) => check(node, node.callee),
    NewExpression: (node) => check(node, node.callee),
    MemberExpression: (node) => check(node, node.object),
  };
});

const arrows = rule(/^(src\/|mod\.ts$)/, (context, path) => {
  const check = (node: Node, source: Node | null, isType: boolean) => {
    if (source?.type !== "Literal") return;
    const message = arrowFault(path, String(source.value), isType);
    if (message) context.report({ node, message });
  };
  return {
    ImportDeclaration(node) {
      const { specifiers } = node;
      const isType = node.importKind === "type" || specifiers.length > 0 &&
          specifiers.every((each) =>
            each.type === "ImportSpecifier" && each.importKind === "type"
          );
      check(node, node.source, isType);
    },
    ExportNamedDeclaration: (node) =>
      check(node, node.source, node.exportKind === "type"),
    ExportAllDeclaration: (node) =>
      check(node, node.source, node.exportKind === "type"),
    ImportExpression: (node) => check(node, node.source, false),
    TSImportType: (node) => check(node, argumentOf(node), true),
  };
});

/** A literal, which the tree wraps in a type. */
function argumentOf({ argument }: Deno.lint.TSImportType): Node {
  return argument.type === "TSLiteralType" ? argument.literal : argument;
}

/** The rules, as deno.json names this file. */
export default {
  name: "denio",
  rules: {
    arrows,
    dlopen,
    "function-length": functionLength,
    "module-docs": moduleDocs,
    "own-clock": ownClock,
  },
} satisfies Deno.lint.Plugin;
