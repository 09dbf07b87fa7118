/** The value of `AsyncLocalStorage` while a handler runs. */

import { AsyncLocalStorage } from "node:async_hooks";
import { assertEquals } from "@std/assert";
import { Reactor, serve } from "../../mod.ts";
import { RawClient } from "../util/http_client.ts";
import { eventually } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

Deno.test("AsyncLocalStorage has for each handler what it had where the reactor started, also after parks", async () => {
  const storage = new AsyncLocalStorage<string>();
  const reactor = new Reactor();
  const server = storage.run("kept", () =>
    serve(
      { hostname: "127.0.0.1", port: 0, reactor, onListen() {} },
      () => new Response(storage.getStore()),
    ));
  const texts: string[] = [];
  using client = await RawClient.connect(server.addr);
  for (let asked = 0; asked < 4; asked++) {
    const { parks } = reactor.stats();
    texts.push((await (await client.send(GET)).answer()).text);
    // An idle reactor leaves Deno's pool of threads, and parks again.
    await eventually("two parks", () => reactor.stats().parks >= parks + 2);
  }
  assertEquals(texts, ["kept", "kept", "kept", "kept"]);
  await server.shutdown();
});
