/** `Content-Length`: valid values, and values that servers may disagree on. */

import {
  refused,
  type Row,
  served,
  servedLast,
  wireTests,
} from "../util/wire.ts";
import { head, HOST } from "../util/requests.ts";

const POST = "POST / HTTP/1.1";
const SECTION = "RFC 9110 section 8.6";

/** A POST with these lines, and a body of five bytes. */
function post(...lines: string[]): string {
  return `${head(POST, HOST, ...lines)}hello`;
}

const TAKEN: Row[] = ([
  ["a length", "Content-Length: 5"],
  ["a length in a field of other case", "cONTENT-lENGTH: 5"],
  ["a length amid spaces", "Content-Length:   5  "],
  ["a length without a space before it", "Content-Length:5"],
  ["a length with zeros before it", "Content-Length: 0005"],
  ["a length with many zeros", `Content-Length: ${"0".repeat(100)}5`],
] as const).map(([name, line]) => [
  SECTION,
  name,
  post(line),
  served({ body: "hello" }),
]);

/** `body_length_test.ts` has the other methods. */
const OTHERS: Row[] = [
  [
    "RFC 9112 section 6",
    "QUERY with a length",
    `${head("QUERY / HTTP/1.1", HOST, "Content-Length: 5")}hello`,
    served({ method: "QUERY", body: "hello" }),
  ],
  [
    SECTION,
    "a length of two zeros",
    head(POST, HOST, "Content-Length: 00"),
    served({ body: "" }),
  ],
  [
    SECTION,
    "a length in HTTP/1.0",
    `${head("POST / HTTP/1.0", HOST, "Content-Length: 5")}hello`,
    servedLast({ body: "hello" }),
  ],
];

const REFUSED: Row[] = ([
  ["a sign", "+5"],
  ["a negative length", "-5"],
  ["a negative zero", "-0"],
  ["hexadecimal digits", "0x5"],
  ["a hexadecimal digit", "5f"],
  ["an octal prefix", "0o5"],
  ["a fraction", "5.0"],
  ["an exponent", "5e0"],
  ["an underscore", "1_0"],
  ["a separator of thousands", "5'000"],
  ["a word", "five"],
  ["a unit", "5B"],
  ["a space inside", "1 0"],
  ["a tab inside", "1\t0"],
  ["quotes", '"5"'],
  ["a parameter", "5;a=b"],
  ["nothing", ""],
  ["nothing but spaces", "   "],
  ["a superscript digit", "\xb2"],
  ["a digit of other script", "\xd9\xa5"],
  ["a tab before the length", "\t5"],
  ["a tab and a space before the length", "\t 5"],
  ["a tab after the length", "5\t"],
  ["a space and a tab after the length", "5 \t"],
  ["a list of one length", "5, 5"],
  ["a list without a space", "5,5"],
  ["a list of three", "5, 5, 5"],
  ["a list of several lengths", "5, 6"],
  ["a list with an empty member", "5,"],
  ["a list that begins empty", ",5"],
  ["a vertical tab", "5\x0b"],
  ["a NUL", "5\0"],
  ["what is beyond 64 bits", "18446744073709551616"],
  ["what is beyond 64 bits and 5 again", "18446744073709551621"],
  ["a negative number beyond 64 bits", "-18446744073709551611"],
  ["what is beyond any number", "9".repeat(400)],
] as const).map(([name, value]) => [
  SECTION,
  `${name} for a length`,
  post(`Content-Length: ${value}`),
  refused(400),
]);

const SEVERAL: Row[] = [
  [
    "RFC 9112 section 6.3",
    "two lengths alike",
    post("Content-Length: 5", "Content-Length: 5"),
    refused(400),
  ],
  [
    "RFC 9112 section 6.3",
    "two lengths",
    post("Content-Length: 5", "Content-Length: 0"),
    refused(400),
  ],
  [
    "RFC 9112 section 6.3",
    "two lengths, apart and of other case",
    post("content-length: 0", "X: y", "CONTENT-LENGTH: 5"),
    refused(400),
  ],
  [
    "RFC 9112 section 6.3",
    "an empty length and another",
    post("Content-Length:", "Content-Length: 5"),
    refused(400),
  ],
  [
    "RFC 9112 section 6.3",
    "two lengths for a request that fits either",
    `${
      head(POST, HOST, "Content-Length: 0", "Content-Length: 40")
    }GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
    refused(400),
  ],
  [
    "RFC 9112 section 5.1",
    "a length with a space before its colon",
    post("Content-Length : 5"),
    refused(400),
  ],
  [
    "RFC 9112 section 5.2",
    "a length that is folded",
    post("Content-Length:", " 5"),
    refused(400),
  ],
];

const LARGE: Row[] = [
  ["a length beyond what is served", "1000000000"],
  ["the largest length that a number holds", "9007199254740991"],
  ["a length beyond what a number holds", "9007199254740992"],
  ["the largest length of 64 bits", "18446744073709551615"],
].map(([name, value]) => [
  "RFC 9110 section 15.5.14",
  name!,
  head(POST, HOST, `Content-Length: ${value}`),
  refused(413),
]);

wireTests([...TAKEN, ...OTHERS, ...REFUSED, ...SEVERAL, ...LARGE]);
