/**
 * The request line without its target: empty lines before it, the method, the
 * version, and the space between.
 */

import {
  refused,
  type Row,
  served,
  servedLast,
  wireTests,
} from "../util/wire.ts";
import { head, HOST } from "../util/requests.ts";

const EMPTY_LINES: Row[] = [
  [
    "RFC 9112 section 2.2",
    "an empty line before the request line",
    `\r\n${head("GET /a HTTP/1.1", HOST)}`,
    served({ url: "http://a/a" }),
  ],
  [
    "RFC 9112 section 2.2",
    "several empty lines before the request line",
    `\r\n\r\n\r\n${head("GET /a HTTP/1.1", HOST)}`,
    served({ url: "http://a/a" }),
  ],
  [
    "RFC 9112 section 2.2",
    "an empty line after a body",
    `${head("POST / HTTP/1.1", HOST, "Content-Length: 1")}b\r\n`,
    served({ body: "b" }),
  ],
  [
    "RFC 9112 section 2.2",
    "a bare LF before the request line",
    `\n${head("GET / HTTP/1.1", HOST)}`,
    refused(400),
  ],
  [
    "RFC 9112 section 2.2",
    "a bare CR before the request line",
    `\r${head("GET / HTTP/1.1", HOST)}`,
    refused(400),
  ],
  [
    "RFC 9112 section 2.2",
    "a space before the method",
    ` ${head("GET / HTTP/1.1", HOST)}`,
    refused(400),
  ],
  [
    "RFC 9112 section 2.2",
    "a line of nothing but spaces",
    `   \r\n${head("GET / HTTP/1.1", HOST)}`,
    refused(400),
  ],
  [
    "RFC 9112 section 2.2",
    "a byte order mark before the method",
    `\xef\xbb\xbf${head("GET / HTTP/1.1", HOST)}`,
    refused(400),
  ],
  ["RFC 9112 section 2.2", "no HTTP at all", "hello\r\n\r\n", refused(400)],
  [
    "RFC 9112 section 2.2",
    "the beginning of TLS",
    "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 hello",
    refused(400),
  ],
  ["RFC 9112 section 2.2", "nothing but NULs", "\0\0\0\0", refused(400)],
  [
    "RFC 9112 section 2.2",
    "empty lines without end",
    "\r\n".repeat(50_000),
    refused(431),
  ],
];

const METHODS: Row[] = [
  ...["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"].map(
    (method): Row => [
      "RFC 9110 section 9.1",
      `method ${method}`,
      head(`${method} / HTTP/1.1`, HOST),
      served({ method, url: "http://a/" }),
    ],
  ),
  [
    "RFC 9110 section 9.3.2",
    "method HEAD",
    head("HEAD / HTTP/1.1", HOST),
    served({ method: "HEAD" }),
  ],
  ...["get", "Get", "GETT", "G", "connect", "QUERY", "M-SEARCH", "TRACK"].map(
    (method): Row => [
      "RFC 9110 section 9.1",
      `method ${method}, which is none that it knows`,
      head(`${method} / HTTP/1.1`, HOST),
      served({ method, url: "http://a/" }),
    ],
  ),
  [
    "RFC 9110 section 5.6.2",
    "a method of every character that a token has",
    head("!#$%&'*+-.^_`|~09AZaz / HTTP/1.1", HOST),
    served({ method: "!#$%&'*+-.^_`|~09AZaz" }),
  ],
  ...[...'"(),/:;<=>?@[\\]{}\x7f\x01\xe9'].map((character): Row => [
    "RFC 9110 section 5.6.2",
    `${JSON.stringify(character)} in a method`,
    head(`G${character}T / HTTP/1.1`, HOST),
    refused(400),
  ]),
  [
    "RFC 9112 section 3",
    "a method of eight thousand characters",
    head(`${"A".repeat(8_000)} / HTTP/1.1`, HOST),
    served({ method: "A".repeat(8_000) }),
  ],
  [
    "RFC 9112 section 3",
    "a method that is too long",
    head(`${"A".repeat(100_000)} / HTTP/1.1`, HOST),
    refused(501),
  ],
];

const SPACES: Row[] = [
  ["two spaces before the target", "GET  / HTTP/1.1"],
  ["two spaces before the version", "GET /  HTTP/1.1"],
  ["a space after the version", "GET / HTTP/1.1 "],
  ["a tab after the version", "GET / HTTP/1.1\t"],
  ["tabs for spaces", "GET\t/\tHTTP/1.1"],
  ["a vertical tab for a space", "GET\x0b/ HTTP/1.1"],
  ["a form feed for a space", "GET\x0c/ HTTP/1.1"],
  ["a bare CR for a space", "GET\r/ HTTP/1.1"],
  ["a bare CR after the version", "GET / HTTP/1.1\r"],
  ["a bare CR for a line end", "GET / HTTP/1.1\rHost: b"],
  ["a fourth word", "GET / HTTP/1.1 HTTP/1.1"],
  ["no target", "GET HTTP/1.1"],
  ["no target between two spaces", "GET  HTTP/1.1"],
  ["a method alone", "GET"],
].map(([name = "", line = ""]): Row => [
  "RFC 9112 section 3",
  name,
  head(line, HOST),
  refused(400),
]);

const VERSIONS: Row[] = [
  [
    "RFC 9112 section 9.3",
    "a request of HTTP/1.0",
    head("GET / HTTP/1.0", HOST),
    servedLast({ url: "http://a/" }),
  ],
  ...[2, 3, 9].map((minor): Row => [
    "RFC 9110 section 2.5",
    `version 1.${minor}, which is taken for 1.1`,
    head(`POST /b HTTP/1.${minor}`, HOST, "Content-Length: 1") + "c",
    served({ method: "POST", url: "http://a/b", body: "c" }),
  ]),
  [
    "RFC 9112 section 3.2",
    "version 1.2 without Host",
    head("GET / HTTP/1.2"),
    refused(400),
  ],
  [
    "RFC 9112 section 3.2",
    "version 1.2 and a malformed field",
    head("GET / HTTP/1.2", HOST, "X : y"),
    refused(400),
  ],
  ...["0.9", "2.0", "3.7", "9.9", "2", "3"].map((version): Row => [
    "RFC 9110 section 15.6.6",
    `version ${version}`,
    head(`GET / HTTP/${version}`, HOST),
    refused(505),
  ]),
  [
    "RFC 9113 section 3.4",
    "the preface of HTTP/2",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    refused(505),
  ],
  ...[
    "HTTP/1",
    "HTTP/1.",
    "HTTP/.1",
    "HTTP/",
    "HTTP",
    "HTTP/11",
    "HTTP/1.10",
    "HTTP/1.01",
    "HTTP/01.1",
    "HTTP/10.1",
    "HTTP/1.x",
    "HTTP/x.1",
    "HTTP/-1.1",
    "HTTP/1,1",
    "HTTP/ 1.1",
    "HTTP /1.1",
    "HTTP/1. 1",
    "http/1.1",
    "Http/1.1",
    "HTTPS/1.1",
    "HTP/1.1",
    "1.1",
    "HTTP\\1.1",
    "HTTP/1.1\0",
    "HTTP/\xb9.1",
  ].map((version): Row => [
    "RFC 9112 section 2.3",
    `${JSON.stringify(version)} for a version`,
    head(`GET / ${version}`, HOST),
    refused(400),
  ]),
  [
    "RFC 9112 section 2.3",
    "no version",
    head("GET /"),
    refused(400),
  ],
  [
    "RFC 9112 section 2.3",
    "a space and no version",
    head("GET / "),
    refused(400),
  ],
];

wireTests([...EMPTY_LINES, ...METHODS, ...SPACES, ...VERSIONS]);
