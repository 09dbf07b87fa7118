/**
 * Heads that repeat an earlier head are not parsed again: nobody may see that,
 * and a head that differs in anything must be read anew.
 *
 * @module
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { parseHead, type RequestHead } from "../../src/http/h1/head.ts";
import { latin1 } from "../util/http_bytes.ts";
import { Peer, type PeerOptions } from "../util/http_transport.ts";
import { TestServer } from "../util/http_server.ts";
import { get, head, post } from "../util/requests.ts";

/** So often a head is sent that the last are recognised. */
const OFTEN = 4;

const TEXT = head(
  "GET /path?query=1 HTTP/1.1",
  "Host: example.com:8000",
  "User-Agent: somebody/1.0 (of any kind)",
  "X-Obs: \xe4\xf6\xfc",
  "Cookie: a=b",
  "X-A: 1",
  "X-A: 2",
  "Cookie: c=d",
);

/** Bytes that are no number, where eight of them are read as one. */
const NO_NUMBER = get("/", `X-Obs: ${"\xff".repeat(64)}`);

/** What a handler can see of a request's head. */
function all({ method, url, headers }: Request): unknown {
  const names = ["user-agent", "x-a", "X-A", "cookie", "none", "x-obs"];
  const values = names.map((name) => headers.get(name));
  return [method, url, values, headers.has("none"), [...headers]];
}

/** Returns what handlers see of pipelined requests. */
function seen(text: string, options: PeerOptions = {}): unknown[] {
  const looks: unknown[] = [];
  const peer = new Peer((request) => {
    looks.push(all(request));
    return new Response();
  }, options);
  peer.send(text);
  assertEquals(peer.errors, []);
  return looks;
}

/** Returns what a handler sees of a request that repeats none. */
function seenFirst(text: string, options?: PeerOptions): unknown {
  // Longer and longer heads: none of them is recognised.
  const others = ["/", "/long", "/longer"].map((target) => get(target));
  return seen(others.join("") + text, options).at(-1);
}

Deno.test("request has the same properties, when its head repeats others", () => {
  const first = seenFirst(TEXT);
  for (const look of seen(TEXT.repeat(OFTEN))) assertEquals(look, first);
  for (const look of seen(TEXT.repeat(OFTEN))) assertEquals(look, first);
  const odd = seenFirst(NO_NUMBER);
  for (const look of seen(NO_NUMBER.repeat(OFTEN))) assertEquals(look, odd);
});

Deno.test("request has its own properties, when its head differs from known ones in one byte", () => {
  let different = 0;
  for (let at = 0; at < TEXT.length; at++) {
    for (const by of ["z", "9", " "]) {
      const other = TEXT.slice(0, at) + by + TEXT.slice(at + 1);
      const [last, ...more] = seen(TEXT.repeat(OFTEN) + other).slice(OFTEN);
      assertEquals(more, []);
      const alone = seenFirst(other);
      // A head that is refused reaches no handler.
      if (last === undefined) continue;
      assertEquals(last, alone, `byte ${at} as "${by}"`);
      if (other !== TEXT) different++;
    }
  }
  assert(different > TEXT.length, "few changed heads were valid");
});

Deno.test("request is refused as without a known head, when its head differs from it in one byte", async () => {
  const answersOf = async (text: string) => {
    const answers = await new Peer(() => new Response()).send(text).answers();
    return answers.at(-1)!.status;
  };
  for (let at = 0; at < TEXT.length; at++) {
    const other = TEXT.slice(0, at) + "\0" + TEXT.slice(at + 1);
    const known = await answersOf(TEXT.repeat(OFTEN) + other);
    assertEquals(known, 400, `byte ${at} as NUL`);
  }
});

Deno.test("request has its own properties, when heads repeat in any order", () => {
  const texts = [
    TEXT,
    TEXT.replace("/path", "/pain"),
    TEXT.replace("X-A: 1", "X-A: 3"),
    TEXT.replace("Cookie: c=d", "Cookie: c=e"),
    TEXT.replace("X-A: 2\r\n", ""),
    get("/short"),
  ];
  const expected = texts.map((text) => seenFirst(text));
  const order = fc.array(fc.nat(texts.length - 1), { maxLength: 40 });
  fc.assert(fc.property(order, (indexes) => {
    const looks = seen(indexes.map((index) => texts[index]).join(""));
    assertEquals(looks, indexes.map((index) => expected[index]));
  }));
});

Deno.test("request has the same properties, when its head came in two parts after known ones", () => {
  const first = seenFirst(TEXT);
  for (let at = 1; at < TEXT.length; at++) {
    const looks: unknown[] = [];
    new Peer((request) => {
      looks.push(all(request));
      return new Response();
    }).send(TEXT.repeat(OFTEN), TEXT.slice(0, at), TEXT.slice(at));
    assertEquals(looks, new Array(OFTEN + 1).fill(first));
  }
});

Deno.test("request keeps its properties, when it repeats others and the read buffer is overwritten", async () => {
  const kept: Request[] = [];
  const peer = new Peer((request) => {
    kept.push(request);
    return new Response();
  });
  const other = TEXT.replace("/path", "/pain").replace("X-A: 1", "X-A: 3");
  // Each part is a read of its own; the peer overwrites what is not retained.
  for (let round = 0; round < OFTEN; round++) peer.send(TEXT);
  for (let round = 0; round < OFTEN; round++) peer.send(other);
  await peer.settle();
  const expected = [seenFirst(TEXT), seenFirst(other)];
  kept.forEach((request, index) => {
    const text = index < OFTEN ? 0 : 1;
    assertEquals(all(request), expected[text], `request ${index}`);
  });
});

Deno.test("a read buffer takes no room, when all of its heads repeat others", () => {
  const peer = new Peer(() => new Response());
  peer.send(TEXT.repeat(OFTEN));
  const { start } = peer.transport.input;
  for (let round = 0; round < OFTEN; round++) peer.send(TEXT.repeat(OFTEN));
  assertEquals(peer.transport.input.start, start);
  peer.send(get("/another"));
  assert(peer.transport.input.start > start);
});

Deno.test("request has the same properties, when it repeats others and its handler waits", async () => {
  const first = seenFirst(TEXT);
  const peer = new Peer(async (request) => {
    const before = request.headers.get("x-a");
    await undefined;
    seen(get("/meanwhile", "X-A: 5"));
    return Response.json([before, all(request)]);
  });
  const answers = await peer.send(TEXT.repeat(OFTEN)).answers();
  assertEquals(answers.length, OFTEN);
  for (const { text } of answers) {
    assertEquals(JSON.parse(text), ["1, 2", first]);
  }
});

Deno.test("request has the same properties, when there are heads of hundreds of fields and bytes", () => {
  const long = (count: number) => {
    const fields = Array.from({ length: count }, (_, index) => `X-${index}: y`);
    const text = get("/", "Host: a", ...fields, "X-End: 1");
    return seen(text.repeat(OFTEN)).map((look) => JSON.stringify(look));
  };
  for (const count of [1, 60, 98]) {
    const looks = long(count);
    assertEquals(looks.length, OFTEN);
    for (const look of looks) assertStrictEquals(look, looks[0]);
  }
  const value = `X-A: ${"a".repeat(4_000)}`;
  for (const look of seen(get("/", "Host: a", value).repeat(OFTEN))) {
    assertEquals(look, seenFirst(get("/", "Host: a", value)));
  }
});

Deno.test("request has a body of its own, when its head repeats others", async () => {
  const bodies = ["one", "two", "six", "ten", "new"];
  const peer = new Peer(async (request) => new Response(await request.text()));
  for (const body of bodies) peer.send(post(body, "Content-Type: text/plain"));
  const answers = await peer.answers();
  assertEquals(answers.map(({ text }) => text), bodies);
});

Deno.test("request keeps its body, when its head repeats others and the body is read after the answer", async () => {
  const bodies = ["one", "two", "six", "ten", "new"];
  const kept: Request[] = [];
  const peer = new Peer((request) => {
    kept.push(request);
    return new Response();
  });
  for (const body of bodies) peer.send(post(body));
  await peer.settle();
  const texts = await Promise.all(kept.map((request) => request.text()));
  assertEquals(texts, bodies);
});

Deno.test("parseHead() returns a head with bytes of its own, when it repeats others", () => {
  const bytes = latin1(TEXT);
  const parse = (bytes: Uint8Array<ArrayBuffer>) =>
    parseHead(bytes, 0, bytes.byteLength, 0, true) as RequestHead;
  for (let round = 0; round < OFTEN; round++) parse(bytes);
  const head = parse(bytes);
  assert(head.isRepeated);
  // As a read buffer is, whose bytes nobody has retained.
  bytes.set(latin1(TEXT.replaceAll("X-A", "X-B")));
  parse(bytes);
  assertEquals([head.get("x-a"), head.get("x-b")], ["1, 2", undefined]);
});

Deno.test("request is refused, when its head is known from a server that takes more", async () => {
  const hostless = head("GET / HTTP/1.1", "X-A: 1");
  seen(hostless.repeat(OFTEN), { requireHost: false });
  const strict = new Peer(() => new Response()).send(hostless);
  const [answer] = await strict.answers();
  assertEquals(answer!.status, 400);
  // And the other way round, a known head is no reason to refuse.
  seen(TEXT.repeat(OFTEN));
  assertEquals(seen(TEXT, { requireHost: false }), [seenFirst(TEXT)]);
});

Deno.test("request is refused by the limits of its own server, when its head is known", async () => {
  seen(TEXT.repeat(OFTEN));
  const limits = [
    [{ urlBytesMax: 5 }, 414],
    [{ headBytesMax: TEXT.length - 1 }, 431],
    [{ headerCountMax: 6 }, 431],
    [{ headerCountMax: 7 }, 200],
  ] as const;
  for (const [limit, status] of limits) {
    const peer = new Peer(() => new Response(), { limits: limit }).send(TEXT);
    const [answer] = await peer.answers();
    assertEquals(answer!.status, status);
  }
});

Deno.test("request has the URL of its own server, when its head is known", () => {
  const urlOf = (text: string, options?: PeerOptions) =>
    (seen(text, options).at(-1) as string[])[1];
  const hostless = "GET /path HTTP/1.0\r\n\r\n";
  for (const scheme of ["http", "http+unix", "http"] as const) {
    const options = { scheme };
    const url = urlOf(TEXT.repeat(OFTEN), options);
    assertEquals(url, `${scheme}://example.com:8000/path?query=1`);
  }
  const urls: string[] = [];
  for (const port of [8080, 8081]) {
    for (let round = 0; round < OFTEN; round++) {
      const peer = new Peer((request) => {
        urls.push(request.url);
        return new Response();
      });
      peer.transport.localAddress.port = port;
      peer.send(hostless);
    }
  }
  assertEquals(urls.slice(OFTEN - 1, OFTEN + 1), [
    "http://192.0.2.2:8080/path",
    "http://192.0.2.2:8081/path",
  ]);
});

Deno.test("requests of several connections have their own properties, when heads are of one length", async () => {
  await using test = new TestServer((request) =>
    Response.json([request.url, request.headers.get("x-a")])
  );
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => test.connect()),
  );
  for (let round = 0; round < OFTEN; round++) {
    for (const [index, client] of clients.entries()) {
      const text = get(`/${index % 2}`, "Host: a", `X-A: ${index}`);
      await client.send(text);
    }
    for (const [index, client] of clients.entries()) {
      const answer = await client.answer();
      const expected = [`http://a/${index % 2}`, `${index}`];
      assertEquals(JSON.parse(answer.text), expected);
    }
  }
  for (const client of clients) client.close();
});
