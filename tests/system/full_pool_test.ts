/** Reactors while every thread of Deno's pool is taken. */

import { assertEquals } from "@std/assert";
import { RawClient } from "../util/http_client.ts";
import { Program } from "../util/program.ts";
import { within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

const FIXTURE = new URL("../fixtures/full_pool.ts", import.meta.url).pathname;

/** The behaviour of Deno's raw pipe that ends a park. */
type Pipe = "works" | "missing" | "deaf";

/** Starts as many reactors on one thread, and asks each twice. */
async function ask(reactors: number, pipe: Pipe = "works"): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  const fifo = `${folder}/fifo`;
  try {
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    await using program = new Program([
      Deno.execPath(),
      "run",
      "-A",
      FIXTURE,
      fifo,
      String(reactors),
      pipe,
    ]);
    const [line] = await program.printed(/^[\d ]+$/m);
    const answers = line.split(" ").map(async (port) => {
      const addr = { hostname: "127.0.0.1", port: Number(port) };
      using client = await RawClient.connect({ ...addr, transport: "tcp" });
      await (await client.send(GET)).answer();
      return (await (await client.send(GET)).answer()).text;
    });
    return await within(Promise.all(answers), "all answers");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a reactor answers and its timers run, when Deno's pool of threads is full", async () => {
  assertEquals(await ask(1), ["ticks"]);
});

Deno.test("a hundred reactors of one thread answer, when Deno's pool of threads is full", async () => {
  const answers = await ask(100);
  assertEquals(answers, new Array(100).fill("ticks"));
});

for (const pipe of ["missing", "deaf"] as const) {
  Deno.test(`a reactor answers by a socket of node:net, when Deno's raw pipe is ${pipe}`, async () => {
    assertEquals(await ask(2, pipe), ["ticks", "ticks"]);
  });
}
