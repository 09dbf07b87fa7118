/** The proxy loses, doubles and mixes up no byte, whatever its peers do. */

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { Fibers } from "../../mod.ts";
import { TcpStream } from "../../src/poll.ts";
import { proxy } from "./proxy.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readExactly, readToEnd, writeAll } from "../util/deno_client.ts";
import { onReactor, type ReportingReactor } from "../util/fibers.ts";
import {
  randomBytes,
  randomNumbers,
  randomPieces,
  sameBytes,
} from "../util/random.ts";
import { LOOPBACK } from "../util/streams.ts";
import { eventually, within } from "../util/waiting.ts";

const MIB = 1024 * 1024;
/** More turns than a byte needs from one end to the other. */
const TURNS = 32;

/**
 * Waits until a writer stands still although the reactor has acted on all that
 * is readable: timers run in turns.
 */
async function untilStill(
  reactor: ReportingReactor,
  written: () => number,
): Promise<void> {
  const fibers = new Fibers(reactor);
  const progress = () => `${written()} ${reactor.stats().bytesIn}`;
  for (let before = ""; before !== progress();) {
    before = progress();
    for (let turn = 0; turn < TURNS; turn++) await fibers.sleep(1);
  }
}

/** A proxy before an echo. */
function proxied(reactor: ReportingReactor) {
  const fibers = new Fibers(reactor);
  const target = fibers.serve(LOOPBACK, async (conn) => {
    for await (const chunk of conn) await conn.write(chunk);
  });
  const server = proxy({ listen: LOOPBACK, target: target.addr, reactor });
  return {
    addr: server.addr,
    server,
    target,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await target.shutdown();
    },
  };
}

cleanTest(
  "the proxy carries bytes both ways, and the end behind them",
  () =>
    onReactor(async ({ reactor }) => {
      await using both = proxied(reactor);
      const sizes = randomNumbers(1);
      const exchange = async (_: unknown, seed: number) => {
        using client = await Deno.connect(both.addr);
        const sent = randomBytes(1 + Math.floor(sizes() * 300_000), seed);
        const received = readToEnd(client);
        for (const piece of randomPieces(sent, 30_000, seed)) {
          await writeAll(client, piece);
        }
        await client.closeWrite();
        assert(sameBytes(await received, sent), `client ${seed}`);
      };
      await Promise.all(Array.from({ length: 60 }, exchange));
      await eventually("all to end", () => both.server.size === 0);
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "the proxy reads no more than a slow reader takes",
  () =>
    onReactor(async ({ reactor }) => {
      await using both = proxied(reactor);
      using client = await Deno.connect(both.addr);
      const sent = randomBytes(128 * MIB, 2);
      let written = 0;
      const writing = (async () => {
        while (written < sent.byteLength) {
          written += await client.write(sent.subarray(written, written + MIB));
        }
        await client.closeWrite();
      })();
      // The proxy has nothing to do when every buffer on the way is full.
      await untilStill(reactor, () => written);
      // Eight socket buffers lie on the way, of a few megabytes each.
      assertLess(written, 64 * MIB);
      assert(sameBytes(await readExactly(client, sent.byteLength), sent));
      await within(writing, "the writer");
      assertEquals(await client.read(new Uint8Array(1)), null);
    }),
);

cleanTest(
  "the proxy passes resets on, and other connections stay open",
  () =>
    onReactor(async ({ reactor }) => {
      await using both = proxied(reactor);
      const random = randomNumbers(3);
      const disturb = async () => {
        const bytes = randomBytes(MIB, 4);
        for (let resets = 0; resets < 30; resets++) {
          const client = TcpStream.connect(both.addr);
          const size = 1 + Math.floor(random() * MIB);
          await eventually("room", () => client.tryWrite(bytes, 0, size) > 0);
          client.resetOnClose = random() < 0.7;
          client.close();
        }
      };
      const exchange = async (_: unknown, seed: number) => {
        using client = await Deno.connect(both.addr);
        const sent = randomBytes(2 * MIB, seed);
        const received = readExactly(client, sent.byteLength);
        for (const piece of randomPieces(sent, 50_000, seed)) {
          await writeAll(client, piece);
        }
        assert(sameBytes(await received, sent), `client ${seed}`);
      };
      await Promise.all([disturb(), ...Array.from({ length: 10 }, exchange)]);
      await eventually("the proxy's end", () => both.server.size === 0);
      await eventually("the target's end", () => both.target.size === 0);
      assertEquals(reactor.reported, []);
    }),
);

cleanTest(
  "the proxy resets its client, when the target refuses",
  () =>
    onReactor(async ({ reactor }) => {
      const gone = Deno.listen(LOOPBACK);
      const target = gone.addr as Deno.NetAddr;
      gone.close();
      await using server = proxy({ listen: LOOPBACK, target, reactor });
      await assertRejects(
        async () => {
          using client = await Deno.connect(server.addr);
          await within(client.read(new Uint8Array(1)), "the reset");
        },
        Deno.errors.ConnectionReset,
      );
      await eventually("the report", () => reactor.reported.length === 1);
      assert(reactor.reported[0]!.message.startsWith('Fiber "proxy/conn-1"'));
    }),
);
