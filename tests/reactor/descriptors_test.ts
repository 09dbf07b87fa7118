/** A shortage of descriptors harms no open connection, and nothing spins. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { TcpAddress } from "../../mod.ts";
import { Poll } from "../../src/poll.ts";
import { Crowd } from "../util/crowd.ts";
import { lacks } from "../util/machine.ts";
import { isIdle } from "../util/process_figures.ts";
import { RunningScript } from "../util/scripts.ts";

const LIMIT = 512;
const CLIENTS = 900;
/** Descriptors that the server needs for itself. */
const OWN_MAX = 100;
/** Descriptors that select can watch: `select(2)`. */
const FD_SETSIZE = 1024;
/**
 * The largest share of a processor that is no spinning. A loop that has never
 * waited has no descriptor to wait by, and looks every ten milliseconds: on a
 * busy machine that alone takes a twentieth.
 */
const IDLE_SHARE = 0.2;

const NO_ROOM = lacks(
  `/proc and ${CLIENTS + OWN_MAX} descriptors`,
  () => softLimit() >= CLIENTS + OWN_MAX,
);

Deno.test({
  name:
    `echo serves open connections and accepts others later, when ${CLIENTS} clients meet ${LIMIT} descriptors`,
  ignore: NO_ROOM,
  async fn() {
    await using server = limitedServer("echo");
    const address = await server.json<TcpAddress>();
    using crowd = new Crowd("x");
    crowd.connect(address, CLIENTS);
    crowd.waitFor(LIMIT - OWN_MAX);
    await allQuiet(crowd, server);
    const inside = [...crowd.answered];
    assertLess(inside.length, LIMIT);

    crowd.askAgain(inside);
    crowd.waitFor(inside.length);

    crowd.close(inside);
    crowd.waitFor(CLIENTS);
    crowd.connect(address, 1);
    crowd.waitFor(CLIENTS + 1);
  },
});

Deno.test({
  name:
    `serve answers all ${CLIENTS} clients with idle connections, when there are ${LIMIT} descriptors`,
  ignore: NO_ROOM,
  async fn() {
    await using server = limitedServer("http");
    const address = await server.json<TcpAddress>();
    using crowd = new Crowd("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    // Idle connections make room for waiting clients.
    crowd.mayEnd = true;
    crowd.connect(address, CLIENTS);
    crowd.waitFor(CLIENTS);
  },
});

Deno.test({
  name:
    "echo lets clients in, when others than its connections free descriptors",
  ignore: NO_ROOM,
  async fn() {
    await using server = limitedServer("files");
    const address = await server.json<TcpAddress>();
    await server.line();
    using crowd = new Crowd("x");
    crowd.connect(address, 10);
    await allQuiet(crowd, server);
    assertLess(crowd.answered.size, 1);
    await server.write("free them\n");
    crowd.waitFor(10);
    assertGreater(crowd.answered.size, 0);
  },
});

Deno.test({
  name:
    "echo on select hangs up on whom it cannot watch, and lets others in later",
  ignore: lacks(
    "the backend select and 2,000 descriptors",
    () => Poll.backends().includes("select") && softLimit() >= 2_000,
  ),
  async fn() {
    await using server = new RunningScript("limited_server.ts", {
      args: ["select"],
    });
    const address = await server.json<TcpAddress>();
    const inside: Deno.Conn[] = [];
    let client = await Deno.connect(address);
    while (await isEchoed(client)) {
      inside.push(client);
      client = await Deno.connect(address);
    }
    client.close();
    assertGreater(inside.length, FD_SETSIZE - OWN_MAX);
    assertLess(inside.length, FD_SETSIZE);
    // Open connections have not noticed.
    assert(await isEchoed(inside[0]!));
    for (const client of inside) client.close();
    using late = await connectUntil(address, isEchoed);
    assert(await isEchoed(late));
  },
});

/** Waits until a server that has no room does nothing: it does not spin. */
async function allQuiet(crowd: Crowd, server: RunningScript): Promise<void> {
  // Sends the requests that are left, then collects the answers.
  crowd.waitForSilence();
  assert(await isIdle(server.pid, IDLE_SHARE));
  crowd.waitForSilence();
}

/** How many descriptors this process may have; 0 where there is no /proc. */
function softLimit(): number {
  if (Deno.build.os !== "linux") return 0;
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const [, soft] = /^Max open files +(\d+)/m.exec(limits)!;
  return Number(soft);
}

/** Whether a byte comes back, rather than an end. */
async function isEchoed(client: Deno.Conn): Promise<boolean> {
  try {
    await client.write(new Uint8Array(1));
    return await client.read(new Uint8Array(1)) === 1;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return false;
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

/** Connects until there is room: other clients leave one by one. */
async function connectUntil(
  address: TcpAddress,
  isGood: (client: Deno.Conn) => Promise<boolean>,
): Promise<Deno.Conn> {
  for (;;) {
    const client = await Deno.connect(address);
    if (await isGood(client)) return client;
    client.close();
  }
}

function limitedServer(way: string): RunningScript {
  return new RunningScript("limited_server.ts", {
    args: [way],
    // Hard and soft: Deno raises the soft limit to the hard one.
    before: `ulimit -n ${LIMIT}`,
  });
}

Deno.test({
  name: "a reactor that cannot be opened loses no descriptor",
  ignore: NO_ROOM,
  async fn() {
    await using script = new RunningScript("short_reactor.ts", {
      before: "ulimit -n 128",
    });
    const { refused, lost } = await script.json<Record<string, number>>();
    assertGreater(refused, 0);
    assertEquals(lost, 0);
  },
});
