/** The plans of answers, as a table of requests and responses. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  type AnswerPlan,
  Framing,
  isPlain,
  planAnswer,
  planRefusal,
  RequestFlag,
} from "../../src/http/answer_plan.ts";
import { type ResponseParts, TEXT_TYPE } from "../../src/http/response.ts";
import { latin1 } from "../util/http_bytes.ts";

const GET = 0;
const OLD = RequestFlag.HTTP_1_0;
const HEAD = RequestFlag.HEAD_METHOD;
const CONNECT = RequestFlag.CONNECT_METHOD;
const { NONE, CHUNKED, UNTIL_CLOSE, MEASURED } = Framing;

const BYTES = latin1("abc");
const STREAM = new ReadableStream<Uint8Array<ArrayBuffer>>();
/** Three characters, four bytes. */
const TEXT = "\u00fcbc";

function parts(given: Partial<ResponseParts>): ResponseParts {
  return {
    status: 200,
    statusText: "",
    headers: undefined,
    contentType: undefined,
    body: null,
    length: undefined,
    ...given,
  };
}

function fields(...list: [string, string][]): Partial<ResponseParts> {
  return { headers: list };
}

/** A request, a response, its framing, and whether its body is sent. */
type Row = [
  name: string,
  flags: number,
  given: Partial<ResponseParts>,
  framing: number,
  isSent: boolean,
];

const ROWS: readonly Row[] = [
  ["text for GET", GET, { body: TEXT }, MEASURED, true],
  ["text for HEAD", HEAD, { body: TEXT }, 4, false],
  ["bytes for GET", GET, { body: BYTES }, 3, true],
  ["bytes for HEAD", HEAD, { body: BYTES }, 3, false],
  ["no body for GET", GET, {}, 0, false],
  ["no body for HEAD", HEAD, {}, NONE, false],
  [
    "no body for HEAD, and the handler's length",
    HEAD,
    fields(["Content-Length", "7"]),
    7,
    false,
  ],
  [
    "no body for HEAD, and two lengths",
    HEAD,
    fields(["content-length", "7"], ["content-length", "8"]),
    NONE,
    false,
  ],
  [
    "no body for HEAD, and one length twice",
    HEAD,
    fields(["content-length", "7"], ["content-length", "7"]),
    7,
    false,
  ],
  [
    "text for GET, and the handler's wrong length",
    GET,
    { body: TEXT, ...fields(["content-length", "7"]) },
    MEASURED,
    true,
  ],
  ["204", GET, { status: 204 }, NONE, false],
  [
    "204 with a body that it may not have",
    GET,
    {
      status: 204,
      body: BYTES,
    },
    NONE,
    false,
  ],
  ["205", GET, { status: 205 }, 0, false],
  ["205 of a stream", GET, { status: 205, body: STREAM }, 0, false],
  [
    "304",
    GET,
    { status: 304, ...fields(["content-length", "7"]) },
    NONE,
    false,
  ],
  ["304 of a stream", GET, { status: 304, body: STREAM }, NONE, false],
  ["stream for GET", GET, { body: STREAM }, CHUNKED, true],
  ["stream for HTTP/1.0", OLD, { body: STREAM }, UNTIL_CLOSE, true],
  ["stream for HEAD", HEAD, { body: STREAM }, CHUNKED, false],
  ["stream of known length", GET, { body: STREAM, length: 9 }, 9, true],
  [
    "stream of known length for HTTP/1.0",
    OLD,
    { body: STREAM, length: 9 },
    9,
    true,
  ],
  [
    "stream of the handler's length",
    GET,
    { body: STREAM, length: 9, ...fields(["content-length", "7"]) },
    7,
    true,
  ],
  [
    "stream of a length that is no number",
    GET,
    { body: STREAM, ...fields(["content-length", "7a"]) },
    CHUNKED,
    true,
  ],
  ["success for CONNECT", CONNECT, { body: BYTES }, NONE, false],
  ["stream for CONNECT", CONNECT, { body: STREAM }, NONE, false],
  ["failure for CONNECT", CONNECT, { status: 501, body: BYTES }, 3, true],
];

for (const [name, flags, given, framing, isSent] of ROWS) {
  Deno.test(`an answer is planned: ${name}`, () => {
    const { headers, status } = given;
    const plan = planAnswer(flags, parts(given));
    const expected: AnswerPlan = {
      status: status ?? 200,
      statusText: "",
      contentType: undefined,
      fields: headers as [string, string][] ?? [],
      framing,
      body: isSent ? given.body! : null,
    };
    assertEquals(plan, expected);
  });
}

Deno.test("a plan has the type, the phrase and all fields in their order", () => {
  const headers = new Headers({ b: "2", a: "1" });
  const given = parts({
    status: 404,
    statusText: "Gone fishing",
    contentType: "a/b",
    headers,
  });
  assertEquals(planAnswer(GET, given), {
    status: 404,
    statusText: "Gone fishing",
    contentType: "a/b",
    fields: [["a", "1"], ["b", "2"]],
    framing: 0,
    body: null,
  });
});

Deno.test("a plan is refused, when no server can send the response", () => {
  for (const status of [0, 101, 199]) {
    assertThrows(() => planAnswer(GET, parts({ status })), TypeError);
  }
});

Deno.test("an answer is plain, when it is a 200 of text with no field but its type", () => {
  const plain = { body: "text", contentType: TEXT_TYPE };
  const rows: [flags: number, given: Partial<ResponseParts>, is: boolean][] = [
    [GET, plain, true],
    [OLD, plain, true],
    [HEAD, plain, false],
    [CONNECT, plain, false],
    [GET, { ...plain, status: 404 }, false],
    [GET, { ...plain, headers: [] }, false],
    [GET, { ...plain, body: BYTES }, false],
    [GET, { ...plain, body: null }, false],
  ];
  for (const [flags, given, is] of rows) {
    assertEquals(isPlain(flags, parts(given)), is);
  }
});

Deno.test("a refusal says its status in words, but not for HEAD", () => {
  const { status, framing, body } = planRefusal(GET, 408);
  assertEquals([status, framing, body], [408, 16, "Request Timeout\n"]);
  const forHead = planRefusal(HEAD, 408);
  assertEquals([forHead.framing, forHead.body], [16, null]);
});
