/**
 * HTTP/1.1 as a protocol, for any transport.
 *
 * @module
 */

import type { SharedTransport } from "../../stream/shared.ts";
import type { Protocol, Transport } from "../../stream/transport.ts";
import type { Service } from "../service.ts";
import { HttpConnection } from "./connection.ts";

/** A transport, which may have shared buffers. */
type AnyTransport =
  & Transport<HttpConnection>
  & Partial<SharedTransport<HttpConnection>>;

/**
 * Returns HTTP/1.1 for any transport.
 *
 * `close` is also called for a transport that was never opened, which has no
 * data.
 *
 * @param service The handler, limits and heads that all connections share.
 */
export function http1(service: Service): Required<Http1Protocol> {
  return {
    keepsReading: false,
    open: (transport) => {
      transport.data = new HttpConnection(transport, service);
    },
    data: (transport, bytes, start, end) => {
      if (transport.retain === undefined) {
        // A request may refer to its bytes longer than they are valid: copy
        // them.
        bytes = bytes.slice(start, end);
        [start, end] = [0, bytes.byteLength];
      }
      transport.data.data(bytes, start, end);
    },
    end: ({ data }) => data.end(),
    ending: ({ data }) => data.ending(),
    drain: ({ data }) => data.drain(),
    broken: ({ data }) => data?.broken(),
    timeout: ({ data }, reason) => data.timeout(reason),
    close: ({ data }, reason) => data?.closed(reason),
    shutdown: ({ data }) => data?.shutdown(),
    terminate: ({ data }) => data?.terminate(),
    isIdle: ({ data }) => data?.isIdle ?? false,
  };
}

/** The protocol without what HTTP leaves to its server, and `error`. */
export type Http1Protocol = Omit<
  Protocol<HttpConnection, AnyTransport>,
  "error" | "timeouts" | "lastWords"
>;
