/**
 * RFC 9110 section 10.1.1: `100 Continue` and other expectations.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { exchangeTests, NEXT, type Row } from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { head } from "../util/requests.ts";

const EXPECT = "RFC 9110 section 10.1.1";
const INTERIM = "RFC 9110 section 15.2";

const HOST = "Host: a";
const LENGTH = "Content-Length: 5";
const CONTINUE = "Expect: 100-continue";

const EXPECTING = head("POST /e HTTP/1.1", HOST, LENGTH, CONTINUE);

/** No `100 Continue` is sent: the strict reader would count it. */
function unsaid(what: string, sent: string, ...saw: string[]): Row {
  return {
    rule: EXPECT,
    demand: `says no 100, when ${what}`,
    sent,
    statuses: [200],
    goesOn: true,
    saw,
  };
}

function refused(what: string, ...fields: string[]): Row {
  return {
    rule: EXPECT,
    demand: `refuses with 417, when ${what}`,
    sent: head("POST /e HTTP/1.1", HOST, ...fields),
    statuses: [417],
    goesOn: false,
  };
}

exchangeTests([
  unsaid("the body came with the head", `${EXPECTING}hello`, "POST /e hello"),
  unsaid(
    "there is no body",
    head("POST /e HTTP/1.1", HOST, CONTINUE),
    "POST /e ",
  ),
  unsaid(
    "the body is empty",
    head("POST /e HTTP/1.1", HOST, "Content-Length: 0", CONTINUE),
    "POST /e ",
  ),
  unsaid(
    "a GET has no body",
    head("GET /e HTTP/1.1", HOST, CONTINUE),
    "GET /e ",
  ),
  unsaid(
    "the client is HTTP/1.0",
    head(
      "POST /e HTTP/1.0",
      HOST,
      LENGTH,
      CONTINUE,
      "Connection: keep-alive",
    ) + "hello",
    "POST /e hello",
  ),
  unsaid(
    "nothing is expected",
    head("POST /e HTTP/1.1", HOST, LENGTH, "Expect:") + "hello",
    "POST /e hello",
  ),
  {
    ...unsaid(
      "HTTP/1.0 expects something else",
      head(
        "GET /e HTTP/1.0",
        HOST,
        "Expect: wonders",
        "Connection: keep-alive",
      ),
      "GET /e ",
    ),
    rule: INTERIM,
  },
  refused("something else is expected", "Expect: wonders"),
  refused("something else is expected as well", LENGTH, `${CONTINUE}, wonders`),
  refused("a second field expects something else", CONTINUE, "Expect: wonders"),
  refused("100-continue has a parameter", LENGTH, `${CONTINUE};a=b`),
  refused("100-continue is only begun", LENGTH, "Expect: 100"),
]);

const READERS: [name: string, handler: Handler][] = [
  ["reads it", async (request) => new Response(await request.text())],
  ["reads it later", async (request) => {
    await undefined;
    return new Response(await request.text());
  }],
  ["reads its stream", async (request) => {
    const reader = request.body!.getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Response(text);
      text += new TextDecoder().decode(value);
    }
  }],
  ["answers with it", (request) => new Response(request.body)],
  ["reads a clone", async (request) => {
    return new Response(await request.clone().text());
  }],
];

const EXPECTATIONS: [name: string, sent: string, body: string][] = [
  ["has a length", EXPECTING, "hello"],
  [
    "is chunked",
    head("POST /e HTTP/1.1", HOST, "Transfer-Encoding: chunked", CONTINUE),
    "5\r\nhello\r\n0\r\n\r\n",
  ],
  [
    "is expected in capitals",
    head("POST /e HTTP/1.1", HOST, LENGTH, "EXPECT: 100-Continue"),
    "hello",
  ],
  [
    "is expected twice",
    head("POST /e HTTP/1.1", HOST, LENGTH, CONTINUE, CONTINUE),
    "hello",
  ],
];

for (const [name, handler] of READERS) {
  for (const [kind, sent, body] of EXPECTATIONS) {
    cleanTest(
      `server says 100 once, when the handler ${name} and the body ${kind} (${EXPECT})`,
      async () => {
        await using test = new TestServer((request, info) =>
          request.method === "GET"
            ? new Response("next")
            : handler(request, info)
        );
        const client = await test.connect();
        await client.send(sent);
        const interim = await client.answer();
        assertEquals(interim.status, 100);
        assertEquals(interim.fields, []);
        await client.send(body + NEXT);
        const answers = await client.answers(2);
        assertEquals(answers.map(({ text }) => text), ["hello", "next"]);
      },
    );
  }
}

const REFUSERS: [name: string, handler: Handler][] = [
  ["answers at once", () => new Response("no", { status: 403 })],
  ["answers later", async () => {
    await undefined;
    return new Response("no", { status: 403 });
  }],
  ["cancels the body", async (request) => {
    await request.body?.cancel();
    return new Response("no", { status: 403 });
  }],
  ["only looks at the body", (request) => {
    return new Response(`${request.body?.locked}`, { status: 403 });
  }],
  ["answers with a stream", () => {
    return new Response(new Blob(["no"]).stream(), { status: 403 });
  }],
  ["throws", () => {
    throw new Error("no");
  }],
];

for (const [name, handler] of REFUSERS) {
  cleanTest(
    `server says no 100, and that it closes, when the handler ${name} (${EXPECT})`,
    async () => {
      const saw: string[] = [];
      await using test = new TestServer((request, info) => {
        saw.push(request.method);
        return handler(request, info);
      });
      const client = await test.connect();
      await client.send(EXPECTING);
      const answer = await client.answer();
      assertEquals(answer.status, name === "throws" ? 500 : 403);
      assertEquals(answer.get("connection"), "close");
      // These bytes could be the body or a request.
      await client.send(`hello${NEXT}`);
      assertEquals(await client.rest(), []);
      assertEquals(saw, ["POST"]);
    },
  );
}

cleanTest(
  `server says no 100, when a GET expects it for a body that it does not have (${EXPECT})`,
  async () => {
    await using test = new TestServer(async (request) => {
      return new Response(await request.text());
    });
    const client = await test.connect();
    await client.send(head("GET / HTTP/1.1", HOST, LENGTH, CONTINUE));
    const [answer, ...others] = await client.rest();
    assertEquals([answer?.status, answer?.text], [200, ""]);
    assertEquals(answer?.get("connection"), "close");
    assertEquals(others, []);
  },
);

cleanTest(
  `server says 100 for each, when requests with expectations follow each other (${EXPECT})`,
  async () => {
    await using test = new TestServer(async (request) => {
      return new Response(await request.text());
    });
    const client = await test.connect();
    for (const body of ["first", "again"]) {
      await client.send(EXPECTING);
      assertEquals((await client.answer()).status, 100);
      await client.send(body);
      assertEquals((await client.answer()).text, body);
    }
  },
);

cleanTest(
  `server says 413 and no 100, when the body would be too large (${EXPECT})`,
  async () => {
    await using test = new TestServer(() => new Response(), {
      bodyBytesMax: 4,
    });
    const client = await test.connect();
    await client.send(EXPECTING);
    const answers = await client.rest();
    assertEquals(answers.map(({ status }) => status), [413]);
  },
);
