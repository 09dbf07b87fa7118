/**
 * Takes a `Response` apart without promises.
 *
 * Deno keeps what a response was made of under symbols of the object. Reading
 * them is how a body of text or bytes is known at once, where the public
 * interface has only streams. They are Deno's own affair, so they are tried
 * out against the public interface before they are trusted; where one is
 * missing or means something else, the public interface is used.
 *
 * @module
 */

/** A body as the handler gave it. */
export type BodyInit =
  | string
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>
  | null;

/** What a response is made of. */
export interface ResponseParts {
  /** From 101 to 599; 0 for `Response.error()`. */
  status: number;
  /** The reason phrase, empty when the status' own is meant. */
  statusText: string;
  /** All fields, or `undefined` when there is none but the type. */
  headers: Iterable<[string, string]> | undefined;
  /** The type of a response without other fields. */
  contentType: string | undefined;
  /** The body. */
  body: BodyInit;
  /** The length of a stream, where it is known. */
  length: number | undefined;
}

/** What `fetch` says of a string body. */
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

/** The class's own, whatever a subclass makes of it. */
const headersOf = Object.getOwnPropertyDescriptor(Response.prototype, "headers")
  ?.get;

type Symbols = Record<keyof typeof NAMES, symbol>;
type Opened = Record<symbol, unknown>;

/** The codings that Deno's `fetch` asks for and takes off. */
const DECODED = /^(gzip|br)$/i;

/** The kinds of fields that a fast response has. */
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
 * Where Deno keeps what its own server would send of a response with several
 * fields: a native object, which a `FinalizationRegistry` frees. It is freed at
 * once when somebody asks for the headers, which costs less than what the garbage
 * collector takes for it.
 */
let twin: symbol | undefined;

/** Whether responses are read by Deno's symbols; false: by the public face. */
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

/** Looks for the symbols, and says so when this Deno has others. */
function search(): void {
  isSearched = true;
  symbols = findTrusted();
  if (symbols !== undefined) return;
  // Answers stay right, but all of them are streams then: nothing else tells.
  // deno-lint-ignore no-console
  console.warn(
    `denio does not know how Deno ${Deno.version.deno} keeps the parts of a ` +
      "Response: answers of text and bytes are sent as streams, in chunks, and " +
      "take longer",
  );
}

/**
 * Returns the parts of a response and marks its body as used. The object is
 * the same each time.
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
 * Takes a program's first response when it is a plain text, for which one kind
 * of sample says enough. All samples take 1.5 milliseconds more, for which the
 * first client would wait.
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
  // A subclass or a stand-in may keep its state elsewhere.
  if (inner === undefined) return takeStandIn(response);
  const held = inner.body?.streamOrStatic;
  if (opened[names.consumed] === true || isConsumed(response, held)) {
    throw used();
  }
  const status = opened[names.status] as number;
  // Deno keeps the phrase of a fast response elsewhere, and does not send it.
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

/** A response of a plain body and no field but its type. */
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
 * Whether `fetch` has decoded the body, which it does without a word: the
 * fields still tell of the coded one.
 */
function isDecoded({ url, headers }: Response): boolean {
  // A stand-in for a Response may have no URL at all.
  return Boolean(url) && DECODED.test(headers.get("content-encoding") ?? "");
}

/** Leaves out the fields that are true of the coded body only. */
function decoded(headers: Iterable<[string, string]>): [string, string][] {
  return [...headers].filter(([name]) => {
    const lower = name.toLowerCase();
    return lower !== "content-encoding" && lower !== "content-length";
  });
}

/** A response without Deno's parts, which must answer for itself. */
function takeStandIn(response: Response): ResponseParts {
  try {
    void response.status;
  } catch (cause) {
    // It has but the prototype of a Response: there is nothing to take.
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

/** Returns the symbols when they mean what they seem to, for every kind. */
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
/** Responses of every kind, with the body that each must be seen to have. */
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

/** Whether a sample is read as the public interface shows it. */
function agrees(sample: Sample, names: Symbols): boolean {
  try {
    return isRead(sample, names);
  } catch {
    // What lies under the symbols is not what was read from it.
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
