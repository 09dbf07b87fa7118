/** Uncaught errors end the process, as they do in plain Deno. */

import { assertEquals, assertMatch } from "@std/assert";
import { runScript } from "../util/scripts.ts";

/** An error, and whether the process goes on. */
const DEEDS: [deed: string, goesOn: boolean][] = [
  ["microtask throws", false],
  ["promise rejects", false],
  ["timer throws", false],
  ["rejection is prevented", true],
  ["error is prevented", true],
];

for (const [deed, goesOn] of DEEDS) {
  Deno.test(`process ${goesOn ? "goes on" : "ends"} as with Deno's own sockets, when a ${deed}`, async () => {
    const [ours, theirs] = await Promise.all(
      ["denio", "deno"].map((server) =>
        runScript("uncaught.ts", { args: [server, deed] })
      ),
    );
    assertEquals(ours!.code, theirs!.code);
    assertEquals(ours!.stdout, theirs!.stdout);
    assertEquals(ours!.code, goesOn ? 0 : 1);
    const first = (text: string) => text.split("\n")[0];
    assertEquals(first(ours!.stderr), first(theirs!.stderr));
    if (!goesOn) assertMatch(ours!.stderr, /Uncaught .*Error: uncaught/);
  });
}
