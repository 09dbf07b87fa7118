/** The end of a reactor while its call waits for a thread of Deno's pool. */

import { assert } from "@std/assert";
import { Reactor } from "../../mod.ts";
import { Poll } from "../../src/poll/poll.ts";

/** More than the threads of the pool. */
const CALLS = 33;
/** Longer than a reactor waits for a thread, and shorter than its end does. */
const CALL_MS = 200;

Deno.test("settled() waits for a call that a busy pool of Deno begins late", async () => {
  using poll = new Poll();
  let ended = 0;
  const calls = Array.from(
    { length: CALLS },
    () => poll.parkRaw(CALL_MS).then(() => ended++),
  );
  const reactor = new Reactor();
  reactor.listen({ hostname: "127.0.0.1", port: 0 }, { data() {} });
  // The first turn runs after the call.
  await new Promise<void>((resolve) => reactor.setTimer(0, resolve));
  reactor.close();
  await reactor.settled();
  assert(ended > 0, "a call of the reactor was still pending");
  await Promise.all(calls);
});
