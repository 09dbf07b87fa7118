/** How a reactor's waits begin, and by which way they end. */

import { assert } from "@std/assert";
import { Events, Poll, Waker } from "../../src/poll.ts";
import { Wait } from "../../src/system/park.ts";
import { descriptors } from "../util/descriptors.ts";

Deno.test({
  name:
    "a reactor whose clients ask rarely from its start leaves Deno's pool of threads",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using poll = new Poll();
    using waker = new Waker(poll.registry, 1);
    const events = new Events();
    const wait = new Wait(poll);
    const before = descriptors().size;
    for (let waits = 0; waits < 10; waits++) {
      setTimeout(() => waker.wake(), 20);
      // A wait may end without an event.
      do await wait.park(1_000, true); while (poll.poll(events, 0) === 0);
    }
    // The descriptors by which Deno's own loop is woken.
    assert(descriptors().size > before);
    wait.rest();
    wait.close();
  },
});
