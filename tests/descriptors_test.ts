/** Running out of descriptors: nobody who is in is harmed, and nothing spins. */

import { assertGreater, assertLess } from "@std/assert";
import { Crowd } from "./util/crowd.ts";
import { lacks } from "./util/machine.ts";
import { cpuShareOf } from "./util/process_figures.ts";
import { RunningScript } from "./util/scripts.ts";

const LIMIT = 512;
const CLIENTS = 900;
/** Descriptors that the server needs for itself. */
const OWN_MAX = 100;
/** What a share of a processor is at the most when nothing spins. */
const IDLE_SHARE = 0.05;

const NO_ROOM = lacks(`/proc and ${CLIENTS + OWN_MAX} descriptors`, () => {
  if (Deno.build.os !== "linux") return false;
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const [, soft] = /^Max open files +(\d+)/m.exec(limits)!;
  return Number(soft) >= CLIENTS + OWN_MAX;
});

const QUESTIONS = { echo: "x", http: "GET / HTTP/1.1\r\nhost: a\r\n\r\n" };

for (const [way, question] of Object.entries(QUESTIONS)) {
  Deno.test({
    name:
      `${way} serves who is in and lets others in later, when ${CLIENTS} want to and ${LIMIT} descriptors are there`,
    ignore: NO_ROOM,
    async fn() {
      await using server = limitedServer(way);
      const address = await server.json<Deno.NetAddr>();
      using crowd = new Crowd(question);
      crowd.connect(address, CLIENTS);
      crowd.waitFor(LIMIT - OWN_MAX);
      crowd.waitForSilence();
      const inside = [...crowd.answered];
      assertLess(inside.length, LIMIT);

      crowd.askAgain(inside);
      crowd.waitFor(inside.length);
      assertLess(await cpuShareOf(server.pid, 500), IDLE_SHARE);

      crowd.close(inside);
      crowd.waitFor(CLIENTS);
      crowd.connect(address, 1);
      crowd.waitFor(CLIENTS + 1);
    },
  });
}

Deno.test({
  name:
    "echo lets clients in, when others than its connections free descriptors",
  ignore: NO_ROOM,
  async fn() {
    await using server = limitedServer("files");
    const address = await server.json<Deno.NetAddr>();
    await server.line();
    using crowd = new Crowd("x");
    crowd.connect(address, 10);
    crowd.waitForSilence();
    assertLess(crowd.answered.size, 1);
    assertLess(await cpuShareOf(server.pid, 500), IDLE_SHARE);
    await server.write("free them\n");
    crowd.waitFor(10);
    assertGreater(crowd.answered.size, 0);
  },
});

function limitedServer(way: string): RunningScript {
  return new RunningScript("limited_server.ts", {
    args: [way],
    // Hard and soft: Deno raises the soft limit to the hard one.
    before: `ulimit -n ${LIMIT}`,
  });
}
