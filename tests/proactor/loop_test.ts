/** How a proactor lives on Deno's loop: what it needs, and what it leaves. */

import { assert, assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { mock } from "node:test";
import { pipe, UnixStream } from "../../src/poll.ts";
import { AsyncProactor } from "../../src/proactor/async_proactor.ts";
import { parkOf } from "../../src/proactor/parking.ts";
import { parkableOf, Proactor } from "../../src/proactor/proactor.ts";
import { cleanTest, handleCount } from "../util/clean_tests.ts";
import { descriptors } from "../util/descriptors.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { bytesOf, proactorTest, withFile } from "../util/proactors.ts";
import { runScript } from "../util/scripts.ts";
import { eventually, within } from "../util/waiting.ts";

for (
  const trouble of [
    "nothing",
    "pipe",
    "deaf",
    "process",
    "modules",
    "descriptors",
  ]
) {
  Deno.test({
    name:
      `1,000 files are read and bytes echoed while Deno's pool is full, and ${trouble} is missing`,
    ignore: NO_PROACTOR,
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        const args = [`${folder}/fifo`];
        await new Deno.Command("mkfifo", { args }).output();
        const { stdout, stderr } = await runScript("reads_in_trouble.ts", {
          args: [folder, trouble],
          before: "ulimit -n 2048",
        });
        assertEquals(stdout, "read\necho\necho\necho\n", stderr);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

for (
  const way of [
    "idle",
    "pending",
    "unref",
    "unref first",
    "ref",
    "exit",
    "close",
  ]
) {
  Deno.test({
    name: `a process with operations ends as it should: ${way}`,
    ignore: NO_PROACTOR,
    async fn() {
      const { code, stdout, stderr } = await runScript(
        "ends_with_operations.ts",
        { args: [way] },
      );
      const printed = way === "pending" ? "slept" : way;
      assertEquals(
        { code, stdout },
        { code: 0, stdout: `${printed}\n` },
        stderr,
      );
    },
  });
}

/** Handles of the library, and sockets, pipes and rings of the process. */
function whatIsOpen(): number {
  // Deno closes no raw pipe of a Worker that it terminates: an eventfd is left.
  const kinds = [...descriptors().values()].map(({ kind }) => kind);
  return handleCount() + kinds.filter((kind) => !/eventfd/.test(kind)).length;
}

/** Starts Workers with operations in flight, and terminates them. */
async function terminateWorkers(count: number): Promise<void> {
  const url = new URL("../fixtures/operating_worker.ts", import.meta.url);
  const before = whatIsOpen();
  const workers = Array.from(
    { length: count },
    () => new Worker(url, { type: "module" }),
  );
  await Promise.all(workers.map((worker) =>
    within(
      new Promise((resolve) => worker.onmessage = resolve),
      "operations in flight",
    )
  ));
  assert(whatIsOpen() > before + count * 32);
  for (const worker of workers) worker.terminate();
}

Deno.test({
  name: "a Worker that is terminated leaves no operation",
  ignore: NO_PROACTOR,
  async fn() {
    const handles = handleCount();
    // Deno itself opens descriptors with the first Worker, and keeps them.
    await terminateWorkers(1);
    const isClosed = () => handleCount() <= handles;
    await eventually("all handles to be closed", isClosed);
    const before = whatIsOpen();
    await terminateWorkers(4);
    await eventually("all to be closed", () => whatIsOpen() <= before);
  },
});

proactorTest(
  "reads that are cached leave time for Deno's timers",
  (proactor) =>
    withFile("cached", async (path) => {
      await using file = await proactor.open(path);
      const buffer = new Uint8Array(6);
      let isOver = false;
      setTimeout(() => isOver = true, 1);
      let reads = 0;
      while (!isOver) {
        await file.read(buffer, { at: 0 });
        assert(++reads < 1e6, "the timer has not run");
      }
    }),
);

proactorTest(
  "operations of one turn are submitted together",
  (proactor) =>
    withFile("together", async (path) => {
      const files = await Promise.all(
        Array.from({ length: 200 }, () => proactor.open(path)),
      );
      const before = proactor.stats().systemCalls;
      const counts = await Promise.all(
        files.map((file) => file.read(new Uint8Array(8), { at: 0 })),
      );
      assert(counts.every((count) => count === 8));
      const calls = proactor.stats().systemCalls - before;
      assert(calls <= 4, `${calls} system calls for 200 reads`);
      await Promise.all(files.map((file) => file.close()));
    }),
);

proactorTest(
  "an operation goes on in the AsyncLocalStorage of its call",
  async (proactor) => {
    const storage = new AsyncLocalStorage<string>();
    const { reader, writer } = pipe();
    using _reader = reader;
    using _writer = writer;
    const reading = storage.run("reader", async () => {
      await proactor.read(reader, new Uint8Array(1));
      return storage.getStore();
    });
    const sleeping = storage.run("sleeper", async () => {
      await proactor.sleep(2);
      return storage.getStore();
    });
    await storage.run("writer", () => proactor.write(writer, bytesOf("x")));
    assertEquals([await reading, await sleeping], ["reader", "sleeper"]);
  },
);

proactorTest("fake timers stop no operation", async (proactor) => {
  const [left, right] = UnixStream.pair();
  using _left = left;
  using _right = right;
  const converse = async (proactor: AsyncProactor) => {
    const receiving = proactor.receive(left, new Uint8Array(8));
    await proactor.sleep(2);
    await proactor.send(right, bytesOf("four"));
    assertEquals(await receiving, 4);
    for (let round = 0; round < 500; round++) await proactor.nop();
  };
  await converse(proactor);
  mock.timers.enable();
  try {
    await converse(proactor);
    await using meanwhile = new AsyncProactor();
    await converse(meanwhile);
  } finally {
    mock.timers.reset();
  }
});

cleanTest("the first wait shows that the raw pipe works", async () => {
  using proactor = new Proactor();
  const park = parkOf(parkableOf(proactor.handle));
  // The pipe calls this; giving the pipe up does not.
  let isWoken = false;
  await park.park(undefined, true, () => isWoken = true);
  assert(isWoken);
  park.close();
}, { ignore: NO_PROACTOR });
