/** A fiber that finds all it reads in memory does not keep others waiting. */

import { assertEquals, assertLess } from "@std/assert";
import { type FiberConnection, Fibers, Reactor } from "../../mod.ts";
import { MEMORY_ADDRESS, MemorySystem } from "../../src/system/memory.ts";
import { decoded } from "../util/handlers.ts";

/** Longer than the time of a turn. */
const SLOW_MS = 50;
const COUNT = 40;
const LINE_BYTES = 5;

/** Reads a line; `null` at the end. */
type ReadLine = (conn: FiberConnection) => Promise<Uint8Array | null>;

const READS: [name: string, readLine: ReadLine][] = [
  ["up to a delimiter", (conn) => conn.readUntil("\n", 100)],
  [
    "a number of bytes",
    (conn) => conn.readExactly(new Uint8Array(LINE_BYTES)),
  ],
];

for (const [name, readLine] of READS) {
  for (const end of ["", "and the peer has ended"]) {
    Deno.test(`fibers and timers wait for a few messages of another, which reads ${name} ${end}`, async () => {
      const system = new MemorySystem();
      using reactor = new Reactor({ system });
      const fibers = new Fibers(reactor);
      const listener = fibers.listen(MEMORY_ADDRESS);
      const log: string[] = [];
      const work = async (conn: FiberConnection) => {
        for (;;) {
          const line = await readLine(conn);
          if (line === null) return;
          if (log.length === 0) reactor.setTimer(0, () => log.push("timer"));
          log.push(decoded(line as Uint8Array<ArrayBuffer>, 0, line.length));
          system.spend(SLOW_MS);
        }
      };
      const streams = [system.arrive(), system.arrive()];
      await system.settle();
      for (const _ of streams) {
        work(await listener.accept()).catch(({ name }) => log.push(name));
      }
      const lines = Array.from(
        { length: COUNT },
        (_, index) => `${index}`.padStart(LINE_BYTES - 1) + "\n",
      );
      streams[0]!.receive(lines.join(""));
      if (end !== "") streams[0]!.receiveEnd();
      streams[1]!.receive("othe\n");
      await system.settle();
      const last = log.indexOf(lines[5]!);
      assertLess(log.indexOf("timer"), last, log.join(""));
      assertLess(log.indexOf("othe\n"), last);
      const others = ["timer", "othe\n"];
      assertEquals(
        log.filter((line) => !others.includes(line)),
        lines,
      );
    });
  }
}
