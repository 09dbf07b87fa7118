/**
 * The built-in app of `deno task serve`, for a command line without a module.
 *
 * @module
 */

/** The answers of each path, by method; HEAD is a GET without its body. */
type Route = ReadonlyMap<string, (request: Request) => Response>;

const ROUTES: ReadonlyMap<string, Route> = new Map([
  ["/", new Map([["GET", greet], ["HEAD", greet]])],
  ["/json", new Map([["GET", answerJson], ["HEAD", answerJson]])],
  ["/echo", new Map([["POST", echoBody]])],
]);

/** In the form of a served module, for Workers. */
export default { fetch: app };

/** Answers a request. */
export function app(request: Request): Response {
  const route = ROUTES.get(pathOf(request.url));
  if (route === undefined) {
    return new Response("Not Found\n", { status: 404 });
  }
  const answer = route.get(request.method);
  if (answer !== undefined) return answer(request);
  // RFC 9110 section 15.5.6: a 405 lists the path's methods.
  const allow = [...route.keys()].join(", ");
  return new Response(`Method Not Allowed, only ${allow}\n`, {
    status: 405,
    headers: { allow },
  });
}

function greet(): Response {
  return new Response("Hello from denio!\n");
}

function answerJson(): Response {
  return Response.json({ message: "Hello from denio!" });
}

function echoBody(request: Request): Response {
  const type = request.headers.get("content-type");
  return new Response(request.body, {
    headers: { "content-type": type ?? "application/octet-stream" },
  });
}

/** `URL.pathname` of a request, without the cost of a `URL`. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const query = url.indexOf("?", start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}
