/** A closed waker, and a waker of a closed poll; wakes: `contract/`. */

import { assertThrows } from "@std/assert";
import { Poll, Waker } from "../../src/poll.ts";
import { cleanTest } from "../util/clean_tests.ts";

const TOKEN = 10;

cleanTest("Waker.wake() throws BadResource, when it is closed", () => {
  using poll = new Poll();
  const waker = new Waker(poll.registry, TOKEN);
  waker.close();
  assertThrows(() => waker.wake(), Deno.errors.BadResource);
  assertThrows(() => waker.close(), Deno.errors.BadResource);
});

cleanTest("Waker.wake() does no harm, when its poll is closed", () => {
  const poll = new Poll();
  using waker = new Waker(poll.registry, TOKEN);
  poll.close();
  waker.wake();
});
