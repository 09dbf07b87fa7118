/**
 * HTTP/1.1 as a protocol: what it does with each of its transports.
 *
 * @module
 */

import type { SharedTransport } from "../../stream/shared.ts";
import type { Protocol, Transport } from "../../stream/transport.ts";
import type { Service } from "../service.ts";
import { HttpConnection } from "./connection.ts";

/** The way to a peer that speaks HTTP/1.1, which may lend its buffers. */
type Way =
  & Transport<HttpConnection>
  & Partial<SharedTransport<HttpConnection>>;

/**
 * Returns HTTP/1.1 for any transport.
 *
 * A transport that was closed instead of opened has no data, and is told of its
 * end all the same.
 *
 * @param service What all of its connections share.
 */
export function http1(service: Service): Required<Http1Protocol> {
  return {
    keepsReading: false,
    open: (transport) => {
      transport.data = new HttpConnection(transport, service);
    },
    data: (transport, bytes, start, end) => {
      if (transport.retain === undefined) {
        // A request may refer to its bytes for longer than they are valid.
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

/** What HTTP does; an error of a transport is told by its `close` alone. */
export type Http1Protocol = Omit<Protocol<HttpConnection, Way>, "error">;
