/** Request targets: their forms, by method, and their bytes. */

import {
  refused,
  type Row,
  served,
  servedLast,
  wireTests,
} from "../util/wire.ts";
import { get, head, HOST } from "../util/requests.ts";

const ORIGIN: Row[] = [
  "/",
  "/a/b",
  "//",
  "//b/c",
  "/a//b",
  "/../a",
  "/a/./b/../c",
  "/?",
  "/?a=b&c=d?e",
  "/:80",
  "/http://b/",
  "/*",
  "/%2e%2E/%2F%00%0d%0a",
  "/%",
  "/%zz",
  "/a;b=c,d",
  "/~!$&'()*+=@",
].map((target) => [
  "RFC 9112 section 3.2.1",
  `target ${target}`,
  get(target),
  served({ method: "GET", url: `http://a${target}` }),
]);

const LONG: Row[] = [
  [
    "RFC 9112 section 3",
    "a target of eight thousand bytes",
    get(`/${"a".repeat(7_999)}`),
    served({ url: `http://a/${"a".repeat(7_999)}` }),
  ],
  [
    "RFC 9112 section 3",
    "a target that is too long",
    get(`/${"a".repeat(100_000)}`),
    refused(414),
  ],
  [
    "RFC 9112 section 3",
    "a target without end",
    `GET /${"a".repeat(100_000)}`,
    refused(414),
  ],
];

const ABSOLUTE: Row[] = [
  ["http://b/c?d", "http://b/c?d"],
  ["http://b", "http://b/"],
  ["http://b?c", "http://b?c"],
  ["http://b?c/d", "http://b?c/d"],
  ["http://b:80/", "http://b:80/"],
  ["http://b:/", "http://b:/"],
  ["http://b:65535/c", "http://b:65535/c"],
  ["HTTP://B/c", "HTTP://B/c"],
  ["https://b/c", "https://b/c"],
  ["http://[::1]:8000/c", "http://[::1]:8000/c"],
  ["http://b.c-d_e~f/", "http://b.c-d_e~f/"],
].map(([target, url]): Row => [
  "RFC 9112 section 3.2.2",
  `target ${target}`,
  get(target!),
  served({ method: "GET", url: url! }),
]);

const ABSOLUTE_REFUSED: Row[] = ([
  ["RFC 9110 section 4.2.1", "no host", "http://"],
  ["RFC 9110 section 4.2.1", "no host before a path", "http:///b"],
  ["RFC 9110 section 4.2.1", "no host before a query", "http://?b"],
  ["RFC 9110 section 4.2.1", "no host before a port", "http://:80/"],
  ["RFC 9110 section 4.2.2", "no host by https", "https:///b"],
  ["RFC 9110 section 4.2.4", "a user", "http://b@c/"],
  ["RFC 9110 section 4.2.4", "a user and a password", "http://b:c@d/"],
  ["RFC 9110 section 4.2.4", "an empty user", "http://@b/"],
  ["RFC 9112 section 3.2.2", "a port that is no number", "http://b:x/"],
  ["RFC 9112 section 3.2.2", "a negative port", "http://b:-1/"],
  ["RFC 9112 section 3.2.2", "a port beyond ports", "http://b:65536/"],
  ["RFC 9112 section 3.2.2", "two ports", "http://b:1:2/"],
  ["RFC 9112 section 3.2.2", "an address that does not end", "http://[::1/"],
  ["RFC 9112 section 3.2.2", "an address with a zone", "http://[::1%251]/"],
  ["RFC 9112 section 3.2.2", "a backslash in the host", "http://b\\c/"],
  ["RFC 9112 section 3.2.2", "a list of hosts", "http://b,c/"],
  ["RFC 9112 section 3.2.2", "a broken escape in the host", "http://%4/"],
  ["RFC 9112 section 3.2.2", "one slash", "http:/b"],
  ["RFC 9112 section 3.2.2", "no slash", "http:b"],
  ["RFC 9112 section 3.2.2", "backslashes for slashes", "http:\\\\b\\"],
  ["RFC 9112 section 3.2.2", "a space in the scheme", "ht tp://b/"],
  ["RFC 9112 section 3.2.2", "a scheme that it does not serve", "ftp://b/"],
  ["RFC 9112 section 3.2.2", "a file", "file:///etc/passwd"],
  ["RFC 9112 section 3.2.2", "a script", "javascript:b"],
] as const).map(([rule, name, target]) => [
  rule,
  `an absolute target with ${name}`,
  get(target),
  refused(400),
]);

const FORMS: Row[] = [
  [
    "RFC 9112 section 3.2.4",
    "OPTIONS of the whole server",
    head("OPTIONS * HTTP/1.1", HOST),
    served({ method: "OPTIONS", url: "http://a/*" }),
  ],
  [
    "RFC 9112 section 3.2.4",
    "OPTIONS of the whole server by its URL",
    head("OPTIONS http://b HTTP/1.1", HOST),
    served({ method: "OPTIONS", url: "http://b/" }),
  ],
  ...["GET", "POST", "HEAD", "options"].map((method): Row => [
    "RFC 9112 section 3.2.4",
    `${method} of the whole server`,
    head(`${method} * HTTP/1.1`, HOST),
    refused(400),
  ]),
  ...["**", "*/", "*?a"].map((target): Row => [
    "RFC 9112 section 3.2.4",
    `OPTIONS of ${target}`,
    head(`OPTIONS ${target} HTTP/1.1`, HOST),
    refused(400),
  ]),
  ...["path", "path/b", "b:80", "b", "?b", ".", "..", "\\b", ":80"].map((
    target,
  ): Row => [
    "RFC 9112 section 3.2",
    `target ${target}, which is of no form`,
    get(target),
    refused(400),
  ]),
  ...["POST", "OPTIONS"].map((method): Row => [
    "RFC 9112 section 3.2.3",
    `${method} with an authority for a target`,
    head(`${method} b:80 HTTP/1.1`, HOST),
    refused(400),
  ]),
];

const BYTES: Row[] = [
  // Browsers send some of these in queries, and no server gives them another
  // meaning: node, nginx and Deno.serve accept them as well.
  ...[...'"<>\\^`{|}[]'].map((character): Row => [
    "RFC 9112 section 3.2",
    `${character} in a target`,
    get(`/b${character}c?d${character}`),
    served({ url: `http://a/b${character}c?d${character}` }),
  ]),
  ...["/#", "/b#c", "/?b#c", "http://b/#c", "http://b#c"].map((target): Row => [
    "RFC 9112 section 3.2",
    `target ${target}, which has a fragment`,
    get(target),
    refused(400),
  ]),
  ...["\0", "\x01", "\t", "\x0b", "\x0c", "\r", "\x1b", "\x7f", " "].map((
    character,
  ): Row => [
    "RFC 9112 section 3.2",
    `${JSON.stringify(character)} in a target`,
    get(`/b${character}c`),
    refused(400),
  ]),
  ["RFC 9112 section 3.2", "a bare LF in a target", get("/b\nc"), refused(400)],
  ["RFC 3986 section 2", "UTF-8 in a target", get("/\xc3\xa9"), refused(400)],
  ["RFC 3986 section 2", "Latin-1 in a target", get("/\xe9"), refused(400)],
  [
    "RFC 3986 section 2",
    "an overlong slash in a target",
    get("/..\xc0\xaf"),
    refused(400),
  ],
];

const OLD: Row[] = [
  [
    "RFC 9112 section 3.2.2",
    "an absolute target in HTTP/1.0 without Host",
    head("GET http://b/c HTTP/1.0"),
    servedLast({ url: "http://b/c" }),
  ],
];

wireTests([
  ...ORIGIN,
  ...LONG,
  ...ABSOLUTE,
  ...ABSOLUTE_REFUSED,
  ...FORMS,
  ...BYTES,
  ...OLD,
]);
