/** A server on several Workers: who answers, who dies, and how it ends. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { Reactor, serve, type WorkerEnd, type WorkersServer } from "../mod.ts";
import { handleCount } from "./util/clean_tests.ts";
import { RawClient } from "./util/http_client.ts";
import { Program } from "./util/program.ts";
import { eventually, within } from "./util/waiting.ts";

const ROOT = new URL("../", import.meta.url);
const MODULE = new URL("fixtures/named_worker.ts", import.meta.url);
/** Connections that suffice to meet both of two Workers: all but 2^-64. */
const CONNECTIONS = 64;
/** Elsewhere one listener may get all connections. */
const IS_SHARED = Deno.build.os === "linux";

/** Asks once, on a connection of its own, and returns who answered. */
async function ask(port: number, path = "/"): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { client });
  assertEquals(await response.text(), "ok");
  return response.headers.get("x-worker")!;
}

/** Returns who answers, each once. */
async function names(port: number): Promise<Set<string>> {
  const found = new Set<string>();
  for (let count = 0; count < CONNECTIONS; count++) found.add(await ask(port));
  return found;
}

function start(
  ends: WorkerEnd[],
  options: {
    module?: URL | string;
    workers?: number;
    port?: number;
    requireHost?: boolean;
  } = {},
): Promise<WorkersServer> {
  return serve({
    module: MODULE,
    workers: 2,
    hostname: "127.0.0.1",
    port: 0,
    onWorkerEnd: (end) => ends.push(end),
    ...options,
  });
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

Deno.test("serve() on Workers answers from each, and counts what each accepts", async () => {
  const ends: WorkerEnd[] = [];
  await using server = await start(ends);
  assert(server.addr.port > 0);
  await eventually("both to serve", () => server.accepted.length === 2);
  await within(reached(server, 2), "both to answer", 20_000);
  assertEquals(sum(server.accepted) >= 2, true);
  if (IS_SHARED) assert(server.accepted.every((count) => count > 0));
  assertEquals(ends, []);
});

Deno.test("serve() on Workers takes a request without Host, when it is told to", async () => {
  const ends: WorkerEnd[] = [];
  const options = { workers: 1, requireHost: false };
  await using server = await start(ends, options);
  using client = await RawClient.connect(server.addr);
  await client.send("GET / HTTP/1.1\r\n\r\n");
  assertEquals((await client.answer()).status, 200);
});

/** Asks until so many Workers have answered, and returns who they are. */
async function reached(
  { addr }: WorkersServer,
  count: number,
): Promise<Set<string>> {
  for (;;) {
    const found = await names(addr.port);
    if (found.size >= count || !IS_SHARED) return found;
  }
}

for (
  const [path, says] of [
    ["/die", /asked to die/],
    ["/exit", /it ended without an error/],
  ] as const
) {
  Deno.test(`a Worker that is asked to ${path} is started again, and others go on`, async () => {
    const ends: WorkerEnd[] = [];
    await using server = await start(ends);
    const before = await within(reached(server, 2), "both to answer", 20_000);
    await ask(server.addr.port, path).catch(() => {});
    await eventually("the end to be told", () => ends.length === 1);
    assertMatch(ends[0]!.error.message, says);
    assertEquals(ends[0]!.restartMs, 100);
    // None is lost: the listener of the dead one takes no connection any more.
    const survivors = await names(server.addr.port);
    assert([...survivors].some((name) => before.has(name)) || !IS_SHARED);
    const isBack = async () =>
      [...await reached(server, 2)].some((name) => !before.has(name));
    while (!(await isBack()));
    assertEquals(ends.length, 1);
  });
}

Deno.test("serve() on Workers rejects with what is wrong, when the first cannot start", async () => {
  const ends: WorkerEnd[] = [];
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await assertRejects(
    () => start(ends, { port: taken.addr.port }),
    Deno.errors.AddrInUse,
  );
  await assertRejects(
    () => start(ends, { module: "/nonexistent.ts" }),
    Error,
    'Cannot load "/nonexistent.ts"',
  );
  for (const workers of [0, -1, 1.5, NaN, 1025]) {
    await assertRejects(() => start(ends, { workers }), RangeError);
  }
  assertEquals(ends, []);
});

Deno.test("a server gives up, when a Worker fails to start five times in a row", async () => {
  const folder = await Deno.makeTempDir();
  const module = `${folder}/app.ts`;
  await Deno.writeTextFile(
    module,
    `export default { fetch: () => { setTimeout(() => { throw 1; }); } };`,
  );
  const ends: WorkerEnd[] = [];
  const server = await start(ends, { module, workers: 1 });
  await Deno.writeTextFile(module, `throw new Error("broken");`);
  // The module is what was imported: what is new is seen by a new Worker.
  await fetch(`http://127.0.0.1:${server.addr.port}/`).then(
    (response) => response.body?.cancel(),
    () => {},
  );
  const error = await assertRejects(
    () => within(server.finished, "the server to give up", 30_000),
    Error,
  );
  assertMatch(
    error.message,
    /^Cannot start worker 0: it failed 5 times in a row: .*broken/,
  );
  assertEquals(ends.map(({ restartMs }) => restartMs), [
    100,
    200,
    400,
    800,
    1600,
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("shutdown() on Workers lets a slow answer come, and then refuses", async () => {
  const ends: WorkerEnd[] = [];
  // Which stays open, and has its own handles.
  assert(Reactor.shared.size >= 0);
  const before = handleCount();
  const server = await start(ends);
  const { port } = server.addr;
  const slow = ask(port, "/slow");
  await eventually("the request", () => sum(server.accepted) === 1);
  // The request is read in the same turn, or the one after.
  assertNotEquals(await ask(port), "");
  const down = server.shutdown();
  assertEquals(server.shutdown(), down);
  assert((await slow).length > 0);
  await within(down, "the server to shut down");
  await eventually("all to be closed", () => handleCount() <= before);
  await assertRejects(
    () => Deno.connect({ port }),
    Deno.errors.ConnectionRefused,
  );
  assertEquals(ends, []);
});

/** The task itself, with its permissions. */
function task(...args: string[]): [string, ...string[]] {
  const config = new URL("deno.json", ROOT).pathname;
  const words = ["task", "--quiet", "--config", config, "serve", "--port=0"];
  return [Deno.execPath(), ...words, ...args];
}

async function portOf(program: Program): Promise<number> {
  const [, port] = await program.printed(/, 2 workers\) .*:(\d+)\/?\n/);
  return Number(port);
}

Deno.test("serve --workers finishes what is in flight on SIGTERM, and tells the skew", async () => {
  await using program = new Program(task("--workers=2", MODULE.href));
  const port = await portOf(program);
  const slow = ask(port, "/slow");
  await program.printed(/begun/);
  program.kill("SIGTERM");
  assert((await slow).length > 0);
  const { code, stdout, stderr } = await program.ended();
  assertMatch(stdout, /Workers accepted \d+ \+ \d+ connections \(.* 2\.00 tim/);
  assertMatch(stderr, /^(Stopping when all is answered[^\n]*\n)?$/);
  assertEquals(code, 0);
});

Deno.test("serve --workers ends at once, on a second SIGINT", async () => {
  await using program = new Program(task("--workers=2", MODULE.href));
  const never = assertRejects(async () =>
    await ask(await portOf(program), "/never")
  );
  await program.printed(/begun/);
  program.kill("SIGINT");
  await program.complained(/Stopping when all is answered/);
  program.kill("SIGINT");
  assertEquals((await program.ended()).code, 130);
  await never;
});

Deno.test("serve --workers says that a Worker has died, and goes on", async () => {
  await using program = new Program(task("--workers=2", MODULE.href));
  const port = await portOf(program);
  await ask(port, "/die").catch(() => {});
  await program.complained(
    /Worker [01] has died \(.*asked to die\); starting it again in 100 ms\n/,
  );
  for (let count = 0; count < CONNECTIONS; count++) await ask(port);
});

Deno.test("serve --workers serves the built-in app, and echoes", async () => {
  {
    await using program = new Program(task("--workers=2"));
    const url = `http://127.0.0.1:${await portOf(program)}/`;
    assertEquals(await (await fetch(url)).text(), "Hello from denio!\n");
  }
  await using program = new Program(task("--workers=2", "--echo"));
  using client = await Deno.connect({ port: await portOf(program) });
  await client.write(new TextEncoder().encode("hello"));
  const reply = new Uint8Array(5);
  assertEquals(await client.read(reply), 5);
  assertEquals(new TextDecoder().decode(reply), "hello");
});
