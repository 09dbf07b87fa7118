import { assertEquals, assertInstanceOf } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { TestServer } from "../util/http_server.ts";
import { GET, get, post } from "../util/requests.ts";

function ok(): Response {
  return new Response("ok");
}

async function echo(request: Request): Promise<Response> {
  return new Response(await request.text());
}

function postTo(target: string, body: string): string {
  return post(body).replace("POST /", `POST ${target}`);
}

function chunked(target: string, body: string): string {
  return `POST ${target} HTTP/1.1\r\nHost: a\r\n` +
    `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n` +
    `${body}\r\n0\r\n\r\n`;
}

cleanTest(
  "server takes a target of urlBytesMax, and answers 414 to a longer one",
  async () => {
    await using test = new TestServer(ok, { urlBytesMax: 20 });
    const client = await test.connect();
    await client.send(get("/" + "a".repeat(19)));
    assertEquals((await client.answer()).status, 200);
    await client.send(get("/" + "a".repeat(20)));
    assertEquals((await client.rest()).map(({ status }) => status), [414]);
  },
);

cleanTest(
  "server takes targets of 8000 bytes, by default",
  async () => {
    await using test = new TestServer(ok);
    const client = await test.connect();
    await client.send(get("/" + "a".repeat(7_999)));
    assertEquals((await client.answer()).status, 200);
    await client.send(get("/" + "a".repeat(8_192)));
    assertEquals((await client.rest()).map(({ status }) => status), [414]);
  },
);

cleanTest("server takes heads of 32 KiB, by default", async () => {
  await using test = new TestServer(ok);
  const client = await test.connect();
  await client.send(get("/", `X: ${"a".repeat(32_000)}`));
  assertEquals((await client.answer()).status, 200);
});

cleanTest(
  "server takes headerCountMax fields, and answers 431 to more",
  async () => {
    await using test = new TestServer(ok, { headerCountMax: 2 });
    const client = await test.connect();
    await client.send(get("/", "A: b"));
    assertEquals((await client.answer()).status, 200);
    await client.send(get("/", "A: b", "C: d"));
    assertEquals((await client.rest()).map(({ status }) => status), [431]);
  },
);

cleanTest(
  "server closes after requestsMax requests, and says so in the last answer",
  async () => {
    await using test = new TestServer(ok, { requestsMax: 2 });
    const client = await test.connect();
    await client.send(GET + GET + GET);
    const answers = await client.rest();
    assertEquals(answers.length, 2);
    assertEquals(answers.map((answer) => answer.get("connection")), [
      undefined,
      "close",
    ]);
  },
);

/** A limit of 5 bytes for the path `small`, of 100 for others. */
function bytesMaxOf(request: Request): number {
  return new URL(request.url).pathname === "/small" ? 5 : 100;
}

for (const [framing, encode] of Object.entries({ post: postTo, chunked })) {
  cleanTest(
    `server asks for each body how large it may be, when it comes by ${framing}`,
    async () => {
      await using test = new TestServer(echo, { bodyBytesMax: bytesMaxOf });
      const client = await test.connect();
      const body = "a".repeat(50);
      await client.send(encode("/large", body) + encode("/small", "aaaaa"));
      const answers = await client.answers(2);
      assertEquals(answers.map(({ text }) => text), [body, "aaaaa"]);
      await client.send(encode("/small", body));
      assertEquals((await client.rest()).map(({ status }) => status), [413]);
    },
  );
}

cleanTest(
  "server does not ask how large a body may be, when there is none",
  async () => {
    let asked = 0;
    await using test = new TestServer(ok, {
      bodyBytesMax: () => ++asked,
    });
    await test.exercise(2);
    assertEquals(asked, 0);
  },
);

cleanTest(
  "server answers as to a handler's error, when asking for a limit fails",
  async () => {
    const wrong = [() => NaN, () => -1, () => {
      throw new RangeError("none");
    }];
    for (const bodyBytesMax of wrong) {
      await using test = new TestServer(echo, { bodyBytesMax });
      const client = await test.connect();
      await client.send(post("abc") + GET);
      const answers = await client.rest();
      assertEquals(answers.map(({ status }) => status), [500]);
      assertInstanceOf(test.errors[0], RangeError);
    }
  },
);
