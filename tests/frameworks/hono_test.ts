import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { toLatin1 } from "../util/http_bytes.ts";
import { ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { within } from "../util/waiting.ts";
import { digest, honoApp, LIMIT_BYTES } from "./apps/hono.ts";

/** Large enough for many reads, and not to be copied. */
const UPLOAD_BYTES = 5_000_000;
/** More requests than a page with all its parts sends. */
const PARALLEL = 200;

function served(): TestServer {
  return new TestServer(honoApp().app.fetch);
}

/** Bytes without a repeated block of a thousand bytes. */
function manyBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 10)) & 255;
  return bytes;
}

async function text(test: TestServer, path: string): Promise<string> {
  return await (await test.fetch(path)).text();
}

cleanTest("Hono routes by parameters and wildcards, on serve", async () => {
  await using test = served();
  assertEquals(await text(test, "/"), "home");
  const params = await (await test.fetch("/users/a%20b/posts/12")).json();
  assertEquals(params, { id: "a b", post: "12" });
  assertEquals((await test.fetch("/users/1/posts/x")).status, 404);
  assertEquals(await text(test, "/wild/a/b/c"), "/wild/a/b/c");
  assertEquals(await text(test, "/mounted/deep"), "deep");
});

cleanTest("Hono reads queries and fields, on serve", async () => {
  await using test = served();
  const response = await test.fetch("/query?a=1%262&all=x&all=%C3%A9", {
    headers: { "X-Given": "gr\u00fcn" },
  });
  assertEquals(await response.json(), {
    a: "1&2",
    all: ["x", "\u00e9"],
    header: "gr\u00fcn",
    agent: true,
  });
});

cleanTest("Hono answers what it knows no route for, on serve", async () => {
  await using test = served();
  const missing = await test.fetch("/nowhere");
  assertEquals([missing.status, await missing.text()], [404, "no /nowhere"]);
  const other = await test.fetch("/json", { method: "DELETE" });
  assertEquals([other.status, await other.text()], [404, "no /json"]);
});

for (const method of ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]) {
  cleanTest(`Hono sees the method ${method}, on serve`, async () => {
    await using test = served();
    const response = await test.fetch("/method", { method });
    assertEquals(await response.text(), method);
  });
}

cleanTest("Hono answers HEAD of a GET route, on serve", async () => {
  await using test = served();
  using client = await test.connect();
  await client.send("HEAD /users/1/posts/2 HTTP/1.1\r\nHost: a\r\n\r\n");
  const answer = await client.answer("HEAD");
  assertEquals(answer.status, 200);
  assertEquals(answer.get("content-type"), "application/json");
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assertEquals((await client.answer()).text, "home");
});

cleanTest("Hono redirects and answers without a body, on serve", async () => {
  await using test = served();
  const redirected = await test.fetch("/redirect");
  assertEquals(await redirected.json(), { id: "1", post: "2" });
  const bare = await test.fetch("/redirect", { redirect: "manual" });
  await bare.body?.cancel();
  assertEquals(bare.status, 303);
  assertEquals(bare.headers.get("location"), "/users/1/posts/2");
  const empty = await test.fetch("/empty");
  assertEquals([empty.status, await empty.text()], [204, ""]);
});

cleanTest("Hono's onError answers, when a handler throws", async () => {
  await using test = served();
  const thrown = await test.fetch("/throws");
  assertEquals([thrown.status, await thrown.text()], [
    500,
    "caught on purpose",
  ]);
  const refused = await test.fetch("/refuses");
  assertEquals([refused.status, await refused.text()], [418, "a teapot"]);
  assertEquals(test.errors, []);
});

cleanTest("Hono's middleware changes every answer, on serve", async () => {
  await using test = served();
  for (const path of ["/tagged", "/cors/data", "/lines"]) {
    const response = await test.fetch(path);
    await response.body?.cancel();
    assertEquals(response.headers.get("x-answered"), "yes", path);
  }
});

cleanTest("Hono reads and writes JSON, when it is large", async () => {
  await using test = served();
  const rows = Array.from({ length: 20_000 }, (_, id) => ({
    id,
    name: `r\u00fc${id}`,
    nested: { on: id % 2 === 0 },
  }));
  const response = await test.fetch("/json", {
    method: "POST",
    body: JSON.stringify(rows),
    headers: { "content-type": "application/json" },
  });
  assertEquals(response.status, 201);
  assertEquals(await response.json(), { got: rows });
});

cleanTest("Hono's onError answers, when JSON is malformed", async () => {
  await using test = served();
  const response = await test.fetch("/json", { method: "POST", body: "{" });
  assertEquals(response.status, 500);
  assertMatch(await response.text(), /^caught .*JSON/);
});

cleanTest("Hono parses a form, when it is URL-encoded", async () => {
  await using test = served();
  const body = new URLSearchParams([["a", "1"], ["b", "x"], ["b", "\u00fc&="]]);
  const response = await test.fetch("/form", { method: "POST", body });
  assertEquals(await response.json(), { a: "1", b: ["x", "\u00fc&="] });
});

cleanTest("Hono takes a file of megabytes, when it is multipart", async () => {
  await using test = served();
  const bytes = manyBytes(UPLOAD_BYTES);
  const body = new FormData();
  body.append("note", "gr\u00fc\u00df");
  body.append("file", new File([bytes], "b.bin", { type: "image/x-test" }));
  const response = await test.fetch("/upload", { method: "POST", body });
  assertEquals(await response.json(), {
    note: "gr\u00fc\u00df",
    name: "b.bin",
    type: "image/x-test",
    size: UPLOAD_BYTES,
    digest: await digest(bytes),
  });
});

cleanTest("Hono sends bytes back, when they come chunked", async () => {
  await using test = served();
  const bytes = manyBytes(300_000);
  const chunks = [bytes.slice(0, 1), bytes.slice(1, 70_000), bytes.slice(7e4)];
  const response = await test.fetch("/bytes", {
    method: "POST",
    body: ReadableStream.from(chunks),
  });
  assertEquals(await digest(await response.bytes()), await digest(bytes));
});

cleanTest("Hono hands out the raw request, which clones", async () => {
  await using test = served();
  const response = await test.fetch("/raw?x", { method: "POST", body: "abc" });
  assertEquals(await response.json(), {
    isRequest: true,
    url: `${test.url}/raw?x`,
    clone: "abc",
    raw: "abc",
    used: true,
  });
});

cleanTest("Hono reads a body twice and forwards one, on serve", async () => {
  await using test = served();
  const init = { method: "POST", body: "abc" };
  const twice = await test.fetch("/twice", init);
  assertEquals(await twice.json(), ["abc", "abc"]);
  const forwarded = await test.fetch("/forward", init);
  assertEquals(await forwarded.json(), {
    method: "POST",
    header: "1",
    body: "abc",
  });
});

cleanTest("Hono shows the peer's address, on serve", async () => {
  await using test = served();
  using client = await test.connect();
  await client.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
  const { hostname, port } = client.address;
  assertEquals(JSON.parse((await client.answer()).text), {
    remote: { address: hostname, port, transport: "tcp" },
  });
});

cleanTest("Hono sets several cookies and reads them back", async () => {
  await using test = served();
  const response = await test.fetch("/cookies/set");
  await response.body?.cancel();
  const set = response.headers.getSetCookie();
  assertEquals(set.slice(0, 2), [
    "plain=a%20b; Path=/; HttpOnly",
    "other=2; Max-Age=10; Path=/; SameSite=Lax",
  ]);
  assertEquals(set.length, 3);
  const signed = set[2]!.split(";")[0]!;
  const cookie = `plain=a%20b; other=2; ${signed}`;
  const back = await test.fetch("/cookies", { headers: { cookie } });
  const { all, signed: value } = await back.json();
  assertEquals([all.plain, all.other, value], ["a b", "2", "mine"]);
  const forged = await test.fetch("/cookies", {
    headers: { cookie: signed.replace("mine", "ours") },
  });
  assertEquals((await forged.json()).signed, false);
});

cleanTest("Hono answers 304, when the client has the entity", async () => {
  await using test = served();
  const first = await test.fetch("/tagged");
  const tag = first.headers.get("etag")!;
  assertEquals(await first.text(), "the same every time");
  using client = await test.connect();
  await client.send(
    `GET /tagged HTTP/1.1\r\nHost: a\r\nIf-None-Match: ${tag}\r\n\r\n` +
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  );
  const [unchanged, next] = await client.answers(2);
  assertEquals(unchanged!.status, 304);
  assertEquals(unchanged!.get("etag"), tag);
  assertEquals(next!.text, "home");
});

cleanTest("Hono answers a CORS preflight, on serve", async () => {
  await using test = served();
  const origin = "http://a.example";
  const preflight = await test.fetch("/cors/data", {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "GET" },
  });
  await preflight.body?.cancel();
  assertEquals(preflight.status, 204);
  assertEquals(preflight.headers.get("access-control-allow-origin"), origin);
  assertEquals(preflight.headers.get("access-control-max-age"), "60");
  const plain = await test.fetch("/cors/data", { headers: { origin } });
  assertEquals(plain.headers.get("access-control-allow-origin"), origin);
  assertEquals(await plain.json(), [1]);
});

cleanTest("Hono asks for basic authentication, on serve", async () => {
  await using test = served();
  const refused = await test.fetch("/secret");
  assertEquals([refused.status, await refused.text()], [401, "Unauthorized"]);
  assertStringIncludes(refused.headers.get("www-authenticate")!, "Basic");
  const authorization = `Basic ${btoa("ada:lovelace")}`;
  const told = await test.fetch("/secret", { headers: { authorization } });
  assertEquals(await told.text(), "told");
});

for (const framing of ["length", "chunked"]) {
  cleanTest(`Hono limits a body, when it is framed by ${framing}`, async () => {
    await using test = served();
    const post = (length: number) => {
      const bytes = manyBytes(length).map((byte) => byte & 127);
      const body = framing === "length" ? bytes : ReadableStream.from([bytes]);
      return test.fetch("/limited", { method: "POST", body });
    };
    const fits = await post(LIMIT_BYTES);
    assertEquals([fits.status, await fits.text()], [200, `${LIMIT_BYTES}`]);
    const large = await post(LIMIT_BYTES + 1);
    assertEquals([large.status, await large.text()], [
      413,
      "Payload Too Large",
    ]);
  });
}

cleanTest("Hono compresses, when the client takes gzip", async () => {
  await using test = served();
  const response = await test.fetch("/compressed", {
    headers: { "accept-encoding": "gzip" },
  });
  assertEquals(await response.text(), "compressible ".repeat(1_000));
  using client = await test.connect();
  await client.send(
    "GET /compressed HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
  );
  const answer = await client.answer();
  assertEquals(answer.get("content-encoding"), "gzip");
  const plain = new Response(answer.body).body!
    .pipeThrough(new DecompressionStream("gzip"));
  const unpacked = await new Response(plain).text();
  assertEquals(unpacked, "compressible ".repeat(1_000));
});

cleanTest("Hono's timeout answers, when a handler is too slow", async () => {
  await using test = served();
  const response = await test.fetch("/slow");
  assertEquals([response.status, await response.text()], [
    504,
    "Gateway Timeout",
  ]);
});

cleanTest("Hono serves static files by Deno's API, on serve", async () => {
  await using test = served();
  const found = await test.fetch("/static/plain.txt");
  assertEquals(await found.text(), "A static file, said plainly.\n");
  assertMatch(found.headers.get("content-type")!, /^text\/plain/);
  const missing = await test.fetch("/static/none.txt");
  assertEquals([missing.status, await missing.text()], [
    404,
    "no /static/none.txt",
  ]);
});

cleanTest("Hono streams bytes and lines, on serve", async () => {
  await using test = served();
  const bytes = await (await test.fetch("/stream")).bytes();
  assertEquals(bytes.byteLength, 400_005);
  assertEquals([bytes[0], bytes[399_999]], [0, 3]);
  assertEquals(toLatin1(bytes.subarray(400_000)), "piped");
  assertEquals(await text(test, "/lines"), "one\ntwo\nthree\n");
});

cleanTest("Hono sends events, with framing that is ours", async () => {
  await using test = served();
  using client = await test.connect();
  await client.send("GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
  const answer = await client.answer();
  assertEquals(answer.all("transfer-encoding"), ["chunked"]);
  assertEquals(answer.get("content-type"), "text/event-stream");
  const events = [0, 1, 2].map((id) =>
    `event: tick\ndata: a\ndata: ${id}\nid: ${id}\n\n`
  );
  assertEquals(answer.text, events.join(""));
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assertEquals((await client.answer()).text, "home");
});

for (const path of ["/sse/forever", "/signal"]) {
  const visited = `the client of ${path}`;
  cleanTest(`Hono notices, when ${visited} ends its side`, async () => {
    const { app, events, signal } = honoApp();
    await using test = new TestServer(app.fetch);
    const visit = path === "/signal" ? signal : events;
    using client = await test.connect();
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await within(visit.begun.promise, "the handler");
    await client.end();
    await within(visit.left.promise, "the application to notice");
  });

  cleanTest(`Hono notices, when ${visited} resets`, async () => {
    const { app, events, signal } = honoApp();
    await using test = new TestServer(app.fetch);
    const visit = path === "/signal" ? signal : events;
    using client = new ResettingClient(test.server.addr);
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await within(visit.begun.promise, "the handler");
    client.reset();
    await within(visit.left.promise, "the application to notice");
  });
}

cleanTest("Hono's stream ends well, when its own onError does", async () => {
  await using test = served();
  assertEquals(await text(test, "/fails"), "begun and told");
});

cleanTest("Hono answers each request its own, in parallel", async () => {
  await using test = served();
  const ids = Array.from({ length: PARALLEL }, (_, id) => id);
  const answers = await Promise.all(ids.map(async (id) => {
    if (id % 2 === 0) return await text(test, `/wild/${id}`);
    const init = { method: "POST", body: `/wild/${id}` };
    return await (await test.fetch("/text", init)).text();
  }));
  assertEquals(answers, ids.map((id) => `/wild/${id}`));
});

cleanTest("Hono answers a pipeline in order, on serve", async () => {
  await using test = served();
  using client = await test.connect();
  const paths = ["/lines", "/", "/sse", "/nowhere", "/throws", "/wild/6"];
  await client.send(
    paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""),
  );
  const answers = await client.answers(paths.length);
  assertEquals(answers.map(({ status }) => status), [
    200,
    200,
    200,
    404,
    500,
    200,
  ]);
  assertEquals(answers[1]!.text, "home");
  assertEquals(answers[5]!.text, "/wild/6");
});
