/**
 * Takes a `Response` apart without promises.
 *
 * Deno keeps the parts of a response under symbols of the object. By them a
 * body of text or bytes is read at once, where the public interface has only
 * streams. The symbols are private to Deno, so this file compares them with the
 * public interface before it trusts them. When one is missing or means
 * something else, it uses the public interface.
 *
 * @module
 */

/** A body as the handler gave it. */
export type BodyInit =
  | string
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>
  | null;

/** The parts of a response. */
export interface ResponseParts {
  /** From 101 to 599; 0 for `Response.error()`. */
  status: number;
  /** The reason phrase; empty for the usual phrase of the status. */
  statusText: string;
  /** All fields; `undefined` when the type is the only one. */
  headers: Iterable<[string, string]> | undefined;
  /** The type of a response without other fields. */
  contentType: string | undefined;
  /** The body. */
  body: BodyInit;
  /** The length of a stream in bytes, if it is known. */
  length: number | undefined;
}

/** The type that `fetch` gives a string body. */
export const TEXT_TYPE = "text/plain;charset=UTF-8";

interface StaticBody {
  body: string | Uint8Array<ArrayBuffer>;
  consumed: boolean;
}

interface InnerResponse {
  status: number;
  statusMessage: string;
  headerList: [string, string][];
  bodyDecoded?: boolean;
  body: null | {
    streamOrStatic: StaticBody | ReadableStream<Uint8Array<ArrayBuffer>>;
    length: number | null;
  };
}

/** Deno's descriptions of its symbols. */
const NAMES = {
  inner: "response",
  status: "serve fast status",
  body: "serve fast body",
  kind: "serve fast header kind",
  type: "serve fast content type",
  consumed: "serve fast consumed",
} as const;

/** The class's own getter, also for objects of subclasses. */
const headersOf = Object.getOwnPropertyDescriptor(Response.prototype, "headers")
  ?.get;

type Symbols = Record<keyof typeof NAMES, symbol>;
type Opened = Record<symbol, unknown>;

/** The codings that Deno's `fetch` asks for and decodes. */
const DECODED = /^(gzip|br)$/i;

/** The kinds of fields of a fast response: none but a type. */
const KIND_TEXT = 1;
const KIND_TYPE = 2;

const parts: ResponseParts = {
  status: 0,
  statusText: "",
  headers: undefined,
  contentType: undefined,
  body: null,
  length: undefined,
};

let symbols: Symbols | undefined;
let isSearched = false;
let isFirst = true;
/**
 * The symbol of a native object in which Deno keeps a response with several
 * fields for its own server. A `FinalizationRegistry` frees it; reading the
 * headers frees it at once, which costs less than the garbage collector's work.
 */
let twin: symbol | undefined;

/** Whether responses are read by Deno's symbols, or by the public interface. */
export function readsSymbols(): boolean {
  if (!isSearched) search();
  return symbols !== undefined;
}

/** Forces the public interface, or looks for the symbols again. For tests. */
export function useSymbols(use: boolean): void {
  if (use) return search();
  isSearched = true;
  symbols = undefined;
}

/** Looks for the symbols, and prints a warning when this Deno has others. */
function search(): void {
  isSearched = true;
  symbols = findTrusted();
  if (symbols !== undefined) return;
  // Answers stay correct, but all are streams then, which nothing else shows.
  // deno-lint-ignore no-console
  console.warn(
    `denio does not know how Deno ${Deno.version.deno} keeps the parts of a ` +
      "Response: answers of text and bytes are sent as streams, in chunks, and " +
      "take longer",
  );
}

/**
 * Returns the parts of a response, and marks its body as used. All calls return
 * the same object.
 *
 * @throws {TypeError} when the body was used before.
 */
export function takeResponse(response: Response): ResponseParts {
  if (symbols !== undefined) return takeOpened(response, symbols);
  const first = isFirst ? takeFirst(response) : undefined;
  if (first !== undefined) return first;
  return readsSymbols() ? takeResponse(response) : takeStandIn(response);
}

/**
 * Takes a program's first response when it is a plain text, for which one
 * sample is enough. All samples take 1.5 milliseconds more, for which the first
 * client would wait.
 */
function takeFirst(response: Response): ResponseParts | undefined {
  isFirst = false;
  const names = isSearched ? undefined : findSymbols();
  if (names === undefined || !isPlain(response, names)) return undefined;
  return agrees(PLAIN, names) ? takeOpened(response, names) : undefined;
}

function isPlain(response: Response, names: Symbols): boolean {
  const opened = response as unknown as Opened;
  return opened[names.kind] === KIND_TEXT &&
    typeof opened[names.body] === "string";
}

function takeOpened(response: Response, names: Symbols): ResponseParts {
  const opened = response as unknown as Opened;
  const inner = opened[names.inner] as InnerResponse | undefined;
  // A stand-in for a Response has no state under Deno's symbols.
  if (inner === undefined) return takeStandIn(response);
  const held = inner.body?.streamOrStatic;
  if (opened[names.consumed] === true || isConsumed(response, held)) {
    throw used();
  }
  const status = opened[names.status] as number;
  // Deno keeps the phrase of a fast response elsewhere, and never sends it.
  const isFast = status !== 0 && inner.statusMessage === "";
  if (isFast && opened[names.kind] !== undefined) {
    return takeFast(opened, names, status);
  }
  if (twin !== undefined && opened[twin]) headersOf?.call(response);
  parts.status = inner.status;
  parts.statusText = inner.statusMessage;
  parts.headers = inner.bodyDecoded === true
    ? decoded(inner.headerList)
    : inner.headerList;
  parts.contentType = undefined;
  parts.length = inner.body?.length ?? undefined;
  parts.body = held === undefined ? null : takeHeld(held);
  return parts;
}

/** Takes a response with a plain body and no field but its type. */
function takeFast(
  opened: Opened,
  names: Symbols,
  status: number,
): ResponseParts {
  const kind = opened[names.kind];
  opened[names.consumed] = true;
  parts.status = status;
  parts.statusText = "";
  parts.headers = undefined;
  parts.contentType = kind === KIND_TEXT
    ? TEXT_TYPE
    : kind === KIND_TYPE
    ? opened[names.type] as string
    : undefined;
  parts.body = opened[names.body] as BodyInit;
  parts.length = undefined;
  return parts;
}

function takeHeld(
  held: StaticBody | ReadableStream<Uint8Array<ArrayBuffer>>,
): BodyInit {
  if (held instanceof ReadableStream) return held;
  held.consumed = true;
  return held.body;
}

function isConsumed(
  response: Response,
  held: StaticBody | ReadableStream | undefined,
): boolean {
  if (held === undefined) return false;
  return held instanceof ReadableStream
    ? held.locked || response.bodyUsed
    : held.consumed;
}

function takePublic(response: Response): ResponseParts {
  if (response.bodyUsed || response.body?.locked) throw used();
  parts.status = response.status;
  parts.statusText = response.statusText;
  parts.headers = isDecoded(response)
    ? decoded(response.headers)
    : response.headers;
  parts.contentType = undefined;
  parts.body = response.body;
  parts.length = undefined;
  return parts;
}

/**
 * Whether `fetch` has decoded the body. It leaves the fields as they were, so
 * they still describe the coded body.
 */
function isDecoded({ url, headers }: Response): boolean {
  // A stand-in for a Response may have no URL at all.
  return Boolean(url) && DECODED.test(headers.get("content-encoding") ?? "");
}

/** Leaves out the fields that describe the coded body. */
function decoded(headers: Iterable<[string, string]>): [string, string][] {
  return [...headers].filter(([name]) => {
    const lower = name.toLowerCase();
    return lower !== "content-encoding" && lower !== "content-length";
  });
}

/** Takes a response without Deno's symbols by the public interface. */
function takeStandIn(response: Response): ResponseParts {
  try {
    void response.status;
  } catch (cause) {
    // It has only the prototype of a Response, and no parts.
    throw new TypeError(
      "Return value from serve handler must be a Response constructed via " +
        "the Response constructor in this realm",
      { cause },
    );
  }
  return takePublic(response);
}

function used(): TypeError {
  return new TypeError(
    "The body of the Response returned from the serve handler has already " +
      "been consumed",
  );
}

function findSymbols(): Symbols | undefined {
  const own = Object.getOwnPropertySymbols(new Response("a"));
  const entries = Object.entries(NAMES).map(([key, name]) =>
    [key, own.find((symbol) => symbol.description === name)] as const
  );
  if (entries.some(([, symbol]) => symbol === undefined)) return undefined;
  return Object.fromEntries(entries) as Symbols;
}

/** Returns the symbols when they mean what their names say, for all samples. */
function findTrusted(): Symbols | undefined {
  const found = findSymbols();
  if (found === undefined) return undefined;
  twin = Object.getOwnPropertySymbols(
    new Response("", { headers: { a: "b", c: "d" } }),
  ).find(({ description }) => description === "serve native response");
  return SAMPLES.every((sample) => agrees(sample, found)) ? found : undefined;
}

type Sample = readonly [make: () => Response, body: string | undefined];

const PLAIN: Sample = [() => new Response("text"), "text"];
/** Responses of every kind, each with its body as text. */
const SAMPLES: readonly Sample[] = [
  PLAIN,
  [() => new Response(null, { status: 204 }), undefined],
  [() => new Response(new Uint8Array([98, 99])), "bc"],
  [() => new Response("text", { status: 404, statusText: "Gone" }), "text"],
  [() => new Response("text", { statusText: "Fine" }), "text"],
  [
    () => new Response("text", { headers: { "content-type": "text/html" } }),
    "text",
  ],
  [() => new Response("text", { headers: { a: "b", c: "d" } }), "text"],
  [() => Response.json({ a: 1 }), '{"a":1}'],
  [() => new Response("text").clone(), "text"],
  [() => Response.redirect("http://localhost/"), undefined],
];

/** Whether the symbols and the public interface show the same of a sample. */
function agrees(sample: Sample, names: Symbols): boolean {
  try {
    return isRead(sample, names);
  } catch {
    // The values under the symbols have other types than expected.
    return false;
  }
}

function isRead([make, body]: Sample, names: Symbols): boolean {
  const { status, statusText, headers } = make();
  const response = make();
  const taken = takeOpened(response, names);
  const fields = new Headers([...taken.headers ?? []]);
  if (taken.contentType !== undefined) {
    fields.set("content-type", taken.contentType);
  }
  const text = taken.body instanceof Uint8Array
    ? new TextDecoder().decode(taken.body)
    : taken.body ?? undefined;
  return taken.status === status && taken.statusText === statusText &&
    text === body && response.bodyUsed === (body !== undefined) &&
    JSON.stringify([...fields]) === JSON.stringify([...headers]);
}
