/**
 * What a handler receives: a `Request` that decodes only what is looked at.
 *
 * @module
 */

import type { RequestHead } from "./h1/head.ts";
import { RequestHeaders } from "./headers.ts";
import { standInFor } from "./lazy.ts";
import { type RequestBody, StreamBody } from "./stream_body.ts";

const NO_BYTES = new Uint8Array(0);
const SAMPLE = new Request("http://localhost/");
/** Where Deno keeps what a request is made of. */
const INNER = Object.getOwnPropertySymbols(SAMPLE)
  .find(({ description }) => description === "request");
/** Where Deno keeps a request's signal, or `false` for one that has aborted. */
const SIGNAL = Object.getOwnPropertySymbols(SAMPLE)
  .find(({ description }) => description === "signalCache");

/** Methods that the constructor refuses, or takes for ones without a body. */
const REFUSED = /^(CONNECT|TRACE|TRACK|GET|HEAD)$/i;

const decoder = new TextDecoder();

/** What a request needs of its exchange. */
export interface RequestExchange {
  /** The authority to use when the request names none. */
  readonly authority: string;
  /** What URLs begin with. */
  readonly scheme: string;
  /** Aborts when the client goes; made when it is asked for first. */
  readonly signal: AbortSignal;
  /** The same, if it was made; `false` when it would be aborted. */
  readonly madeSignal: AbortSignal | false | undefined;
  /** Aborts the signal. */
  abort(): void;
}

/** Stands in for `Request`: see {@linkcode standInFor}. */
export class LazyRequest {
  readonly #head: RequestHead;
  readonly #host: RequestExchange;
  #incoming: RequestBody | undefined;
  #url: string | undefined = undefined;
  #headers: RequestHeaders | undefined = undefined;
  #real: Request | undefined = undefined;

  /** Made by a connection, for an exchange. */
  constructor(
    head: RequestHead,
    host: RequestExchange,
    body: RequestBody | undefined,
  ) {
    this.#head = head;
    this.#host = host;
    this.#incoming = body;
  }

  /** Builds the real request behind a lazy one. */
  static real(request: LazyRequest): Request {
    return request.#real ?? LazyRequest.#build(request);
  }

  /** The signal, when somebody has asked for it; `false` for an aborted one. */
  static signalOf(this: LazyRequest): AbortSignal | false | undefined {
    return this.#host.madeSignal;
  }

  /** Lets go of the bytes that the request was read into. */
  static detach(request: LazyRequest): void {
    request.#head.detach();
    request.#incoming?.detach();
  }

  /** Says that the client has gone. */
  static abort(request: LazyRequest): void {
    request.#host.abort();
  }

  /** The method as sent. */
  get method(): string {
    return this.#head.method;
  }

  /** The full URL, with the authority of `Host`. */
  get url(): string {
    return this.#url ??= LazyRequest.#buildUrl(this);
  }

  /** The header fields. */
  get headers(): Headers {
    const headers = this.#headers ??= new RequestHeaders(this.#head);
    return headers as unknown as Headers;
  }

  /** Always `follow`: an inspected request needs no real one. */
  get redirect(): RequestRedirect {
    return "follow";
  }

  /** The body as a stream; null for GET and HEAD. */
  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return LazyRequest.#bodyOf(this)?.stream ?? null;
  }

  /** Whether the body was read, or is being read. */
  get bodyUsed(): boolean {
    return LazyRequest.#bodyOf(this)?.isUsed ?? false;
  }

  /** Aborts when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    return this.#host.signal;
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
   * @throws {TypeError} when the body was read, or is being read.
   */
  clone(): Request {
    const body = LazyRequest.#bodyOf(this);
    if (body?.isUnusable) throw new TypeError("Body is unusable");
    const clone = new LazyRequest(this.#head, this.#host, undefined);
    if (body !== undefined) {
      [this.#incoming, clone.#incoming] = body.tee();
      // Its body is the stream that has just been shared out.
      this.#real = undefined;
    }
    return clone as unknown as Request;
  }

  // Static, since private methods would mark each request with a field.

  /**
   * What there is to read. As with `Deno.serve`, a GET or HEAD has nothing,
   * whatever its client sent, and others have something, if only no bytes.
   */
  static #bodyOf(request: LazyRequest): RequestBody | undefined {
    if (request.#head.hasNoBody) return undefined;
    return request.#incoming ??= new StreamBody("");
  }

  /**
   * Resolves to what `make` makes of the body.
   *
   * @param isOwned Whether that is for the handler to keep, or change.
   */
  static #read<T>(
    request: LazyRequest,
    make: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>,
    isOwned: boolean = false,
  ): Promise<T> {
    const body = LazyRequest.#bodyOf(request);
    // Not one for all: a buffer can be transferred.
    const now = body === undefined
      ? new Uint8Array(0)
      : body.collectNow(isOwned);
    const result = now === undefined
      ? body!.collect(isOwned).then(make)
      : made(make, now);
    if (!(result instanceof Promise)) return Promise.resolve(result);
    // A client can have it fail at any time: where the handler does not wait
    // for it, that must not end the process.
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

  static #buildUrl(request: LazyRequest): string {
    const { target, host } = request.#head;
    const { scheme } = request.#host;
    const authority = host || request.#host.authority;
    if (target.startsWith("/")) return `${scheme}://${authority}${target}`;
    if (target === "*") return `${scheme}://${authority}/*`;
    // RFC 9112 section 3.3: an absolute target is the URL itself, less the path
    // that it may leave out; the authority of a CONNECT is without a scheme.
    if (!target.includes("/")) return `${scheme}://${target}`;
    return /^[a-z]+:\/\/[^/?]*$/i.test(target) ? `${target}/` : target;
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
    // The body stays with its reader; the real request says that it is used.
    request.body?.cancel().catch(ignore);
    return request;
  }
}

standInFor(LazyRequest, SAMPLE, LazyRequest.real);
// Looking for a signal makes none, as in Deno.
if (SIGNAL !== undefined) {
  Object.defineProperty(LazyRequest.prototype, SIGNAL, {
    configurable: true,
    get: LazyRequest.signalOf,
  });
}

/** Makes something of a body that is there. */
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

/** Gives a request its method as sent, whatever the constructor makes of it. */
function setMethod(request: Request, method: string): void {
  const inner = INNER && Reflect.get(request, INNER) as { method?: string };
  if (inner?.method !== undefined) inner.method = method;
}

function ignore(): void {}
