/**
 * What a handler receives: a `Request` that decodes only what is looked at.
 *
 * @module
 */

import type { IncomingBody } from "./body.ts";
import type { RequestHead } from "./head.ts";
import { RequestHeaders } from "./headers.ts";
import { standInFor } from "./lazy.ts";
import type { StreamAddr } from "./transport.ts";

const NO_BYTES = new Uint8Array(0);

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
  readonly #incoming: IncomingBody | undefined;
  #url: string | undefined = undefined;
  #headers: RequestHeaders | undefined = undefined;
  #real: Request | undefined = undefined;
  #abort: AbortController | undefined = undefined;

  /** Made by a connection. */
  constructor(
    head: RequestHead,
    host: RequestHost,
    body: IncomingBody | undefined,
  ) {
    this.#head = head;
    this.#host = host;
    this.#incoming = body;
  }

  /** Builds the real request behind a lazy one. */
  static real(request: LazyRequest): Request {
    return request.#real ?? request.#build();
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
    (request.#abort ??= new AbortController()).abort();
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

  /** The body as a stream, or null when there is none. */
  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    if (this.#real !== undefined) return this.#real.body;
    return this.#incoming?.stream ?? null;
  }

  /** Whether the body was read, or is being read. */
  get bodyUsed(): boolean {
    if (this.#real !== undefined) return this.#real.bodyUsed;
    return this.#incoming?.isUsed ?? false;
  }

  /** Aborts when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    return (this.#abort ??= new AbortController()).signal;
  }

  /** Resolves to the body's bytes. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.#collect()).slice();
  }

  /** Resolves to the body as an `ArrayBuffer`. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer;
  }

  /** Resolves to the body as text, decoded as UTF-8. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.#collect());
  }

  /** Resolves to the body parsed as JSON. */
  // deno-lint-ignore no-explicit-any -- as lib.dom has it
  async json(): Promise<any> {
    return JSON.parse(await this.text());
  }

  /** Resolves to the body as a `Blob` of the request's type. */
  async blob(): Promise<Blob> {
    return await this.#typed(await this.#collect()).blob();
  }

  /** Resolves to the body parsed as a form. */
  async formData(): Promise<FormData> {
    return await this.#typed(await this.#collect()).formData();
  }

  /** Returns a second request with the same body. */
  clone(): Request {
    return LazyRequest.real(this).clone();
  }

  /** The whole body, possibly in a buffer that others share. */
  async #collect(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#real !== undefined) return await this.#real.bytes();
    return await this.#incoming?.collect() ?? NO_BYTES;
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
    // RFC 9112 section 3.3: an absolute target is the URL itself.
    if (target.startsWith("/")) return `${scheme}://${authority}${target}`;
    return target === "*" ? `${scheme}://${authority}/*` : target;
  }

  #build(): Request {
    const { method } = this;
    const allowsBody = method !== "GET" && method !== "HEAD";
    const isUnusable = this.#incoming?.isUnusable === true;
    const request = new Request(this.url, {
      method,
      headers: this.#head.fields(),
      body: !allowsBody ? null : isUnusable ? NO_BYTES : this.body,
      signal: this.signal,
    });
    if (!isUnusable) return this.#real = request;
    // The body stays with whoever reads it; the real request says it is used.
    request.body?.cancel().catch(() => {});
    return request;
  }
}

standInFor(LazyRequest, new Request("http://localhost/"), LazyRequest.real);
