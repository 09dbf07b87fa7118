/** `deno task lab watch`: the calls of a connection, and what the kernel has. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type Call,
  StraceReader,
  tracedCall,
} from "../../scripts/lab/watch/calls.ts";
import {
  fromProc,
  fromSs,
  socketsOn,
} from "../../scripts/lab/watch/sockets.ts";
import { buildLab } from "../../scripts/lab/run.ts";
import { Story } from "../../scripts/lab/watch/story.ts";
import { timeoutMsOf, wordOn } from "../../scripts/lab/watch/words.ts";
import { readText, writeText } from "../util/deno_client.ts";
import { lacks, NO_PROC } from "../util/machine.ts";
import { Program, taskCommand } from "../util/program.ts";
import { NO_STRACE } from "../util/strace.ts";
import { eventually } from "../util/waiting.ts";

/** An interrupted program ends so. */
const INTERRUPTED = 130;

/** Watches a model while a client connects, sends a message, and closes. */
async function watched(
  model: string,
  env: Record<string, string> = {},
): Promise<string> {
  // Compiling takes longer than a test waits.
  buildLab();
  await using program = new Program(
    taskCommand("lab", ["watch", model]),
    { env },
  );
  const [, pid] = await program.printed(/^Process (\d+) on port/m);
  const [, port] = await program.printed(/: {2}nc 127\.0\.0\.1 (\d+)\n/);
  await program.printed(/ LISTEN +0 .*\n/);
  {
    using client = await Deno.connect({
      hostname: "127.0.0.1",
      port: Number(port),
    });
    await program.printed(/ ESTAB .*\n/);
    await writeText(client, "hello");
    assertEquals(await readText(client, 5), "hello");
  }
  // The client's socket is gone from the table.
  await program.printed(/ ESTAB [^]* LISTEN (?:(?! ESTAB )[^])*$/);
  program.kill("SIGINT");
  const { code, stdout } = await program.ended();
  assertEquals(code, INTERRUPTED);
  if (!NO_PROC) await eventually("its server to end", () => !isAlive(pid!));
  return stdout;
}

/** Whether a process runs: one that has ended is there until it is asked for. */
function isAlive(pid: string): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

/** Asserts that lines with these beginnings follow one another. */
function assertOrder(text: string, wanted: readonly string[]): void {
  let place = 0;
  for (const line of wanted) {
    const found = text.indexOf(line, place);
    assert(found >= 0, `no "${line}" from here:\n${text.slice(place)}`);
    place = found + line.length;
  }
}

const STORIES: Record<string, string[]> = {
  blocking: [
    ...["A client connects", "accept4(", "takes a client"],
    ...["A message", "recvfrom(", '"hello"', "= 5", "sendto(", "= 5"],
    ...["The client leaves", "recvfrom(", "= 0", "close("],
  ],
  "epoll-level": [
    // The poll may wait by ppoll, and then look by epoll.
    ...["A client connects", "without a limit", "accept4("],
    ...["epoll_ctl(", "ADD", "into the kernel's list", "-1 EAGAIN"],
    ...["A message", "epoll_pwait(", '"hello"', "= 5", "sendto(", "= 5"],
    ...["The client leaves", "recvfrom(", "= 0", "close("],
  ],
  timers: [
    ...["A client connects", "25 days at the most", "accept4("],
    // The wait ends when the client has been silent for five minutes.
    ...["A message", "300 s at the most", "recvfrom(", "= 5"],
    ...["The client leaves", "recvfrom(", "= 0", "close("],
  ],
};

for (const [model, story] of Object.entries(STORIES)) {
  Deno.test({
    name: `lab watch ${model} shows connect, message and close, by strace`,
    ignore: NO_STRACE,
    async fn() {
      const text = await watched(model);
      assertMatch(text, /^System calls by strace/m);
      assertMatch(text, /^\d threads? .*% of a core, [\d.]+ MB$/m);
      assertOrder(text, story);
    },
  });
}

Deno.test({
  name: "without strace, lab watch shows denio's own trace, and says so",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    const fake = `${folder}/strace`;
    await Deno.writeTextFile(fake, "#!/bin/sh\necho not allowed >&2; exit 1\n");
    await Deno.chmod(fake, 0o755);
    const env = { PATH: `${folder}:${Deno.env.get("PATH")}` };
    const text = await watched("timers", env);
    assertMatch(text, /^System calls by denio's own trace, .*"not allowed"/m);
    assertOrder(text, [
      ...["A client connects", "accept4(listener) = conn 1", "ADD, conn 1"],
      ...["A message", "300000) = 1", "300 s at the most", "= 5", "sendto("],
      ...["The client leaves", "recvfrom(conn 1", "= 0", "close(conn 1) = 0"],
    ]);
    const blocking = await watched("blocking", env);
    assertMatch(
      blocking,
      /^Its system calls cannot be shown: .*"not allowed"/m,
    );
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("calls of threads are put together, alone or not", () => {
  const reader = new StraceReader();
  reader.listensOn(7000);
  const take = (line: string) => reader.take(line);
  const own = "4<TCP:[127.0.0.1:7000->127.0.0.1:5]>";
  assertEquals(take(`recvfrom(${own},  <unfinished ...>`), undefined);
  assertEquals(
    take("[pid 2] accept4(3<TCP:[127.0.0.1:7000]>,  <unfinished ...>"),
    undefined,
  );
  assertEquals([...reader.waiting], [["recvfrom", 1], ["accept4", 1]]);
  // The thread has a number since there are two.
  const read = take(
    '[pid 1] <... recvfrom resumed>"hi", 9, 0, NULL, NULL) = 2',
  )!;
  assertEquals(read.args, '4, "hi", 9, 0');
  assert(read.isOwn);
  assertEquals(wordOn(read), "takes 2 bytes out of Recv-Q");
  const none = take(
    "<... accept4 resumed>0x7ff, [128], SOCK_CLOEXEC|SOCK_NONBLOCK) = -1 EAGAIN (Resource temporarily unavailable)",
  )!;
  assertEquals([none.args, none.result], ["3, SOCK_NONBLOCK", "-1 EAGAIN"]);
  assertEquals(reader.waiting.size, 0);
  // Another port that begins with the same digits is another server's.
  const other = take('read(5<TCP:[127.0.0.1:70001]>, "", 9) = 0')!;
  assert(!other.isOwn);
});

for (
  const [line, timeoutMs, word] of [
    ["epoll_wait(3, [], 1024, -1) = 0", -1, "without a limit"],
    [
      "epoll_pwait(3, 0x7f, 9, 250, NULL, 6) = 0",
      250,
      "250 ms at the most: the",
    ],
    ["poll([{fd=3, events=POLLIN}], 1, 0) = 1 ([])", 0, "does not sleep: 1 re"],
    ["pselect6(20, [18], [], [], NULL, NULL) = 1 (in [19])", -1, "without a"],
    ["ppoll([{fd=3}], 1, NULL, NULL, 8) = 1 ([])", -1, "without a limit"],
    ["ppoll([{fd=3}], 1, {tv_sec=2, tv_nsec=0}, NULL, 8) = 0", 2000, "for 2 s"],
    [
      "epoll_wait(3, 0x7f, 9, 90000) = -1 EINTR (x)",
      90_000,
      "90 s .*interrupted",
    ],
  ] as const
) {
  Deno.test(`the timeout of ${line} is told`, () => {
    const call = new StraceReader().take(line)!;
    assertEquals(timeoutMsOf(call), timeoutMs);
    assertMatch(wordOn(call), new RegExp(word));
  });
}

Deno.test("a ring's call says what it hands over, and what it waits for", () => {
  const word = (line: string) => wordOn(new StraceReader().take(line)!);
  assertEquals(
    word("io_uring_enter(19, 3, 1, 0x1, NULL, 24) = 3"),
    "hands 3 operations over, sleeps until 1 is done",
  );
  const wait = new StraceReader().take("io_uring_enter(9, 0, 1, 0x1) = 0")!;
  assertEquals(new Story(false).take(wait).length, 1);
});

Deno.test("a call that finds nothing is told once, and counted", () => {
  const story = new Story(false);
  const call = (name: string, result: string): Call => {
    return { thread: "", name, args: "4, 9", result, isOwn: true };
  };
  const tell = (name: string, result: string) =>
    story.take(call(name, result)).map(({ text }) => text.trim());
  assertEquals(tell("recvfrom", "-1 EAGAIN").length, 1);
  for (let count = 0; count < 1_500; count++) {
    assertEquals(tell("recvfrom", "-1 EAGAIN"), []);
  }
  const [counted, heading, read] = tell("recvfrom", "9");
  assertEquals(counted, "(and 1,500 calls that found nothing)");
  assertEquals(heading, "A message");
  assert(read!.startsWith("recvfrom(4, 9) = 9"));
  assertEquals(tell("recvfrom", "-1 EAGAIN").length, 1);
});

Deno.test("calls on other things are no part of the story", () => {
  const story = new Story(false);
  const reader = new StraceReader();
  reader.listensOn(7000);
  const take = (line: string) => story.take(reader.take(line)!);
  assertEquals(take('read(9</etc/passwd>, "", 9) = 0'), []);
  // A wait belongs to the call that it has led to.
  assertEquals(take("epoll_wait(3, [{events=EPOLLIN}], 9, -1) = 1"), []);
  assertEquals(take("close(4<TCP:[1.2.3.4:7000->1.2.3.4:5]>) = 0").length, 2);
});

Deno.test("a line of denio's trace is a call, its heading is none", () => {
  assertEquals(tracedCall("      ms      +ms  turn  call"), undefined);
  const call = tracedCall(
    "  1.785    0.744     5  recvfrom(conn 1, 9) = 4   GET",
  )!;
  assertEquals([call.name, call.args, call.result], [
    ...["recvfrom", "conn 1, 9", "4"],
  ]);
});

const NO_SS = lacks("ss", () => {
  try {
    return new Deno.Command("ss", { args: ["-tan"] }).outputSync().success;
  } catch {
    return false;
  }
});

Deno.test({
  name: "sockets are those of ss, and /proc/net/tcp has the same",
  ignore: NO_PROC || NO_SS,
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    using _server = await listener.accept();
    await writeText(client, "hello");
    using _waits = await Deno.connect({ hostname: "127.0.0.1", port });
    const { stdout } = new Deno.Command("ss", {
      args: ["-tanH", `sport = :${port}`],
    }).outputSync();
    const bySs = fromSs(new TextDecoder().decode(stdout));
    assertEquals(socketsOn(port), bySs);
    const byProc = fromProc(Deno.readTextFileSync("/proc/net/tcp"), port);
    const shown = (sockets: typeof bySs) =>
      sockets.map(({ state, receiveQueue, peer }) =>
        `${state} ${receiveQueue} ${state === "LISTEN" ? "" : peer}`
      ).sort();
    assertEquals(shown(byProc), shown(bySs));
    const { port: own } = client.localAddr as Deno.NetAddr;
    assert(shown(bySs).includes(`ESTAB 5 127.0.0.1:${own}`));
  },
});
