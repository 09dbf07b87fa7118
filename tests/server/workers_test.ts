/** A server on several Workers: answers, deaths, and its end. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import {
  type Balance,
  type HttpServer,
  Reactor,
  serve,
  type ServeModuleOptions,
  type WorkerEnd,
  type WorkersServer,
} from "../../mod.ts";
import { handleCount } from "../util/clean_tests.ts";
import { RawClient } from "../util/http_client.ts";
import { Program, taskCommand } from "../util/program.ts";
import { abstractName, NO_ABSTRACT, SocketFolder } from "../util/unix_paths.ts";
import { DEADLINE_MS, eventually, within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

const MODULE = new URL("../fixtures/named_worker.ts", import.meta.url);
/** So many connections reach both of two Workers, all but 2^-64 times. */
const CONNECTIONS = 64;
const SLOW_START = new URL("../fixtures/slow_start.ts", import.meta.url);
const BLOCKED_MODULE = new URL(
  "../fixtures/blocked_worker.ts",
  import.meta.url,
);
const COUNTS_POLLS = new URL("../fixtures/counts_polls.ts", import.meta.url);
/** Longer than any wait of a test while a client waits. */
const ANSWER_MS = 2 * DEADLINE_MS;

// The shared reactor opens its handles for waiting when it is idle first, and
// keeps them. It must not do so in a test that counts handles.
await (async () => {
  const { shared } = Reactor;
  const where = { hostname: "127.0.0.1", port: 0 };
  const listener = shared.listen(where, { data() {} });
  const before = handleCount();
  await eventually("a wait", () => handleCount() > before);
  listener.close();
})();

/** Sends a request on a new connection, and returns the answering Worker. */
async function ask(port: number, path = "/"): Promise<string> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const answer = fetch(`http://127.0.0.1:${port}${path}`, { client });
  const response = await within(answer, `an answer to ${path}`, ANSWER_MS);
  assertEquals(await response.text(), "ok");
  return response.headers.get("x-worker")!;
}

/** Returns the Workers that answer, each once. */
async function names(port: number): Promise<Set<string>> {
  const found = new Set<string>();
  for (let count = 0; count < CONNECTIONS; count++) found.add(await ask(port));
  return found;
}

function start(
  ends: WorkerEnd[],
  options: Partial<ServeModuleOptions> = {},
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

/** Resolves when a Worker of this process reports a request. */
function hasBegun(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel("begun");
    channel.onmessage = () => {
      channel.close();
      resolve();
    };
  });
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** Registers a test for each way to share connections. */
function balanceTest(
  name: string,
  run: (balance: Balance) => Promise<void>,
): void {
  for (const balance of ["shared-listener", "reuse-port"] as const) {
    Deno.test({
      name: `${name} (${balance})`,
      // Elsewhere one socket of several may get all connections.
      ignore: balance === "reuse-port" && Deno.build.os !== "linux",
      fn: () => run(balance),
    });
  }
}

balanceTest(
  "serve() on Workers answers from each, and counts what each accepts",
  async (balance) => {
    const ends: WorkerEnd[] = [];
    await using server = await start(ends, { balance });
    assert(server.addr.port > 0);
    assertEquals(server.accepted.length, 2);
    await within(reached(server, 2), "both to answer");
    assert(server.accepted.every((count) => count > 0));
    assertEquals(ends, []);
  },
);

balanceTest(
  "each connection is one Worker's, when many come at once",
  async (balance) => {
    const ends: WorkerEnd[] = [];
    await using server = await start(ends, { balance });
    const clients = await connect(server);
    const first = await Promise.all(clients.map(workerOf));
    for (const client of clients) await client.send(GET);
    assertEquals(await Promise.all(clients.map(workerOf)), first);
    const counts = countsOf(first);
    assertEquals(
      server.accepted.filter((count) => count > 0).sort(),
      counts.sort(),
    );
    for (const client of clients) client.close();
    assertEquals(ends, []);
  },
);

/** Opens connections, each with a request on its way. */
async function connect({ addr }: WorkersServer): Promise<RawClient[]> {
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => RawClient.connect(addr)),
  );
  for (const client of clients) await client.send(GET);
  return clients;
}

/** Returns how often each value occurs. */
function countsOf(names: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()];
}

/** Returns the Worker that has answered. */
async function workerOf(client: RawClient): Promise<string> {
  const answer = await client.answer();
  assertEquals(answer.text, "ok");
  return answer.get("x-worker")!;
}

/** Files that block Workers, until the test removes them. */
class Locks implements Disposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly #addr: Deno.NetAddr;

  constructor({ addr }: WorkersServer) {
    this.#addr = addr;
  }

  /** Blocks a Worker, and returns its client then. */
  async hold(name: string, path = "/"): Promise<RawClient> {
    const client = await RawClient.connect(this.#addr);
    const file = `${this.#folder}/${name}`;
    await client.send(
      `GET ${path}?while=${file} HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    await eventually(`"${name}" to block`, () => isThere(file));
    return client;
  }

  /** Unblocks a Worker. */
  open(name: string): void {
    Deno.removeSync(`${this.#folder}/${name}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

function isThere(file: string): boolean {
  try {
    Deno.statSync(file);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a Worker that is blocked holds no new connection up, with a shared listener", async () => {
  const ends: WorkerEnd[] = [];
  const module = BLOCKED_MODULE;
  await using server = await start(ends, {
    module,
    balance: "shared-listener",
  });
  using locks = new Locks(server);
  using blocked = await locks.hold("a");
  const all = [
    ...await names(server.addr.port),
    ...await Promise.all(
      Array.from({ length: CONNECTIONS }, () => ask(server.addr.port)),
    ),
  ];
  assertEquals(new Set(all).size, 1);
  locks.open("a");
  assertNotEquals(await workerOf(blocked), all[0]);
  assertEquals(ends, []);
});

for (const workers of [1, 2]) {
  Deno.test(`no connection is lost that waits when a Worker of ${workers} dies, with a shared listener`, async () => {
    const ends: WorkerEnd[] = [];
    const module = BLOCKED_MODULE;
    const balance = "shared-listener";
    await using server = await start(ends, { module, workers, balance });
    using locks = new Locks(server);
    using dies = await locks.hold("dies", "/die");
    using lives = workers > 1 ? await locks.hold("lives") : undefined;
    const clients = await connect(server);
    locks.open("dies");
    await eventually("the end", () => ends.length === 1);
    if (lives) locks.open("lives");
    for (const client of clients) {
      await workerOf(client);
      client.close();
    }
    if (lives) await workerOf(lives);
    await dies.rest().catch(() => {});
    assertEquals(sum(server.accepted), CONNECTIONS + workers);
    assertEquals(ends.length, 1);
  });
}

Deno.test("serve() on Workers serves at a Unix socket, which it removes in the end", async () => {
  using folder = new SocketFolder();
  const path = folder.path();
  {
    await using server = await serve({ module: MODULE, workers: 2, path });
    assertEquals(server.addr, { transport: "unix", path });
    const found = new Set<string>();
    for (let count = 0; count < CONNECTIONS; count++) {
      using client = Deno.createHttpClient({
        proxy: { transport: "unix", path },
        poolMaxIdlePerHost: 0,
      });
      const response = await fetch("http://localhost/", { client });
      assertEquals(await response.text(), "ok");
      found.add(response.headers.get("x-worker")!);
    }
    assertEquals(found.size, 2);
    assertEquals(sum(server.accepted), CONNECTIONS);
  }
  assertEquals(isThere(path), false);
});

Deno.test("serve() on Workers refuses a balance that there is not", async () => {
  const given = { module: MODULE, port: 0 };
  // As a program in JavaScript may write it.
  const reusePort = "reuse-port" as "shared-listener";
  await assertRejects(
    () => serve({ ...given, balance: "fair" as Balance }),
    TypeError,
    'Cannot balance by "fair": it must be "shared-listener" or "reuse-port"',
  );
  await assertRejects(
    () => serve({ ...given, path: "/a", balance: reusePort }),
    TypeError,
    'Cannot balance by "reuse-port" at path "/a": only ports are reused',
  );
});

Deno.test("serve() on Workers takes a request without Host, when requireHost is false", async () => {
  const ends: WorkerEnd[] = [];
  const options = { workers: 1, requireHost: false };
  await using server = await start(ends, options);
  using client = await RawClient.connect(server.addr);
  await client.send("GET / HTTP/1.1\r\n\r\n");
  assertEquals((await client.answer()).status, 200);
});

/** Sends requests until so many Workers have answered, and returns these. */
async function reached(
  { addr }: WorkersServer,
  count: number,
): Promise<Set<string>> {
  for (;;) {
    const found = await names(addr.port);
    if (found.size >= count) return found;
  }
}

for (
  const [path, says] of [
    ["/die", /asked to die/],
    ["/exit", /it ended without an error/],
  ] as const
) {
  balanceTest(
    `a Worker that is asked to ${path} is started again, and others go on`,
    async (balance) => {
      const ends: WorkerEnd[] = [];
      await using server = await start(ends, { balance });
      const before = await within(reached(server, 2), "both to answer");
      await ask(server.addr.port, path).catch(() => {});
      await eventually("the end to be reported", () => ends.length === 1);
      assertMatch(ends[0]!.error.message, says);
      assertEquals(ends[0]!.restartMs, 100);
      // None is lost: the listener of the dead one takes no connection any
      // more.
      const survivors = await names(server.addr.port);
      assert([...survivors].some((name) => before.has(name)));
      const isBack = async () =>
        [...await reached(server, 2)].some((name) => !before.has(name));
      while (!(await isBack()));
      assertEquals(ends.length, 1);
    },
  );
}

balanceTest(
  "serve() on Workers rejects with what is wrong, when the first cannot start",
  async (balance) => {
    const ends: WorkerEnd[] = [];
    // The shared reactor stays open, and has its own handles.
    assert(Reactor.shared.size >= 0);
    const before = handleCount();
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await assertRejects(
      () => start(ends, { port: taken.addr.port, balance }),
      Deno.errors.AddrInUse,
    );
    await assertRejects(
      () => start(ends, { module: "/nonexistent.ts", balance }),
      Error,
      'Cannot load "/nonexistent.ts"',
    );
    await assertRejects(
      () => start(ends, { port: 65_536, balance }),
      RangeError,
      "Invalid port (out of range): 65536",
    );
    for (const workers of [0, -1, 1.5, NaN, 1025]) {
      await assertRejects(() => start(ends, { workers, balance }), RangeError);
    }
    await eventually("all to be closed", () => handleCount() <= before);
    assertEquals(ends, []);
  },
);

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
  // Only a new Worker imports the changed module.
  await fetch(`http://127.0.0.1:${server.addr.port}/`).then(
    (response) => response.body?.cancel(),
    () => {},
  );
  const error = await assertRejects(
    () => within(server.finished, "the server to give up"),
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

balanceTest(
  "shutdown() on Workers lets a slow answer come, and then refuses",
  async (balance) => {
    const ends: WorkerEnd[] = [];
    // The shared reactor stays open, and has its own handles.
    assert(Reactor.shared.size >= 0);
    const before = handleCount();
    const server = await start(ends, { balance });
    const { port } = server.addr;
    const file = new TemporaryFile();
    const begun = hasBegun();
    const slow = ask(port, `/slow?while=${file.path}`);
    await within(begun, "the request");
    const down = server.shutdown();
    assertEquals(server.shutdown(), down);
    file[Symbol.dispose]();
    assert((await slow).length > 0);
    await within(down, "the server to shut down");
    await eventually("all to be closed", () => handleCount() <= before);
    await assertRejects(
      () => Deno.connect({ port }),
      Deno.errors.ConnectionRefused,
    );
    assertEquals(ends, []);
  },
);

/** Runs `test`, and expects that afterwards no Worker has a handle open. */
async function leavesNothing(test: () => Promise<void>): Promise<void> {
  // The shared reactor stays open, and has its own handles.
  assert(Reactor.shared.size >= 0);
  const before = handleCount();
  await test();
  await eventually("all to be closed", () => handleCount() <= before);
}

/** Waits for the end of a connection that was cut off without an answer. */
async function isCutOff(client: RawClient): Promise<void> {
  const answers = await client.rest().catch(() => []);
  assertEquals(answers, []);
  client.close();
}

balanceTest(
  "a Worker that blocks its thread is terminated, graceMs after shutdown()",
  (balance) =>
    leavesNothing(async () => {
      const options = { module: BLOCKED_MODULE, balance, graceMs: 10 };
      const server = await start([], options);
      using locks = new Locks(server);
      const client = await locks.hold("stuck");
      const down = server.shutdown();
      await assertRejects(
        () => within(down, "the Worker to be terminated"),
        Deno.errors.TimedOut,
        "within 10 ms: terminated",
      );
      assertEquals(server.finished, down);
      // The thread still runs: its sockets were closed all the same.
      await isCutOff(client);
      await assertRejects(
        () => Deno.connect({ port: server.addr.port }),
        Deno.errors.ConnectionRefused,
      );
    }),
);

balanceTest(
  "serve() on Workers ends at once, when its signal aborts",
  (balance) =>
    leavesNothing(async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const options = { module: BLOCKED_MODULE, balance, signal };
      const server = await start([], options);
      using locks = new Locks(server);
      const client = await locks.hold("stuck");
      controller.abort();
      await within(server.finished, "the end");
      assertEquals(server.shutdown(), server.finished);
      await isCutOff(client);
    }),
);

Deno.test("serve() on Workers cuts off a shutdown, when its signal aborts", () =>
  leavesNothing(async () => {
    const controller = new AbortController();
    const server = await start([], { signal: controller.signal });
    const begun = hasBegun();
    const never = assertRejects(() => ask(server.addr.port, "/never"));
    await within(begun, "the request");
    const down = server.shutdown();
    controller.abort();
    await within(down, "the end");
    await never;
  }));

Deno.test("serve() on Workers rejects with the reason, when its signal aborts before it serves", () =>
  leavesNothing(async () => {
    const reason = new RangeError("enough");
    const early = AbortSignal.abort(reason);
    await assertRejects(() => start([], { signal: early }), RangeError);
    const controller = new AbortController();
    const { signal } = controller;
    const starting = start([], { module: SLOW_START, signal });
    controller.abort(reason);
    await assertRejects(
      () => within(starting, "the end"),
      RangeError,
      "enough",
    );
  }));

Deno.test("serve() on Workers rejects with TimedOut, when the module is not loaded in startMs", () =>
  leavesNothing(async () => {
    using file = new TemporaryFile();
    const blocks = new URL(`?while=${file.path}`, SLOW_START);
    // The first ends before the Worker runs, others while the module loads.
    for (
      const [module, startMs] of [
        [SLOW_START, 1],
        [SLOW_START, 500],
        [blocks, 500],
      ] as const
    ) {
      await assertRejects(
        () => within(start([], { module, startMs }), "the end"),
        Deno.errors.TimedOut,
        `Cannot start "${module}" within ${startMs} ms: worker 0 was terminated`,
      );
    }
  }));

balanceTest(
  "shutdown() ends an idle Worker without another wait of its reactor",
  async (balance) => {
    using file = new TemporaryFile();
    const module = new URL(`?file=${file.path}`, COUNTS_POLLS);
    const server = await start([], { module, workers: 1, balance });
    const blocked = () => Deno.readTextFileSync(file.path);
    await eventually("the Worker to be idle", () => blocked() !== "");
    const before = blocked();
    await within(server.shutdown(), "the server to shut down");
    // The order has ended the last wait.
    assertMatch(blocked().slice(before.length), /^(\d+\n)*[1-9]\d*\n$/);
  },
);

/** A file that is there until it is disposed of. */
class TemporaryFile implements Disposable {
  readonly path: string = Deno.makeTempFileSync();

  [Symbol.dispose](): void {
    Deno.removeSync(this.path);
  }
}

/** Wrong options of a server on Workers, and the messages about them. */
const REFUSED: [
  options: object,
  // deno-lint-ignore no-explicit-any -- as assertRejects has it
  type: new (...args: any[]) => Error,
  says: string,
][] = [
  [{ graceMs: -1 }, RangeError, 'graceMs "-1": it must be zero or more'],
  [{ graceMs: NaN }, RangeError, 'graceMs "NaN": it must be zero or more'],
  [{ startMs: 0 }, RangeError, 'startMs "0"'],
  [{ startMs: 2 ** 31 }, RangeError, 'startMs "2147483648"'],
  [{ signal: "now" }, TypeError, 'signal "now"'],
  [{ module: undefined }, TypeError, 'module "undefined"'],
  [{ module: null }, TypeError, 'module "null"'],
  [{ module: "" }, TypeError, 'module ""'],
  [{ module: 5 }, TypeError, 'module "5"'],
  [{ module: undefined, echo: true }, TypeError, 'module "undefined"'],
  [{ cert: "a", key: "b" }, Deno.errors.NotSupported, "TLS"],
  [{ transport: "quic" }, Deno.errors.NotSupported, '"quic"'],
  [{ handler: () => new Response() }, TypeError, '"handler"'],
  [{ onError: () => new Response() }, TypeError, '"onError"'],
  [{ onListen() {} }, TypeError, '"onListen"'],
  [{ reactor: {} }, TypeError, '"reactor"'],
  [{ reusePort: true }, TypeError, '"reusePort"'],
  [{ onWorkerEnd: 5 }, TypeError, 'onWorkerEnd "5"'],
  [{ backend: "x" }, TypeError, 'Cannot open backend "x"'],
  [
    { backend: Deno.build.os === "linux" ? "kqueue" : "epoll" },
    Deno.errors.NotSupported,
    "not supported here",
  ],
  [{ bodyBytesMax: () => 1 }, TypeError, "bodyBytesMax to Workers: it is a fu"],
  [{ bodyBytesMax: Symbol("a") }, TypeError, "bodyBytesMax to Workers: it is"],
  [{ requireHost: () => true }, TypeError, "requireHost to Workers: it is a f"],
  [{ bodyBytesMax: -1 }, RangeError, 'bodyBytesMax "-1"'],
  [{ headMs: "5" }, TypeError, 'headMs "5": it must be a number'],
  [{ connectionsMax: 0 }, RangeError, 'connectionsMax "0"'],
  [{ handlerMs: 0 }, RangeError, 'handlerMs "0"'],
  [{ writeMs: -1 }, RangeError, 'writeMs "-1"'],
  [{ tcpBacklog: -1 }, RangeError, 'tcpBacklog "-1"'],
  [{ hostname: "" }, TypeError, 'hostname ""'],
  [{ hostname: 5 }, TypeError, 'hostname "5"'],
  [{ path: "" }, TypeError, 'path ""'],
];

for (const [options, type, says] of REFUSED) {
  Deno.test(`serve() on Workers refuses, before anything starts, ${Deno.inspect(options)}`, async () => {
    // A Worker that had started would have failed by now.
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr;
    const given = { ...options } as Partial<ServeModuleOptions>;
    await assertRejects(() => start([], { port, ...given }), type, says);
  });
}

Deno.test("serve() refuses a module and a handler together, and takes a module that is left out", async () => {
  using reactor = new Reactor();
  const options = { port: 0, hostname: "127.0.0.1", reactor, onListen() {} };
  const anyServe = serve as (options: object, handler?: unknown) => HttpServer;
  const hello = () => new Response();
  await assertRejects(
    async () => await anyServe({ port: 0, module: MODULE }, hello),
    TypeError,
    '"handler"',
  );
  for (const module of [undefined, null]) {
    for (const handler of [undefined, hello]) {
      const given = { ...options, module, handler };
      const server = anyServe(given, handler ? undefined : hello);
      assert(server.addr.port > 0);
      await within(server.shutdown(), "the server to shut down");
    }
  }
});

Deno.test("process ends, when what a Worker is given cannot be posted", async () => {
  const fixture = new URL("../fixtures/unposted.ts", import.meta.url);
  const command = [Deno.execPath(), "run", "-A", fixture.pathname] as const;
  await using program = new Program(command);
  const { code, stdout } = await within(program.ended(), "the process to end");
  assertEquals({ code, stdout }, { code: 0, stdout: "DataCloneError\n" });
});

/** The task itself, with its permissions, at any port. */
function task(...args: string[]): [string, ...string[]] {
  return taskAt("--port=0", ...args);
}

function taskAt(...args: string[]): [string, ...string[]] {
  return taskCommand("serve", args);
}

async function portOf(program: Program): Promise<number> {
  const [, port] = await program.printed(/, 2 workers\) .*:(\d+)\/?\n/);
  return Number(port);
}

Deno.test("serve --workers finishes what is in flight on SIGTERM, and prints the skew", async () => {
  await using program = new Program(task("--workers=2", MODULE.href));
  const port = await portOf(program);
  const file = new TemporaryFile();
  const slow = ask(port, `/slow?while=${file.path}`);
  await program.printed(/begun/);
  program.kill("SIGTERM");
  await program.complained(/Stopping when all is answered/);
  file[Symbol.dispose]();
  assert((await slow).length > 0);
  const { code, stdout, stderr } = await program.ended();
  assertMatch(stdout, /Workers accepted \d+ \+ \d+ connections \(.* 2\.00 tim/);
  assertMatch(stderr, /^Stopping when all is answered[^\n]*\n$/);
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

Deno.test("serve --workers ends, --grace-ms after SIGTERM, when a handler never returns", async () => {
  const command = task("--workers=2", "--grace-ms=10", MODULE.href);
  await using program = new Program(command);
  const cut = assertRejects(async () =>
    await ask(await portOf(program), "/loop")
  );
  await program.printed(/begun/);
  program.kill("SIGTERM");
  const { code, stderr } = await program.ended();
  assertMatch(stderr, /Cannot stop workers? [01](, 1)? within 10 ms: term/);
  assertEquals(code, 1);
  await cut;
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

balanceTest(
  "serve --workers --balance serves the built-in app",
  async (balance) => {
    const command = task("--workers=2", "--balance", balance);
    await using program = new Program(command);
    const url = `http://127.0.0.1:${await portOf(program)}/`;
    assertEquals(await (await fetch(url)).text(), "Hello from denio!\n");
  },
);

Deno.test("serve --workers echoes", async () => {
  await using program = new Program(task("--workers=2", "--echo"));
  using client = await Deno.connect({ port: await portOf(program) });
  await client.write(new TextEncoder().encode("hello"));
  const reply = new Uint8Array(5);
  assertEquals(await client.read(reply), 5);
  assertEquals(new TextDecoder().decode(reply), "hello");
});

Deno.test({
  name: "serve --workers --path shares a Unix socket",
  ignore: NO_ABSTRACT,
  async fn() {
    const path = abstractName();
    const place = `--path=${path.replace("\0", "@")}`;
    const command = taskAt("--echo", "--workers=2", place);
    await using program = new Program(command);
    await program.printed(/, 2 workers\) echoing on \\0denio-test-/);
    {
      using client = await Deno.connect({ transport: "unix", path });
      await client.write(new TextEncoder().encode("hello"));
      const reply = new Uint8Array(5);
      assertEquals(await client.read(reply), 5);
      assertEquals(new TextDecoder().decode(reply), "hello");
    }
    program.kill("SIGTERM");
    const { code, stdout } = await program.ended();
    assertMatch(stdout, /Workers accepted (1 \+ 0|0 \+ 1) connections/);
    assertEquals(code, 0);
  },
});
