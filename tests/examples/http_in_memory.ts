/**
 * HTTP without sockets: a request goes in as bytes, and the answer comes out as
 * bytes. It shows how to write a transport: TLS or a pipe could be another.
 *
 * `deno run -A tests/examples/http_in_memory.ts`
 *
 * @module
 */

// deno-lint-ignore-file no-console -- this is a command line

import {
  http,
  type Protocol,
  type StreamAddress,
  type Transport,
} from "../../mod.ts";

const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 80 } as const;

/** A transport in memory; this program is its peer. */
class MemoryTransport implements Transport {
  data: unknown = undefined;
  isClosed = false;
  peerHasEnded = false;
  heldBytes = 0;
  readonly bufferedBytes = 0;
  readonly isOverfull = false;
  readonly peerAddress: StreamAddress = ADDRESS;
  readonly localAddress: StreamAddress = ADDRESS;
  readonly #protocol: Required<Protocol>;
  readonly #sent: Uint8Array[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #received: Uint8Array<ArrayBuffer>[] = [];
  #isPaused = false;

  constructor(protocol: Protocol) {
    this.#protocol = protocol as Required<Protocol>;
    this.#protocol.open(this);
  }

  // What the peer calls.

  /** Sends bytes to the protocol. */
  receive(bytes: Uint8Array<ArrayBuffer>): void {
    this.#received.push(bytes);
    if (!this.#isPaused) this.readNow();
  }

  /** Resolves with all that the protocol has sent, when it has closed. */
  async answer(): Promise<Uint8Array<ArrayBuffer>> {
    await this.#ended.promise;
    return await new Blob(this.#sent as BlobPart[]).bytes();
  }

  // What the protocol calls.

  get nowMs(): number {
    return performance.now();
  }

  write(bytes: Uint8Array<ArrayBuffer>, start?: number, end?: number): boolean {
    this.#sent.push(bytes.slice(start, end));
    return true;
  }

  writeVectored(parts: readonly Uint8Array<ArrayBuffer>[]): boolean {
    for (const part of parts) this.write(part);
    return true;
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
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    // Later: the protocol may call this while it handles other bytes.
    queueMicrotask(() => this.#isPaused || this.readNow());
  }

  readNow(): number {
    const all = this.#received;
    this.#received = [];
    for (const bytes of all) {
      if (this.isClosed) break;
      this.#protocol.data(this, bytes, 0, bytes.byteLength);
    }
    return all.length;
  }

  awaitRoom(): void {}

  setDeadline(): void {}

  upgrade(): never {
    throw new Deno.errors.NotSupported("Cannot upgrade a transport in memory");
  }

  closeWrite(): void {
    this.close();
  }

  close(): void {
    this.#close("closed");
  }

  closeLingering(): void {
    this.close();
  }

  closeIdle(): void {
    this.close();
  }

  abort(): void {
    this.#close("aborted");
  }

  #close(reason: "closed" | "aborted"): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#ended.resolve();
    queueMicrotask(() => this.#protocol.close(this, reason));
  }
}

/**
 * Returns the answers to requests; the last request closes the connection.
 *
 * @param pieces The requests, cut anywhere.
 */
export async function exchange(
  handler: Parameters<typeof http>[0],
  ...pieces: readonly string[]
): Promise<string> {
  const transport = new MemoryTransport(http(handler));
  for (const piece of pieces) {
    transport.receive(new TextEncoder().encode(piece));
  }
  return new TextDecoder().decode(await transport.answer());
}

if (import.meta.main) {
  const answer = await exchange(
    async (request) => new Response(`${await request.text()}, world\n`),
    "POST / HTTP/1.1\r\nhost: memory\r\nconnection: close\r\n" +
      "content-length: 5\r\n\r\nHello",
  );
  console.log(answer);
}
