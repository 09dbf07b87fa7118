/**
 * The handler's request: a `Request` that decodes only what the handler reads.
 *
 * @module
 */

import { RequestFlag } from "./answer_plan.ts";
import { HeadFlag, type RequestHead } from "./h1/head.ts";
import { RequestHeaders } from "./headers.ts";
import { standInFor } from "./lazy.ts";
import { type RequestBody, StreamBody } from "./stream_body.ts";

const NO_BYTES = new Uint8Array(0);
const SAMPLE = new Request("http://localhost/");
/** The symbol of a request's inner state in Deno. */
const INNER = Object.getOwnPropertySymbols(SAMPLE)
  .find(({ description }) => description === "request");
/** The symbol of a request's signal in Deno; `false` when it is aborted. */
const SIGNAL = Object.getOwnPropertySymbols(SAMPLE)
  .find(({ description }) => description === "signalCache");

/** Methods that the constructor refuses, or allows no body for. */
const REFUSED = /^(CONNECT|TRACE|TRACK|GET|HEAD)$/i;

const decoder = new TextDecoder();

/** The exchange, as its request uses it. */
export interface RequestExchange {
  /** The authority for a request that has none. */
  readonly authority: string;
  /** The scheme of URLs. */
  readonly scheme: string;
  /** Aborts when the client goes; made when it is read first. */
  readonly signal: AbortSignal;
  /**
   * The signal, if it was made; `false` when it is aborted but not made yet.
   */
  readonly madeSignal: AbortSignal | false | undefined;
  /** Settles when the answer was handed over, or never will be. */
  readonly completed: Promise<void>;
  /** Aborts the signal. */
  abort(): void;
}

/** Stands in for `Request`: see {@linkcode standInFor}. */
export class LazyRequest {
  readonly #head: RequestHead;
  readonly #exchange: RequestExchange;
  #incoming: RequestBody | undefined;
  #url: string | undefined = undefined;
  #headers: RequestHeaders | undefined = undefined;
  #real: Request | undefined = undefined;

  /** @param body The request's body; `undefined` for none. */
  constructor(
    head: RequestHead,
    exchange: RequestExchange,
    body: RequestBody | undefined,
  ) {
    this.#head = head;
    this.#exchange = exchange;
    this.#incoming = body;
  }

  /** Returns the real request of a lazy request, built at the first call. */
  static real(request: LazyRequest): Request {
    return request.#real ?? LazyRequest.#build(request);
  }

  /**
   * The signal, if it was made; `false` when it is aborted but not made yet.
   */
  static signalOf(this: LazyRequest): AbortSignal | false | undefined {
    return this.#exchange.madeSignal;
  }

  /** Whether the client offers to change the protocol: RFC 9110 section 7.8. */
  static offersUpgrade(request: Request): boolean {
    return #head in request && (request.#head.flags & HeadFlag.UPGRADE) !== 0;
  }

  /** Returns the value of a field, whose name is in lower case, or null. */
  static field(request: Request, name: string): string | null {
    return #head in request
      ? request.#head.get(name) ?? null
      : request.headers.get(name);
  }

  /** Whether an object is a lazy request. */
  static isLazy(request: object): boolean {
    return #head in request;
  }

  /** Returns what a request, and each clone of it, is one half of. */
  static exchangeOf(request: Request): object {
    return #head in request ? request.#exchange : request;
  }

  /** Copies what the request needs of the buffers that it was read into. */
  static detach(request: LazyRequest): void {
    request.#head.detach();
    request.#incoming?.detach();
  }

  /** Whether an object is a lazy request of HTTP/1.0. */
  static isOld(request: object): boolean {
    return #head in request &&
      (request.#head.flags & RequestFlag.HTTP_1_0) !== 0;
  }

  /** Settles when the answer was handed over, or never will be. */
  static completed(request: object): Promise<void> {
    return (request as LazyRequest).#exchange.completed;
  }

  /** Aborts the request's signal. */
  static abort(request: LazyRequest): void {
    request.#exchange.abort();
  }

  /** The method as sent. */
  get method(): string {
    return this.#head.method;
  }

  /** The full URL, with the authority of `Host`. */
  get url(): string {
    return this.#url ??= LazyRequest.#urlOf(this);
  }

  /** The header fields. */
  get headers(): Headers {
    const headers = this.#headers ??= new RequestHeaders(this.#head);
    return headers as unknown as Headers;
  }

  /** Always `follow`: so that inspecting a request builds no real one. */
  get redirect(): RequestRedirect {
    return "follow";
  }

  /** The body as a stream; null for GET and HEAD. */
  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return LazyRequest.#bodyOf(this)?.stream ?? null;
  }

  /** Whether the program has read from the body. */
  get bodyUsed(): boolean {
    return LazyRequest.#bodyOf(this)?.isUsed ?? false;
  }

  /** Aborts when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  /** Resolves to the body's bytes. */
  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return LazyRequest.#read(this, own, true);
  }

  /** Resolves to the body as an `ArrayBuffer`. */
  arrayBuffer(): Promise<ArrayBuffer> {
    return LazyRequest.#read(this, bufferOf, true);
  }

  /** Resolves to the body as text, decoded as UTF-8. */
  text(): Promise<string> {
    return LazyRequest.#read(this, decode);
  }

  /** Resolves to the body parsed as JSON. */
  // deno-lint-ignore no-explicit-any -- as lib.dom has it
  json(): Promise<any> {
    return LazyRequest.#read(this, parse);
  }

  /** Resolves to the body as a `Blob` of the request's type. */
  blob(): Promise<Blob> {
    return LazyRequest.#read(
      this,
      (bytes) => LazyRequest.#typed(this, bytes).blob(),
    );
  }

  /** Resolves to the body parsed as a form. */
  formData(): Promise<FormData> {
    return LazyRequest.#read(
      this,
      (bytes) => LazyRequest.#typed(this, bytes).formData(),
    );
  }

  /**
   * Returns a second request with the same body.
   *
   * @throws {TypeError} when the body was read from, or is locked by a reader.
   */
  clone(): Request {
    const body = LazyRequest.#bodyOf(this);
    if (body?.isUnusable) throw new TypeError("Body is unusable");
    const clone = new LazyRequest(this.#head, this.#exchange, undefined);
    if (body !== undefined) {
      [this.#incoming, clone.#incoming] = body.tee();
      // The body of the real request is the stream that is locked now.
      this.#real = undefined;
    }
    return clone as unknown as Request;
  }

  // Static, since private methods would mark each request with a field.

  /**
   * Returns the body to read. As with `Deno.serve`, GET and HEAD have none,
   * whatever the client sent; any other method has one, which may be empty.
   */
  static #bodyOf(request: LazyRequest): RequestBody | undefined {
    if (request.#head.hasNoBody) return undefined;
    return request.#incoming ??= new StreamBody("");
  }

  /**
   * Resolves to what `make` returns for the bytes of the body.
   *
   * @param isOwned Whether the handler may keep or change the bytes.
   */
  static #read<T>(
    request: LazyRequest,
    make: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>,
    isOwned: boolean = false,
  ): Promise<T> {
    const body = LazyRequest.#bodyOf(request);
    // A new array each time, since the handler may transfer its buffer.
    const now = body === undefined
      ? new Uint8Array(0)
      : body.collectNow(isOwned);
    const result = now === undefined
      ? body!.collect(isOwned).then(make)
      : made(make, now);
    if (!(result instanceof Promise)) return Promise.resolve(result);
    // A client can cause a rejection at any time. When the handler does not
    // wait for the promise, that must not end the process.
    result.catch(ignore);
    return result;
  }

  static #typed(
    request: LazyRequest,
    bytes: Uint8Array<ArrayBuffer>,
  ): Response {
    const type = request.#head.get("content-type");
    return new Response(bytes, {
      headers: type === undefined ? {} : { "content-type": type },
    });
  }

  static #urlOf(request: LazyRequest): string {
    const head = request.#head;
    const { scheme } = request.#exchange;
    const kept = head.keptUrl(scheme);
    if (kept !== undefined) return kept;
    const { host } = head;
    const authority = host || request.#exchange.authority;
    const url = head.pathUrl(scheme, authority) ??
      urlOf(scheme, authority, head.target);
    if (host !== "") head.keepUrl(scheme, url);
    return url;
  }

  static #build(lazy: LazyRequest): Request {
    const { method } = lazy;
    const body = LazyRequest.#bodyOf(lazy);
    const isUnusable = body?.isUnusable === true;
    const request = new Request(lazy.url, {
      method: body !== undefined && REFUSED.test(method) ? "POST" : method,
      headers: lazy.#head.fields(),
      body: body === undefined ? null : isUnusable ? NO_BYTES : body.stream,
      signal: lazy.signal,
    });
    setMethod(request, method);
    if (!isUnusable) return lazy.#real = request;
    // The body stays with its reader; the real request's body counts as used.
    request.body?.cancel().catch(ignore);
    return request;
  }
}

standInFor(LazyRequest, SAMPLE, LazyRequest.real);
// Reading this symbol makes no signal, as in Deno.
if (SIGNAL !== undefined) {
  Object.defineProperty(LazyRequest.prototype, SIGNAL, {
    configurable: true,
    get: LazyRequest.signalOf,
  });
}

/** Returns the URL of a request: RFC 9112 section 3.3. */
function urlOf(scheme: string, authority: string, target: string): string {
  if (target.startsWith("/")) return `${scheme}://${authority}${target}`;
  if (target === "*") return `${scheme}://${authority}/*`;
  // An absolute target is the URL itself, but may leave its path out; the
  // target of CONNECT is an authority without a scheme.
  if (!target.includes("/")) return `${scheme}://${target}`;
  return /^[a-z]+:\/\/[^/?]*$/i.test(target) ? `${target}/` : target;
}

/** Returns what `make` returns, or a promise rejected with what it throws. */
function made<T>(
  make: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>,
  bytes: Uint8Array<ArrayBuffer>,
): T | Promise<T> {
  try {
    return make(bytes);
  } catch (error) {
    return Promise.reject(error);
  }
}

function own(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes;
}

function bufferOf({ buffer }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return buffer;
}

// deno-lint-ignore no-explicit-any -- as lib.dom has it
function parse(bytes: Uint8Array<ArrayBuffer>): any {
  return JSON.parse(decode(bytes));
}

function decode(bytes: Uint8Array<ArrayBuffer>): string {
  return decoder.decode(bytes);
}

/** Sets a request's method as sent, since the constructor changes some. */
function setMethod(request: Request, method: string): void {
  const inner = INNER && Reflect.get(request, INNER) as { method?: string };
  if (inner?.method !== undefined) inner.method = method;
}

function ignore(): void {}
