/** Which backends the contract is run on here, and on which it cannot be. */

import { assert, assertEquals } from "@std/assert";
import { Poll } from "../../src/poll.ts";
import { BACKENDS_ANYWHERE, backendTest } from "./contract.ts";

backendTest("a poll says which backend it is", (backend) => {
  using poll = new Poll({ backend });
  assertEquals(poll.backend, backend);
});

backendTest("a poll has edges, levels and one-shots", (backend) => {
  using poll = new Poll({ backend });
  for (const mode of ["edge", "level", "one-shot"] as const) {
    assert(poll.supports(mode), mode);
  }
});

for (const backend of BACKENDS_ANYWHERE) {
  if (Poll.backends().includes(backend)) continue;
  Deno.test({
    name: `the contract, on ${backend}, which ${Deno.build.os} has not got`,
    ignore: true,
    fn() {},
  });
}
