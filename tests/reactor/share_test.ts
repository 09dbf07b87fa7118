/** A turn's time, and how often the clock is looked at. */

import { assertEquals, assertLessOrEqual } from "@std/assert";
import { Share } from "../../src/reactor/share.ts";

/** A share, whose clock a test moves. */
class TimedShare {
  looks = 0;
  readonly share: Share;
  #nowMs = 1_000;

  constructor() {
    this.share = new Share({
      nowMs: () => {
        this.looks++;
        return this.#nowMs;
      },
    });
    this.begin();
  }

  begin(): void {
    this.share.begin(this.#nowMs);
  }

  /** Makes calls that take `ms` each; returns after how many it was over. */
  call(count: number, ms: number): number | undefined {
    for (let index = 1; index <= count; index++) {
      this.#nowMs += ms;
      if (this.share.count(1)) return index;
    }
    return undefined;
  }
}

Deno.test("Share looks at the clock behind every sixteenth call, while calls are fast", () => {
  const timed = new TimedShare();
  timed.call(1_000, 0.0003);
  assertLessOrEqual(timed.looks, 4 + 1_000 / 16);
});

Deno.test("Share is over behind the first slow call, also when calls were fast for long", () => {
  for (const ms of [5, 50]) {
    const timed = new TimedShare();
    assertEquals(timed.call(1_000, 0.0003), undefined);
    timed.begin();
    assertEquals(timed.call(10, ms), 1);
  }
});

Deno.test("Share looks behind each call, for long when fast calls and slow ones are mixed", () => {
  const timed = new TimedShare();
  timed.call(1_000, 0.0003);
  timed.begin();
  assertEquals(timed.call(1, 0.0003), undefined);
  // Once the slow ones come unseen.
  assertEquals(timed.call(20, 50), 16);
  for (let turn = 0; turn < 100; turn++) {
    timed.begin();
    assertEquals(timed.call(30, 0.0003), undefined);
    assertEquals(timed.call(20, 50), 1);
  }
});

Deno.test("Share is over after five milliseconds and a call, when calls take one", () => {
  const timed = new TimedShare();
  timed.call(1_000, 0.0003);
  timed.begin();
  assertEquals(timed.call(100, 1), 5);
});

Deno.test("Share that has ended begins with the next call", () => {
  const timed = new TimedShare();
  timed.share.end();
  assertEquals(timed.call(1, 50), undefined);
  assertEquals(timed.call(2, 50), 1);
});
