/**
 * An application of Hono, written as for `Deno.serve`.
 *
 * @module
 */

import {
  basicAuth,
  bodyLimit,
  compress,
  type Context,
  cors,
  etag,
  getConnInfo,
  getCookie,
  getSignedCookie,
  Hono,
  HTTPException,
  serveStatic,
  setCookie,
  setSignedCookie,
  stream,
  streamSSE,
  streamText,
  timeout,
} from "hono";
import { encoded } from "../../util/handlers.ts";

const SECRET = "a secret";
/** The most bytes that the middleware against large bodies allows. */
export const LIMIT_BYTES = 1_000;

/** The application, and the events that a test waits for. */
export interface HonoApp {
  /** The application. */
  readonly app: Hono;
  /** The events of the stream of `/sse/forever`. */
  readonly events: Visit;
  /** The events of the request to `/signal`. */
  readonly signal: Visit;
}

/** A request with a client that leaves before the answer. */
export class Visit {
  /** Its handler has begun. */
  readonly begun = Promise.withResolvers<void>();
  /** The application noticed that its client has left. */
  readonly left = Promise.withResolvers<void>();
}

/** Makes an application. */
export function honoApp(): HonoApp {
  const app = new Hono();
  addRoutes(app);
  addBodies(app);
  addMiddleware(app);
  addCookies(app);
  const events = new Visit();
  const signal = new Visit();
  addStreams(app);
  addVisits(app, events, signal);
  app.notFound((c) => c.text(`no ${c.req.path}`, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    return c.text(`caught ${error.message}`, 500);
  });
  return { app, events, signal };
}

function addRoutes(app: Hono): void {
  app.get("/", (c) => c.text("home"));
  app.get(
    "/users/:id/posts/:post{[0-9]+}",
    (c) => c.json(c.req.param()),
  );
  app.get("/wild/*", (c) => c.text(c.req.path));
  app.get("/query", (c) =>
    c.json({
      a: c.req.query("a"),
      all: c.req.queries("all"),
      header: c.req.header("X-Given") ?? null,
      agent: c.req.header("user-agent") !== undefined,
    }));
  app.get("/redirect", (c) => c.redirect("/users/1/posts/2", 303));
  app.get("/throws", () => {
    throw new Error("on purpose");
  });
  app.get("/refuses", () => {
    throw new HTTPException(418, { message: "a teapot" });
  });
  app.get("/peer", (c) => c.json(getConnInfo(c)));
  app.get("/empty", (c) => c.body(null, 204));
  app.all("/method", (c) => c.text(c.req.method));
  const inner = new Hono().get("/deep", (c) => c.text("deep"));
  app.route("/mounted", inner);
}

function addBodies(app: Hono): void {
  app.post("/json", async (c) => c.json({ got: await c.req.json() }, 201));
  app.post("/text", async (c) => c.text(await c.req.text()));
  app.post("/form", async (c) => c.json(await c.req.parseBody({ all: true })));
  app.post("/upload", async (c) => {
    const { file, note } = await c.req.parseBody();
    if (!(file instanceof File)) return c.text("no file", 400);
    return c.json({
      note,
      name: file.name,
      type: file.type,
      size: file.size,
      digest: await digest(await file.arrayBuffer()),
    });
  });
  app.post("/bytes", async (c) => c.body(await c.req.arrayBuffer()));
  app.post("/raw", async (c) => {
    const { raw } = c.req;
    const clone = raw.clone();
    return c.json({
      isRequest: raw instanceof Request,
      url: raw.url,
      clone: await clone.text(),
      raw: await raw.text(),
      used: raw.bodyUsed,
    });
  });
  app.post("/twice", async (c) => {
    // Hono keeps the bytes, so that another middleware can read them too.
    return c.json([await c.req.text(), await c.req.text()]);
  });
  app.post("/forward", async (c) => {
    const request = new Request(c.req.raw, { headers: { "x-new": "1" } });
    return c.json({
      method: request.method,
      header: request.headers.get("x-new"),
      body: await request.text(),
    });
  });
}

function addMiddleware(app: Hono): void {
  app.use(async (c, next) => {
    await next();
    c.header("X-Answered", "yes");
  });
  app.use("/cors/*", cors({ origin: "http://a.example", maxAge: 60 }));
  app.get("/cors/data", (c) => c.json([1]));
  app.use("/tagged", etag());
  app.get("/tagged", (c) => c.text("the same every time"));
  app.use("/secret", basicAuth({ username: "ada", password: "lovelace" }));
  app.get("/secret", (c) => c.text("told"));
  app.use("/limited", bodyLimit({ maxSize: LIMIT_BYTES }));
  app.post("/limited", async (c) => c.text(`${(await c.req.text()).length}`));
  app.use("/compressed", compress());
  app.get("/compressed", (c) => c.text("compressible ".repeat(1_000)));
  app.use("/slow", timeout(1));
  app.get("/slow", async (c) => {
    await new Promise<void>((resolve) => {
      c.req.raw.signal.addEventListener("abort", () => resolve());
    });
    return c.text("too late");
  });
  const root = new URL("./static", import.meta.url).pathname;
  app.get(
    "/static/*",
    serveStatic({
      root,
      rewriteRequestPath: (path) => path.replace(/^\/static/, ""),
    }),
  );
}

function addCookies(app: Hono): void {
  app.get("/cookies/set", async (c) => {
    setCookie(c, "plain", "a b", { path: "/", httpOnly: true });
    setCookie(c, "other", "2", { sameSite: "Lax", maxAge: 10 });
    await setSignedCookie(c, "signed", "mine", SECRET);
    return c.text("set");
  });
  app.get("/cookies", async (c) =>
    c.json({
      all: getCookie(c),
      signed: await getSignedCookie(c, SECRET, "signed") ?? null,
    }));
}

function addStreams(app: Hono): void {
  app.get("/stream", (c) =>
    stream(c, async (out) => {
      for (let at = 0; at < 4; at++) {
        await out.write(new Uint8Array(100_000).fill(at));
      }
      await out.pipe(ReadableStream.from([encoded("piped")]));
    }));
  app.get("/lines", (c) =>
    streamText(c, async (out) => {
      for (const line of ["one", "two", "three"]) await out.writeln(line);
    }));
  app.get("/sse", (c) =>
    streamSSE(c, async (out) => {
      for (let id = 0; id < 3; id++) {
        await out.writeSSE({ id: `${id}`, event: "tick", data: `a\n${id}` });
      }
    }));
  app.get("/fails", (c) =>
    stream(c, async (out) => {
      await out.write(encoded("begun"));
      throw new Error("midway");
    }, async (_error, out) => {
      await out.write(encoded(" and told"));
    }));
}

function addVisits(app: Hono, events: Visit, request: Visit): void {
  app.get("/sse/forever", (c) =>
    streamSSE(c, async (out) => {
      out.onAbort(() => events.left.resolve());
      await out.writeSSE({ data: "here" });
      events.begun.resolve();
      await events.left.promise;
    }));
  app.get("/signal", async (c: Context) => {
    c.req.raw.signal.addEventListener("abort", () => request.left.resolve());
    request.begun.resolve();
    await request.left.promise;
    return c.text("never sent");
  });
}

/** Returns the SHA-256 of some bytes, in hexadecimal. */
export async function digest(bytes: BufferSource): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex();
}
