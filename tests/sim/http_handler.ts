/**
 * The handler of a simulated HTTP server: does what each request asks for, and
 * counts its own calls.
 *
 * @module
 */

import type { Handler } from "../../src/http/service.ts";
import { sameBytes } from "../util/random.ts";
import {
  type Exchange,
  expectedOf,
  FAILURE_TEXT,
  sentBody,
  textOf,
} from "./requests.ts";
import type { World } from "./world.ts";

/** The error that handlers throw on purpose. */
export class PlannedError extends Error {
  /** The name of the class. */
  override name = "PlannedError";
}

/** Answers requests that are known by their path. */
export class SimulatedHandler {
  /** Calls of the handler that have not settled. */
  pending = 0;
  /** Streams that have neither ended nor were cancelled. */
  streams = 0;
  readonly #world: World;
  readonly #exchanges: ReadonlyMap<string, Exchange>;

  /** @param exchanges All requests of all clients, by path. */
  constructor(world: World, exchanges: ReadonlyMap<string, Exchange>) {
    this.#world = world;
    this.#exchanges = exchanges;
  }

  /** The handler for `serve`. */
  readonly handle: Handler = (request) => {
    const { pathname } = new URL(request.url);
    const exchange = this.#exchanges.get(pathname) ??
      this.#world.fail(`no client has asked for ${pathname}`);
    this.#world.log(
      "handler",
      `${request.method} ${pathname}: ${exchange.manner}`,
    );
    if (request.method !== exchange.method) {
      this.#world.fail(`${pathname} came as ${request.method}`);
    }
    this.#world.compute();
    // Otherwise the connection would close, with an unread body.
    void request.body;
    if (exchange.calls++ > 0) this.#world.fail(`${pathname} is handled twice`);
    if (exchange.manner === "throw") throw new PlannedError(FAILURE_TEXT);
    if (exchange.manner === "text") return new Response(textOf(exchange));
    if (exchange.manner === "bytes") {
      return new Response(expectedOf({ ...exchange, method: "GET" }).body);
    }
    this.pending++;
    return this.#answer(request, exchange).finally(() => {
      this.pending--;
      this.#world.log("handler", `${pathname} settles`);
    });
  };

  async #answer(request: Request, exchange: Exchange): Promise<Response> {
    const { manner, delayMs } = exchange;
    if (this.#world.chance(0.5)) await this.#sleep(delayMs);
    const { body } = expectedOf({ ...exchange, method: "GET" });
    switch (manner) {
      case "reject":
        throw new PlannedError(FAILURE_TEXT);
      case "echo":
        return new Response(await this.#readAll(request, exchange));
      case "echo stream":
        return new Response(request.body);
      case "read part":
        await this.#readPart(request);
        return new Response(body);
      case "stream":
        return new Response(this.#stream(body, exchange));
      case "counted stream":
        return new Response(this.#stream(body, exchange), {
          headers: { "content-length": String(body.byteLength) },
        });
      case "break":
        return new Response(this.#stream(body, exchange));
      default:
        return new Response(body);
    }
  }

  async #readAll(
    request: Request,
    exchange: Exchange,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await request.bytes();
    if (!sameBytes(bytes, sentBody(exchange))) {
      this.#world.fail(`the body of /${exchange.tag} is not what was sent`);
    }
    return bytes;
  }

  async #readPart(request: Request): Promise<void> {
    const reader = request.body?.getReader();
    if (reader === undefined) return;
    await reader.read();
    if (this.#world.chance(0.5)) await reader.cancel();
  }

  #stream(
    body: Uint8Array<ArrayBuffer>,
    { manner, delayMs }: Exchange,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const breaksAt = manner === "break"
      ? this.#world.whole(0, body.byteLength - 1)
      : Infinity;
    let at = 0;
    let isCancelled = false;
    this.streams++;
    return new ReadableStream({
      pull: async (controller) => {
        if (this.#world.chance(0.3)) await this.#sleep(delayMs);
        if (isCancelled) return;
        const size = this.#world.size(body.byteLength);
        const chunk = body.slice(at, at + size);
        at += chunk.byteLength;
        if (at > breaksAt) {
          this.streams--;
          return controller.error(new PlannedError(FAILURE_TEXT));
        }
        if (chunk.byteLength > 0) return controller.enqueue(chunk);
        this.streams--;
        controller.close();
      },
      cancel: () => {
        isCancelled = true;
        this.streams--;
      },
    });
  }

  #sleep(delayMs: number): Promise<void> {
    return this.#world.sleep(this.#world.delayMs(delayMs));
  }
}
