/**
 * A WebSocket over a transport: RFC 6455.
 *
 * It knows no sockets, and no HTTP: the handshake is over when it begins. It
 * receives bytes from its protocol and sends by its transport.
 *
 * @module
 */

import { soon } from "../base/own.ts";
import type { ServeAddress } from "../http/transport.ts";
import { CloseCode } from "./close_codes.ts";
import { close, closeFailed } from "./closing.ts";
import type { Codec } from "./codec.ts";
import type { SharedCodec } from "./frame_log.ts";
import { PING, PONG } from "./frames.ts";
import { messagesOf, streamsOf } from "./messages.ts";
import { call, waitFor } from "./notifying.ts";
import { goOn } from "./receiving.ts";
import { send, sendControl } from "./sending.ts";
import type { WebSocketService } from "./service.ts";
import type {
  Message,
  Sendable,
  SendOptions,
  SendResult,
  WebSocketStreams,
} from "./socket.ts";
import {
  ACTING,
  HELD,
  PAUSED,
  Phase,
  phaseOf,
  PINGED,
  setPhase,
  type SocketExtras,
  type SocketRecord,
  type WebSocketTransport,
} from "./state.ts";
import type { TopicLimits, TopicMember } from "./topic.ts";
import { topicsOf } from "./topics.ts";

const NO_BYTES = new Uint8Array(0);

/** What belongs to one WebSocket from its beginning on. */
export interface Beginning {
  /** The program's own data. */
  readonly data: unknown;
  /** The subprotocol that was agreed; empty for none. */
  readonly protocol: string;
  /** Compresses messages, when that was agreed. */
  readonly codec: Codec | undefined;
}

/** A WebSocket: see `ServerWebSocket`. */
export class WebSocketConnection implements SocketRecord {
  data: unknown;
  readonly transport: WebSocketTransport;
  readonly service: WebSocketService;
  readonly protocol: string;
  state: number = Phase.CONNECTING;
  readonly codec: Codec | undefined;
  extras: SocketExtras | undefined = undefined;
  joined: TopicMember["joined"] = undefined;

  /** @param transport Sends to the peer. */
  constructor(
    transport: WebSocketTransport,
    service: WebSocketService,
    { data, protocol, codec }: Beginning,
  ) {
    this.transport = transport;
    this.service = service;
    this.data = data;
    this.protocol = protocol;
    this.codec = codec;
  }

  // What programs call: see `ServerWebSocket`.

  get readyState(): number {
    return phaseOf(this);
  }

  get extensions(): string {
    return this.codec?.extensions ?? "";
  }

  get bufferedBytes(): number {
    return this.transport.bufferedBytes;
  }

  get remoteAddr(): ServeAddress {
    return this.transport.peerAddress;
  }

  send(message: Sendable, options?: SendOptions): SendResult {
    return send(this, message, options);
  }

  ping(message: Sendable = NO_BYTES): SendResult {
    return sendControl(this, PING, message);
  }

  pong(message: Sendable = NO_BYTES): SendResult {
    return sendControl(this, PONG, message);
  }

  close(code: number = 1000, reason: string = ""): void {
    close(this, code, reason);
  }

  terminate(): void {
    if (phaseOf(this) !== Phase.CLOSED) this.transport.abort();
  }

  get isPaused(): boolean {
    return (this.state & PAUSED) !== 0;
  }

  pause(): void {
    if (phaseOf(this) !== Phase.OPEN) return;
    this.state |= PAUSED;
    this.transport.pause();
  }

  resume(): void {
    if (!(this.state & PAUSED)) return;
    this.state &= ~PAUSED;
    this.goOn();
  }

  isSubscribed(topic: string): boolean {
    return this.service.hub.has(topic, this);
  }

  subscribe(topic: string): boolean {
    return this.service.hub.subscribe(topic, this);
  }

  unsubscribe(topic: string): boolean {
    return this.service.hub.unsubscribe(topic, this);
  }

  publish(topic: string, message: Sendable, options?: SendOptions): number {
    const compress = options?.compress;
    return this.service.hub.publish(topic, message, { compress, except: this });
  }

  get topics(): string[] {
    return topicsOf(this);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return messagesOf(this);
  }

  streams(): WebSocketStreams {
    return streamsOf(this);
  }

  /** Shows what programs see: the transport leads to the whole server. */
  [Symbol.for("Deno.customInspect")](
    inspect: typeof Deno.inspect,
    options: Deno.InspectOptions,
  ): string {
    const { data, readyState, protocol, extensions } = this;
    const { bufferedBytes, isPaused, topics } = this;
    const shown = { data, readyState, protocol, extensions };
    const more = { bufferedBytes, isPaused, topics };
    return `ServerWebSocket ${inspect({ ...shown, ...more }, options)}`;
  }

  // What topics call: see `TopicMember`.

  get topicCodec(): SharedCodec | undefined {
    return this.codec?.shared;
  }

  get isOpen(): boolean {
    return phaseOf(this) === Phase.OPEN;
  }

  get topicLimits(): TopicLimits {
    return this.service.topicLimits;
  }

  tooSlow(): void {
    close(this, CloseCode.TRY_LATER, "Too slow");
  }

  // What the files of this folder call.

  /** Begins: the transport calls this protocol from now on. */
  opened(): void {
    const { service } = this;
    setPhase(this, Phase.OPEN);
    service.counts.open++;
    service.counts.opened++;
    // Without `call`: its closure would cost each WebSocket memory.
    try {
      waitFor(this, service.receiver.open(this), true);
    } catch (error) {
      closeFailed(this, error);
    }
  }

  /** The peer has taken bytes: `send` takes more. */
  drained(): void {
    if (phaseOf(this) !== Phase.OPEN) return;
    this.extras?.reader?.drained();
    const { receiver } = this.service;
    call(this, false, () => receiver.drain(this));
  }

  /**
   * Nothing can be sent any more. `close` is called when the bytes that have
   * come are read, so a program that has paused until `drain` must read on.
   */
  broke(): void {
    if (!(this.state & HELD)) return;
    // Later: the program may be about to send.
    soon(() => this.drained());
  }

  goOn(): void {
    // What would answer the ping may wait behind what was held.
    this.state &= ~PINGED;
    if (this.state & HELD) return;
    // The loop over the rows goes on by itself.
    if (this.state & ACTING) return this.transport.resume();
    try {
      goOn(this);
    } catch (error) {
      // An error of denio's own: nothing else would end the WebSocket.
      this.transport.abort();
      this.service.host.report(error);
    }
  }
}
