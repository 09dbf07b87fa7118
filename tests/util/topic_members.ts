/**
 * Members of topics in memory, which keep what was sent to them.
 *
 * @module
 */

import { headBytes, RSV1, writeHead } from "../../src/websocket/frames.ts";
import type { SharedCodec } from "../../src/websocket/frame_log.ts";
import type { Part, Receiver } from "../../src/stream/shared.ts";
import type {
  TopicLimits,
  TopicMember,
  TopicTransport,
} from "../../src/websocket/topic.ts";
import { encoded } from "./handlers.ts";

/** Limits that no test reaches by accident. */
export const MEMBER_LIMITS: TopicLimits = {
  topicsMax: 100,
  backpressureBytesMax: 1_048_576,
  slowSubscribers: "drop",
};

/** A codec that turns bytes around, and counts how often. */
export class TurningCodec implements SharedCodec {
  deflations = 0;

  /** @param thresholdBytes Shorter messages go as they are. */
  constructor(readonly thresholdBytes: number) {}

  wants(size: number, compress?: boolean): boolean {
    return compress ?? size >= this.thresholdBytes;
  }

  deflate(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
  ): Uint8Array<ArrayBuffer> {
    this.deflations++;
    return bytes.slice(start, end).reverse();
  }
}

/** A transport that keeps what is written. */
export class KeepingTransport implements TopicTransport {
  bufferedBytes = 0;
  /** Calls that sent bytes to it alone. */
  writes = 0;
  /** What was sent, a character for each byte. */
  text = "";
  /** Runs inside of each write. */
  onWrite: (() => void) | undefined;
  readonly broadcast: TopicTransport["broadcast"];

  /** @param host Broadcasts reach the transports of one host. */
  constructor(readonly host?: Broadcasts) {
    if (host === undefined) return;
    this.broadcast = (receivers, part) => host.send(receivers, part);
  }

  write(
    bytes: Uint8Array<ArrayBuffer>,
    start = 0,
    end = bytes.length,
  ): boolean {
    this.writes++;
    this.keep({ bytes, start, end });
    this.onWrite?.();
    return true;
  }

  keep({ bytes, start, end }: Part): void {
    this.text += binaryText(bytes.subarray(start, end));
  }
}

/** Counts the broadcasts of one host. */
export class Broadcasts {
  calls = 0;

  send(receivers: readonly Receiver[], part: Part): number[] {
    this.calls++;
    const others: number[] = [];
    for (const [index, receiver] of receivers.entries()) {
      const transport = receiver as KeepingTransport;
      if (transport.host === this) transport.keep(part);
      else others.push(index);
    }
    return others;
  }
}

/** A member in memory. */
export class Member implements TopicMember {
  readonly transport: KeepingTransport;
  joined: TopicMember["joined"] = undefined;
  isOpen = true;
  /** How often it was closed for being slow. */
  closes = 0;

  constructor(
    host?: Broadcasts,
    readonly topicCodec: SharedCodec | undefined = undefined,
    readonly topicLimits: TopicLimits = MEMBER_LIMITS,
  ) {
    this.transport = new KeepingTransport(host);
  }

  get text(): string {
    return this.transport.text;
  }

  tooSlow(): void {
    this.closes++;
  }
}

/** Returns the frame of a message, a character for each byte. */
export function frameText(
  message: string | Uint8Array<ArrayBuffer>,
  codec?: TurningCodec,
): string {
  const isText = typeof message === "string";
  const bytes = isText ? encoded(message) : message;
  const isSmall = codec !== undefined && codec.wants(bytes.byteLength);
  const payload = isSmall ? bytes.toReversed() : bytes;
  const size = headBytes(payload.byteLength);
  const frame = new Uint8Array(size + payload.byteLength);
  const first = (isText ? 1 : 2) | 0x80 | (isSmall ? RSV1 : 0);
  frame.set(payload, writeHead(frame, 0, first, payload.byteLength));
  return binaryText(frame);
}

/** Returns a character for each byte. */
function binaryText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    text += String.fromCharCode(...piece);
  }
  return text;
}

/** As many arguments as any engine takes. */
const PIECE_BYTES = 8_192;
