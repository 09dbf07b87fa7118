/** Places in TypeScript are found by meaning, not by format. */

import { assertEquals, assertThrows } from "@std/assert";
import { makeChange } from "./syntax_place.ts";

const TEXT = `
const ALL = FIRST | SECOND;
class Box {
  put(item: string): void {
    if (this.#room <= 0) // No room.
      return;
    this.#items!.push((item), 1);
    this.#room -= 1;
  }
  take(): number {
    if (this.#room <= 0) return 1;
    return this.#room >= 0 ? this.#left + 1 : -this.#right;
  }
}
`;

/** Returns the only line that a change has changed. */
function changedLine(
  inside: string,
  place: string,
  wrong: string,
): string | undefined {
  const [, changed] = makeChange([["box.ts", TEXT]], { inside, place, wrong });
  const lines = TEXT.split("\n");
  return changed.split("\n").find((line) => !lines.includes(line))?.trim();
}

Deno.test("a place is found whatever its format, its comments and its receivers", () => {
  const changes: [string, string, string, string][] = [
    ["Box.take", "if (room <= 0) return $0;", "2", "room <= 0) return 2;"],
    ["put", "push($1, $0)", "$1 + $0", "push((item), item + 1);"],
    ["put", "push($$);", "", ";"],
    ["put", "items.push($$); room -= $1;", "f($1);", "f(1);"],
    ["ALL", "FIRST", "0", "const ALL = 0 | SECOND;"],
    ["Box", "$ ? $1 : -$0", "$1", "-this.#left + 1;"],
  ];
  for (const [inside, place, wrong, expected] of changes) {
    const line = changedLine(inside, place, wrong);
    assertEquals(line?.endsWith(expected), true, `${place}: ${line}`);
  }
});

Deno.test("a change is refused, when its place is missing or not the only one", () => {
  const places: [string, string, string][] = [
    ["Box", "if (room <= 0) return $$;", "Found 2 places"],
    ["put", "room += 1", "Found 0 places"],
    ["put", "room -= 2", "Found 0 places"],
    ["put.take", "room -= 1", "Found 0 places"],
    ["take", "$ ? $1 : +$0", "Found 0 places"],
  ];
  for (const [inside, place, message] of places) {
    assertThrows(() => changedLine(inside, place, "0"), Error, message);
  }
});
