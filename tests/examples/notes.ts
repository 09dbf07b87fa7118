/**
 * Notes by HTTP: POST a text to `/`, GET it at the path that the answer names.
 *
 * `deno run -A tests/examples/notes.ts 8000`. As a module it runs on several
 * Workers, see `on_all_cores.ts`.
 *
 * @module
 */

import {
  HttpError,
  type HttpServer,
  loadLibrary,
  serve,
  type ServeOptions,
} from "../../mod.ts";

/** The longest note, in bytes; a longer one is answered by 413. */
const NOTE_BYTES_MAX = 10_000;
const NOTES_MAX = 1_000;

const notes = new Map<string, string>();

/** Answers a request. */
async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && pathname === "/") {
    const text = await request.text();
    if (notes.size >= NOTES_MAX) return new Response("full\n", { status: 507 });
    const location = `/${crypto.randomUUID()}`;
    notes.set(location, text);
    return new Response(`${location}\n`, {
      status: 201,
      headers: { location },
    });
  }
  const note = notes.get(pathname);
  if (note === undefined) return new Response("no note\n", { status: 404 });
  if (request.method !== "DELETE") return new Response(note);
  notes.delete(pathname);
  return new Response(null, { status: 204 });
}

/** Answers an error of a handler: an error of the body has its own status. */
function refuse(error: unknown): Response {
  if (!(error instanceof HttpError)) throw error;
  const { status, message } = error;
  return new Response(`${message}\n`, { status });
}

export default { fetch: answer };

/** Serves notes. */
export function serveNotes(options: ServeOptions): HttpServer {
  return serve(
    { bodyBytesMax: NOTE_BYTES_MAX, onError: refuse, ...options },
    answer,
  );
}

if (import.meta.main) {
  serveNotes({ port: Number(Deno.args[0] ?? 8000) });
  // The library is loaded: no other code of this program may load one.
  loadLibrary();
  await Deno.permissions.revoke({ name: "ffi" });
}
