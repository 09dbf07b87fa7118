/**
 * What a handler receives: a `Request` that decodes only what is looked at.
 *
 * @module
 */

import { type RequestBody, StreamBody } from "./body.ts";
import type { RequestHead } from "./h1/head.ts";
import { RequestHeaders } from "./headers.ts";
import { standInFor } from "./lazy.ts";
import type { StreamAddr } from "./transport.ts";

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

/** What a request needs of its connection. */
export interface RequestHost {
  /** The authority to use when the request names none. */
  readonly authority: string;
  /** What URLs begin with. */
  readonly scheme: string;
  /** The peer's address. */
  readonly remoteAddress: StreamAddr;
  /** Settles when the answer is handed over, or cannot be. */
  completed(request: LazyRequest): Promise<void>;
}

/** Stands in for `Request`: see {@linkcode standInFor}. */
export class LazyRequest {
  readonly #head: RequestHead;
  readonly #host: RequestHost;
  #incoming: RequestBody | undefined;
  #url: string | undefined = undefined;
  #headers: RequestHeaders | undefined = undefined;
  #real: Request | undefined = undefined;
  /** Whoever listens for the client; `false` when it has gone unasked for. */
  #abort: AbortController | false | undefined = undefined;

  /** Made by a connection. */
  constructor(
    head: RequestHead,
    host: RequestHost,
    body: RequestBody | undefined,
  ) {
    this.#head = head;
    this.#host = host;
    this.#incoming = body;
  }

  /** Builds the real request behind a lazy one. */
  static real(request: LazyRequest): Request {
    return request.#real ?? request.#build();
  }

  /** The signal, when somebody has asked for it; `false` for an aborted one. */
  static signalOf(this: LazyRequest): AbortSignal | false | undefined {
    return this.#abort && this.#abort.signal;
  }

  /** The connection that a request came on. */
  static host(request: LazyRequest): RequestHost {
    return request.#host;
  }

  /** The flags of a request's head. */
  static flags(request: LazyRequest): number {
    return request.#head.flags;
  }

  /** Lets go of the bytes that the request was read into. */
  static detach(request: LazyRequest): void {
    request.#head.detach();
    request.#incoming?.detach();
  }

  /** Says that the client has gone. */
  static abort(request: LazyRequest): void {
    if (request.#abort) request.#abort.abort();
    else request.#abort = false;
  }

  /** The method as sent. */
  get method(): string {
    return this.#head.method;
  }

  /** The full URL, with the authority of `Host`. */
  get url(): string {
    return this.#url ??= this.#buildUrl();
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
    return this.#body?.stream ?? null;
  }

  /** Whether the body was read, or is being read. */
  get bodyUsed(): boolean {
    return this.#body?.isUsed ?? false;
  }

  /** Aborts when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves to the body's bytes. */
  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read(own, true);
  }

  /** Resolves to the body as an `ArrayBuffer`. */
  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#read(bufferOf, true);
  }

  /** Resolves to the body as text, decoded as UTF-8. */
  text(): Promise<string> {
    return this.#read(decode);
  }

  /** Resolves to the body parsed as JSON. */
  // deno-lint-ignore no-explicit-any -- as lib.dom has it
  json(): Promise<any> {
    return this.#read(parse);
  }

  /** Resolves to the body as a `Blob` of the request's type. */
  blob(): Promise<Blob> {
    return this.#read((bytes) => this.#typed(bytes).blob());
  }

  /** Resolves to the body parsed as a form. */
  formData(): Promise<FormData> {
    return this.#read((bytes) => this.#typed(bytes).formData());
  }

  /**
   * Returns a second request with the same body.
   *
   * @throws {TypeError} when the body was read, or is being read.
   */
  clone(): Request {
    const body = this.#body;
    if (body?.isUnusable) throw new TypeError("Body is unusable");
    const clone = new LazyRequest(this.#head, this.#host, undefined);
    clone.#abort = this.#controller;
    if (body !== undefined) {
      [this.#incoming, clone.#incoming] = body.tee();
      // Its body is the stream that has just been shared out.
      this.#real = undefined;
    }
    return clone as unknown as Request;
  }

  get #controller(): AbortController {
    if (this.#abort) return this.#abort;
    const controller = new AbortController();
    if (this.#abort === false) controller.abort();
    return this.#abort = controller;
  }

  /**
   * What there is to read. As with `Deno.serve`, a GET or HEAD has nothing,
   * whatever its client sent, and others have something, if only no bytes.
   */
  get #body(): RequestBody | undefined {
    if (this.#head.hasNoBody) return undefined;
    return this.#incoming ??= new StreamBody("");
  }

  /**
   * Resolves to what `make` makes of the body.
   *
   * @param isOwned Whether that is for the handler to keep, or change.
   */
  #read<T>(
    make: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>,
    isOwned: boolean = false,
  ): Promise<T> {
    const body = this.#body;
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

  #typed(bytes: Uint8Array<ArrayBuffer>): Response {
    const type = this.#head.get("content-type");
    return new Response(bytes, {
      headers: type === undefined ? {} : { "content-type": type },
    });
  }

  #buildUrl(): string {
    const { target, host } = this.#head;
    const { scheme } = this.#host;
    const authority = host || this.#host.authority;
    if (target.startsWith("/")) return `${scheme}://${authority}${target}`;
    if (target === "*") return `${scheme}://${authority}/*`;
    // RFC 9112 section 3.3: an absolute target is the URL itself, less the path
    // that it may leave out; the authority of a CONNECT is without a scheme.
    if (!target.includes("/")) return `${scheme}://${target}`;
    return /^[a-z]+:\/\/[^/?]*$/i.test(target) ? `${target}/` : target;
  }

  #build(): Request {
    const { method } = this;
    const body = this.#body;
    const isUnusable = body?.isUnusable === true;
    const request = new Request(this.url, {
      method: body !== undefined && REFUSED.test(method) ? "POST" : method,
      headers: this.#head.fields(),
      body: body === undefined ? null : isUnusable ? NO_BYTES : body.stream,
      signal: this.signal,
    });
    setMethod(request, method);
    if (!isUnusable) return this.#real = request;
    // The body stays with whoever reads it; the real request says it is used.
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
