/**
 * The README's examples, run as the README writes them.
 *
 * Each program is taken out of the text with the command below it. Only the
 * ports are changed, to ones that are free.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { libraryFile } from "../../src/native/library.ts";
import { readText, writeText } from "../util/deno_client.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { Program } from "../util/program.ts";
import { NO_REDIS, RedisServer } from "../util/redis_server.ts";
import { eventually } from "../util/waiting.ts";
import { WebSocketClient } from "../util/websocket_client.ts";

const ROOT = new URL("../../", import.meta.url);
const README = await Deno.readTextFile(new URL("README.md", ROOT));

/** A program of the README and the flags that it is to be started with. */
interface Example {
  readonly code: string;
  readonly flags: readonly string[];
  /** What the command has behind the program. */
  readonly args: readonly string[];
}

/** Returns a program below a heading, and the command that follows it. */
function exampleOf(heading: string, index: number): Example {
  const section = README.split(`\n## ${heading}\n`)[1];
  assert(section !== undefined, `README has no section "${heading}"`);
  const [, code] = [...section.matchAll(/```ts ignore\n(.*?)```/gs)][index] ??
    [];
  const [, command] =
    [...section.matchAll(/```sh\n(?:\w+=\S+ )?deno run (.*?)```/gs)][index] ??
      [];
  assert(code !== undefined, `section "${heading}" has no program`);
  assert(command !== undefined, `section "${heading}" has no command`);
  const library = libraryFile(Deno.build.os);
  const words = command.trim().split(/\s+/);
  const program = words.findIndex((word) => word.endsWith(".ts"));
  const flags = words.slice(0, program)
    .map((flag) => flag.replace("libdenio.so", library));
  return { code, flags, args: words.slice(program + 1) };
}

/** Starts a program of the README in the project's folder. */
async function startExample(
  heading: string,
  index = 0,
  env: Record<string, string> = {},
): Promise<Program> {
  const { code, flags, args } = exampleOf(heading, index);
  const changed = code
    .replace(
      /"(\.\/[\w/]+\.ts)"/g,
      (_, path) => JSON.stringify(new URL(path, ROOT).href),
    )
    .replace(/port: \d+/, "port: 0");
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, changed);
  const command = [Deno.execPath(), "run", "--no-prompt", "--quiet"] as const;
  return new Program([...command, ...flags, file, ...args], { cwd: ROOT, env });
}

/** Sends text to a port and returns all that comes until `bytes` have come. */
async function exchange(
  port: number,
  text: string,
  bytes: number,
): Promise<string> {
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeText(client, text);
  return await readText(client, bytes);
}

Deno.test("README's HTTP example answers GET and POST, as it says", async () => {
  await using program = await startExample("HTTP");
  const base = `http://127.0.0.1:${await portOf(program)}`;
  const greeting = await fetch(`${base}/there`);
  assertEquals(await greeting.text(), "Hello 127.0.0.1 at /there\n");
  const posted = await fetch(base, { method: "POST", body: '{"a":1}' });
  assertEquals(await posted.json(), { received: { a: 1 } });
});

/** The port that a server prints when it listens. */
async function portOf(program: Program): Promise<number> {
  const [, port] = await program.complained(/:(\d+)/);
  return Number(port);
}

Deno.test("README's room tells the others, the visitor and the log", async () => {
  await using program = await startExample("WebSockets");
  const port = await portOf(program);
  await using ada = await WebSocketClient.open(port, "/Ada");
  await using bob = await WebSocketClient.open(port, "/Bob");
  ada.say("hello");
  assertEquals(await bob.next(), "Ada: hello");
  assertEquals(await ada.next(), "said");
  await program.printed(/^hello\n/);
  const url = `http://127.0.0.1:${port}/`;
  assertEquals(await (await fetch(url)).text(), "A room\n");
});

Deno.test({
  name: "README's servers share a topic over Redis",
  ignore: NO_REDIS,
  async fn() {
    await using redis = await RedisServer.start();
    const start = () =>
      startExample("WebSockets", 1, { REDIS_URL: redis.path });
    await using one = await start();
    await using other = await start();
    await using here = await WebSocketClient.open(await portOf(one));
    await using there = await WebSocketClient.open(await portOf(other));
    // Redis may get the subscription later than the first messages.
    await eventually("a message by Redis", () => {
      if (there.heard === 0) here.say("hello");
      return there.heard > 0;
    });
    assertEquals(await there.next(), "hello");
  },
});

Deno.test("README's upgradeWebSocket echoes", async () => {
  await using program = await startExample("WebSockets", 2);
  await using client = await WebSocketClient.open(await portOf(program));
  client.say("hello");
  assertEquals(await client.next(), "hello");
});

Deno.test("README's echo example echoes and stops, on SIGINT", async () => {
  await using program = await startExample("Echo");
  const [, port] = await program.printed(/port (\d+)/);
  assertEquals(await exchange(Number(port), "hello", 5), "hello");
  program.kill("SIGINT");
  const { code, stderr } = await program.ended();
  assertEquals(code, 0, stderr);
});

Deno.test("README's reactor example counts, line by line", async () => {
  await using program = await startExample("The reactor");
  const [, port] = await program.printed(/port (\d+)/);
  assertEquals(await exchange(Number(port), "ADD\nADD\nGE", 4), "1\n2\n");
  const expected = '2\nERR unknown command "no"\n';
  assertEquals(
    await exchange(Number(port), "GET\nno\n", expected.length),
    expected,
  );
});

Deno.test("README's fibers greet a client by its name, and hang up", async () => {
  await using program = await startExample("Fibers");
  const [, port] = await program.printed(/port (\d+)/);
  const expected = "Hello, you\n";
  assertEquals(
    await exchange(Number(port), "you\n", expected.length),
    expected,
  );
});

Deno.test("README's poll example reports the stream, and reads it", async () => {
  await using program = await startExample("The Poll");
  const { code, stdout, stderr } = await program.ended();
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "2 1\n5 bytes\n");
});

Deno.test({
  name: "README's cat writes the README",
  ignore: NO_PROACTOR,
  async fn() {
    await using program = await startExample("Completions");
    const { code, stdout, stderr } = await program.ended();
    assertEquals(code, 0, stderr);
    assertEquals(stdout, README);
  },
});

Deno.test({
  name: "README's echo by completions echoes",
  ignore: NO_PROACTOR,
  async fn() {
    await using program = await startExample("Completions", 1);
    const [, port] = await program.printed(/port (\d+)/);
    assertEquals(await exchange(Number(port), "hello", 5), "hello");
  },
});

Deno.test("README names the two commands that do all set-up", () => {
  assertStringIncludes(README, "npx -y deno@2.9.6 task serve");
  assertStringIncludes(README, "npx -y deno@2.9.6 task test");
});
