/**
 * What HTTP needs of the way to its peer. A reactor's connection has it all;
 * nothing here knows sockets.
 *
 * @module
 */

import type { Output, SharedTransport } from "../stream/shared.ts";
import type { Transport } from "../stream/transport.ts";

/** A server's or a client's address, in the form that `Deno.serve` gives it. */
export type ServeAddress = Deno.NetAddr | Deno.UnixAddr;

/** What HTTP uses of a transport; one need not lend its buffers. */
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
  >;

type Lent = "reserve" | "retain";

/** Bytes waiting for a peer at which no further answer is begun. */
export const BUSY_BYTES = 65_536;

/** Returns room in the shared buffer, or of its own: see {@linkcode sendOwn}. */
export function roomFor(transport: HttpTransport, size: number): Output {
  return transport.reserve?.(size) ?? new OwnOutput(size);
}

/** Sends what was written to room of its own. */
export function sendOwn(transport: HttpTransport, output: Output): void {
  if (!(output instanceof OwnOutput)) return;
  transport.write(output.bytes, 0, output.length);
}

/** Room for what is too large for the shared buffer, or while that is sent. */
class OwnOutput implements Output {
  readonly bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }
}
