/**
 * A layer between a connection and a protocol, as TLS would be: each byte that
 * the peer sends and gets is changed on the way.
 *
 * @module
 */

import type {
  Connection,
  ConnectionHandlers,
  Protocol,
  StreamAddress,
  TimeoutReason,
} from "../../mod.ts";
import type { HttpConnection } from "../../src/http/h1/connection.ts";
import type { Http1Protocol } from "../../src/http/h1/protocol.ts";
import type { Output, SharedTransport } from "../../src/stream/shared.ts";

const OUTPUT_BYTES = 65_536;
const MASK = 0x55;

/** Returns a copy of the bytes, each changed; twice is what it was. */
export function unmasked(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.byteLength,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes.subarray(start, end)).map((byte) => byte ^ MASK);
}

/** Returns handlers that hand what they unmask to `upper`. */
export function masked(
  upper: Required<Http1Protocol>,
): ConnectionHandlers<MaskedTransport> {
  return {
    open: (connection) => {
      connection.data = new MaskedTransport(connection);
      upper.open(connection.data);
    },
    data: ({ data }, bytes, start, end) => {
      upper.data(data, unmasked(bytes, start, end), 0, end - start);
    },
    end: ({ data }) => upper.end(data),
    ending: ({ data }) => upper.ending(data),
    drain: ({ data }) => upper.drain(data),
    broken: ({ data }, error) => upper.broken(data, error),
    timeout: ({ data }, reason) => upper.timeout(data, reason),
    close: ({ data }, reason) => upper.close(data, reason),
    shutdown: ({ data }) => upper.shutdown(data),
    terminate: ({ data }) => upper.terminate(data),
    isIdle: ({ data }) => upper.isIdle(data),
  };
}

/** The transport of the protocol above the layer. */
export class MaskedTransport implements SharedTransport<HttpConnection> {
  data: HttpConnection = undefined as unknown as HttpConnection;
  readonly #lower: Connection<MaskedTransport>;
  readonly #output: Output = { bytes: new Uint8Array(OUTPUT_BYTES), length: 0 };

  /** @param lower The connection below. */
  constructor(lower: Connection<MaskedTransport>) {
    this.#lower = lower;
  }

  get isClosed(): boolean {
    return this.#lower.isClosed;
  }

  get peerHasEnded(): boolean {
    return this.#lower.peerHasEnded;
  }

  get bufferedBytes(): number {
    return this.#lower.bufferedBytes;
  }

  get heldBytes(): number {
    return this.#lower.heldBytes;
  }

  set heldBytes(bytes: number) {
    this.#lower.heldBytes = bytes;
  }

  get isOverfull(): boolean {
    return this.#lower.isOverfull;
  }

  get nowMs(): number {
    return this.#lower.nowMs;
  }

  get peerAddress(): StreamAddress {
    return this.#lower.peerAddress;
  }

  get localAddress(): StreamAddress {
    return this.#lower.localAddress;
  }

  reserve(size: number): Output | undefined {
    if (size > OUTPUT_BYTES) return undefined;
    if (OUTPUT_BYTES - this.#output.length < size) this.#flush();
    // What is written there leaves behind what runs now.
    if (this.#output.length === 0) queueMicrotask(() => this.#flush());
    return this.#output;
  }

  retain(): void {
    // The protocol gets a copy of its own.
  }

  write(
    bytes: Uint8Array<ArrayBuffer>,
    start?: number,
    end?: number,
  ): boolean {
    this.#flush();
    return this.#lower.writeOwned(unmasked(bytes, start, end));
  }

  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean {
    this.#flush();
    return this.#lower.writeVectored(parts.map((part) => unmasked(part)));
  }

  writeOwned(bytes: Uint8Array<ArrayBuffer>): boolean {
    return this.write(bytes);
  }

  writeInto(
    size: number,
    fill: (bytes: Uint8Array<ArrayBuffer>) => number,
  ): boolean {
    const bytes = new Uint8Array(size);
    return this.write(bytes, 0, fill(bytes));
  }

  pause(): void {
    this.#lower.pause();
  }

  resume(): void {
    this.#lower.resume();
  }

  readNow(): number {
    return this.#lower.readNow();
  }

  awaitRoom(): void {
    this.#lower.awaitRoom();
  }

  setDeadline(delayMs: number): void {
    this.#lower.setDeadline(delayMs);
  }

  upgrade<Next>(
    _protocol: Protocol<Next>,
    _data: Next,
  ): SharedTransport<Next> {
    throw new Deno.errors.NotSupported("Cannot upgrade a masked transport");
  }

  closeWrite(): void {
    this.#flush();
    this.#lower.closeWrite();
  }

  close(): void {
    this.#flush();
    this.#lower.close();
  }

  closeLingering(): void {
    this.#flush();
    this.#lower.closeLingering();
  }

  closeIdle(): void {
    this.#flush();
    this.#lower.closeIdle();
  }

  abort(reason?: TimeoutReason | "aborted"): void {
    this.#lower.abort(reason);
  }

  #flush(): void {
    const { bytes, length } = this.#output;
    this.#output.length = 0;
    if (length > 0) this.#lower.writeOwned(unmasked(bytes, 0, length));
  }
}
