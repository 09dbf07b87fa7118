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

/** How HTTP is spoken. */
export interface HttpOptions extends LimitOptions {
  /** Answers when the handler fails; left out, 500 and the error is printed. */
  onError?: (error: unknown) => Response | Promise<Response>;
  /** Notified of requests; left out, nothing is. */
  observer?: Observer;
  /** Whether to refuse what RFC 9112 does not allow: see `ServeOptions`. */
  requireHost?: boolean;
  /**
   * The reactor of the transports: it leaves Deno's loop its rounds while a
   * handler is at work. Left out where the transports have no reactor.
   */
  reactor?: Reactor;
}

/**
 * Returns HTTP/1.1 as a protocol: for listeners with a protocol of their own
 * choosing, for a transport that is upgraded, for bytes in memory.
 *
 * The transport has the limits of time for peers that are silent or slow: see
 * `Timeouts`. What `open`, `data` and the others are called with is the same
 * transport from its beginning to its end.
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

/** Makes what all connections of one server share. */
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

/** @param when What was done when it failed, unless it speaks for itself. */
function logError(error: unknown, when?: string): void {
  // As Deno.serve does: nobody else is told of it.
  // deno-lint-ignore no-console
  if (when === undefined) return console.error(error);
  // deno-lint-ignore no-console
  console.error(when, error);
}
