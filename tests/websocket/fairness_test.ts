/** Slow messages of one peer do not keep other peers and timers waiting. */

import { assertEquals, assertLess } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import { serve } from "../../src/server/serve.ts";
import {
  MEMORY_ADDRESS,
  type MemoryStream,
  MemorySystem,
} from "../../src/system/memory.ts";
import { FIN, TEXT } from "../../src/websocket/frames.ts";
import { concat } from "../util/http_bytes.ts";
import { maskedFrame } from "../util/websocket_frames.ts";

const HANDSHAKE = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/** Longer than the time of a turn. */
const SLOW_MS = 50;
const COUNT = 40;

function frames(texts: string[]): Uint8Array<ArrayBuffer> {
  return concat(texts.map((text) => maskedFrame(FIN | TEXT, text)));
}

/** Small messages need no native code, others do. */
const PADDINGS: [name: string, padding: string][] = [
  ["small", ""],
  ["longer", ".".repeat(200)],
];

const RESULTS: [name: string, result: () => unknown][] = [
  ["return at once", () => {}],
  ["are async", async () => await undefined],
];

for (const [size, padding] of PADDINGS) {
  for (const [name, result] of RESULTS) {
    Deno.test(`other peers and timers wait for two ${size} messages of a read at the most, when slow handlers ${name}`, async () => {
      const system = new MemorySystem({ batches: true });
      using reactor = new Reactor({ system });
      const log: string[] = [];
      serve({
        ...MEMORY_ADDRESS,
        reactor,
        onListen() {},
        websocket: {
          message: (_socket, message) => {
            if (log.length === 0) {
              reactor.setTimer(0, () => log.push("timer"));
            }
            log.push(`${message}`.replace(padding, ""));
            system.spend(SLOW_MS);
            return result();
          },
        },
      });
      const peers: MemoryStream[] = [];
      for (let index = 0; index < 3; index++) {
        const peer = system.arrive();
        peer.receive(HANDSHAKE);
        peers.push(peer);
      }
      await system.settle();
      const texts = Array.from(
        { length: COUNT },
        (_, index) => `${index}${padding}`,
      );
      peers[0]!.receive(frames(texts));
      peers[1]!.receive(frames([`second${padding}`]));
      peers[2]!.receive(frames([`third${padding}`]));
      await system.settle();
      const of = (what: string) => log.indexOf(what);
      assertLess(of("timer"), of("3"), log.join(" "));
      assertLess(of("second"), of("3"));
      assertLess(of("third"), of("5"), log.join(" "));
      const others = ["timer", "second", "third"];
      assertEquals(
        log.filter((one) => !others.includes(one)),
        Array.from({ length: COUNT }, (_, index) => `${index}`),
      );
    });
  }
}
