/**
 * System calls for each request of the real server, counted by the reactor, and
 * by strace where the machine has it. Both counts must agree.
 *
 * All peers have sent their requests before the server polls, as on a busy
 * machine. A server that polls sooner needs a poll for fewer requests; their
 * number depends on the machine, so that is only printed.
 */

// deno-lint-ignore-file no-console -- what is not asserted is printed

import { assertEquals, assertLessOrEqual } from "@std/assert";
import type { ReactorStats } from "../../mod.ts";
import { Crowd } from "../util/crowd.ts";
import { eventually, within } from "../util/waiting.ts";
import { NO_RING } from "../util/ring.ts";
import { NO_STRACE } from "../util/strace.ts";
import { GET } from "../util/requests.ts";

const CONNECTIONS = 64;
const DEPTH = 16;
const ROUNDS = 50;
/** Requests of clients that do not wait for each other. */
const FREE_REQUESTS = 20_000;

/** A read and a write for each request, and a poll for many. */
const CALLS_MAX = 2.1;
/** With a ring: a few calls for all reads, and a few for all writes. */
const RING_CALLS_MAX = 0.2;
/** The least for sixteen requests: one read and one write. */
const DEEP_CALLS_MAX = 0.2;
/**
 * What Deno and V8 may call in a turn beside what the reactor counts: yielding
 * to Deno's loop takes some, and compiling. A call for each request would be
 * 64.
 */
const OTHERS_PER_TURN_MAX = 24;

const MESSAGE = `${"-".repeat(63)}\n`;

/** Calls that moved bytes, or waited. */
type Calls = Pick<ReactorStats, "polls" | "parks" | "reads" | "writes">;

/** A server, and the requests of its peers. */
interface Load {
  readonly kind: "http" | "echo";
  /** The bytes that each peer sends at once. */
  readonly question: string;
  /** The number of messages in these bytes. */
  readonly depth: number;
}

const GETS: Load = { kind: "http", question: GET, depth: 1 };
const DEEP_GETS: Load = {
  kind: "http",
  question: GET.repeat(DEPTH),
  depth: DEPTH,
};
const ECHOES: Load = { kind: "echo", question: MESSAGE, depth: 1 };

/** The process of the server. */
class CountedServer implements AsyncDisposable {
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #text = "";

  /**
   * @param batch Messages after which the server waits for the test.
   * @param wrapper A command that starts the server, such as strace.
   */
  constructor(
    { kind }: Load,
    batch: number,
    wrapper: readonly string[] = [],
    way = "ring",
  ) {
    const file = new URL("../fixtures/counted_server.ts", import.meta.url);
    const server = [Deno.execPath(), "run", "-A", file.pathname, kind];
    const words = [...wrapper, ...server, String(batch), way];
    const [program, ...args] = words;
    const child = this.#child = new Deno.Command(program!, {
      args,
      // Its sockets would be counted.
      env: { DENO_NO_UPDATE_CHECK: "1" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.pid = child.pid;
    this.#input = child.stdin.getWriter();
    this.#output = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** Waits until the server listens, and returns its port. */
  async port(): Promise<number> {
    const line = await this.#line();
    return Number(/:(\d+)$/.exec(line)![1]);
  }

  /** Lets the server go on. */
  goOn(): Promise<void> {
    return this.#say("g");
  }

  /** Returns the counts of its reactor, once the server waits. */
  async stats(): Promise<ReactorStats> {
    await this.#say("s");
    return JSON.parse(await this.#line());
  }

  /** Ends the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await within(this.#child.status, "the server to end");
  }

  #say(word: string): Promise<void> {
    return this.#input.write(new TextEncoder().encode(word));
  }

  async #line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value } = await within(this.#output.read(), "a line");
      this.#text += value ?? "\n";
    }
    const [line] = this.#text.split("\n", 1);
    this.#text = this.#text.slice(line!.length + 1);
    return line!;
  }
}

/** All peers send, then all receive their answers, again and again. */
async function countInStep(server: CountedServer, load: Load): Promise<Calls> {
  const { question } = load;
  using crowd = new Crowd(question);
  const address = { hostname: "127.0.0.1", port: await server.port() };
  crowd.connect(address, CONNECTIONS);
  crowd.waitFor(CONNECTIONS);
  const before = await server.stats();
  for (let round = 0; round < ROUNDS; round++) {
    crowd.askAgain([...crowd.answered]);
    await server.goOn();
    crowd.waitFor(CONNECTIONS);
  }
  return difference(before, await server.stats());
}

/** Each peer sends again as soon as it has its answer. */
async function countFree(load: Load): Promise<Calls> {
  await using server = new CountedServer(load, 0);
  using crowd = new Crowd(load.question);
  const address = { hostname: "127.0.0.1", port: await server.port() };
  crowd.connect(address, CONNECTIONS);
  crowd.waitFor(CONNECTIONS);
  const before = await server.stats();
  for (let answers = 0; answers < FREE_REQUESTS;) {
    crowd.waitFor(1);
    answers += crowd.answered.size;
    crowd.askAgain([...crowd.answered]);
  }
  return difference(before, await server.stats());
}

function difference(before: Calls, after: Calls): Calls {
  return {
    polls: after.polls - before.polls,
    parks: after.parks - before.parks,
    reads: after.reads - before.reads,
    writes: after.writes - before.writes,
  };
}

function sumOf({ polls, reads, writes }: Calls): number {
  return polls + reads + writes;
}

function batchOf({ depth }: Load): number {
  return CONNECTIONS * depth;
}

async function expectAtMost(load: Load, callsMax: number): Promise<void> {
  await using server = new CountedServer(load, batchOf(load));
  const calls = await countInStep(server, load);
  // One read and one write for the bytes of a peer, and no useless call.
  assertEquals(calls.reads, ROUNDS * CONNECTIONS);
  assertEquals(calls.writes, ROUNDS * CONNECTIONS);
  assertLessOrEqual(sumOf(calls) / (ROUNDS * batchOf(load)), callsMax);
}

Deno.test("a GET takes at most 2.1 system calls, at 64 connections", () =>
  expectAtMost(GETS, CALLS_MAX));

Deno.test("a GET takes at most 0.2 system calls, sixteen deep", () =>
  expectAtMost(DEEP_GETS, DEEP_CALLS_MAX));

Deno.test("an echo takes at most 2.1 system calls, at 64 connections", () =>
  expectAtMost(ECHOES, CALLS_MAX));

Deno.test("a GET takes a read and a write, however soon it is looked for", async () => {
  const calls = await countFree(GETS);
  assertEquals(calls.writes, calls.reads);
  const each = (count: number) => (count / calls.reads).toFixed(3);
  console.log(
    `Out of step, a GET takes ${each(sumOf(calls))} system calls here, ` +
      `${each(calls.polls)} of them polls`,
  );
});

Deno.test({
  name: "the reactor counts the system calls that strace counts",
  ignore: NO_STRACE,
  async fn() {
    const { counted, traced } = await countByStrace("plain");
    const { polls, parks, reads, writes } = counted;
    assertEquals(traced.waits, polls - parks);
    assertEquals(traced.reads, reads);
    assertEquals(traced.writes, writes);
    const others = traced.all - traced.waits - traced.reads - traced.writes;
    console.log(
      `With strace: ${(traced.all / reads).toFixed(3)} system calls a GET, ` +
        `${(others / ROUNDS).toFixed(1)} a turn not by the reactor`,
    );
    assertLessOrEqual(others / ROUNDS, OTHERS_PER_TURN_MAX);
  },
});

Deno.test({
  name:
    "through a ring, a GET takes at most 0.2 system calls, as strace counts",
  ignore: NO_STRACE || NO_RING,
  async fn() {
    const { counted, traced } = await countByStrace("ring");
    assertEquals(counted.reads, ROUNDS * CONNECTIONS);
    const calls = traced.waits + traced.reads + traced.writes + traced.enters;
    assertLessOrEqual(calls / counted.reads, RING_CALLS_MAX);
  },
});

/** Counts the calls of a server by its reactor and by strace. */
async function countByStrace(
  way: string,
): Promise<{ counted: Calls; traced: Traced }> {
  const log = await Deno.makeTempFile({ suffix: ".strace" });
  // The process of the server is the child of strace.
  const strace = ["strace", "-D", "-f", "-o", log];
  let counted: Calls;
  let pid: number;
  {
    await using server = new CountedServer(GETS, batchOf(GETS), strace, way);
    counted = await countInStep(server, GETS);
    pid = server.pid;
  }
  const isWhole = () => /\+\+\+ exited/.test(Deno.readTextFileSync(log));
  await eventually("strace to end", isWhole);
  const traced = straced(Deno.readTextFileSync(log), pid);
  await Deno.remove(log);
  return { counted, traced };
}

/** System calls of a server, by their kind. */
interface Traced {
  readonly waits: number;
  readonly reads: number;
  readonly writes: number;
  readonly enters: number;
  readonly all: number;
}

/** The calls that strace saw between the first and the last statistics. */
function straced(log: string, pid: number): Traced {
  const lines = log.split("\n");
  const isTelling = (line: string) => / write\(1, "\{/.test(line);
  const seen = lines.slice(
    lines.findIndex(isTelling) + 1,
    lines.findLastIndex(isTelling),
  );
  const begun = seen.filter((line) => /^\d+ +\w+\(/.test(line));
  const ofServer = begun.filter((line) => line.startsWith(`${pid} `));
  // The reactor's poll is the one that the first peer is registered with.
  const peers = lines.filter((line) => / accept4\(.*\) = \d+$/.test(line));
  const [, fd] = / = (\d+)$/.exec(peers[0]!)!;
  const added = new RegExp(`epoll_ctl\\((\\d+), EPOLL_CTL_ADD, ${fd},`);
  const [, epoll] = lines.map((line) => added.exec(line)).findLast(Boolean)!;
  const count = (call: RegExp) =>
    ofServer.filter((line) => call.test(line)).length;
  return {
    waits: count(new RegExp(` epoll_p?wait\\(${epoll},`)),
    reads: count(/ recvfrom\(/),
    // Without the byte that ends a park, on the reactor's own socket.
    writes: count(/ sendto\(\d+, "(?!\\1", 1,)/),
    enters: count(/ io_uring_enter\(/),
    // This call is the test's own signal.
    all: begun.filter((line) => !/ read\(0, /.test(line)).length,
  };
}
