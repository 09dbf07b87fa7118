/**
 * WebSockets on a system in memory, whose clock and sockets a test moves.
 *
 * @module
 */

import { Reactor } from "../../src/reactor/reactor.ts";
import type { HttpServer } from "../../src/server/http_server.ts";
import { serve } from "../../src/server/serve.ts";
import { MemorySystem } from "../../src/system/memory.ts";
import type { MemoryStream } from "../../src/system/memory_sockets.ts";
import type { WebSocketHandlers } from "../../src/websocket/handlers.ts";

const PORT = 1;
const HANDSHAKE = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** A server of WebSockets in memory. */
export class MemoryServer implements Disposable {
  readonly system = new MemorySystem();
  readonly server: HttpServer;
  readonly #reactor = new Reactor({ system: this.system });

  constructor(handlers: WebSocketHandlers) {
    const address = { hostname: "127.0.0.1", port: PORT };
    const reactor = this.#reactor;
    const options = { ...address, reactor, onListen() {} };
    this.server = serve({ ...options, websocket: handlers });
  }

  /**
   * Opens a WebSocket; returns the client's end, behind the handshake.
   *
   * @param room How many bytes the client takes.
   */
  async open(
    { room = Infinity, fields = "" } = {},
  ): Promise<MemoryStream> {
    const peer = this.system.arrive();
    peer.room = room;
    peer.receive(`${HANDSHAKE}${fields}\r\n`);
    await this.system.settle();
    return peer;
  }

  [Symbol.dispose](): void {
    this.#reactor.close();
  }
}
