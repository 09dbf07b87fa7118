/**
 * The time limit of handlers.
 *
 * @module
 */

import { LazyRequest } from "../http/request.ts";
import type { Handler } from "../http/service.ts";
import { takeHandover } from "../http/takeover.ts";
import type { ServeAddress } from "../http/transport.ts";
import type { Reactor } from "../reactor/reactor.ts";

/**
 * Returns a handler that answers 503, and aborts the request's signal, when
 * `handler` has not answered after `ms`. A later response is thrown away.
 *
 * Only promises are timed: no timer runs while a handler keeps the thread busy.
 */
export function timedHandler(
  handler: Handler<ServeAddress>,
  ms: number,
  reactor: Reactor,
): Handler<ServeAddress> {
  return (request, info) => {
    const result = handler(request, info);
    if (typeof (result as Promise<Response>)?.then !== "function") {
      return result;
    }
    return withTime(result as Promise<Response>, request, { ms, reactor });
  };
}

function withTime(
  answer: Promise<Response>,
  request: Request,
  { ms, reactor }: { ms: number; reactor: Reactor },
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const timer = reactor.setTimer(ms, () => {
    resolve(new Response("Service Unavailable\n", { status: 503 }));
    LazyRequest.abort(request as unknown as LazyRequest);
    discard(answer, request);
  });
  const settled = Promise.resolve(answer).then(resolve, reject);
  settled.then(() => reactor.clearTimer(timer));
  return promise;
}

/** Throws away a late response, or the error of a late handler. */
async function discard(
  answer: Promise<Response>,
  request: Request,
): Promise<void> {
  try {
    const response = await answer;
    takeHandover(response, LazyRequest.exchangeOf(request))?.lost?.();
    await response.body?.cancel();
  } catch {
    // The client has its 503 already.
  }
}
