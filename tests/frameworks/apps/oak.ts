/**
 * An application of Oak, written as for `Deno.serve`.
 *
 * @module
 */

import type { Application, Context, Router } from "npm:@oakserver/oak@14.1.0";
import { loadOak } from "../../packages/oak.ts";
import { encoded } from "../../util/handlers.ts";

/** Makes an application. */
export async function oakApp(): Promise<Application> {
  const { Application, etag, Router } = await loadOak();
  const app = new Application({
    keys: ["a key"],
    logErrors: false,
  });
  const router = new Router();
  addRoutes(router);
  addBodies(router);
  addStreams(router);
  addCookies(router);
  app.use(async (context, next) => {
    await next();
    context.response.headers.set("X-Answered", "yes");
  });
  app.use(catchErrors);
  app.use(async (context, next) => {
    const { pathname } = context.request.url;
    if (pathname !== "/tagged") return await next();
    await etag.factory()(context, next);
    const tag = context.response.headers.get("ETag");
    const known = context.request.headers.get("If-None-Match");
    if (tag === known) {
      context.response.status = 304;
      context.response.body = null;
    }
  });
  app.use(router.routes());
  app.use(router.allowedMethods());
  app.use(serveStatic);
  return app;
}

async function catchErrors(
  context: Context,
  next: () => Promise<unknown>,
): Promise<void> {
  try {
    await next();
  } catch (error) {
    const { status = 500, message } = error as Error & { status?: number };
    context.response.status = status;
    context.response.body = { caught: message };
  }
}

function addRoutes(router: Router): void {
  router.get("/", ({ response }) => {
    response.body = "home";
  });
  router.get("/users/:id/posts/:post(\\d+)", ({ params, response }) => {
    response.body = params;
  });
  router.get("/wild/(.*)", ({ params, response }) => {
    response.body = params[0];
  });
  router.get("/query", ({ request, response }) => {
    const { searchParams } = request.url;
    response.body = {
      a: searchParams.get("a"),
      all: searchParams.getAll("all"),
      header: request.headers.get("x-given"),
    };
  });
  router.get("/redirect", ({ response }) => {
    response.redirect("/users/1/posts/2");
  });
  router.get("/throws", () => {
    throw new Error("on purpose");
  });
  router.get("/refuses", (context) => context.throw(418, "a teapot"));
  router.get("/peer", ({ request, response }) => {
    response.body = { ip: request.ip, url: request.url.href };
  });
  router.get("/tagged", ({ response }) => {
    response.body = "the same every time";
  });
}

function addBodies(router: Router): void {
  router.post("/json", async ({ request, response }) => {
    response.status = 201;
    response.body = { got: await request.body.json() };
  });
  router.post("/text", async ({ request, response }) => {
    response.body = await request.body.text();
  });
  router.post("/form", async ({ request, response }) => {
    response.body = [...await request.body.form()];
  });
  router.post("/upload", async ({ request, response }) => {
    const form = await request.body.formData();
    const file = form.get("file") as unknown as File;
    response.body = {
      note: form.get("note"),
      name: file.name,
      size: file.size,
      type: request.body.type(),
    };
  });
  router.post("/bytes", ({ request, response }) => {
    response.body = request.body.stream;
  });
}

function addStreams(router: Router): void {
  router.get("/stream", ({ response }) => {
    const parts = [0, 1, 2, 3].map((at) => new Uint8Array(100_000).fill(at));
    response.body = ReadableStream.from([...parts, encoded("end")]);
  });
  router.get("/iterable", ({ response }) => {
    response.body = (async function* () {
      yield "one ";
      yield await Promise.resolve("two");
    })();
  });
  router.get("/events", async (context) => {
    const target = await context.sendEvents();
    target.dispatchMessage({ first: 1 });
    target.dispatchComment("said aside");
    await target.close();
  });
  router.get("/events/forever", async (context) => {
    const target = await context.sendEvents();
    // deno-lint-ignore no-console -- the test reads it
    target.addEventListener("close", () => console.log("the client left"));
    target.dispatchMessage("here");
  });
}

function addCookies(router: Router): void {
  router.get("/cookies/set", async ({ cookies, response }) => {
    await cookies.set("first", "1");
    await cookies.set("second", "2", { httpOnly: false, sameSite: "lax" });
    response.body = "set";
  });
  router.get("/cookies", async ({ cookies, response }) => {
    response.body = {
      first: await cookies.get("first") ?? null,
      second: await cookies.get("second") ?? null,
    };
  });
}

async function serveStatic(
  context: Context,
  next: () => Promise<unknown>,
): Promise<void> {
  const { pathname } = context.request.url;
  if (!pathname.startsWith("/static/")) return void await next();
  await context.send({ root: import.meta.dirname!, path: pathname });
}
