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

/** A response is kept by its program; what it stands for is kept here. */
const handovers = new WeakMap<Response, Handover>();

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
 * @param lost Called instead of `takeover` when the peer has gone before, or
 * when the request does not allow the 101.
 */
export function takeoverResponse(
  takeover: Takeover,
  headers: HeadersInit,
  lost?: () => void,
): Response {
  const response = new Response(null, { status: SWITCHING_PROTOCOLS, headers });
  handovers.set(response, { takeover, lost, fields: undefined });
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
 */
export function takeHandover(response: Response): Handover | undefined {
  if (response instanceof TakeoverAnswer) return response;
  const handover = handovers.get(response);
  if (handover !== undefined) handovers.delete(response);
  return handover;
}
