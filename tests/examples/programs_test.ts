/** The small programs do what their first lines say. */

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { serve } from "../../src/server/serve.ts";
import { unregister } from "../../src/server/register.ts";
import "./deno_app.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readText } from "../util/deno_client.ts";
import { encoded } from "../util/handlers.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { LOOPBACK } from "../util/streams.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { within } from "../util/waiting.ts";
import { ask } from "./ask.ts";
import { cat } from "./cat.ts";
import { exchange } from "./http_in_memory.ts";
import { serveNotes } from "./notes.ts";
import { onAllCores } from "./on_all_cores.ts";
import { startPollEcho } from "./poll_echo.ts";
import { copy } from "./proactor_copy.ts";
import { proactorEcho } from "./proactor_echo.ts";
import { runWorkers } from "./proactor_workers.ts";
import { tracedEcho, tracedReactor } from "./traced_echo.ts";
import { serveReverse } from "./web_socket_as_deno.ts";

const QUIET = { ...LOOPBACK, onListen() {} };

Deno.test("the notes are kept, read, deleted, and refused when too long", async () => {
  await using server = serveNotes(QUIET);
  const base = `http://127.0.0.1:${server.addr.port}`;
  const post = (body: string) => fetch(base, { method: "POST", body });
  const path = (await (await post("milk")).text()).trim();
  assertEquals(await (await fetch(base + path)).text(), "milk");
  const gone = await fetch(base + path, { method: "DELETE" });
  assertEquals(gone.status, 204);
  const missing = await fetch(base + path);
  assertEquals([missing.status, await missing.text()], [404, "no note\n"]);
  const long = await post("x".repeat(10_001));
  await long.body?.cancel();
  assertEquals(long.status, 413);
});

Deno.test("a module's WebSockets are served on Workers beside its fetch", async () => {
  const module = new URL("web_socket_echo.ts", import.meta.url);
  await using server = await serve({ ...LOOPBACK, module, workers: 2 });
  const where = `127.0.0.1:${server.addr.port}`;
  const client = new WebSocket(`ws://${where}`);
  const opened = Promise.withResolvers<unknown>();
  const echoed = Promise.withResolvers<MessageEvent>();
  const closed = Promise.withResolvers<unknown>();
  client.onopen = opened.resolve;
  client.onmessage = echoed.resolve;
  client.onclose = closed.resolve;
  await within(opened.promise, "an open WebSocket");
  client.send("hello");
  assertEquals((await within(echoed.promise, "an echo")).data, "hello");
  const { headers, status } = await fetch(`http://${where}`);
  assertEquals([status, headers.get("upgrade")], [200, null]);
  client.close();
  await within(closed.promise, "the end");
});

Deno.test("words come back in reverse order by a WebSocket as Deno has it", async () => {
  await using server = serveReverse(QUIET);
  const where = `127.0.0.1:${server.addr.port}`;
  const client = new WebSocket(`ws://${where}`);
  const answer = Promise.withResolvers<MessageEvent>();
  client.onopen = () => client.send("one two three");
  client.onmessage = answer.resolve;
  const { data } = await within(answer.promise, "an answer");
  assertEquals(data, "three two one");
  const plain = await fetch(`http://${where}`);
  await plain.body?.cancel();
  assertEquals(plain.status, 426);
  client.close();
});

Deno.test("HTTP runs in memory, however its requests are cut", async () => {
  const handler = async (request: Request) =>
    new Response(`<${await request.text()}>`);
  const answer = await exchange(
    handler,
    "POST /a HTTP/1.1\r\nhost: x\r\ncontent-le",
    "ngth: 6\r\n\r\none",
    "TWOPOST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n" +
      "connection: close\r\n\r\n3\r\nabc\r\n",
    "0\r\n\r\n",
  );
  const bodies = [...answer.matchAll(/<\w*>/g)].map(([body]) => body);
  assertEquals(bodies, ["<oneTWO>", "<abc>"]);
  assertMatch(answer, /connection: close/i);
});

Deno.test("a module is served on Workers, and a client on a Poll asks them", async () => {
  const module = new URL("notes.ts", import.meta.url);
  const server = await onAllCores({ ...LOOPBACK, module, workers: 2 });
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/none`);
  assertEquals(await response.text(), "no note\n");
  // The client's poll blocks this thread, not those of the Workers.
  const { port } = server.addr;
  const line = await ask({ hostname: "localhost", port });
  assertEquals(line, "HTTP/1.1 404 Not Found");
  await server.shutdown();
  assertEquals(server.accepted.length, 2);
});

cleanTest("the traced echo shows what a connection costs", async () => {
  const lines: string[] = [];
  using reactor = tracedReactor((line) => void lines.push(line));
  const server = tracedEcho(0, reactor);
  {
    using client = await Deno.connect(server.addr);
    await client.write(encoded("hello"));
    assertEquals(await readText(client, 5), "hello");
  }
  await server.shutdown();
  assertMatch(lines.join("\n"), /recvfrom\(.*= 5/);
});

for (const kind of ["TCP", "Unix"]) {
  Deno.test(`the echo on a Poll ends by its waker (${kind})`, async () => {
    using folder = new SocketFolder();
    const where = kind === "TCP" ? LOOPBACK : { path: folder.path("echo") };
    const { addr, stop } = await startPollEcho(where);
    {
      using client = addr.transport === "unix"
        ? await Deno.connect(addr)
        : await Deno.connect(addr);
      await client.write(encoded("hello"));
      assertEquals(await readText(client, 5), "hello");
    }
    await within(stop(), "the Worker's end");
    await assertRejects(async () => {
      if (addr.transport === "unix") return await Deno.connect(addr);
      await Deno.connect(addr);
    });
  });
}

Deno.test("Deno.serve is denio's, and has its limits", async () => {
  const server = Deno.serve(QUIET, (request) => new Response(request.body));
  unregister();
  const url = `http://127.0.0.1:${server.addr.port}`;
  const body = "x".repeat(1_000_001);
  const response = await fetch(url, { method: "POST", body });
  assertEquals(response.status, 413);
  await response.body?.cancel();
  await server.shutdown();
  assert(Deno.serve.name !== "serveHere");
});

const RING = { ignore: NO_PROACTOR };

cleanTest("the echo on a Proactor serves several clients", async () => {
  const echo = proactorEcho(LOOPBACK);
  const talk = async (text: string) => {
    using client = await Deno.connect(echo.addr);
    for (let round = 0; round < 10; round++) {
      await client.write(encoded(text));
      assertEquals(await readText(client, text.length), text);
    }
  };
  await Promise.all(["one", "two", "three"].map(talk));
  echo.stop();
  await within(echo.ended, "the echo's end");
}, RING);

cleanTest("a file is copied by a Proactor", () => {
  const folder = Deno.makeTempDirSync();
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const whole = new Uint8Array(2_500_000);
  for (let at = 0; at + bytes.length < whole.length; at += 70_001) {
    whole.set(bytes, at);
  }
  Deno.writeFileSync(`${folder}/from`, whole);
  assertEquals(copy(`${folder}/from`, `${folder}/to`), whole.length);
  assertEquals(Deno.readFileSync(`${folder}/to`), whole);
  Deno.removeSync(folder, { recursive: true });
}, RING);

Deno.test({
  name:
    "four Workers share a Proactor: none of 100,000 operations each is lost",
  ...RING,
  async fn() {
    const answers = await within(runWorkers(4, 100_000), "the Workers");
    assertEquals(answers, Array(4).fill({ once: 100_000, wrong: 0 }));
  },
});

Deno.test({
  name: "cat passes the bytes of files on",
  ignore: NO_PROACTOR,
  async fn() {
    const paths = ["cat.ts", "ask.ts"].map((name) =>
      fileURLToPath(new URL(name, import.meta.url))
    );
    let text = "";
    await cat(paths, (bytes) => {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve();
    });
    const expected = await Promise.all(
      paths.map((path) => Deno.readTextFile(path)),
    );
    assertEquals(text, expected.join(""));
  },
});
