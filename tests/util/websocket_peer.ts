/**
 * A client of WebSocket that sends any bytes: what it sends need not be right.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FIN, TEXT } from "../../src/websocket/frames.ts";
import { serve } from "../../src/server/serve.ts";
import type { HttpServer, ServeOptions } from "../../src/server/http_server.ts";
import type { WebSocketHandlers } from "../../src/websocket/handlers.ts";
import { webSocket, type WebSocketRoute } from "../../src/websocket/route.ts";
import { maskedFrame } from "./websocket_frames.ts";

/** The key of RFC 6455 section 1.3, and what it is answered with. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/** A frame that the server sent. */
export interface ServerFrame {
  /** FIN, the reserved bits and the opcode. */
  readonly first: number;
  /** The payload. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** The client's end of a WebSocket. */
export class Peer implements Disposable {
  /** The head of the answer to the handshake. */
  answer = "";
  readonly #conn: Deno.Conn;
  #bytes = new Uint8Array(0);

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /**
   * Connects, and asks for a WebSocket.
   *
   * @param behind Bytes that are sent in one write with the request.
   */
  static async connect(
    { port }: Deno.NetAddr,
    { behind = new Uint8Array(0), fields = "" } = {},
  ): Promise<Peer> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const peer = new Peer(conn);
    const head = new TextEncoder().encode(
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
        `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${KEY}\r\n${fields}\r\n`,
    );
    await peer.send(new Uint8Array([...head, ...behind]));
    const answer = await peer.#head();
    assert(answer.startsWith("HTTP/1.1 101 "), answer);
    assert(answer.includes(ACCEPT), answer);
    peer.answer = answer;
    return peer;
  }

  /** Sends bytes as they are. */
  async send(...parts: Uint8Array[]): Promise<void> {
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        at += await this.#conn.write(part.subarray(at));
      }
    }
  }

  /** Sends texts as messages of one frame, in one write. */
  async sendTexts(...texts: string[]): Promise<void> {
    const frames = texts.map((text) => maskedFrame(FIN | TEXT, text));
    await this.send(new Uint8Array(await new Blob(frames).arrayBuffer()));
  }

  /** Returns the next frame; `undefined` at the server's end. */
  async frame(): Promise<ServerFrame | undefined> {
    if (!await this.#fill(2)) return undefined;
    const short = this.#bytes[1]!;
    assert(short < 128, "a server masks no frame");
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    assert(await this.#fill(head), "the server ended inside a frame");
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
    const length = short < 126
      ? short
      : short === 126
      ? view.getUint16(2)
      : Number(view.getBigUint64(2));
    assert(await this.#fill(head + length), "the server ended inside a frame");
    const payload = this.#bytes.slice(head, head + length);
    const first = this.#bytes[0]!;
    this.#bytes = this.#bytes.subarray(head + length);
    return { first, payload };
  }

  /** Returns the payload of the next frame, which must be a text. */
  async text(): Promise<string> {
    const frame = await this.frame();
    assertEquals(frame?.first, FIN | TEXT);
    return new TextDecoder().decode(frame!.payload);
  }

  /** Returns code and reason of the next frame, which must be a close frame. */
  async closing(): Promise<[code: number, reason: string]> {
    const frame = await this.frame();
    assertEquals(frame?.first, FIN | 8);
    const { payload } = frame!;
    if (payload.length === 0) return [1005, ""];
    const code = payload[0]! << 8 | payload[1]!;
    return [code, new TextDecoder().decode(payload.subarray(2))];
  }

  /** Ends what is sent. */
  end(): Promise<void> {
    return this.#conn.closeWrite();
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }

  async #head(): Promise<string> {
    let head = "";
    while (!head.endsWith("\r\n\r\n")) {
      if (!await this.#fill(1)) return head;
      head += String.fromCharCode(this.#bytes[0]!);
      this.#bytes = this.#bytes.subarray(1);
    }
    return head;
  }

  /** Reads until so many bytes are there; false at the server's end. */
  async #fill(length: number): Promise<boolean> {
    while (this.#bytes.length < length) {
      const room = new Uint8Array(65_536);
      const count = await this.#conn.read(room);
      if (count === null) return false;
      const all = new Uint8Array(this.#bytes.length + count);
      all.set(this.#bytes);
      all.set(room.subarray(0, count), this.#bytes.length);
      this.#bytes = all;
    }
    return true;
  }
}

/** Serves WebSockets with these handlers on a free port. */
export function serveWebSockets<Data>(
  handlers: WebSocketHandlers<Data>,
  options: ServeOptions = {},
): HttpServer & { route: WebSocketRoute<Data> } {
  const route = webSocket<Data>(handlers);
  const server = serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    ...options,
    websocket: route,
  });
  return Object.assign(server, { route });
}
