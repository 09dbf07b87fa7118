/**
 * RFC 9112 section 9: when a connection is used again, and when it is closed.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { exchangeTests, NEXT, type Row } from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { head } from "../util/requests.ts";

const PERSISTENCE = "RFC 9112 section 9.3";
const TEARDOWN = "RFC 9112 section 9.6";
const CONNECTION = "RFC 9110 section 7.6.1";
const LISTS = "RFC 9110 section 5.6.1";
const UPGRADE = "RFC 9110 section 7.8";

function get(version: string, ...fields: string[]): string {
  return head(`GET /p HTTP/${version}`, "Host: a", ...fields);
}

function kept(rule: string, what: string, sent: string): Row {
  return {
    rule,
    demand: `goes on, when ${what}`,
    sent,
    statuses: [200],
    goesOn: true,
    saw: ["GET /p "],
  };
}

function closed(rule: string, what: string, sent: string): Row {
  return {
    rule,
    demand: `closes after the answer, when ${what}`,
    sent,
    statuses: [200],
    goesOn: false,
    saw: ["GET /p "],
  };
}

exchangeTests([
  kept(PERSISTENCE, "HTTP/1.1 says nothing", get("1.1")),
  kept(
    PERSISTENCE,
    "HTTP/1.1 says keep-alive",
    get("1.1", "Connection: keep-alive"),
  ),
  kept(
    PERSISTENCE,
    "HTTP/1.0 says keep-alive",
    get("1.0", "Connection: keep-alive"),
  ),
  kept(
    CONNECTION,
    "HTTP/1.0 says Keep-Alive",
    get("1.0", "Connection: Keep-Alive"),
  ),
  kept(
    CONNECTION,
    "HTTP/1.0 says keep-alive in a list",
    get("1.0", "Connection: foo, keep-alive"),
  ),
  kept(
    CONNECTION,
    "an option only begins with close",
    get("1.1", "Connection: closed, close-not"),
  ),
  kept(
    CONNECTION,
    "an option only ends with close",
    get("1.1", "Connection: not-close"),
  ),
  kept(
    CONNECTION,
    "the option is the value of another field",
    get("1.1", "Proxy-Connection: close", "X: close"),
  ),
  kept(CONNECTION, "there is no option", get("1.1", "Connection:")),
  kept(
    CONNECTION,
    "a Keep-Alive wants no time",
    get("1.1", "Keep-Alive: timeout=0, max=0"),
  ),
  closed(PERSISTENCE, "HTTP/1.0 says nothing", get("1.0")),
  closed(
    PERSISTENCE,
    "HTTP/1.0 only sends a Keep-Alive",
    get("1.0", "Keep-Alive: timeout=5"),
  ),
  closed(
    PERSISTENCE,
    "HTTP/1.0 says both",
    get("1.0", "Connection: keep-alive, close"),
  ),
  closed(TEARDOWN, "HTTP/1.1 says close", get("1.1", "Connection: close")),
  closed(
    TEARDOWN,
    "HTTP/1.1 says both",
    get("1.1", "Connection: keep-alive, close"),
  ),
  closed(
    CONNECTION,
    "close is in upper case",
    get("1.1", "CONNECTION: CLOSE"),
  ),
  closed(
    CONNECTION,
    "close is last in a list",
    get("1.1", "Connection: foo,\tClose"),
  ),
  closed(
    LISTS,
    "close is among empty members",
    get("1.1", "Connection: , ,close ,\t,"),
  ),
  closed(
    LISTS,
    "close is in the second of two fields",
    get("1.1", "Connection: keep-alive", "Connection: close"),
  ),
  closed(
    LISTS,
    "close is in the first of two fields",
    get("1.1", "Connection: close", "Connection: keep-alive"),
  ),
  closed(
    TEARDOWN,
    "close comes with an upgrade",
    get("1.1", "Connection: close, upgrade", "Upgrade: foo"),
  ),
  kept(
    UPGRADE,
    "an unknown upgrade is offered",
    get("1.1", "Connection: upgrade", "Upgrade: foo/1, bar"),
  ),
  kept(
    UPGRADE,
    "an upgrade to HTTP/2 is offered",
    get(
      "1.1",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ),
  ),
  kept(
    UPGRADE,
    "an upgrade is no option of the connection",
    get("1.1", "Upgrade: websocket"),
  ),
  kept(
    UPGRADE,
    "an upgrade is offered in HTTP/1.0",
    get("1.0", "Connection: keep-alive, upgrade", "Upgrade: websocket"),
  ),
  {
    rule: UPGRADE,
    demand: "reads the body and goes on, when it comes with an upgrade",
    sent: head(
      "POST /p HTTP/1.1",
      "Host: a",
      "Connection: upgrade",
      "Upgrade: foo",
      "Content-Length: 5",
    ) + "hello",
    statuses: [200],
    goesOn: true,
    saw: ["POST /p hello"],
  },
  {
    rule: TEARDOWN,
    demand: "reads the body of the last request, when that says close",
    sent: head(
      "POST /p HTTP/1.1",
      "Host: a",
      "Connection: close",
      "Content-Length: 5",
    ) + "hello",
    statuses: [200],
    goesOn: false,
    saw: ["POST /p hello"],
  },
]);

const SAID: [what: string, sent: string, said: string | undefined][] = [
  ["nothing of HTTP/1.1", get("1.1"), undefined],
  ["nothing of a keep-alive", get("1.1", "Connection: keep-alive"), undefined],
  [
    "keep-alive of HTTP/1.0",
    get("1.0", "Connection: keep-alive"),
    "keep-alive",
  ],
  ["close of HTTP/1.0", get("1.0"), "close"],
  ["close of a close", get("1.1", "Connection: close"), "close"],
];

for (const [what, sent, said] of SAID) {
  cleanTest(
    `answer says ${what}, when that is how it is (${TEARDOWN})`,
    async () => {
      await using test = new TestServer(() => new Response("ok"));
      const client = await test.connect();
      await client.send(sent);
      assertEquals((await client.answer()).get("connection"), said);
    },
  );
}

/** Bodies that arrive behind the answer. */
const UNREAD: [what: string, sent: string, looks: boolean][] = [
  [
    "has a length",
    `${head("POST / HTTP/1.1", "Host: a", "Content-Length: 5")}hello`,
    false,
  ],
  [
    "has a length and was looked at",
    `${head("POST / HTTP/1.1", "Host: a", "Content-Length: 5")}hello`,
    true,
  ],
  [
    "is chunked",
    head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") +
    "5\r\nhello\r\n0\r\n\r\n",
    false,
  ],
  [
    "is chunked and was looked at",
    head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") +
    "5\r\nhello\r\n0\r\n\r\n",
    true,
  ],
  [
    "is huge",
    head("POST / HTTP/1.1", "Host: a", "Content-Length: 300000") +
    "x".repeat(300_000),
    false,
  ],
  [
    "is malformed",
    head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") +
    "x\r\n",
    false,
  ],
];

for (const [what, sent, looks] of UNREAD) {
  const does = looks ? "goes on" : "closes";
  cleanTest(
    `server ${does} behind an unread body, when that ${what} (${PERSISTENCE})`,
    async () => {
      const saw: string[] = [];
      await using test = new TestServer((request) => {
        saw.push(request.method);
        return new Response(looks && request.body?.locked ? "read" : "early");
      });
      const client = await test.connect();
      const headLength = sent.indexOf("\r\n\r\n") + 4;
      await client.send(sent.slice(0, headLength));
      assertEquals((await client.answer()).text, "early");
      await client.send(sent.slice(headLength) + NEXT);
      if (looks) assertEquals((await client.answer()).text, "early");
      else assertEquals(await client.rest(), []);
      assertEquals(saw, looks ? ["POST", "GET"] : ["POST"]);
    },
  );
}
