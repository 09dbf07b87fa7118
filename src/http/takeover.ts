/**
 * Another protocol takes a connection over from HTTP: RFC 9110 section 7.8.
 *
 * A handler answers with a response of {@linkcode takeoverResponse}. HTTP sends
 * its head, which is the connection's last answer, and then hands the transport
 * over. HTTP itself knows no other protocol.
 *
 * @module
 */

import type { Transport } from "../stream/transport.ts";
import { LazyRequest } from "./request.ts";
import type { Service } from "./service.ts";

/** RFC 9110 section 15.2.2. */
export const SWITCHING_PROTOCOLS = 101;

/**
 * Takes the connection over by `transport.upgrade`: the 101 is written, and
 * HTTP never touches the transport again.
 *
 * @param leftover The bytes that the peer has sent behind its request.
 */
export type Takeover = (
  transport: Transport,
  service: Service,
  leftover: Uint8Array<ArrayBuffer> | undefined,
) => void;

/** What is to happen behind one 101. */
export interface Handover {
  /** Takes the connection over. */
  readonly takeover: Takeover;
  /** Called instead when the connection cannot be handed over any more. */
  readonly lost: (() => void) | undefined;
  /** Fields that HTTP sends with those of the response. */
  readonly fields: readonly [name: string, value: string][] | undefined;
}

/** What a response stands for: by the response, and by what it answers. */
const handovers = new WeakMap<object, Handover>();
/** Those that have happened, or never will. */
const taken = new WeakSet<Handover>();

/** Options of {@linkcode takeoverResponse}. */
export interface TakeoverOptions {
  /**
   * Called instead of the takeover when the peer has gone before, or when the
   * request does not allow the 101.
   */
  readonly lost?: () => void;
  /**
   * The request that the response answers. Then any response with 101 to it
   * stands for this one: middlewares return copies, with fields of their own.
   */
  readonly request?: Request;
}

/**
 * Returns a 101 that hands the connection over, once a handler returns it. Each
 * of these responses answers one request.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { takeoverResponse } from "./takeover.ts";
 *
 * const response = takeoverResponse(() => {}, { upgrade: "echo" });
 * assertEquals(response.status, 101);
 * ```
 *
 * @param takeover Called in the turn in which the 101 is written.
 * @param headers The fields of the 101: `Upgrade`, which names the protocol,
 * and the protocol's own. `Connection` is sent without being among them.
 */
export function takeoverResponse(
  takeover: Takeover,
  headers: HeadersInit,
  { lost, request }: TakeoverOptions = {},
): Response {
  const response = new Response(null, { status: SWITCHING_PROTOCOLS, headers });
  const handover = { takeover, lost, fields: undefined };
  handovers.set(response, handover);
  if (request) handovers.set(LazyRequest.exchangeOf(request), handover);
  return response;
}

/** Shows what every {@linkcode TakeoverAnswer} shows. */
const SHOWN = new Response(null, { status: SWITCHING_PROTOCOLS });
/** Makes objects that pass for that response. */
const Shown = function () {} as unknown as new () => Response;
Shown.prototype = SHOWN;

/**
 * A 101 that no program sees, which is also what happens behind it. Its fields
 * are beside it: Deno's `Response` and `Headers` make two kilobytes of garbage
 * for each connection.
 */
export abstract class TakeoverAnswer extends Shown implements Handover {
  abstract readonly fields: readonly [name: string, value: string][];
  abstract takeover(...connection: Parameters<Takeover>): void;

  get lost(): undefined {
    return undefined;
  }
}

/**
 * Returns what is to happen behind a response, once: a response that is
 * returned again stands for nothing.
 *
 * @param exchange What the response answers: see `LazyRequest.exchangeOf`.
 */
export function takeHandover(
  response: Response,
  exchange: object,
): Handover | undefined {
  if (response instanceof TakeoverAnswer) return response;
  const handover = handovers.get(response) ?? handovers.get(exchange);
  if (handover === undefined || taken.has(handover)) return undefined;
  taken.add(handover);
  return handover;
}
