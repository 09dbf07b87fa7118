import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Handler } from "../../src/http/service.ts";
import { concat, cut, latin1 } from "../util/http_bytes.ts";
import {
  describe,
  describing,
  encodeRequest,
  type RequestModel,
  requestModels,
} from "../util/http_messages.ts";
import { Peer } from "../util/http_transport.ts";

const GET: RequestModel = {
  method: "GET",
  target: "/path?query=1",
  fields: [["X-One", "1"], ["X-Empty", ""], ["x-one", "2"]],
  body: { kind: "none" },
};
const POST: RequestModel = {
  method: "POST",
  target: "/form",
  fields: [],
  body: { kind: "length", bytes: latin1("a=1&b=\xe9\r\n\r\nGET / HTTP/1.1") },
};
const CHUNKED: RequestModel = {
  method: "PUT",
  target: "/chunks",
  fields: [["X-Last", "\xe4\xf6"]],
  body: {
    kind: "chunked",
    chunks: [
      { bytes: latin1("hello"), extension: "" },
      { bytes: latin1("0\r\n\r\n"), extension: ";name" },
      { bytes: latin1("the sixteen byte"), extension: ';name="va lue"' },
    ],
    trailers: [["X-Sum", "abc"], ["X-None", ""]],
  },
};
const EMPTY: RequestModel = {
  method: "DELETE",
  target: "/",
  fields: [],
  body: { kind: "length", bytes: new Uint8Array(0) },
};
const EMPTY_CHUNKED: RequestModel = {
  method: "POST",
  target: "/",
  fields: [],
  body: { kind: "chunked", chunks: [], trailers: [] },
};

const MESSAGES: Record<string, RequestModel[]> = {
  "a GET": [GET],
  "a POST with a length": [POST],
  "a PUT in chunks": [CHUNKED],
  "a DELETE of length 0": [EMPTY],
  "a POST without chunks": [EMPTY_CHUNKED],
  "a pipeline of GETs": [GET, GET, GET],
  "a pipeline of everything": [POST, CHUNKED, GET, EMPTY, EMPTY_CHUNKED, POST],
};

/** Feeds the parts to a connection, and returns the answers. */
async function descriptions(
  parts: Uint8Array<ArrayBuffer>[],
  handler: Handler = describing,
): Promise<unknown[]> {
  const peer = new Peer(handler).send(...parts);
  const answers = await peer.answers();
  assertEquals(peer.errors, []);
  assertEquals(peer.work, 0);
  return answers.map(({ text }) => JSON.parse(text));
}

for (const [name, requests] of Object.entries(MESSAGES)) {
  const whole = concat(requests.map(encodeRequest));
  const expected: unknown[] = requests.map(describe);

  Deno.test(`connection answers ${name}, when it comes whole`, async () => {
    assertEquals(await descriptions([whole]), expected);
  });

  Deno.test(`connection answers ${name}, when it is split anywhere`, async () => {
    for (let at = 1; at < whole.byteLength; at++) {
      const parts = [whole.slice(0, at), whole.slice(at)];
      assertEquals(await descriptions(parts), expected, `split at ${at}`);
    }
  });

  Deno.test(`connection answers ${name}, when it comes byte by byte`, async () => {
    const parts = [...whole].map((byte) => Uint8Array.of(byte));
    assertEquals(await descriptions(parts), expected);
  });
}

Deno.test("connection answers any requests, when they are split at random", async () => {
  const property = fc.asyncProperty(
    fc.array(requestModels(), { minLength: 1, maxLength: 6 }),
    fc.array(fc.nat(), { maxLength: 12 }),
    async (requests, positions) => {
      const whole = concat(requests.map(encodeRequest));
      const expected: unknown[] = requests.map(describe);
      assertEquals(await descriptions(cut(whole, positions)), expected);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

Deno.test("connection calls the handler once, when all but a head's last byte has come", () => {
  const whole = encodeRequest(GET);
  let calls = 0;
  const peer = new Peer(() => {
    calls++;
    return new Response();
  });
  for (const byte of whole.subarray(0, -1)) {
    peer.send(Uint8Array.of(byte));
    assertEquals(calls, 0);
    assertEquals(peer.output, "");
  }
  peer.send(whole.slice(-1));
  assertEquals(calls, 1);
});
