/**
 * The same requests to denio and to `Deno.serve`. Both answer alike, but for
 * the differences that this file explains.
 *
 * `EXCEPTIONS` has the differences of answers. Without HTTP/2, TLS, WebSocket,
 * compression and vsock, Deno's own tests of `Deno.serve` show four more
 * differences:
 *
 * - `request.signal` does not abort after a whole answer, as with Deno's
 *   `--unstable-no-legacy-abort`: it aborts only for a client that has gone,
 *   since a program could not distinguish the two. So denio needs no warning,
 *   and a signal that is read later has not aborted.
 * - A whole body can be read to its end, also when its client has gone. In Deno
 *   the read fails with BadResource.
 * - The state behind `Symbol(request)` belongs to the prototype, not to the
 *   object, where it would cost each request memory. It has no native handle.
 * - A request with a body may offer an upgrade, which denio ignores, as RFC
 *   9110 section 7.8 allows: some clients offer h2c in each request, and their
 *   uploads would be refused otherwise.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import { serve } from "../../src/server/serve.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { type Requests, shownAnswers } from "../util/shown_answers.ts";
import { answerVariously, PATHS } from "../util/various_answers.ts";

/** Requests by their description. */
type Rows = Record<string, Requests>;

/** The parts of a request that differ from a plain GET. */
interface Parts {
  method?: string;
  target?: string;
  version?: string;
  host?: string | null;
  fields?: readonly string[];
  body?: string;
}

/** An intended difference. */
interface Exception {
  /** The descriptions of its requests. */
  readonly rows: RegExp;
  /** The text that is removed from both answers before they are compared. */
  readonly differs: RegExp;
}

const EXCEPTIONS: Record<string, Exception> = {
  "a Blob has a known length, which denio sends": {
    rows: / \/blob/,
    differs: /^(content-length|transfer-encoding): .*\n/gm,
  },
  "a 205 without framing makes a client wait for its body": {
    rows: / \/205/,
    differs: /[^]+/g,
  },
  "an Upgrade needs Connection as well, which belongs to the server": {
    rows: / \/upgrade/,
    differs: /^upgrade: .*\n/gm,
  },
  "a response's statusText is sent": {
    rows: / \/418/,
    differs: /(?<=418 ).*/g,
  },
  "HEAD of a stream has the framing of GET": {
    rows: /^HEAD .*(stream|coding)/,
    differs: /^transfer-encoding: chunked\n/gm,
  },
  "HEAD has the length of GET, if that is known": {
    rows: /^HEAD \/(302|308|none|null|length\/wrong)/,
    differs: /^content-length: .*\n/gm,
  },
  "the server decides the framing: a string has a length": {
    rows: /^GET \/coding/,
    differs: /^(content-length|transfer-encoding): .*\n/gm,
  },
  "a handler may close the connection": {
    rows: / \/close/,
    differs: /^\((kept|closed)\)$/gm,
  },
  "a stream that fails before its first byte is answered by onError": {
    rows: /^GET \/stream\/fails( |$)/,
    differs: /[^]+/g,
  },
  "an HTTP/1.0 client gets a reset, when its answer is not whole": {
    rows: /^GET \/stream\/fails\/later HTTP/,
    differs: /[^]+/g,
  },
  "an upgrade is ignored, also with a body": {
    rows: /^an upgrade/,
    differs: /[^]+/g,
  },
  "a head that is too large is 431, unless `requireHost` is false": {
    rows: /^too (large|many)/,
    differs: /[^]+/g,
  },
  "100 is not sent, when the body arrives with the head": {
    rows: /Expect/,
    differs: /^100 Continue\n\n\n/gm,
  },
};

/** The exceptions that were met: in the end all of them. */
const met = new Set<string>();

function request(
  {
    method = "GET",
    target = "/reflected",
    version = "HTTP/1.1",
    host = "a.example",
    fields = [],
    body = "",
  }: Parts,
): Requests {
  const lines = [
    `${method} ${target} ${version}`,
    ...host === null ? [] : [`Host: ${host}`],
    ...fields,
  ];
  return { text: `${lines.join("\r\n")}\r\n\r\n${body}`, methods: [method] };
}

function pipeline(...requests: Requests[]): Requests {
  return {
    text: requests.map(({ text }) => text).join(""),
    methods: requests.flatMap(({ methods }) => methods),
  };
}

function rows<Key>(
  keys: readonly Key[],
  name: (key: Key) => string,
  parts: (key: Key) => Parts,
): Rows {
  return Object.fromEntries(
    keys.map((key) => [name(key), request(parts(key))]),
  );
}

/** Compares the answers of both servers to each request. */
function alikeTest(subject: string, requests: Rows): void {
  cleanTest(`serve() answers as Deno.serve does: ${subject}`, async () => {
    const onError = () => new Response("failed", { status: 500 });
    const where = { hostname: "127.0.0.1", port: 0, onListen() {}, onError };
    using reactor = new Reactor();
    await using ours = serve({ ...where, reactor }, answerVariously);
    await using theirs = Deno.serve(where, answerVariously);
    const actual: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, row] of Object.entries(requests)) {
      const [mine, other] = await Promise.all(
        [ours, theirs].map(({ addr }) => shownAnswers(addr.port, row)),
      );
      const [left, right] = excepted(name, mine!, other!);
      if (left !== right) [actual[name], expected[name]] = [left, right];
    }
    assertEquals(actual, expected);
  });
}

/** Removes intended differences from both answers. */
function excepted(
  name: string,
  actual: string,
  expected: string,
): [actual: string, expected: string] {
  for (const [why, { rows, differs }] of Object.entries(EXCEPTIONS)) {
    if (actual === expected || !rows.test(name)) continue;
    actual = actual.replace(differs, "");
    expected = expected.replace(differs, "");
    if (actual === expected) met.add(why);
  }
  return [actual, expected];
}

alikeTest(
  "every kind of response",
  rows(PATHS, (target) => `GET ${target}`, (target) => ({ target })),
);

alikeTest(
  "every kind of response to HEAD",
  rows(
    PATHS,
    (target) => `HEAD ${target}`,
    (target) => ({ method: "HEAD", target }),
  ),
);

alikeTest(
  "every kind of response to HTTP/1.0",
  rows(
    PATHS,
    (target) => `GET ${target} HTTP/1.0`,
    (target) => ({ target, version: "HTTP/1.0" }),
  ),
);

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

alikeTest(
  "methods",
  rows(
    [...METHODS, "PROPFIND", "M-SEARCH", "QUERY", "PURGE", "TRACE", "TRACK"]
      .concat(["get", "post", "Put", "patch", "head", "x", "!#$%&'*+-.^_`|~"]),
    (method) => method,
    (method) => ({ method }),
  ),
);

for (const method of METHODS) {
  const chunks = "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
  const chunked = { method, fields: ["Transfer-Encoding: chunked"] };
  alikeTest(`bodies of ${method}`, {
    "by length": request({
      method,
      fields: ["Content-Length: 5"],
      body: "hello",
    }),
    "length 0": request({ method, fields: ["Content-Length: 0"] }),
    "chunked": request({ ...chunked, body: chunks }),
    "chunked, empty": request({ ...chunked, body: "0\r\n\r\n" }),
    "unread": request({
      method,
      target: "/unread",
      fields: ["Content-Length: 5"],
      body: "hello",
    }),
  });
}

function post(body: string, ...fields: string[]): Requests {
  const length = `Content-Length: ${body.length}`;
  return request({ method: "POST", fields: [length, ...fields], body });
}

function postChunked(body: string, ...fields: string[]): Requests {
  const coding = "Transfer-Encoding: chunked";
  return request({ method: "POST", fields: [coding, ...fields], body });
}

alikeTest("odd bodies", {
  "large": post("B".repeat(300_000)),
  "no UTF-8": post("\xff\xfe\xe9"),
  "a byte order mark": post("\xef\xbb\xbfabc"),
  "a form": post("a=1", "Content-Type: application/x-www-form-urlencoded"),
  "trailers": postChunked("1\r\na\r\n0\r\nX: y\r\n\r\n", "Trailer: x"),
  "extensions": postChunked('5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'),
  "by HTTP/1.0": request({
    method: "POST",
    version: "HTTP/1.0",
    fields: ["Content-Length: 5"],
    body: "hello",
  }),
  "to a handler that ignores it": request({
    method: "POST",
    target: "/text",
    fields: ["Content-Length: 5"],
    body: "hello",
  }),
  "to a handler that ignores it, before it arrives": request({
    method: "POST",
    target: "/text",
    fields: ["Content-Length: 5"],
  }),
  "chunked, to a handler that answers with a stream, before it arrives":
    request({
      method: "POST",
      target: "/stream",
      fields: ["Transfer-Encoding: chunked"],
    }),
  "Expect: 100-continue": post("hello", "Expect: 100-continue"),
  "an upgrade with a body": post("hi", "Connection: upgrade", "Upgrade: h2c"),
});

alikeTest("refusals", {
  "too large a field": request({ fields: [`X: ${"a".repeat(70_000)}`] }),
  "too many fields": request({ fields: Array(300).fill("X: a") }),
});

const TARGETS = [
  "/",
  "/a/b/c",
  "/a?b=c",
  "/?",
  "/a?",
  "/%20%C3%A9",
  "/%zz",
  "/a//b",
  "//a/b",
  "/./a/../b",
  "/a/%2e%2e/b",
  "/a;b=c",
  "/a'b",
  "/a|b",
  "/a{b}",
  "/a^b`",
  "/a\\b",
  "/a[b]",
  "/?a[b]=c|d",
  "/?a='b'",
  "/a:b@c",
  "/http://b.example/",
  "/*",
  '/a"b',
  "/<a>",
  `/${"l".repeat(7_000)}`,
  `/a?${"q=1&".repeat(1_500)}`,
  "http://b.example/x",
  "http://b.example",
  "http://b.example?q",
  "http://b.example:8080/x",
  "https://b.example/x",
  "HTTP://B.EXAMPLE/X",
  "http://[::1]:80/x",
];

alikeTest("targets", {
  ...rows(TARGETS, (target) => target.slice(0, 40), (target) => ({ target })),
  "*": request({ method: "OPTIONS", target: "*" }),
});

const HOSTS = [
  "a",
  "A.EXAMPLE",
  "a.example:80",
  "a.example:8080",
  "a.example:",
  "127.0.0.1",
  "[::1]:8000",
  "a_b.example",
  "xn--bcher-kva.example",
  "a.example.",
];

alikeTest("hosts", {
  ...rows(HOSTS, (host) => host, (host) => ({ host })),
  "Host is missing, by HTTP/1.0": request({ host: null, version: "HTTP/1.0" }),
});

const FIELDS: readonly (readonly string[])[] = [
  ["X-A: \xe9\xff", "X-B: \xc3\xa9"],
  ["X-A:", "X-B:   "],
  ["X-A:   a b  ", "X-B:\ta\t"],
  ["X-A: 1", "x-a: 2"],
  ["Cookie: a=1", "Cookie: b=2"],
  ['Cookie: a=1; b="2"'],
  ["Set-Cookie: a", "Set-Cookie: b"],
  ["Z: 1", "A: 2", "M: 3"],
  ["ACCEPT: */*", "accept-LANGUAGE: de"],
  ["!#$%&'*+-.^_`|~: 1", "1: 2", "_: 3"],
  ["Range: bytes=0-1", 'If-None-Match: "x"'],
  ["Authorization: Basic eDp5", "Origin: null", "Referer: http://r/"],
  Array.from({ length: 90 }, (_, index) => `X-${index}: ${index}`),
  [`X-A: ${"v".repeat(7_000)}`],
  ["TE: trailers", "Proxy-Connection: keep-alive"],
  ["Connection: Upgrade", "Upgrade: foo/1"],
  ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"],
  [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ],
  ["X-Forwarded-For: 1.2.3.4", "Forwarded: for=1"],
  ["Date: a", "Date: b", "Content-Type: a/b", "Content-Type: c/d"],
  ["Connection: close"],
  ["Connection: Close"],
  ["Connection: x, close"],
  ["Connection: keep-alive"],
];

alikeTest(
  "fields",
  rows(
    FIELDS,
    (fields) => fields.join(" | ").slice(0, 60),
    (fields) => ({ fields }),
  ),
);

const get = (target: string, ...fields: string[]) =>
  request({ target, fields });

alikeTest("connections", {
  "HTTP/1.0 that is kept": request({
    target: "/text",
    version: "HTTP/1.0",
    fields: ["Connection: keep-alive"],
  }),
  "HTTP/1.0 that is not kept, without a length": request({
    target: "/stream",
    version: "HTTP/1.0",
    fields: ["Connection: keep-alive"],
  }),
  "a stream, then the end": get("/stream", "Connection: close"),
  "a pipeline": pipeline(
    get("/text"),
    post("abc"),
    request({ method: "HEAD", target: "/text" }),
    get("/stream"),
    get("/204"),
    postChunked("1\r\na\r\n0\r\n\r\n"),
    get("/throws"),
    get("/304"),
    get("/text"),
  ),
  "a pipeline that asks for its end": pipeline(
    get("/text"),
    get("/text", "Connection: close"),
  ),
  "an empty line before a request": {
    text: `\r\n${get("/text").text}`,
    methods: ["GET"],
  },
});

Deno.test("serve() differs from Deno.serve in each exception", () => {
  assertEquals([...met].sort(), Object.keys(EXCEPTIONS).sort());
});
