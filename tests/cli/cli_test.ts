import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { app } from "../../src/cli/app.ts";
import { loadServed } from "../../src/server/module.ts";
import { parseOptions, UsageError } from "../../src/cli/options.ts";
import { Poll } from "../../src/poll/poll.ts";
import { wishes } from "../../src/cli/signals.ts";
import { Program, runProgram, taskCommand } from "../util/program.ts";

const ROOT = new URL("../../", import.meta.url);
/** What is printed of stopping: a hint, when it takes long. */
const STOPPED = /^(Stopping when all is answered[^\n]*\n)?$/;
const IS_LINUX = Deno.build.os === "linux";
/** What serves when nobody asks: the variable is this run's own choice. */
const BACKEND = Deno.env.get("DENIO_BACKEND") ||
  (IS_LINUX ? "epoll" : "kqueue");
/** A backend that this system has not got. */
const ABSENT_BACKEND = IS_LINUX ? "kqueue" : "epoll";

const DEFAULTS = {
  module: undefined,
  path: undefined,
  workers: undefined,
  balance: undefined,
  graceMs: undefined,
  port: 8000,
  hostname: "127.0.0.1",
  limits: {},
  echo: false,
  // The variable DENIO_BACKEND is asked after the command line.
  backend: undefined,
  trace: undefined,
  help: false,
};

Deno.test("parseOptions() gives defaults, when nothing is said", () => {
  assertEquals(parseOptions([]), DEFAULTS);
});

Deno.test("parseOptions() takes a path, and a number of workers", () => {
  assertEquals(parseOptions(["--path", "/a"]), { ...DEFAULTS, path: "/a" });
  assertEquals(parseOptions(["--path=@a"]), { ...DEFAULTS, path: "\0a" });
  for (const [text, workers] of [["auto", "auto"], ["2", 2]] as const) {
    assertEquals(parseOptions(["--workers", text]), { ...DEFAULTS, workers });
  }
});

Deno.test("parseOptions() takes a grace time with workers", () => {
  assertEquals(parseOptions(["--workers=2", "--grace-ms=0"]), {
    ...DEFAULTS,
    workers: 2,
    graceMs: 0,
  });
});

Deno.test("parseOptions() takes a balance with workers, and a path with both", () => {
  for (const balance of ["shared-listener", "reuse-port"] as const) {
    assertEquals(parseOptions(["--workers=2", "--balance", balance]), {
      ...DEFAULTS,
      workers: 2,
      balance,
    });
  }
  const words = ["--workers=2", "--balance=shared-listener", "--path=/a"];
  assertEquals(parseOptions(words), {
    ...DEFAULTS,
    workers: 2,
    balance: "shared-listener",
    path: "/a",
  });
});

Deno.test("parseOptions() takes every option, before or after the module", () => {
  assertEquals(parseOptions(["--port", "0", "app.ts", "--hostname=::1"]), {
    ...DEFAULTS,
    module: "app.ts",
    port: 0,
    hostname: "::1",
  });
  assertEquals(parseOptions(["--echo", "--backend", "epoll", "-h"]), {
    ...DEFAULTS,
    echo: true,
    backend: "epoll",
    help: true,
  });
});

Deno.test("parseOptions() takes --trace with and without a number", () => {
  assertEquals(parseOptions(["--trace", "app.ts"]), {
    ...DEFAULTS,
    module: "app.ts",
    trace: 1,
  });
  assertEquals(parseOptions(["--trace=16"]), { ...DEFAULTS, trace: 16 });
});

const BAD_USAGE: [args: string[], says: RegExp][] = [
  [["--prot", "1"], /^Unknown option '--prot'; see --help$/],
  [["--port"], /^Option '--port <value>' argument missing; see --help$/],
  [["--port", "web"], /^Cannot use port "web": it must be a number from 0 to/],
  [["--port", "65536"], /^Cannot use port "65536"/],
  [["--port=-1"], /^Cannot use port "-1"/],
  [["--port="], /^Cannot use port ""/],
  [["--port", "8e1"], /^Cannot use port "8e1"/],
  [["--trace=0"], /^Cannot trace "0" connections: it must be a whole number f/],
  [["--trace=all"], /^Cannot trace "all" connections/],
  [["--trace="], /^Cannot trace "" connections/],
  [["--trace=-1"], /^Cannot trace "-1" connections/],
  [["--trace=1e3"], /^Cannot trace "1e3" connections/],
  [["--echo=yes"], /^Option '--echo' does not take an argument; see --help$/],
  [["--workers", "0"], /^Cannot use workers "0": it must be auto or a number/],
  [["--workers", "all"], /^Cannot use workers "all"/],
  [["--workers", "1025"], /^Cannot use workers "1025": .* from 1 to 1024$/],
  [["--workers=-1"], /^Cannot use workers "-1"/],
  [
    ["--workers", "2", "--grace-ms", "1.5"],
    /^Cannot use grace-ms "1.5": it must be a number of milliseconds$/,
  ],
  [
    ["--grace-ms", "10"],
    /^Cannot use grace-ms "10" without --workers: it is for Workers$/,
  ],
  [
    ["--workers", "2", "--balance", "x"],
    /^Cannot balance by "x": it must be s/,
  ],
  [
    ["--balance", "reuse-port"],
    /^Cannot balance by "reuse-port" without --wor/,
  ],
  [
    ["--workers=2", "--balance=reuse-port", "--path=/a"],
    /^Cannot balance by "reuse-port" at path "\/a": only ports are reused$/,
  ],
  [["--path", "/a", "--port", "1"], /^Cannot serve path "\/a" with --port or/],
  [["a.ts", "b.ts"], /^Cannot serve "a.ts" and "b.ts": one module is enough$/],
  [["a.ts", "--echo"], /^Cannot serve "a.ts" with --echo: use one of them$/],
];

for (const [args, says] of BAD_USAGE) {
  Deno.test(`parseOptions() refuses "${args.join(" ")}"`, () => {
    const { message } = assertThrows(() => parseOptions(args), UsageError);
    assertMatch(message, says);
  });
}

function ask(path: string, init: RequestInit = {}): Response {
  return app(new Request(`http://127.0.0.1:8000${path}`, init));
}

Deno.test("the built-in app greets at /", async () => {
  const response = ask("/");
  assertMatch(response.headers.get("content-type")!, /^text\/plain/);
  assertEquals(await response.text(), "Hello from denio!\n");
});

Deno.test("the built-in app answers JSON at /json, whatever the query", async () => {
  const response = ask("/json?a=/b");
  assertEquals(response.headers.get("content-type"), "application/json");
  assertEquals(await response.json(), { message: "Hello from denio!" });
});

Deno.test("the built-in app returns a body that is sent to /echo", async () => {
  const init = {
    method: "POST",
    body: "hello",
    headers: { "content-type": "a/b" },
  };
  const response = ask("/echo", init);
  assertEquals(response.headers.get("content-type"), "a/b");
  assertEquals(await response.text(), "hello");
});

Deno.test("the built-in app answers 404, when there is nothing", () => {
  assertEquals(ask("/nothing").status, 404);
  assertEquals(ask("/json/").status, 404);
  assertEquals(ask("/toString").status, 404);
});

Deno.test("the built-in app answers 405 with Allow, when a method is wrong", () => {
  for (
    const [path, method, allow] of [
      ["/", "DELETE", "GET, HEAD"],
      ["/json", "POST", "GET, HEAD"],
      ["/echo", "GET", "POST"],
      ["/echo", "toString", "POST"],
    ] as const
  ) {
    const response = ask(path, { method });
    assertEquals(response.status, 405);
    assertEquals(response.headers.get("allow"), allow);
  }
});

/** A folder of modules to serve, gone when the test ends. */
class Modules implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "a folder #1 " });

  constructor(files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${this.folder}/${name}`, text);
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("loadServed() finds fetch of a default export, and its this", async () => {
  using modules = new Modules({
    "app.ts": `export default {
      greeting: "hi" as string,
      fetch(request: Request) {
        return new Response(this.greeting + " " + request.method);
      },
    };`,
  });
  const { handler } = await loadServed("app.ts", modules.folder);
  const info = {} as Parameters<typeof handler>[1];
  const response = await handler(new Request("http://a/"), info);
  assertEquals(await response.text(), "hi GET");
});

Deno.test("loadServed() answers with 426, when a module has WebSockets and no fetch", async () => {
  using modules = new Modules({
    "app.ts": "export default { websocket: {} };",
  });
  const { handler, websocket } = await loadServed("app.ts", modules.folder);
  const info = {} as Parameters<typeof handler>[1];
  const response = await handler(new Request("http://a/"), info);
  assertEquals([response.status, websocket], [426, {}]);
});

const BAD_MODULES: [name: string, text: string, says: RegExp][] = [
  ["empty.ts", "", /^Cannot serve "empty.ts": it has no "export default { f/],
  ["null.ts", "export default null;", /^Cannot serve "null.ts"/],
  ["other.ts", "export default { fetch: 1 };", /^Cannot serve "other.ts"/],
  [
    "throws.ts",
    '\nthrow new Error("boom\\nand more");',
    /^Cannot load "throws.ts": boom \(file:.*\/throws.ts:2:7\)$/,
  ],
  ["odd.ts", 'throw "boom";', /^Cannot load "odd.ts": it threw "boom"$/],
  ["bad.ts", "let x = (", /^Cannot load "bad.ts": .* \(file:.*bad.ts:1:\d+\)$/],
  [
    "blind.ts",
    "export default { fetch() {}, observer: { began: 1 } };",
    /^Cannot use observer.began "1": it must be a function$/,
  ],
  ["lost.ts", 'import "./gone.ts";', /^Cannot load "lost.ts": Module not foun/],
];

for (const [name, text, says] of BAD_MODULES) {
  Deno.test(`loadServed() says in one line what is wrong with ${name}`, async () => {
    using modules = new Modules({ [name]: text });
    const error = await assertRejects(
      () => loadServed(name, modules.folder),
      Error,
    );
    assertMatch(error.message, says);
    assert(!error.message.includes("\n"));
  });
}

Deno.test("loadServed() says so, when there is no such module", async () => {
  const { message } = await assertRejects(
    () => loadServed("gone.ts", "/nonexistent"),
    Error,
  );
  assertMatch(message, /^Cannot load "gone.ts": Module not found "file:\/\/\//);
});

/** The task itself, so that its permissions are what is tested. */
function task(name: string, ...args: string[]): [string, ...string[]] {
  return taskCommand(name, args);
}

async function addressOf(program: Program): Promise<string> {
  const [, url] = await program.printed(/ (http:\/\/\S+)\n/);
  return url!;
}

/** Tells when a request has come, and answers when the program is to stop. */
const SLOW_MODULE = `
const told = new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    Deno.addSignalListener(signal, resolve);
  }
});
export default {
  async fetch(request) {
    console.log("begun");
    const { pathname } = new URL(request.url);
    if (pathname === "/never") return await new Promise(() => {});
    await told;
    return new Response("finished");
  },
};`;

Deno.test("serve prints version, backend and address, and ends on SIGTERM", async () => {
  await using program = new Program(task("serve", "--port", "0"));
  const url = await addressOf(program);
  const response = await fetch(url);
  assertEquals(await response.text(), "Hello from denio!\n");
  const posted = await fetch(`${url}echo`, { method: "POST", body: "back" });
  assertEquals(await posted.text(), "back");

  program.kill("SIGTERM");
  const { code, stdout, stderr } = await program.ended();
  const line = new RegExp(
    `^denio \\d+\\.\\d+\\.\\d+ \\(${BACKEND}\\) serving HTTP on ` +
      "http://127\\.0\\.0\\.1:\\d+/\n$",
  );
  assertMatch(stdout, line);
  assertMatch(stderr, STOPPED);
  assertEquals(code, 0);
});

/** Every backend that can be asked for here, by both of its ways. */
const CHOSEN: [args: string[], env: string | undefined, backend: string][] = [
  ...Poll.backends().flatMap((backend): typeof CHOSEN => [
    [["--backend", backend], undefined, backend],
    [[], backend, backend],
  ]),
  [["--backend", "auto"], undefined, Poll.backends()[0]!],
  // The command line is the nearer one.
  [["--backend", "auto"], Poll.backends().at(-1), Poll.backends()[0]!],
  [["--backend", Poll.backends().at(-1)!], "auto", Poll.backends().at(-1)!],
  [["--backend", Poll.backends().at(-1)!], "bogus", Poll.backends().at(-1)!],
];

for (const [args, variable, backend] of CHOSEN) {
  const name = ["serve", ...args].join(" ");
  const by = variable === undefined ? "" : ` with DENIO_BACKEND=${variable}`;
  Deno.test(`${name}${by} takes ${backend}`, async () => {
    const env = { DENIO_BACKEND: variable ?? "" };
    const command = task("serve", "--port=0", ...args);
    await using program = new Program(command, { env });
    const [, used, url] = await program.printed(/ \((\w+)\).* (http:\S+)\n/);
    assertEquals(used, backend);
    const response = await fetch(url!);
    assertEquals(await response.text(), "Hello from denio!\n");
  });
}

const REFUSED_VARIABLES: [backend: string, code: number, says: RegExp][] = [
  [
    "x",
    2,
    /^error: Cannot open backend "x" of DENIO_BACKEND: it must be [^\n]+\n$/,
  ],
  [
    ABSENT_BACKEND,
    1,
    new RegExp(`^error: [^\n]+"${ABSENT_BACKEND}": not supported h[^\n]+\n$`),
  ],
];

for (const [backend, expected, says] of REFUSED_VARIABLES) {
  Deno.test(`serve with DENIO_BACKEND=${backend} says why in one line, and exits`, async () => {
    const env = { DENIO_BACKEND: backend };
    const { code, stdout, stderr } = await runProgram(task("serve"), { env });
    assertMatch(stderr, says);
    assertEquals({ code, stdout }, { code: expected, stdout: "" });
  });
}

Deno.test("serve takes a module from the caller's folder", async () => {
  using modules = new Modules({
    "app.ts": 'export default { fetch: () => new Response("mine") };',
  });
  const command = task("serve", "app.ts", "--port=0");
  await using program = new Program(command, { cwd: modules.folder });
  const response = await fetch(await addressOf(program));
  assertEquals(await response.text(), "mine");
});

Deno.test({
  name:
    "serve --path takes an abstract name, for which the task's permissions do",
  ignore: !IS_LINUX,
  async fn() {
    const name = `denio-cli-test-${Deno.pid}`;
    const command = task("serve", "--echo", "--path", `@${name}`);
    await using program = new Program(command);
    await program.printed(/ echoing on \\0denio-cli-test-\d+\n/);
    const path = `\0${name}`;
    using client = await Deno.connect({ transport: "unix", path });
    await client.write(new TextEncoder().encode("hello"));
    const reply = new Uint8Array(5);
    assertEquals(await client.read(reply), 5);
    assertEquals(new TextDecoder().decode(reply), "hello");
  },
});

Deno.test("serve --path serves at a path that may be written, and removes it", async () => {
  const folder = await Deno.makeTempDir();
  const main = new URL("src/cli/main.ts", ROOT).pathname;
  const path = `${folder}/a.sock`;
  {
    await using program = new Program(
      [Deno.execPath(), "run", "--no-prompt", "-A", main, "--path", path],
    );
    await program.printed(/ serving HTTP on \/.*a\.sock\n/);
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path },
    });
    const response = await fetch("http://localhost/", { client });
    assertEquals(await response.text(), "Hello from denio!\n");
  }
  assertEquals([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder);
});

Deno.test("serve --echo sends back what comes", async () => {
  const command = task("serve", "--echo", "--port", "0");
  await using program = new Program(command);
  const [, port] = await program.printed(
    /\(\w+\) echoing TCP on 127\.0\.0\.1:(\d+)\n/,
  );
  using client = await Deno.connect({ port: Number(port) });
  await client.write(new TextEncoder().encode("hello"));
  const reply = new Uint8Array(5);
  assertEquals(await client.read(reply), 5);
  assertEquals(new TextDecoder().decode(reply), "hello");
});

Deno.test({
  name: "serve shows an IPv6 address in brackets",
  // Containers often have no IPv6.
  ignore: !canListen("::1"),
  async fn() {
    const command = task("serve", "--hostname", "::1", "--port", "0");
    await using program = new Program(command);
    await program.printed(/ http:\/\/\[::1\]:\d+\/\n/);
  },
});

function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`serve finishes what is in flight, on ${signal}`, async () => {
    using modules = new Modules({ "slow.js": SLOW_MODULE });
    const command = task("serve", "slow.js", "--port=0");
    await using program = new Program(command, { cwd: modules.folder });
    const answer = fetch(await addressOf(program));
    await program.printed(/begun/);

    program.kill(signal);
    assertEquals(await (await answer).text(), "finished");
    assertEquals((await program.ended()).code, 0);
  });
}

Deno.test("wishes() takes two signals for one key press, when they come at once", () => {
  const wish = wishes();
  assertEquals([5, 5, 105].map(wish), ["stop", undefined, undefined]);
  assertEquals([105.1, 9_000].map(wish), ["exit", "exit"]);
});

for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`serve ends at once, on a second ${signal}`, async () => {
    using modules = new Modules({ "slow.js": SLOW_MODULE });
    const command = task("serve", "slow.js", "--port=0");
    await using program = new Program(command, { cwd: modules.folder });
    const answer = fetch(`${await addressOf(program)}never`);
    const failed = assertRejects(() => answer);
    await program.printed(/begun/);

    program.kill(signal);
    await program.complained(/Stopping when all is answered/);
    program.kill(signal);
    assertEquals((await program.ended()).code, expected);
    await failed;
  });
}

const REFUSED: [args: string[], code: number, says: RegExp][] = [
  [["--bogus"], 2, /^error: Unknown option '--bogus'; see --help\n$/],
  [["--trace=x"], 2, /^error: Cannot trace "x" connections: [^\n]+\n$/],
  [["--workers", "many"], 2, /^error: Cannot use workers "many": [^\n]+\n$/],
  [["--workers", "2", "--backend", "x"], 2, /^error: Cannot open [^\n]+\n$/],
  [
    ["gone.ts", "--workers", "2"],
    1,
    /^error: Cannot load "gone.ts": Module not found[^\n]+\n$/,
  ],
  [["--port", "x"], 2, /^error: Cannot use port "x": [^\n]+\n$/],
  [["--backend", "x"], 2, /^error: Cannot open backend "x": it must [^\n]+\n$/],
  [
    ["--backend", ABSENT_BACKEND],
    1,
    new RegExp(
      `^error: Cannot open a poll on backend "${ABSENT_BACKEND}": ` +
        "not supported here[^\n]+\n$",
    ),
  ],
  [["gone.ts"], 1, /^error: Cannot load "gone.ts": Module not found[^\n]+\n$/],
  [
    ["--hostname", "x.invalid"],
    1,
    /^error: Cannot resolve "x.invalid"[^\n]+\n$/,
  ],
];

for (const [args, expected, says] of REFUSED) {
  Deno.test(`serve ${args.join(" ")} says why in one line, and exits`, async () => {
    const result = await runProgram(task("serve", ...args));
    assertMatch(result.stderr, says);
    assertEquals(result.code, expected);
    assertEquals(result.stdout, "");
  });
}

Deno.test("serve says so in one line, when the address is in use", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const result = await runProgram(task("serve", "--port", `${port}`));
  assertMatch(result.stderr, /^error: Cannot listen[^\n]+ in use[^\n]*\n$/);
  assertEquals(result.code, 1);
});

Deno.test("serve says so in one line, when the library is missing", async () => {
  const main = new URL("src/cli/main.ts", ROOT).pathname;
  const command = [Deno.execPath(), "run", "--no-prompt", "-A", main] as const;
  const env = { DENIO_NATIVE_PATH: "/nonexistent/libdenio.so" };
  const result = await runProgram(command, { env });
  assertMatch(result.stderr, /^error: [^\n]+run "deno task build"[^\n]+\n$/);
  assertEquals(result.code, 1);
});

Deno.test("serve --trace shows what the first connection costs, in black and white", async () => {
  const command = task("serve", "--trace", "--port=0");
  await using program = new Program(command);
  const { hostname, port } = new URL(await addressOf(program));
  {
    using client = await Deno.connect({ hostname, port: Number(port) });
    const request = "GET /json?key=secret HTTP/1.1\r\nHost: a\r\n\r\n";
    await client.write(new TextEncoder().encode(request));
    await client.read(new Uint8Array(1024));
  }
  await program.complained(/^ {2}beside: .*\n/m);
  program.kill("SIGTERM");
  const { code, stderr } = await program.ended();
  assertEquals(code, 0);
  assertMatch(stderr, /^ +ms +\+ms +turn +call\n/);
  assertMatch(stderr, / recvfrom\(conn 1, \d+\) = \d+ +GET \/json\?…\n/);
  assertMatch(stderr, / sendto\(conn 1, (\d+)\) = \1 +200 OK\n/);
  assertMatch(stderr, /^conn 1 closed after [\d.]+ ms: 1 request, /m);
  assert(!stderr.includes("secret"));
  assert(!stderr.includes("\x1b"));
});

Deno.test("serve --trace --echo shows an echo", async () => {
  const command = task("serve", "--echo", "--trace=2", "--port=0");
  await using program = new Program(command);
  const [, port] = await program.printed(/ 127\.0\.0\.1:(\d+)\n/);
  for (const text of ["one", "three"]) {
    using client = await Deno.connect({ port: Number(port) });
    await client.write(new TextEncoder().encode(text));
    await client.read(new Uint8Array(8));
  }
  await program.complained(/^conn 1 closed .*: 3 bytes in, 3 out$/m);
  await program.complained(/^conn 2 closed .*: 5 bytes in, 5 out$/m);
});

Deno.test("serve --help explains, and exits 0", async () => {
  const { code, stdout, stderr } = await runProgram(task("serve", "--help"));
  assertMatch(stdout, /Usage: deno task serve \[MODULE\] \[OPTIONS\]/);
  assertMatch(stdout, /^ {2}--trace\[=N\] /m);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
});
