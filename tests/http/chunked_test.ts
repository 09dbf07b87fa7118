/**
 * RFC 9112 section 7.1: valid and malformed chunked bodies.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { exchangeTests, type Row, splitTests } from "../util/exchange.ts";
import { TestServer } from "../util/http_server.ts";
import { Peer } from "../util/http_transport.ts";
import { head } from "../util/requests.ts";

const SIZE = "RFC 9112 section 7.1";
const EXTENSION = "RFC 9112 section 7.1.1";
const TRAILER = "RFC 9112 section 7.1.2";
const SPACE = "RFC 9110 section 5.6.3";
const MERGE = "RFC 9110 section 6.5.1";
const LINE = "RFC 9112 section 2.2";

const CHUNKED = head(
  "POST /c HTTP/1.1",
  "Host: a",
  "Transfer-Encoding: chunked",
);
const LAST = "0\r\n\r\n";
/** More bytes than extensions or trailers may have. */
const TOO_MANY = 20_000;

/** A valid body that decodes to `text`. */
function taken(rule: string, what: string, body: string, text: string): Row {
  return {
    rule,
    demand: `takes a chunked body, when ${what}`,
    sent: CHUNKED + body,
    statuses: [200],
    goesOn: true,
    saw: [`POST /c ${text}`],
  };
}

/** A malformed body. */
function refused(rule: string, what: string, body: string, status = 400): Row {
  return {
    rule,
    demand: `refuses a chunked body with ${status}, when ${what}`,
    sent: CHUNKED + body,
    statuses: [status],
    goesOn: false,
  };
}

/** One chunk with the size line `line`. */
function lined(line: string): string {
  return `${line}\r\nhello\r\n${LAST}`;
}

const SIZES_TAKEN = [
  taken(SIZE, "there is one chunk", lined("5"), "hello"),
  taken(
    SIZE,
    "there are several",
    `5\r\nhello\r\n1\r\n \r\n3\r\nyou\r\n${LAST}`,
    "hello you",
  ),
  taken(SIZE, "there is none but the last", LAST, ""),
  taken(
    SIZE,
    "a size is lower case",
    `a\r\n0123456789\r\n${LAST}`,
    "0123456789",
  ),
  taken(
    SIZE,
    "a size is upper case",
    `A\r\n0123456789\r\n${LAST}`,
    "0123456789",
  ),
  taken(
    SIZE,
    "a size is of either case",
    `1a\r\n${"x".repeat(26)}\r\n${LAST}`,
    "x".repeat(26),
  ),
  taken(SIZE, "a size begins with zeros", lined("0005"), "hello"),
  taken(SIZE, "a size has sixteen digits", lined("0000000000000005"), "hello"),
  taken(SIZE, "the last size has several zeros", "000\r\n\r\n", ""),
  taken(
    SIZE,
    "the data look like the end of it",
    `5\r\n0\r\n\r\n\r\n${LAST}`,
    "0\r\n\r\n",
  ),
  taken(
    SIZE,
    "the data look like a request",
    `12\r\nGET / HTTP/1.1\r\n\r\n\r\n${LAST}`,
    "GET / HTTP/1.1\r\n\r\n",
  ),
];

const EXTENSIONS_TAKEN = [
  taken(EXTENSION, "an extension is a name", lined("5;name"), "hello"),
  taken(EXTENSION, "an extension has a value", lined("5;a=b"), "hello"),
  taken(
    EXTENSION,
    "a name has every sign",
    lined("5;!#$%&'*+-.^_`|~9"),
    "hello",
  ),
  taken(EXTENSION, "a value is quoted", lined('5;a="b c"'), "hello"),
  taken(EXTENSION, "a quoted value is empty", lined('5;a=""'), "hello"),
  taken(
    EXTENSION,
    "a quoted value has a semicolon and a size",
    lined('5;a="b;\t10 \xff"'),
    "hello",
  ),
  taken(
    EXTENSION,
    "a quoted value has quotes",
    lined('5;a="\\"b\\\\"'),
    "hello",
  ),
  taken(
    EXTENSION,
    "there are several extensions",
    lined('5;a;b=c;d="e";f'),
    "hello",
  ),
  taken(EXTENSION, "the last chunk has one", "0;a=b\r\n\r\n", ""),
  taken(SPACE, "there is space before a semicolon", lined("5 \t;a"), "hello"),
  taken(SPACE, "there is space behind a semicolon", lined("5; \ta"), "hello"),
  taken(
    SPACE,
    "there is space around everything",
    lined('5 ; a = b ; c = "d" ;e'),
    "hello",
  ),
];

const TRAILERS_TAKEN = [
  taken(TRAILER, "there is a trailer", "0\r\nX-Sum: 1\r\n\r\n", ""),
  taken(
    TRAILER,
    "there are several trailers",
    "0\r\nA: 1\r\nA:2\r\nB:\r\n\r\n",
    "",
  ),
  taken(
    TRAILER,
    "a trailer has space, colons and bytes above ASCII",
    "0\r\nA: \t1 : 2\t \xe9\r\n\r\n",
    "",
  ),
  ...[
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Host: b",
    "Connection: close",
    "Expect: nothing",
    "Authorization: Basic YTpi",
    "Content-Type: text/html",
  ].map((field) =>
    taken(
      MERGE,
      `its trailer "${field}" would have meant something in the head`,
      `0\r\n${field}\r\n\r\n`,
      "",
    )
  ),
];

const SIZES_REFUSED = [
  refused(SIZE, "a size is none", "x\r\n"),
  refused(SIZE, "there is no size", "\r\nhello\r\n"),
  refused(SIZE, "there is only an extension", lined(";a")),
  refused(SIZE, "a size has a minus", lined("-5")),
  refused(SIZE, "a size has a plus", lined("+5")),
  refused(SIZE, "the last size has a plus", "+0\r\n\r\nX"),
  refused(SIZE, "a size has a prefix", lined("0x5")),
  refused(SIZE, "a size has an h behind it", lined("5h")),
  refused(SIZE, "a size has an underscore", lined("0_5")),
  refused(SIZE, "a size has a point", lined("5.0")),
  refused(SIZE, "there are two sizes", lined("5,5")),
  refused(SIZE, "there is space before a size", lined(" 5")),
  refused(SIZE, "there is a tab before a size", lined("\t5")),
  refused(SIZE, "there is space behind a size", lined("5 ")),
  refused(SIZE, "there is a tab behind a size", lined("5\t")),
  refused(SIZE, "there is a vertical tab behind a size", lined("5\v")),
  refused(SIZE, "there is a NUL behind a size", lined("5\0")),
  refused(SIZE, "there is space behind the last size", "0 \r\n\r\n"),
  refused(SIZE, "there is space inside a size", lined("0 5")),
  refused(SIZE, "a size has seventeen digits", lined("00000000000000005")),
  refused(SIZE, "a size is more than 64 bits hold", lined("10000000000000005")),
  refused(SIZE, "a size is all that 64 bits hold", lined("ffffffffffffffff")),
  refused(SIZE, "a size loses bytes as a number", lined("20000000000000")),
  refused(SIZE, "a size is more than a body may have", lined("8000001"), 413),
  refused(
    SIZE,
    "sizes are together more than a body may have",
    `5\r\nhello\r\n7fffffc\r\n`,
    413,
  ),
  refused(SIZE, "there are more data than a chunk has", "5\r\nhelloyou\r\n"),
  refused(
    SIZE,
    "there are fewer data than a chunk has",
    `6\r\nhello\r\n${LAST}`,
  ),
  refused(SIZE, "no line end follows the data", `5\r\nhello${LAST}`),
  refused(SIZE, "two other bytes follow the data", `5\r\nhelloXX${LAST}`),
  refused(SIZE, "only a CR follows the data", `5\r\nhello\r${LAST}`),
  refused(SIZE, "two line ends follow the data", `5\r\nhello\r\n\r\n${LAST}`),
];

const LINES_REFUSED = [
  refused(LINE, "an LF ends a size", `5\nhello\r\n${LAST}`),
  refused(LINE, "a CR ends a size", `5\rhello\r\n${LAST}`),
  refused(LINE, "two CRs end a size", `5\r\r\nhello\r\n${LAST}`),
  refused(LINE, "a CR and another byte end a size", `5\rX\nhello\r\n${LAST}`),
  refused(LINE, "an LF follows the data", `5\r\nhello\n${LAST}`),
  refused(LINE, "two LFs follow the data", `5\r\nhello\n\n${LAST}`),
  refused(LINE, "an LF ends an extension", `5;a\nhello\r\n${LAST}`),
  refused(LINE, "an LF ends a lone semicolon", `5;\nhello\r\n${LAST}`),
  refused(LINE, "an LF ends a value", `5;a=b\nhello\r\n${LAST}`),
  refused(LINE, "an LF is quoted", lined('5;a="\n"')),
  refused(LINE, "an LF is quoted behind a backslash", lined('5;a="\\\n"')),
  refused(LINE, "a line end is quoted", lined('5;a="\r\n"')),
  refused(LINE, "a CR is in an extension", lined("5;a\rb")),
  refused(LINE, "a CR is quoted", lined('5;a="\r"')),
  refused(LINE, "an LF ends a trailer", "0\r\nA: b\n\r\n"),
  refused(LINE, "a CR is in a trailer", "0\r\nA: b\rc\r\n\r\n"),
  refused(LINE, "an LF ends the last size", "0\n\r\n"),
  refused(LINE, "an LF ends the body", "0\r\n\n"),
  refused(LINE, "a CR ends the body", "0\r\n\rX"),
];

const EXTENSIONS_REFUSED = [
  refused(EXTENSION, "a semicolon is without a name", lined("5;")),
  refused(EXTENSION, "the last semicolon is without a name", lined("5;a;")),
  refused(EXTENSION, "two semicolons follow each other", lined("5;;a")),
  refused(EXTENSION, "a value is without a name", lined("5;=b")),
  refused(EXTENSION, "a value is missing", lined("5;a=")),
  refused(
    EXTENSION,
    "a value is missing before the next name",
    lined("5;a=;b"),
  ),
  refused(EXTENSION, "there are two values", lined("5;a=b=c")),
  refused(EXTENSION, "a name is no token", lined("5;a[b]")),
  refused(EXTENSION, "a name is quoted", lined('5;"a"')),
  refused(EXTENSION, "a name has a byte above ASCII", lined("5;\xe9")),
  refused(EXTENSION, "a value is no token", lined("5;a=b,c")),
  refused(EXTENSION, "a quote has no end", lined('5;a="b')),
  refused(EXTENSION, "bytes follow a quote", lined('5;a="b"c')),
  refused(EXTENSION, "a quote is inside a value", lined('5;a=b"c"')),
  refused(EXTENSION, "two names have space between them", lined("5;a b")),
  refused(EXTENSION, "two values have space between them", lined("5;a=b c")),
  refused(EXTENSION, "space ends an extension", lined("5;a ")),
  refused(EXTENSION, "space ends a value", lined("5;a=b ")),
  refused(EXTENSION, "a NUL is in an extension", lined("5;a\0")),
  refused(EXTENSION, "a NUL begins an extension", lined("5;\0a")),
  refused(EXTENSION, "a NUL is quoted", lined('5;a="\0"')),
  refused(EXTENSION, "a delete is quoted", lined('5;a="\x7f"')),
];

const TRAILERS_REFUSED = [
  refused(TRAILER, "a trailer has no colon", "0\r\nA\r\n\r\n"),
  refused(TRAILER, "a trailer has no name", "0\r\n: a\r\n\r\n"),
  refused(TRAILER, "space is before a trailer's colon", "0\r\nA : b\r\n\r\n"),
  refused(TRAILER, "space is before a trailer's name", "0\r\n A: b\r\n\r\n"),
  refused(TRAILER, "a trailer is folded", "0\r\nA: b\r\n\tc\r\n\r\n"),
  refused(TRAILER, "a trailer's name is no token", "0\r\nA[]: b\r\n\r\n"),
  refused(TRAILER, "a trailer's name is above ASCII", "0\r\n\xe9: b\r\n\r\n"),
  refused(TRAILER, "a NUL is in a trailer", "0\r\nA: \0\r\n\r\n"),
  refused(TRAILER, "a delete is in a trailer", "0\r\nA: \x7f\r\n\r\n"),
  refused(TRAILER, "a request follows the last chunk's line", "0\r\n"),
];

/** Too long to be split at each byte. */
const LIMITED = [
  refused(
    EXTENSION,
    "an extension is long",
    `5;${"a".repeat(TOO_MANY)}`,
    431,
  ),
  refused(
    EXTENSION,
    "extensions are together long",
    `1;${"a".repeat(TOO_MANY / 100)}\r\nx\r\n`.repeat(100),
    431,
  ),
  refused(
    TRAILER,
    "a trailer is long",
    `0\r\nA: ${"a".repeat(TOO_MANY)}`,
    431,
  ),
  refused(
    TRAILER,
    "there are many trailers",
    `0\r\n${"A: b\r\n".repeat(TOO_MANY / 5)}`,
    431,
  ),
];

const ROWS = [
  ...SIZES_TAKEN,
  ...EXTENSIONS_TAKEN,
  ...TRAILERS_TAKEN,
  ...SIZES_REFUSED,
  ...LINES_REFUSED,
  ...EXTENSIONS_REFUSED,
  ...TRAILERS_REFUSED,
];

exchangeTests([...ROWS, ...LIMITED]);
splitTests(ROWS);

cleanTest(
  "handler sees no trailer, when the head names one and it comes (RFC 9110 section 6.5)",
  async () => {
    const saw: unknown[] = [];
    await using test = new TestServer(async (request) => {
      await request.text();
      const { headers } = request;
      saw.push(headers.get("x-sum"), headers.get("host"), [...headers].length);
      return new Response();
    });
    const client = await test.connect();
    await client.send(
      CHUNKED.replace("\r\n\r\n", "\r\nTrailer: X-Sum\r\n\r\n") +
        "0\r\nX-Sum: 1\r\nHost: b\r\n\r\n",
    );
    assertEquals((await client.answer()).status, 200);
    assertEquals(saw, [null, "a", 3]);
  },
);

Deno.test("connection refuses a chunk before its data come, when it is more than a body may have", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()), {
    limits: { bodyBytesMax: 10 },
  });
  const answers = await peer.send(CHUNKED, "5\r\nhello\r\n", "6\r\n").answers();
  assertEquals(answers.map(({ status }) => status), [413]);
});

Deno.test("connection takes chunks, when they are all that a body may have", async () => {
  const peer = new Peer(async (request) => new Response(await request.text()), {
    limits: { bodyBytesMax: 10 },
  });
  peer.send(`${CHUNKED}5\r\nhello\r\n5\r\n you!\r\n${LAST}`);
  assertEquals((await peer.answers()).map(({ text }) => text), ["hello you!"]);
});
