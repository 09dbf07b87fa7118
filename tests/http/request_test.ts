import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { latin1 } from "../util/http_bytes.ts";
import { Peer } from "../util/http_transport.ts";
import { get, post } from "../util/requests.ts";

const GET = "GET /path?a=b HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\n\r\n";

/** Returns what `look` sees of a request while its handler runs. */
function seen<T>(look: (request: Request) => T, text = GET): T {
  const results: T[] = [];
  const errors: unknown[] = [];
  const peer = new Peer((request) => {
    try {
      results.push(look(request));
    } catch (error) {
      errors.push(error);
    }
    return new Response();
  });
  peer.send(text);
  if (errors.length > 0) throw errors[0];
  assertEquals(results.length, 1);
  return results[0]!;
}

/** Returns what `look` resolves to while its handler waits for it. */
async function seenLater<T>(
  look: (request: Request) => Promise<T>,
  text = GET,
): Promise<T> {
  const results: T[] = [];
  const peer = new Peer(async (request) => {
    results.push(await look(request));
    return new Response();
  });
  await peer.send(text).settle();
  if (peer.errors.length > 0) throw peer.errors[0];
  assertEquals(results.length, 1);
  return results[0]!;
}

Deno.test("request is a Request to everybody, when a handler gets it", () => {
  seen((request) => {
    assertInstanceOf(request, Request);
    assertInstanceOf(request.headers, Headers);
    assertInstanceOf(request.signal, AbortSignal);
    assertStrictEquals(request.headers, request.headers);
    assertStrictEquals(request.signal, request.signal);
    assertEquals(Object.prototype.toString.call(request), "[object Request]");
    assertEquals(
      Object.prototype.toString.call(request.headers),
      "[object Headers]",
    );
  });
});

const URLS: [name: string, request: string, url: string][] = [
  ["a path", get("/", "Host: example.com"), "http://example.com/"],
  ["a query", get("/a?b=c", "Host: a:81"), "http://a:81/a?b=c"],
  ["an IPv6 host", get("/", "Host: [::1]:80"), "http://[::1]:80/"],
  ["two slashes", get("//a/b", "Host: h"), "http://h//a/b"],
  ["an absolute target", get("http://b/c?d", "Host: a"), "http://b/c?d"],
  ["an absolute target for https", get("https://b/", "Host: a"), "https://b/"],
  ["an asterisk", get("*", "Host: a").replace("GET", "OPTIONS"), "http://a/*"],
  ["no Host", "GET /x HTTP/1.0\r\n\r\n", "http://192.0.2.2:8080/x"],
];

for (const [name, text, url] of URLS) {
  Deno.test(`request has its url, when it has ${name}`, () => {
    assertEquals(seen((request) => request.url, text), url);
  });
}

for (
  const method of ["GET", "HEAD", "DELETE", "TRACE", "PURGE", "get", "M-X"]
) {
  Deno.test(`request has its method, when that is ${method}`, () => {
    const text = GET.replace("GET", method);
    assertEquals(seen((request) => request.method, text), method);
  });
}

Deno.test("request has what a Request has, when other properties are read", () => {
  const names = [
    "cache",
    "credentials",
    "destination",
    "integrity",
    "isHistoryNavigation",
    "isReloadNavigation",
    "keepalive",
    "mode",
    "redirect",
    "referrer",
    "referrerPolicy",
  ] as unknown as (keyof Request)[];
  const real = new Request("http://example.com/path?a=b");
  seen((request) => {
    for (const name of names) assertEquals(request[name], real[name], name);
  });
});

Deno.test("request is shown, when it is inspected", () => {
  const text = seen((request) => Deno.inspect(request));
  assertStringIncludes(text, "http://example.com/path?a=b");
  assertStringIncludes(seen(({ headers }) => Deno.inspect(headers)), "x-a");
});

Deno.test("request is shown, when it is inspected while its body is read", async () => {
  await seenLater(async (request) => {
    const reader = request.body!.getReader();
    assertStringIncludes(Deno.inspect(request), "POST");
    assertEquals((await reader.read()).value, latin1("body"));
  }, post("body"));
});

Deno.test("request is shown, when it is inspected after its body was read", async () => {
  await seenLater(async (request) => {
    assertEquals(await request.text(), "body");
    assertStringIncludes(Deno.inspect(request), "POST");
    assertEquals(request.bodyUsed, true);
  }, post("body"));
});

Deno.test("headers are found whatever their case, when they are asked for", () => {
  seen(({ headers }) => {
    for (const name of ["x-a", "X-A", "X-a"]) {
      assertEquals(headers.get(name), "1");
      assertEquals(headers.has(name), true);
    }
    assertEquals(headers.get("x-b"), null);
    assertEquals(headers.has("x-b"), false);
    assertEquals(headers.get("x-"), null);
  });
});

/** Fields with all cookies in one: fetch's commas would break them. */
function withOneCookie(fields: [string, string][]): [string, string][] {
  const isCookie = ([name]: [string, string]) =>
    name.toLowerCase() === "cookie";
  const values = fields.filter(isCookie).map(([, value]) => trimmed(value));
  const others = fields.filter((field) => !isCookie(field));
  return values.length === 0
    ? others
    : [...others, ["cookie", values.join("; ")]];
}

/** A value without the white space around it: RFC 9110 section 5.5. */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, "");
}

const NAMES = ["accept", "cookie", "set-cookie", "x-a", "x-aa", "x_a"];

Deno.test("headers agree with Headers, when the fields are any", () => {
  const field = fc.tuple(
    fc.constantFrom(...NAMES, "X-A", "Accept", "Set-Cookie", "COOKIE"),
    fc.stringMatching(
      /^[ \t]{0,2}([!-~\xa1-\xff]([ -~\xa1-\xff]{0,9}[!-~])?)?[ \t]{0,2}$/,
    ),
  ).filter(([name, value]) =>
    name.toLowerCase() !== "cookie" || trimmed(value) !== ""
  );
  const property = fc.property(fc.array(field), (fields) => {
    const lines = fields.map(([name, value]) => `${name}: ${value}`);
    const real = new Headers([["Host", "h"], ...withOneCookie(fields)]);
    seen(({ headers }) => {
      for (const name of [...NAMES, "none", "X-AA"]) {
        assertEquals(headers.get(name), real.get(name), name);
        assertEquals(headers.has(name), real.has(name), name);
      }
      assertEquals([...headers], [...real]);
      assertEquals(headers.getSetCookie(), real.getSetCookie());
    }, get("/", "Host: h", ...lines));
  });
  fc.assert(property, { numRuns: 300 });
});

Deno.test("headers are listed like those of Headers, when they are iterated", () => {
  seen(({ headers }) => {
    const real = new Headers({ "Host": "example.com", "X-A": "1" });
    const each: [string, string][] = [];
    headers.forEach((value, name) => each.push([name, value]));
    assertEquals(each, [...real]);
    assertEquals([...headers.keys()], [...real.keys()]);
    assertEquals([...headers.values()], [...real.values()]);
    assertEquals([...headers.entries()], [...real.entries()]);
    assertEquals(Object.fromEntries(headers), Object.fromEntries(real));
  });
});

Deno.test("headers throw, when they are changed", () => {
  seen(({ headers }) => {
    assertThrows(() => headers.set("x-a", "2"), TypeError);
    assertThrows(() => headers.append("x-a", "2"), TypeError);
    assertThrows(() => headers.delete("x-a"), TypeError);
    assertEquals(headers.get("x-a"), "1");
  });
});

Deno.test("headers throw like Headers, when the name is none", () => {
  seen(({ headers }) => {
    for (const name of ["", "a b", "a:", "\u00e9", "a\r\n", undefined, 1, {}]) {
      for (const method of ["get", "has"] as const) {
        const outcome = (object: Headers): unknown => {
          try {
            return object[method](name as string);
          } catch (error) {
            return (error as Error).constructor;
          }
        };
        assertEquals(outcome(headers), outcome(new Headers()), `${name}`);
      }
    }
  });
});

Deno.test("headers keep each byte, when values are not ASCII", () => {
  const text = get("/", "Host: a", "X: \xe9\x80\xff", "Y: \xc3\xa9");
  seen(({ headers }) => {
    assertEquals(headers.get("x"), "\xe9\x80\xff");
    assertEquals(headers.get("y"), "\xc3\xa9");
    assertEquals(new Headers(headers).get("x"), "\xe9\x80\xff");
  }, text);
});

Deno.test("headers make new Headers, when they are copied", () => {
  seen((request) => {
    const copy = new Headers(request.headers);
    copy.set("x-a", "2");
    assertEquals(copy.get("host"), "example.com");
    assertEquals(request.headers.get("x-a"), "1");
  });
});

Deno.test("request makes a new Request, when it is copied", async () => {
  const text = post("hello", "X-A: 1", "Content-Type: a/b");
  await seenLater(async (request) => {
    const copy = new Request(request, { headers: { "x-b": "2" } });
    assertNotStrictEquals(copy as unknown, request);
    assertEquals([copy.method, copy.url], ["POST", "http://a/"]);
    assertEquals(copy.headers.get("x-a"), null);
    assertEquals(copy.headers.get("x-b"), "2");
    assertEquals(await copy.text(), "hello");
    assertEquals(request.bodyUsed, true);
    await assertRejects(() => request.text(), TypeError);
  }, text);
});

Deno.test("request makes a Request elsewhere, when its url is changed", () => {
  seen((request) => {
    const url = new URL(request.url);
    url.host = "upstream:81";
    const copy = new Request(url, request);
    assertEquals(copy.url, "http://upstream:81/path?a=b");
    assertEquals(copy.headers.get("x-a"), "1");
  });
});

Deno.test("request makes a second one, when it is cloned", async () => {
  await seenLater(async (request) => {
    const clone = request.clone();
    assertEquals(clone.headers.get("x-a"), "1");
    assertEquals(await clone.json(), [1]);
    assertEquals(request.bodyUsed, false);
    assertEquals(await request.json(), [1]);
    assertEquals(request.bodyUsed, true);
  }, post("[1]", "X-A: 1"));
});

Deno.test("request throws, when it is copied or cloned after its body was read", async () => {
  await seenLater(async (request) => {
    await request.text();
    assertThrows(() => request.clone(), TypeError);
    assertThrows(() => new Request(request), TypeError);
  }, post("hello"));
});

Deno.test("request throws, when it is copied or cloned while its body is locked", async () => {
  await seenLater((request) => {
    request.body!.getReader();
    assertThrows(() => request.clone(), TypeError);
    assertThrows(() => new Request(request), TypeError);
    return Promise.resolve();
  }, post("hello"));
});

Deno.test("request's copy is aborted, when the client goes", () => {
  const signals: AbortSignal[] = [];
  new Peer((request) => {
    signals.push(new Request(request).signal, request.clone().signal);
    return new Promise(() => {});
  }).send(GET).reset();
  assertEquals(signals.map(({ aborted }) => aborted), [true, true]);
});

Deno.test("request has a body that is read again, when there is none", async () => {
  await seenLater(async (request) => {
    assertEquals([await request.text(), await request.text()], ["", ""]);
    assertEquals(request.bodyUsed, false);
    assertEquals(request.body, null);
    assertEquals((await request.bytes()).byteLength, 0);
    assertEquals((await request.arrayBuffer()).byteLength, 0);
    assertEquals((await request.blob()).size, 0);
  });
});

for (const method of ["GET", "HEAD"]) {
  Deno.test(`request has no body, when ${method} comes with one`, async () => {
    const text = post("hello").replace("POST", method);
    await seenLater(async (request) => {
      assertEquals([request.body, await request.text()], [null, ""]);
      assertEquals(request.bodyUsed, false);
      assertEquals(request.headers.get("content-length"), "5");
    }, text);
  });
}

for (const method of ["POST", "DELETE", "get"]) {
  Deno.test(`request has an empty body, when ${method} comes without one`, async () => {
    const text = GET.replace("GET", method);
    await seenLater(async (request) => {
      assertInstanceOf(request.body, ReadableStream);
      assertEquals([request.bodyUsed, await request.text()], [false, ""]);
      assertEquals(request.bodyUsed, true);
      await assertRejects(() => request.text(), TypeError);
    }, text);
  });
}

Deno.test("request decodes text like a Request, when it is odd UTF-8", async () => {
  for (const body of ["\xef\xbb\xbfbom", "\xff\xfe", "\xe2\x82", "\xc3\xa9"]) {
    const real = new Request("http://a", {
      method: "POST",
      body: latin1(body),
    });
    const text = await seenLater((request) => request.text(), post(body));
    assertEquals(text, await real.text());
  }
});

/** All properties of a request. */
function all(request: Request): unknown {
  const { method, url, headers } = request;
  return [method, url, [...headers], headers.get("x-a"), headers.has("none")];
}

const ALL: unknown = [
  "GET",
  "http://example.com/path?a=b",
  [["host", "example.com"], ["x-a", "1"]],
  "1",
  false,
];

Deno.test("request has the same properties, when they are read after an await", async () => {
  assertEquals(
    await seenLater(async (request) => {
      await undefined;
      return all(request);
    }),
    ALL,
  );
});

Deno.test("request has the same properties, when others were parsed meanwhile", async () => {
  const kept: Request[] = [];
  const peer = new Peer((request) => {
    kept.push(request);
    return new Response();
  });
  const others = get("/other", "Host: b", "X-A: 2", "X-B: 3");
  peer.send(GET + others + GET, others, GET);
  assertEquals(kept.length, 5);
  for (let round = 0; round < 2; round++) {
    for (const index of [4, 0, 2]) assertEquals(all(kept[index]!), ALL);
    assertEquals(kept[1]?.headers.get("x-b"), "3");
    assertEquals(kept[3]?.url, "http://b/other");
  }
  await peer.settle();
});

Deno.test("request has the same properties, when a head was refused meanwhile", () => {
  const refused = [
    get("/other", "Host: b", "Content-Length: x"),
    get("/o", "X-B: 1", "Host: c", "Host: d"),
    get("/o", "Host: b", "Content-Length: 1", "Transfer-Encoding: chunked"),
    get("/o", "X-C: 1", "X-D: 1", "Transfer-Encoding: gzip"),
    "GET /o HTTP/1.1\r\nX-B: 1\r\n\r\n",
    "nonsense\r\n\r\n",
    "GET /partial HTTP/1.1\r\nX-E: 1\r\n",
  ];
  for (const text of refused) {
    seen((request) => {
      assertEquals(request.method, "GET");
      new Peer(() => new Response()).send(text);
      assertEquals(all(request), ALL, text);
    });
  }
});

Deno.test("request has the same properties, when its handler waits and others run on another connection", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const peer = new Peer(async (request) => {
    await promise;
    return Response.json(all(request));
  }).send(GET);
  seen(all, get("/elsewhere", "Host: b"));
  resolve();
  const [answer] = await peer.answers();
  assertEquals(JSON.parse(answer!.text), ALL);
});

Deno.test("request has the same properties, when it was answered and its connection closed", async () => {
  const kept: Request[] = [];
  const peer = new Peer((request) => {
    kept.push(request);
    return new Response();
  }).send(GET).reset();
  await peer.settle();
  assertEquals(all(kept[0]!), ALL);
  assert(Deno.inspect(kept[0]).length > 0);
});

Deno.test("request has the same properties, when properties are read twice", () => {
  seen((request) => {
    assertEquals(all(request), ALL);
    assertEquals(request.redirect, "follow");
    assertEquals(all(request), ALL);
  });
});

Deno.test("request has its properties by itself, when it is spread or destructured", () => {
  seen((request) => {
    const { method, url, headers } = request;
    assertEquals([method, url, headers.get("x-a")], [
      "GET",
      "http://example.com/path?a=b",
      "1",
    ]);
  });
});
