/**
 * Tables for terminals.
 *
 * @module
 */

/** The first cell is a name, the others are figures. */
export type Row = readonly string[];

/** Returns lines, with the cells of each column aligned. */
export function rows(head: Row, body: readonly Row[]): string[] {
  const all = [head, ...body];
  const widths = head.map((_, column) =>
    Math.max(...all.map((row) => row[column]!.length))
  );
  return all.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  ).map((line) => `  ${line}`);
}

/** Returns a line for each name, with its text in a column behind the names. */
export function named(
  entries: readonly (readonly [name: string, text: string])[],
  indent = 2,
): string[] {
  const width = Math.max(...entries.map(([name]) => name.length)) + 2;
  return entries.map(([name, text]) =>
    " ".repeat(indent) + name.padEnd(width) + text
  );
}
