/**
 * A server for one test, on a reactor of its own.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import type { HttpServer, ServeOptions } from "../../src/server/http_server.ts";
import { serve } from "../../src/server/serve.ts";
import { RawClient } from "./http_client.ts";
import { within } from "./waiting.ts";

/** A running server, with its clients and errors. */
export class TestServer implements AsyncDisposable {
  /** Where it is served. */
  readonly reactor: Reactor;
  /** The server. */
  readonly server: HttpServer;
  /** The errors that the handler threw. */
  readonly errors: unknown[] = [];
  readonly #clients: RawClient[] = [];
  readonly #pool = Deno.createHttpClient({});
  readonly #ownReactor: Reactor | undefined;

  /** @param options Its reactor is not closed with the server. */
  constructor(handler: Handler, options: ServeOptions = {}) {
    if (options.reactor === undefined) this.#ownReactor = new Reactor();
    this.reactor = options.reactor ?? this.#ownReactor!;
    this.server = serve({
      hostname: "127.0.0.1",
      port: 0,
      reactor: this.reactor,
      onListen: () => {},
      // Answers are compared whole: what they advertise has tests of its own.
      keepAliveMs: Infinity,
      onError: (error) => {
        this.errors.push(error);
        return new Response("failed", { status: 500 });
      },
      ...options,
    }, handler);
  }

  /** The URL of the server's root, without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.server.addr.port}`;
  }

  /** Connects a client, which is closed with the server. */
  async connect(): Promise<RawClient> {
    const client = await RawClient.connect(this.server.addr);
    this.#clients.push(client);
    return client;
  }

  /** Fetches with connections that are closed with the server. */
  fetch(path = "/", init: RequestInit = {}): Promise<Response> {
    const client = this.#pool;
    const url = path.startsWith("/") ? this.url + path : path;
    return within(fetch(url, { ...init, client }), `an answer for ${path}`);
  }

  /** Sends requests, each after the answer to the one before. */
  async exercise(count: number): Promise<void> {
    using client = await this.connect();
    for (let sent = 0; sent < count; sent++) {
      await client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.answer("HEAD");
    }
  }

  /** Ends everything, and checks that no connection is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    this.#pool.close();
    await within(this.server.shutdown(), "the server to shut down");
    if (this.#ownReactor === undefined) return;
    assertEquals(this.reactor.size, 0);
    this.#ownReactor.close();
  }
}
