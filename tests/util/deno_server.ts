/**
 * `Deno.serve` beside ours: what a handler gets and sends there is what it must
 * get and send here.
 *
 * @module
 */

import type { Handler } from "../../src/http/service.ts";
import { RawClient } from "./http_client.ts";
import { TestServer } from "./http_server.ts";
import { within } from "./waiting.ts";

/** The same handler, served by denio and by Deno. */
export class BothServers implements AsyncDisposable {
  /** Ours. */
  readonly ours: TestServer;
  /** What the handler threw under `Deno.serve`. */
  readonly denoErrors: unknown[] = [];
  readonly #deno: Deno.HttpServer<Deno.NetAddr>;

  constructor(handler: Handler) {
    this.ours = new TestServer(handler);
    this.#deno = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen() {},
      onError: (error) => {
        this.denoErrors.push(error);
        return new Response("failed", { status: 500 });
      },
    }, handler);
  }

  /**
   * Resolves to what `ask` makes of a connection to either, in the order: ours,
   * Deno's.
   */
  async ask<T>(ask: (client: RawClient) => Promise<T>): Promise<[T, T]> {
    using ours = await RawClient.connect(this.ours.server.addr);
    using deno = await RawClient.connect(this.#deno.addr);
    return [await ask(ours), await ask(deno)];
  }

  /** Ends both. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.ours[Symbol.asyncDispose]();
    await within(this.#deno.shutdown(), "Deno's server to shut down");
  }
}
