/** `Transfer-Encoding`: `chunked`, and values that only look like it. */

import { refused, type Row, served, wireTests } from "../util/wire.ts";
import { head, HOST } from "../util/requests.ts";

const POST = "POST / HTTP/1.1";
const CHUNKED = "Transfer-Encoding: chunked";
const LENGTH = "Content-Length: 5";
const CHUNKS = "5\r\nhello\r\n0\r\n\r\n";
const SECTION = "RFC 9112 section 6.1";

/** A POST with these lines, and a body in chunks. */
function post(...lines: string[]): string {
  return head(POST, HOST, ...lines) + CHUNKS;
}

/** `chunked_test.ts` has chunks, `body_length_test.ts` the methods. */
const TAKEN: Row[] = ([
  [SECTION, "chunks in other case", "tRANSFER-eNCODING: CHUNKED"],
  [SECTION, "chunks amid spaces", "Transfer-Encoding:   chunked  "],
  [SECTION, "chunks without a space before", "Transfer-Encoding:chunked"],
] as const).map(([rule, name, line]) => [
  rule,
  name,
  post(line),
  served({ body: "hello" }),
]);

const BOTH: Row[] = [
  ["a length, then chunks", [LENGTH, CHUNKED]],
  ["chunks, then a length", [CHUNKED, LENGTH]],
  ["a length of none and chunks", ["Content-Length: 0", CHUNKED]],
  ["a malformed length and chunks", ["Content-Length: +5", CHUNKED]],
  ["a length and a coding", [LENGTH, "Transfer-Encoding: gzip"]],
  ["a length and no coding", [LENGTH, "Transfer-Encoding:"]],
  ["a length and what is no coding", [LENGTH, "Transfer-Encoding: xchunked"]],
  ["a length and identity", [LENGTH, "Transfer-Encoding: identity"]],
  ["a length and chunks of other case", [LENGTH, "TRANSFER-ENCODING: Chunked"]],
  ["a length and chunks after a tab", [LENGTH, "Transfer-Encoding:\tchunked"]],
  [
    "a length and chunks after an empty member",
    [LENGTH, "Transfer-Encoding: ,chunked"],
  ],
].map(([name, lines]): Row => [
  SECTION,
  name as string,
  post(...lines as string[]),
  refused(400),
]);

const REFUSED: Row[] = ([
  ["chunks that are not last", "chunked, gzip"],
  ["chunks before identity", "chunked, identity"],
  ["chunks twice", "chunked, chunked"],
  ["chunks twice without a comma", "chunked chunked"],
  ["nothing", ""],
  ["nothing but a comma", ","],
  ["chunks and an empty member", "chunked,"],
  ["chunks, an empty member and a space", "chunked, "],
  ["an empty member and chunks", ",chunked"],
  ["empty members and chunks", ", ,chunked"],
  ["a coding, an empty member and chunks", "gzip,,chunked"],
  ["a tab before chunks", "\tchunked"],
  ["a tab and spaces before chunks", " \t chunked"],
  ["a tab after chunks", "chunked\t"],
  ["a space and a tab after chunks", "chunked \t"],
  ["more than chunks", "chunkedx"],
  ["less than chunks", "chunke"],
  ["chunks with a prefix", "xchunked"],
  ["chunks with a hyphen", "x-chunked"],
  ["chunks in quotes", '"chunked"'],
  ["chunks in single quotes", "'chunked'"],
  ["chunks with a parameter", "chunked;q=1"],
  ["chunks with an empty parameter", "chunked;"],
  ["chunks amid a word", "identity chunked"],
  ["a list by semicolons", "identity; chunked"],
  ["chunks and a colon", "chunked:"],
  ["a coding that there is not", "cow"],
  ["a coding that there is not, then chunks", "cow, chunked"],
  ["a coding for content", "br"],
  ["a coding with a parameter", "gzip;q=1, chunked"],
  ["a coding and one that there is not", "gzip, cow"],
  ["a vertical tab before chunks", "\x0bchunked"],
  ["a vertical tab after chunks", "chunked\x0b"],
  ["a form feed before chunks", "\x0cchunked"],
  ["a bare CR before chunks", "\rchunked"],
  ["a bare CR after chunks", "chunked\r"],
  ["a bare LF before chunks", "\nchunked"],
  ["a NUL after chunks", "chunked\0"],
  ["a no-break space after chunks", "chunked\xa0"],
  ["a letter that looks like another", "chun\xe2\x84\xaaed"],
  ["a byte that is no ASCII", "\xffchunked"],
] as const).map(([name, value]) => [
  SECTION,
  `${name} for a coding`,
  post(`Transfer-Encoding: ${value}`),
  refused(400),
]);

const FIELDS: Row[] = ([
  ["chunks in two fields", CHUNKED, CHUNKED],
  ["chunks, then nothing", CHUNKED, "Transfer-Encoding:"],
  ["chunks, then a comma", CHUNKED, "Transfer-Encoding: ,"],
  ["nothing, then chunks", "Transfer-Encoding:", CHUNKED],
  ["a coding, then nothing", "Transfer-Encoding: gzip", "Transfer-Encoding: "],
  ["chunks, then identity", CHUNKED, "Transfer-Encoding: identity"],
  ["chunks, then what is no coding", CHUNKED, "Transfer-Encoding: x"],
  ["what is no coding, then chunks", "Transfer-Encoding: x", CHUNKED],
  ["a space before the colon", "Transfer-Encoding : chunked"],
  ["a tab before the colon", "Transfer-Encoding\t: chunked"],
  ["a NUL in the name", "Transfer\0-Encoding: chunked"],
  ["chunks that are folded", "Transfer-Encoding:", " chunked"],
  ["a coding folded into chunks", "Transfer-Encoding: identity,", " chunked"],
  ["a space before the name", "X: y", ` ${CHUNKED}`],
  ["a bare LF before the name", `X: y\n${CHUNKED}`],
  ["a bare CR before the name", `X: y\r${CHUNKED}`],
] as const).map(([name, ...lines]) => [
  SECTION,
  name,
  post(...lines),
  refused(400),
]);

const UNIMPLEMENTED: Row[] = [
  "gzip",
  "x-gzip",
  "GZip, chunked",
  "deflate, chunked",
  "compress, chunked",
  "x-compress",
  "identity",
  "identity, chunked",
  "gzip, deflate, chunked",
].map((value) => [
  SECTION,
  `${value}, a coding that it does not do`,
  post(`Transfer-Encoding: ${value}`),
  refused(501),
]);

const TWO_FIELDS: Row = [
  SECTION,
  "a coding that it does not do, and chunks in a field of their own",
  post("Transfer-Encoding: gzip", CHUNKED),
  refused(501),
];

const OLD: Row[] = [CHUNKED, "Transfer-Encoding: gzip"].map((line) => [
  SECTION,
  `${line} in HTTP/1.0`,
  head("POST / HTTP/1.0", HOST, "Connection: keep-alive", line) + CHUNKS,
  refused(400),
]);

wireTests([
  ...TAKEN,
  ...BOTH,
  ...REFUSED,
  ...FIELDS,
  ...UNIMPLEMENTED,
  TWO_FIELDS,
  ...OLD,
]);
