/** The counter on a system in memory: the test lets time pass. */

import { assert, assertEquals } from "@std/assert";
import { Reactor } from "../../mod.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/testing.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { counter } from "./counter.ts";

/** The timeout of a silent client, with the lateness of the sweep. */
const LATE_MS = 61_000;

/** A counter, and the system on which its clients arrive. */
function counting() {
  const system = new MemorySystem();
  const reactor = new Reactor({ system });
  counter(MEMORY_ADDRESS, reactor);
  return { system, reactor };
}

cleanTest("the counter answers lines, however they are cut", async () => {
  const { system, reactor } = counting();
  using _reactor = reactor;
  const client = system.arrive();
  for (const part of ["AD", "D\nGET\n", "ADD\nNO", "\n"]) {
    client.receive(part);
    await system.settle();
  }
  assertEquals(client.text, '1\n1\n2\nERR unknown command "NO"\n');
});

cleanTest(
  "the counter resets a client with a line that does not end",
  async () => {
    const { system, reactor } = counting();
    using _reactor = reactor;
    const client = system.arrive();
    client.receive("x".repeat(2_000));
    await system.settle();
    assert(client.isClosed);
  },
);

cleanTest("the counter closes a silent client after a minute", async () => {
  const { system, reactor } = counting();
  using _reactor = reactor;
  const client = system.arrive();
  await system.settle();
  assertEquals(client.isClosed, false);
  await system.pass(LATE_MS);
  assert(client.isClosed);
});
