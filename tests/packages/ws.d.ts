/** The part of ws that tests use: the package has no types of its own. */

/** A client: a browser's, and more. */
export class WebSocket extends globalThis.WebSocket {
  /** Calls a function at each event, as Node has it. */
  on(event: string, listener: (bytes: Uint8Array) => void): this;
  /** Sends a ping. */
  ping(text: string): void;
  /** Sends a frame; one without `fin` has the message go on in the next. */
  override send(
    data: string | ArrayBufferLike | Blob | ArrayBufferView,
    options?: { fin: boolean },
  ): void;
}
