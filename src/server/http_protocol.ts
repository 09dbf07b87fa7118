/**
 * HTTP/1.1 without a server: a protocol for any transport.
 *
 * @module
 */

import { allowFunction, requireFunction } from "../base/checks.ts";
import { internalServerError } from "../http/errors.ts";
import { http1 } from "../http/h1/protocol.ts";
import type { LimitOptions } from "../http/http_limits.ts";
import { type Observer, observerOf } from "../http/observer.ts";
import { type Handler, Service, type ServiceOptions } from "../http/service.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { Reactor } from "../reactor/reactor.ts";
import type { Protocol } from "../stream/transport.ts";
import { settingsOf } from "./option_table.ts";

/** Options of the protocol. */
export interface HttpOptions extends LimitOptions {
  /** Answers for a failed handler; by default 500, and the error is printed. */
  onError?: (error: unknown) => Response | Promise<Response>;
  /** Notified of requests, when given. */
  observer?: Observer;
  /** Whether to refuse what RFC 9112 does not allow: see `LimitedOptions`. */
  requireHost?: boolean;
  /**
   * The reactor of the transports, which gives Deno's loop rounds while a
   * handler works. Left out when the transports have no reactor.
   */
  reactor?: Reactor;
}

/**
 * Returns HTTP/1.1 as a protocol: for a listener of a reactor, for a transport
 * that is upgraded, or for bytes in memory.
 *
 * The transport limits the time of silent and slow peers: see `Timeouts`. All
 * functions of the protocol are called with the same transport object, from
 * `open` to `close`.
 *
 * @example On a listener
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Reactor } from "../reactor/reactor.ts";
 * import { http } from "./http_protocol.ts";
 *
 * await using reactor = new Reactor();
 * const protocol = http(() => new Response("Hello"), { reactor });
 * const { addr } = reactor.listen(
 *   { hostname: "127.0.0.1", port: 0, timeouts: { idleMs: 1_000 } },
 *   protocol,
 * );
 * const response = await fetch(`http://127.0.0.1:${addr.port}`, {
 *   headers: { connection: "close" },
 * });
 * assertEquals(await response.text(), "Hello");
 * ```
 *
 * @throws {TypeError} when `handler` is no function.
 * @throws {RangeError} when a limit is out of its range.
 */
export function http(
  handler: Handler<ServeAddress>,
  options: HttpOptions = {},
): Protocol {
  requireFunction("handler", handler);
  allowFunction("onError", options.onError);
  const { reactor, onError } = options;
  const observer = observerOf(options.observer);
  const settings = settingsOf(options);
  return http1(serviceOf({
    handler,
    limits: settings,
    requireHost: settings.requireHost,
    ...onError && { onError },
    ...observer && { observer },
    ...reactor && { reactor },
  })) as Protocol;
}

/** Makes the service that all connections of one server share. */
export function serviceOf(
  { reactor, onError = answerError, ...options }:
    & Omit<ServiceOptions, "onError" | "report" | "beginWork" | "endWork">
    & Pick<HttpOptions, "onError" | "reactor">,
): Service {
  return new Service({
    ...options,
    onError,
    report: logError,
    beginWork: () => reactor?.beginWork(),
    endWork: () => reactor?.endWork(),
  });
}

function answerError(error: unknown): Response {
  logError(error);
  return internalServerError();
}

/** @param when A text about what failed; the error alone when left out. */
function logError(error: unknown, when?: string): void {
  try {
    // As Deno.serve does: the client does not see the error.
    // deno-lint-ignore no-console
    if (when === undefined) return console.error(error);
    // deno-lint-ignore no-console
    console.error(when, error);
  } catch {
    // A program's own console, which fails: what follows must go on.
  }
}
