/**
 * The transport, as HTTP uses it. A reactor's connection is one; HTTP itself
 * knows no sockets.
 *
 * @module
 */

import type { Output, SharedTransport } from "../stream/shared.ts";
import type { Transport } from "../stream/transport.ts";

/** A server's or a client's address, in the form of `Deno.serve`. */
export type ServeAddress = Deno.NetAddr | Deno.UnixAddr;

/** The part of a transport that HTTP uses; shared buffers are optional. */
export type HttpTransport =
  & Partial<Pick<SharedTransport, Lent>>
  & Pick<
    Transport,
    | "nowMs"
    | "bufferedBytes"
    | "heldBytes"
    | "isOverfull"
    | "peerHasEnded"
    | "peerAddress"
    | "localAddress"
    | "write"
    | "writeVectored"
    | "writeOwned"
    | "pause"
    | "resume"
    | "readNow"
    | "awaitRoom"
    | "setDeadline"
    | "close"
    | "closeIdle"
    | "closeLingering"
    | "abort"
  >
  & {
    /** Asks the transport's protocol to finish: see `Connection.shutdown`. */
    shutdown?(): void;
  };

type Lent = "reserve" | "retain" | "postpone";

/** No further answer is begun while so many bytes wait for the peer. */
export const BUSY_BYTES = 65_536;

/** Returns room in the shared buffer, or new room: see {@linkcode sendOwn}. */
export function roomFor(transport: HttpTransport, size: number): Output {
  return transport.reserve?.(size) ?? new OwnOutput(size);
}

/** Sends bytes that were written to new room, not to the shared buffer. */
export function sendOwn(transport: HttpTransport, output: Output): void {
  if (!(output instanceof OwnOutput)) return;
  transport.write(output.bytes, 0, output.length);
}

/** New room: for large bytes, or while the shared buffer is being sent. */
class OwnOutput implements Output {
  readonly bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }
}
