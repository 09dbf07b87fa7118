import {
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { toLatin1 } from "../util/http_bytes.ts";
import { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { Program } from "../util/program.ts";
import { oakApp } from "./apps/oak.ts";

const UPLOAD_BYTES = 5_000_000;
const PARALLEL = 200;

/** Serves an application of Oak's by its `handle()`. */
async function served(): Promise<TestServer> {
  const app = await oakApp();
  type Handle = (
    request: Request,
    addr: Deno.NetAddr,
  ) => Promise<Response>;
  // The npm edition has its own types of Request and Response.
  const handle = app.handle as unknown as Handle;
  const handler: Handler = (request, info) => handle(request, info.remoteAddr);
  return new TestServer(handler);
}

async function text(test: TestServer, path: string): Promise<string> {
  return await (await test.fetch(path)).text();
}

cleanTest("Oak routes by parameters and wildcards, on serve", async () => {
  await using test = await served();
  assertEquals(await text(test, "/"), "home");
  const params = await (await test.fetch("/users/a%20b/posts/12")).json();
  assertEquals(params, { id: "a b", post: "12" });
  assertEquals(await text(test, "/wild/a/b/c"), "a/b/c");
  const missing = await test.fetch("/users/1/posts/x");
  assertEquals([missing.status, await missing.text()], [404, ""]);
  assertEquals(missing.headers.get("x-answered"), "yes");
});

cleanTest("Oak answers 405 and OPTIONS by its routes, on serve", async () => {
  await using test = await served();
  const refused = await test.fetch("/json", { method: "DELETE" });
  assertEquals([refused.status, await refused.text()], [405, ""]);
  assertEquals(refused.headers.get("allow"), "POST");
  const options = await test.fetch("/", { method: "OPTIONS" });
  assertEquals([options.status, await options.text()], [200, ""]);
  assertEquals(options.headers.get("allow"), "HEAD, GET");
});

cleanTest("Oak reads queries, fields and the peer, on serve", async () => {
  await using test = await served();
  const response = await test.fetch("/query?a=1%262&all=x&all=%C3%A9", {
    headers: { "X-Given": "gr\u00fcn" },
  });
  assertEquals(await response.json(), {
    a: "1&2",
    all: ["x", "\u00e9"],
    header: "gr\u00fcn",
  });
  const peer = await (await test.fetch("/peer")).json();
  assertEquals(peer, { ip: "127.0.0.1", url: `${test.url}/peer` });
});

cleanTest("Oak answers HEAD of a GET route, on serve", async () => {
  await using test = await served();
  using client = await test.connect();
  await client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  const answer = await client.answer("HEAD");
  assertEquals([answer.status, answer.text], [200, ""]);
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assertEquals((await client.answer()).text, "home");
});

cleanTest("Oak redirects, on serve", async () => {
  await using test = await served();
  assertEquals(await (await test.fetch("/redirect")).json(), {
    id: "1",
    post: "2",
  });
  const bare = await test.fetch("/redirect", { redirect: "manual" });
  assertEquals([bare.status, bare.headers.get("location")], [
    302,
    "/users/1/posts/2",
  ]);
  assertStringIncludes(await bare.text(), "Redirecting");
});

cleanTest("Oak's middleware catches what routes throw, on serve", async () => {
  await using test = await served();
  const thrown = await test.fetch("/throws");
  assertEquals([thrown.status, await thrown.json()], [500, {
    caught: "on purpose",
  }]);
  const refused = await test.fetch("/refuses");
  assertEquals([refused.status, await refused.json()], [418, {
    caught: "a teapot",
  }]);
  assertEquals(test.errors, []);
});

cleanTest("Oak reads and writes JSON, when it is large", async () => {
  await using test = await served();
  const rows = Array.from({ length: 20_000 }, (_, id) => ({ id, on: id % 2 }));
  const response = await test.fetch("/json", {
    method: "POST",
    body: JSON.stringify(rows),
    headers: { "content-type": "application/json" },
  });
  assertEquals(response.status, 201);
  assertEquals(await response.json(), { got: rows });
});

cleanTest("Oak parses forms and takes files, on serve", async () => {
  await using test = await served();
  const pairs = [["a", "1"], ["b", "\u00fc&="]];
  const form = await test.fetch("/form", {
    method: "POST",
    body: new URLSearchParams(pairs),
  });
  assertEquals(await form.json(), pairs);
  const body = new FormData();
  body.append("note", "gr\u00fc\u00df");
  body.append("file", new File([new Uint8Array(UPLOAD_BYTES)], "b.bin"));
  const upload = await test.fetch("/upload", { method: "POST", body });
  assertEquals(await upload.json(), {
    note: "gr\u00fc\u00df",
    name: "b.bin",
    size: UPLOAD_BYTES,
    type: "form-data",
  });
});

cleanTest("Oak streams the request's body back, on serve", async () => {
  await using test = await served();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const chunks = Array.from({ length: 20 }, () => bytes);
  const response = await test.fetch("/bytes", {
    method: "POST",
    body: ReadableStream.from(chunks),
  });
  const back = await response.bytes();
  assertEquals(back.byteLength, 1_200_000);
  assertEquals(back.slice(-60_000), bytes);
});

cleanTest("Oak streams iterables and streams, on serve", async () => {
  await using test = await served();
  const bytes = await (await test.fetch("/stream")).bytes();
  assertEquals(bytes.byteLength, 400_003);
  assertEquals(toLatin1(bytes.subarray(400_000)), "end");
  assertEquals(await text(test, "/iterable"), "one two");
});

cleanTest("Oak signs cookies and knows its own, on serve", async () => {
  await using test = await served();
  const response = await test.fetch("/cookies/set");
  await response.body?.cancel();
  const set = response.headers.getSetCookie();
  assertEquals(set.map((cookie) => cookie.split("=")[0]), [
    "first",
    "first.sig",
    "second",
    "second.sig",
  ]);
  const cookie = set.map((text) => text.split(";")[0]).join("; ");
  const back = await test.fetch("/cookies", { headers: { cookie } });
  assertEquals(await back.json(), { first: "1", second: "2" });
  const forged = await test.fetch("/cookies", {
    headers: { cookie: cookie.replace("first=1", "first=9") },
  });
  assertEquals(await forged.json(), { first: null, second: "2" });
});

cleanTest("Oak answers 304, when the client has the entity", async () => {
  await using test = await served();
  const first = await test.fetch("/tagged");
  const tag = first.headers.get("etag")!;
  assertEquals(await first.text(), "the same every time");
  using client = await test.connect();
  await client.send(
    `GET /tagged HTTP/1.1\r\nHost: a\r\nIf-None-Match: ${tag}\r\n\r\n` +
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  );
  const [unchanged, next] = await client.answers(2);
  assertEquals([unchanged!.status, unchanged!.get("etag")], [304, tag]);
  assertEquals(next!.text, "home");
});

cleanTest("Oak serves static files and their ranges, on serve", async () => {
  await using test = await served();
  const found = await test.fetch("/static/plain.txt");
  assertEquals(await found.text(), "A static file, said plainly.\n");
  assertMatch(found.headers.get("content-type")!, /^text\/plain/);
  const part = await test.fetch("/static/plain.txt", {
    headers: { range: "bytes=2-7" },
  });
  assertEquals([part.status, await part.text()], [206, "static"]);
  assertEquals(part.headers.get("content-range"), "bytes 2-7/29");
  const missing = await test.fetch("/static/none.txt");
  assertEquals(missing.status, 404);
  await missing.body?.cancel();
});

cleanTest("Oak answers each request its own, in parallel", async () => {
  await using test = await served();
  const ids = Array.from({ length: PARALLEL }, (_, id) => id);
  const answers = await Promise.all(ids.map(async (id) => {
    if (id % 2 === 0) return await text(test, `/wild/${id}`);
    const init = { method: "POST", body: `${id}` };
    return await (await test.fetch("/text", init)).text();
  }));
  assertEquals(answers, ids.map(String));
});

Deno.test("Oak's listen() serves by denio, when it is Deno.serve", async () => {
  const script = new URL("./apps/oak_listens.ts", import.meta.url).pathname;
  const command = [Deno.execPath(), "run", "-A", "--lock=deno.lock", script];
  await using program = new Program(command as [string, ...string[]], {
    cwd: new URL("../..", import.meta.url).pathname,
  });
  const listening = /^native at (\S+):(\d+)$/m;
  const [, hostname, port] = await program.printed(listening);
  assertNotEquals(port, "0");
  const addr: Deno.NetAddr = {
    transport: "tcp",
    hostname: hostname!,
    port: Number(port),
  };
  using client = await RawClient.connect(addr);
  for (const [path, body] of [["/", "home"], ["/iterable", "one two"]]) {
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    assertEquals((await client.answer()).text, body);
  }
  await client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
  const events = await client.answer();
  assertEquals(events.get("content-type"), "text/event-stream");
  assertEquals(events.text, 'data: {"first":1}\n\n: said aside\n\n');
  await client.send("GET /events/forever HTTP/1.1\r\nHost: a\r\n\r\n");
  let seen = "";
  while (!seen.includes("data: here")) seen += toLatin1((await client.read())!);
  client.close();
  await program.printed(/the client left/);
  program.kill("SIGTERM");
  const { code, stdout, stderr } = await program.ended();
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "1 server has finished");
});
