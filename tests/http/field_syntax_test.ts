/** Field lines: names, values, space around them, and their number. */

import {
  refused,
  type Row,
  served,
  servedLast,
  wireTests,
} from "../util/wire.ts";
import { get, head, HOST } from "../util/requests.ts";

const GET = "GET / HTTP/1.1";

const VALUES: Row[] = ([
  ["no value", "X:"],
  ["nothing but spaces for a value", "X:   "],
  ["nothing but tabs for a value", "X:\t\t"],
  ["no space before a value", "X:y"],
  ["spaces and tabs around a value", "X: \t y \t "],
  ["a tab inside a value", "X: y\tz"],
  ["spaces inside a value", "X: y  z"],
  ["a colon in a value", "X: y: z"],
  ["quotes in a value", 'X: "y, \\"z"'],
  ["punctuation in a value", "X: !#$%&'*+-.^_`|~(),/:;<=>?@[\\]{}"],
  ["Latin-1 in a value", "X: caf\xe9"],
  ["UTF-8 in a value", "X: caf\xc3\xa9"],
  ["the last byte in a value", "X: \xff"],
  ["a value of eight thousand bytes", `X: ${"y".repeat(8_000)}`],
] as const).map(([name, line]) => [
  "RFC 9110 section 5.5",
  name,
  get("/", line),
  served({ headers: { x: line.slice(2).replaceAll(/^[ \t]+|[ \t]+$/g, "") } }),
]);

const VALUES_REFUSED: Row[] = [
  ...[..."\0\x01\x07\x08\x0b\x0c\x0e\x1b\x1f\x7f"].flatMap((character) =>
    [`X: y${character}z`, `X: ${character}y`, `X: y${character}`].map((
      line,
      index,
    ): Row => [
      "RFC 9110 section 5.5",
      `${JSON.stringify(character)} ${
        ["inside", "before", "after"][index]
      } a value`,
      get("/", line),
      refused(400),
    ])
  ),
  ...["X: y\rz", "X: \ry", "X: y\r", "X\r: y", "X:\r y", "\rX: y"].map((
    line,
  ): Row => [
    "RFC 9112 section 2.2",
    `a bare CR in ${JSON.stringify(line)}`,
    get("/", line),
    refused(400),
  ]),
];

const LINES: Row[] = ([
  ["all lines ending in a bare LF", `${GET}\nHost: a\n\n`],
  ["a request line ending in a bare LF", `${GET}\nHost: a\r\n\r\n`],
  ["a field ending in a bare LF", `${GET}\r\nHost: a\nX: y\r\n\r\n`],
  ["the last field ending in a bare LF", `${GET}\r\nHost: a\n\r\n`],
  ["an empty line that is a bare LF", `${GET}\r\nHost: a\r\n\n`],
  ["lines ending in LF and CR", `${GET}\n\rHost: a\n\r\n\r`],
  ["two CRs before an LF", `${GET}\r\nHost: a\r\r\n\r\n`],
  ["all lines ending in a bare CR", `${GET}\rHost: a\r\r`],
] as const).map(([name, bytes]) => [
  "RFC 9112 section 2.2",
  name,
  bytes,
  refused(400),
]);

const FOLDS: Row[] = ([
  ["RFC 9112 section 5.2", "a field that is folded", "X: y", " z"],
  ["RFC 9112 section 5.2", "a field that is folded by a tab", "X: y", "\tz"],
  ["RFC 9112 section 5.2", "an empty field that is folded", "X:", " y"],
  ["RFC 9112 section 5.2", "a field folded into nothing", "X: y", " "],
  ["RFC 9112 section 5.2", "a field folded into a field", "X: y", " Host: b"],
  ["RFC 9112 section 5.2", "a folded Host", "Y: z", "Host:", " b"],
] as const).map(([rule, name, ...lines]) => [
  rule,
  name,
  head(GET, HOST, ...lines),
  refused(400),
]);

const FIRST: Row[] = [" ", "\t", " X: y", "\tX: y", " Host: b"].map((line) => [
  "RFC 9112 section 2.2",
  `${JSON.stringify(line)} before the first field`,
  head(GET, line, HOST),
  refused(400),
]);

const NAMES: Row[] = [
  [
    "RFC 9110 section 5.6.2",
    "a name of every character that a token has",
    get("/", "!#$%&'*+-.^_`|~09AZaz: y"),
    served({ headers: { "!#$%&'*+-.^_`|~09azaz": "y" } }),
  ],
  [
    "RFC 9110 section 5.1",
    "names of any case",
    head(GET, "hOsT: b", "X-yZ: 1", "x-Yz: 2"),
    served({ url: "http://b/", headers: { host: "b", "x-yz": "1, 2" } }),
  ],
  [
    "RFC 9110 section 5.3",
    "values of one name, whose order is kept",
    head(GET, HOST, "X: 1", "Y: 3", "X: 2", "X:", "X: 4"),
    served({ headers: { x: "1, 2, , 4", y: "3" } }),
  ],
  [
    "RFC 9110 section 5.1",
    "names that look like others",
    head(
      "POST / HTTP/1.1",
      HOST,
      "Content_Length: 5",
      "Transfer_Encoding: chunked",
      "Content-Lengt: 5",
      "XTransfer-Encoding: chunked",
      "Host_: b",
    ),
    served({ url: "http://a/", body: "" }),
  ],
  [
    "RFC 9110 section 5.1",
    "the names of an object's own properties",
    head(GET, HOST, "__proto__: y", "constructor: z"),
    served({ url: "http://a/" }),
  ],
  ...["X : y", "X\t: y", "X  : y", "Host : b"].map((line): Row => [
    "RFC 9112 section 5.1",
    `whitespace before a colon, as in ${JSON.stringify(line)}`,
    get("/", line),
    refused(400),
  ]),
  ...[
    ": y",
    ":",
    "X",
    "X y",
    "X=y",
    "X(Y): z",
    "X[]: y",
    "X{Y}: z",
    "X@Y: z",
    "X/Y: z",
    "X,Y: z",
    "X;Y: z",
    "X<Y: z",
    "X=Y: z",
    "X?Y: z",
    'X"Y": z',
    "X\\Y: z",
    "X Y: z",
    "X\0: y",
    "X\x01: y",
    "X\x0b: y",
    "X\x7f: y",
    "X\xe9: y",
    "X\xc3\xab: y",
    "\x0bX: y",
    "GET / HTTP/1.1",
  ].map((line): Row => [
    "RFC 9112 section 5",
    `${JSON.stringify(line)} for a field`,
    get("/", line),
    refused(400),
  ]),
];

const COUNTS: Row[] = [
  [
    "RFC 6585 section 5",
    "a hundred fields",
    head(GET, HOST, ...new Array<string>(99).fill("X: y")),
    served({}),
  ],
  [
    "RFC 6585 section 5",
    "a hundred and one fields",
    head(GET, HOST, ...new Array<string>(100).fill("X: y")),
    refused(431),
  ],
  [
    "RFC 6585 section 5",
    "a value that is too long",
    get("/", `X: ${"y".repeat(100_000)}`),
    refused(431),
  ],
  [
    "RFC 6585 section 5",
    "a name that is too long",
    get("/", `${"X".repeat(100_000)}: y`),
    refused(431),
  ],
  [
    "RFC 6585 section 5",
    "a value without end",
    `${GET}\r\nX: ${"y".repeat(100_000)}`,
    refused(431),
  ],
];

const CONNECTION: Row[] = ([
  ["Connection: close", false],
  ["Connection: CLOSE", false],
  ["Connection: keep-alive, close", false],
  ["Connection: x,close ,y", false],
  ["Connection: ,, close", false],
  ["Connection: x\r\nConnection: close", false],
  ["Connection: closed", true],
  ["Connection: not close", true],
  ['Connection: "close"', true],
  ["Connection:", true],
  ["Connection: keep-alive", true],
  ["Connection: host, content-length", true],
  ["X-Connection: close", true],
] as const).map(([line, stays]) => [
  "RFC 9110 section 7.6.1",
  `${JSON.stringify(line)}`,
  get("/", line),
  stays ? served({ url: "http://a/" }) : servedLast({ url: "http://a/" }),
]);

const UPGRADE: Row[] = [
  [
    "RFC 9110 section 7.8",
    "an offer to change the protocol, which may be left alone",
    head(GET, HOST, "Connection: upgrade", "Upgrade: websocket"),
    served({ headers: { upgrade: "websocket" } }),
  ],
  [
    "RFC 9110 section 7.8",
    "an Upgrade that Connection does not name",
    get("/", "Upgrade: h2c"),
    served({ headers: { upgrade: "h2c" } }),
  ],
  [
    "RFC 9110 section 7.8",
    "an Upgrade in HTTP/1.0",
    head("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: h2c"),
    servedLast({}),
  ],
  [
    "RFC 9110 section 7.8",
    "an upgrade to HTTP/2 and its settings",
    head(
      GET,
      HOST,
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ),
    served({}),
  ],
];

const EXPECT: Row[] = [
  [
    "RFC 9110 section 10.1.1",
    "an expectation that it does not know",
    get("/", "Expect: the-unexpected"),
    refused(417),
  ],
  [
    "RFC 9110 section 10.1.1",
    "an expectation that it knows and one that it does not",
    get("/", "Expect: 100-continue, x"),
    refused(417),
  ],
  [
    "RFC 9110 section 10.1.1",
    "an expectation in two fields",
    head(GET, HOST, "Expect: 100-continue", "Expect: y"),
    refused(417),
  ],
  [
    "RFC 9110 section 10.1.1",
    "an expectation of other case without a body",
    get("/", "Expect: 100-CONTINUE"),
    served({ headers: { expect: "100-CONTINUE" } }),
  ],
  [
    "RFC 9110 section 10.1.1",
    "an expectation with a parameter",
    get("/", "Expect: 100-continue;q=1"),
    refused(417),
  ],
  [
    "RFC 9110 section 10.1.1",
    "an empty Expect",
    get("/", "Expect:"),
    served({}),
  ],
  [
    "RFC 9110 section 10.1.1",
    "an unknown expectation in HTTP/1.0",
    head("GET / HTTP/1.0", "Expect: the-unexpected"),
    servedLast({}),
  ],
];

wireTests([
  ...VALUES,
  ...VALUES_REFUSED,
  ...LINES,
  ...FOLDS,
  ...FIRST,
  ...NAMES,
  ...COUNTS,
  ...CONNECTION,
  ...UPGRADE,
  ...EXPECT,
]);
