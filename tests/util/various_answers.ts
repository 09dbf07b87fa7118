/**
 * A handler that returns every kind of response, by the path that is asked for,
 * and otherwise answers with the request.
 *
 * @module
 */

import { encoded } from "./handlers.ts";

/** Makes a response. */
type Make = () => Response | Promise<Response>;

function streamed(...parts: (string | Uint8Array<ArrayBuffer>)[]): BodyInit {
  return ReadableStream.from(
    parts.map((part) => typeof part === "string" ? encoded(part) : part),
  );
}

function failing(...chunks: Uint8Array<ArrayBuffer>[]): BodyInit {
  return ReadableStream.from((function* () {
    yield* chunks;
    throw new Error("on purpose");
  })());
}

function text(init: ResponseInit, body = "abc"): Make {
  return () => new Response(body, init);
}

function empty(init: ResponseInit): Make {
  return () => new Response(null, init);
}

function fields(...headers: [string, string][]): Make {
  return text({ headers });
}

const BODIES: Record<string, Make> = {
  "/sentinel": () => new Response("sentinel"),
  "/text": () => new Response("text"),
  "/utf8": () => new Response("gr\u00fc\u00df \u2713"),
  "/null": () => new Response(null),
  "/none": () => new Response(),
  "/string/empty": () => new Response(""),
  "/bytes/empty": () => new Response(new Uint8Array(0)),
  "/bytes": () => new Response(new Uint8Array([0, 255, 10, 13])),
  "/buffer": () => new Response(new Uint8Array([1, 2, 3]).buffer),
  "/view": () => new Response(new Uint16Array([1, 2, 3]).subarray(1)),
  "/blob": () => new Response(new Blob(["blob"], { type: "text/x-blob" })),
  "/parameters": () => new Response(new URLSearchParams({ a: "1 2" })),
  "/json": () => Response.json({ a: [1, "\u00fc"] }),
  "/large": () => new Response("A".repeat(300_000)),
  "/stream": () => new Response(streamed("a", "bc", "", "def")),
  "/stream/empty": () => new Response(streamed()),
  "/stream/large": () =>
    new Response(streamed(new Uint8Array(200_000).fill(65))),
  "/stream/length": () =>
    new Response(streamed("abc", "def"), {
      headers: { "content-length": "6" },
    }),
  "/stream/longer": () =>
    new Response(streamed("abc", "def"), {
      headers: { "content-length": "4" },
    }),
  "/stream/fails": () => new Response(failing()),
  "/stream/fails/later": () => new Response(failing(encoded("abc"))),
  "/stream/206": () =>
    new Response(streamed("cd"), {
      status: 206,
      headers: { "content-range": "bytes 2-3/6" },
    }),
  "/cloned": () => new Response("abc", { headers: { "x-a": "1" } }).clone(),
  "/rewrapped": () => {
    const response = new Response("abc", { headers: { "x-a": "1" } });
    return new Response(response.body, response);
  },
  "/form": () => {
    const form = new FormData();
    form.set("a", "1");
    const type = new Response(form).headers.get("content-type")!;
    return text({ headers: { "x-type": type.replace(/-{3,}.*/, "") } })();
  },
};

const STATUSES: Record<string, Make> = {
  "/201": () => Response.json({}, { status: 201, headers: { "x-a": "b" } }),
  "/302": () => Response.redirect("http://a.example/there", 302),
  "/308": () => Response.redirect("http://a.example/there", 308),
  "/204": empty({ status: 204 }),
  "/204/length": empty({ status: 204, headers: { "content-length": "0" } }),
  "/205": empty({ status: 205 }),
  "/304": empty({ status: 304, headers: { etag: '"x"' } }),
  "/304/length": empty({ status: 304, headers: { "content-length": "10" } }),
  "/404": text({ status: 404 }),
  "/404/stream": () => new Response(streamed("x"), { status: 404 }),
  "/418": text({ status: 418, statusText: "Short and Stout" }),
  "/299": text({ status: 299 }),
  "/499": text({ status: 499 }),
  "/503": text({ status: 503, headers: { "retry-after": "1" } }),
  "/599": text({ status: 599 }),
};

const FIELDS: Record<string, Make> = {
  "/length": fields(["content-length", "3"]),
  "/length/null": empty({ headers: { "content-length": "1000" } }),
  "/length/wrong": fields(["content-length", "2"]),
  "/length/malformed": fields(["content-length", "x"]),
  "/coding": fields(["transfer-encoding", "chunked"]),
  "/coding/stream": () =>
    new Response(streamed("abc"), {
      headers: { "transfer-encoding": "chunked" },
    }),
  "/close": fields(["connection", "close"]),
  "/keep-alive": fields(["connection", "keep-alive"], ["keep-alive", "max=5"]),
  "/upgrade": fields(["upgrade", "h2c"]),
  "/server": fields(["server", "mine"]),
  "/type": fields(["content-type", "image/x"]),
  "/type/empty": fields(["content-type", ""]),
  "/encoding": fields(["content-encoding", "identity"]),
  "/twice": fields(["x-a", "1"], ["x-a", "2"], ["X-B", "\u00e9\u00ff"]),
  "/odd": fields(["x-empty", ""], ["x-tab", "a\tb"]),
  "/cookies": fields(["set-cookie", "a=1"], ["set-cookie", "b=2; Path=/"]),
  "/many": fields(
    ...Array.from(
      { length: 200 },
      (_, index): [string, string] => [`x-${index}`, "v".repeat(50)],
    ),
  ),
};

const FAILURES: Record<string, Make> = {
  "/throws": () => {
    throw new Error("on purpose");
  },
  "/rejects": () => Promise.reject(new Error("on purpose")),
  "/returns/text": () => "text" as unknown as Response,
  "/returns/undefined": () => undefined as unknown as Response,
  "/returns/error": () => Response.error(),
  "/returns/used": async () => {
    const response = new Response("abc");
    await response.text();
    return response;
  },
  "/returns/locked": () => {
    const response = new Response(streamed("abc"));
    response.body!.getReader();
    return response;
  },
};

const ANSWERS: Record<string, Make> = {
  ...BODIES,
  ...STATUSES,
  ...FIELDS,
  ...FAILURES,
};

/** The paths that have a response of their own. */
export const PATHS: readonly string[] = Object.keys(ANSWERS);

/** Answers a request. */
export async function answerVariously(request: Request): Promise<Response> {
  const path = /^[^:]+:\/\/[^/?#]*([^?#]*)/.exec(request.url)?.[1] ?? "";
  return await ANSWERS[path]?.() ?? await reflect(request, path);
}

async function reflect(request: Request, path: string): Promise<Response> {
  const body = path === "/unread" ? "" : await request.text();
  return Response.json({
    method: request.method,
    url: request.url,
    href: new URL(request.url).href,
    headers: [...request.headers],
    length: body.length,
    begins: body.slice(0, 100),
    isUsed: request.bodyUsed,
    hasBody: request.body !== null,
    mode: request.mode,
  });
}
