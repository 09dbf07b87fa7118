/**
 * The table of limits: all that follows from it is the same, and each
 * reaches a Worker.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { serve, type ServeModuleOptions } from "../../mod.ts";
import { HELP, parseOptions, UsageError } from "../../src/cli/options.ts";
import {
  type LimitName,
  type OptionRow,
  settingsOf,
  TABLE,
} from "../../src/server/option_table.ts";
import { within } from "../util/waiting.ts";

const ROWS = Object.entries<OptionRow>(TABLE);
const README = new URL("../../README.md", import.meta.url);
/** The least of a value that is not the default, where the range allows it. */
const OTHER = 5_000;

/** Returns a value that a row allows and that is not its default. */
function otherThan({ initial, range }: OptionRow, index: number): unknown {
  if (range === undefined) return !initial;
  const [min, max] = range;
  const value = Math.max(min, Math.min(OTHER + index, max));
  return value !== initial ? value : value === max ? max - 1 : value + 1;
}

Deno.test("each limit reaches a Worker", async () => {
  const others = Object.fromEntries(
    ROWS.map(([name, row], index) => [name, otherThan(row, index)]),
  );
  const module = new URL("../fixtures/tells_limits.ts", import.meta.url);
  const where = { hostname: "127.0.0.1", port: 0, workers: 1 };
  const options = { ...others, ...where, module };
  await using server = await serve(options as unknown as ServeModuleOptions);
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const response = await within(fetch(url, { client }), "an answer");
  const given = await response.json();
  for (const [name, row] of ROWS) {
    assert(others[name] !== row.initial, name);
    assertEquals(given[name], others[name], name);
  }
});

Deno.test("each limit has its default when it is left out, and its range", () => {
  const settings = settingsOf({}) as Record<LimitName, unknown>;
  for (const [name, { initial, range }] of ROWS) {
    assertEquals(settings[name as LimitName], initial);
    if (range === undefined) continue;
    const [min, max] = range;
    assertEquals(settingsOf({ [name]: min })[name as LimitName], min);
    assertThrows(() => settingsOf({ [name]: min - 1 }), RangeError, name);
    assertThrows(() => settingsOf({ [name]: NaN }), RangeError, name);
    if (max === Infinity) continue;
    assertThrows(() => settingsOf({ [name]: max + 1 }), RangeError, name);
  }
});

Deno.test("each limit that is a number is an option of the command line", () => {
  for (const [name, row] of ROWS) {
    if (row.range === undefined) continue;
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter}`);
    const word = `--${option.toLowerCase()}`;
    const value = otherThan(row, 0);
    assertEquals(parseOptions([`${word}=${value}`]).limits, { [name]: value });
    assert(HELP.includes(`  ${word} ${row.unit} `), word);
    for (const bad of ["", "many", "-1", "1e3"]) {
      assertThrows(() => parseOptions([`${word}=${bad}`]), UsageError);
    }
    assertThrows(() => parseOptions(["--echo", `${word}=1`]), UsageError);
  }
});

Deno.test("README's table of limits is that of the server", async () => {
  const text = await Deno.readTextFile(README);
  const cells = text.split("\n").filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const rows = ROWS.map((
    [name, { shown, beyond }],
  ) => [`\`${name}\``, shown, beyond]);
  const first = cells.findIndex(([name]) => name === rows[0]![0]);
  assertEquals(cells.slice(first, first + rows.length), rows);
});
