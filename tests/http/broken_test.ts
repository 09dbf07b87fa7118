/** A connection that breaks while requests wait for their peer to read. */

import { assertEquals } from "@std/assert";
import { WOULD_BLOCK } from "../../src/native/errors.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { serve } from "../../src/server/serve.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { head } from "../util/requests.ts";

/** A longer answer, unsent, stops a pipeline. */
const LARGE = "a".repeat(200_000);
/** More than a connection keeps, so that it is paused. */
const MANY = 4_000;

Deno.test("a connection whose requests wait handles them and closes, when it breaks", async () => {
  const system = new MemorySystem({ policy: { write: () => WOULD_BLOCK } });
  using reactor = new Reactor({ system });
  let handled = 0;
  const server = serve({
    ...MEMORY_ADDRESS,
    ...{ reactor, headMs: Infinity, keepAliveMs: Infinity, writeMs: Infinity },
    onListen() {},
  }, () => {
    return new Response(handled++ === 0 ? LARGE : "");
  });
  const client = system.arrive();
  await system.settle();
  client.receive(head("GET / HTTP/1.1", "Host: a").repeat(MANY));
  await system.settle();
  assertEquals(handled, 1);
  client.receiveReset();
  await system.settle();
  assertEquals(handled, MANY);
  // The listener alone.
  assertEquals(reactor.size, 1);
  await server.shutdown();
});
