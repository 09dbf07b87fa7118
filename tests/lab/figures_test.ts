/** The lab's figures, held against strace and /proc. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  byStrace,
  type CallCounter,
  callCounter,
} from "../../scripts/lab/calls.ts";
import { CannotHold, Session } from "../../scripts/lab/load.ts";
import { commandOf, MODELS } from "../../scripts/lab/models.ts";
import { ProcessMeter } from "../../scripts/lab/process.ts";
import { buildLab } from "../../scripts/lab/run.ts";
import { startServer } from "../../scripts/server_process.ts";
import { lacks, NO_PROC } from "../util/machine.ts";
import { NO_STRACE } from "../util/strace.ts";

const KIB = 1024;
const LOAD = { connections: 20, busy: 5, size: 100 };
const SECONDS = 0.1;
/** `utime` and `stime` are rounded down to 10 ms each: `proc_pid_stat(5)`. */
const US_PER_TICK = 10_000;
const ROUNDED_US = 2 * US_PER_TICK;

/** A model, with the load's connections. */
async function running(name: string) {
  buildLab();
  const model = MODELS.find((model) => model.name === name)!;
  const server = await startServer(commandOf(model));
  try {
    return { server, session: await Session.open(server.port, LOAD) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const counters: CallCounter[] = [{ program: "strace", count: byStrace }];
const first = callCounter();
const NO_PERF = lacks("perf", () => {
  return !("reason" in first) && first.program === "perf";
});
if (!NO_PERF) counters.push(first as CallCounter);

for (const { program, count } of counters) {
  for (const name of ["epoll-level", "epoll-edge", "threads"]) {
    Deno.test({
      name: `as many messages as ${program} sees sends of ${name}`,
      ignore: NO_PROC || program === "strace" && NO_STRACE,
      async fn() {
        const { server, session } = await running(name);
        await using _server = server;
        await using _session = session;
        let messages = 0;
        const { threads } = new ProcessMeter(server.pid).held();
        const { all, byName = {} } = await count(
          server.pid,
          threads,
          async () => void ({ messages } = await session.measure(SECONDS)),
        );
        assert(messages > 0);
        assertEquals(byName.sendto, messages);
        const reads = byName.recvfrom!;
        if (name === "epoll-level") assertEquals(reads, messages);
        // By edge there is a read more that finds nothing, unless the next
        // message is there by then. A thread may begin its last read, in which
        // it sleeps, after the count.
        assert(reads >= messages - LOAD.busy);
        assert(reads <= (name === "epoll-edge" ? 2 : 1) * messages + LOAD.busy);
        const named = Object.values(byName).reduce((sum, one) => sum + one, 0);
        assert(named <= all && all <= messages * 4);
      },
    });
  }
}

Deno.test({
  name: "memory, threads, switches and processor time are those of /proc",
  ignore: NO_PROC,
  async fn() {
    const { server, session } = await running("threads");
    await using _server = server;
    await using _session = session;
    await session.measure(SECONDS);
    const meter = new ProcessMeter(server.pid);
    await meter.cpu.rest();
    const read = (file: string) =>
      Deno.readTextFileSync(`/proc/${server.pid}/${file}`);
    let [held, statm] = [meter.held(), ""];
    // The kernel may take pages back between two looks.
    for (; statm !== read("statm"); held = meter.held()) statm = read("statm");
    const used = meter.used();
    const pages = statm.split(" ").map(Number);
    const tasks = [...Deno.readDirSync(`/proc/${server.pid}/task`)];
    assertEquals(held.threads, LOAD.connections + 1);
    assertEquals(tasks.length, held.threads);
    assertEquals(held.virtualBytes, pages[0]! * 4 * KIB);
    assertEquals(held.residentBytes, pages[1]! * 4 * KIB);
    const switches = tasks.flatMap(({ name }) =>
      read(`task/${name}/status`).match(/(?<=ctxt_switches:\s+)\d+/g)!
        .map(Number)
    );
    assertEquals(
      used.voluntary + used.involuntary,
      switches.reduce((sum, count) => sum + count, 0),
    );
    const ticksUs = (used.userTicks + used.systemTicks) * US_PER_TICK;
    assert(used.cpuUs >= ticksUs - 1_000);
    assert(used.cpuUs <= ticksUs + ROUNDED_US);
  },
});

Deno.test({
  name: "a session measures as often as it is asked to, on its connections",
  ignore: NO_PROC,
  async fn() {
    const { server, session } = await running("epoll-level");
    await using _server = server;
    const before = socketsOf(server.pid);
    for (const seconds of [0.02, 0.05]) {
      const { messages, inTime } = await session.measure(seconds);
      assert(inTime > 0 && messages >= inTime);
    }
    assertEquals(socketsOf(server.pid), before);
    await session[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "a server that answers one client holds one, and says so",
  ignore: NO_PROC,
  async fn() {
    const { refusal } = await assertRejects(
      () => running("blocking"),
      CannotHold,
    ) as CannotHold;
    assertEquals(refusal.held, 1);
  },
});

/** Returns the sockets of a process. */
function socketsOf(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)]
    .map(({ name }) => Deno.readLinkSync(`/proc/${pid}/fd/${name}`))
    .filter((kind) => kind.startsWith("socket:")).sort();
}
