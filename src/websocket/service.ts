/**
 * What the WebSockets of one kind share: receiver, limits and counts.
 *
 * @module
 */

import {
  COMPRESSION,
  MASKED,
  STATE_FRAGMENTS_MAX,
  STATE_MESSAGE_MAX,
  STATE_SETTINGS,
  STATE_WORDS,
} from "./frames.ts";
import type { WebSocketLimits } from "./limits.ts";
import type { Receiver } from "./receiver.ts";
import type { SlowSubscribers, TopicLimits } from "./topic.ts";
import type { Hub } from "./topics.ts";

/** What the server of a WebSocket does for it. */
export interface WebSocketHost {
  /** Counts a pending promise of a handler: Deno's loop must go on. */
  beginWork(): void;
  /** Uncounts a promise that has settled. */
  endWork(): void;
  /** Called with an error of a handler, and a text for the log; never throws. */
  report(error: unknown, when?: string): void;
}

/** Counts of all WebSockets of one kind. */
export interface WebSocketCounts {
  /** WebSockets that are open or closing. */
  open: number;
  /** WebSockets that were opened. */
  opened: number;
  /** Whole messages that have come. */
  received: number;
  /** Messages that `send` took. */
  sent: number;
  /** Messages that `send` refused because too many bytes wait. */
  refused: number;
}

/** Returns counts at 0. */
export function noCounts(): WebSocketCounts {
  return { open: 0, opened: 0, received: 0, sent: 0, refused: 0 };
}

/** What the WebSockets of one kind share. */
export interface WebSocketServiceOptions {
  /** The limits. */
  readonly limits: WebSocketLimits;
  /** The server. */
  readonly host: WebSocketHost;
  /** Counts them. */
  readonly counts: WebSocketCounts;
  /** The topics of the server. */
  readonly hub: Hub;
  /** What becomes of messages of topics for slow peers. */
  readonly slowSubscribers: SlowSubscribers;
}

/** What the WebSockets of one kind share on one server. */
export class WebSocketService {
  /** Is notified of messages. */
  readonly receiver: Receiver;
  /** The limits. */
  readonly limits: WebSocketLimits;
  /** The server. */
  readonly host: WebSocketHost;
  /** Counts of all of them. */
  readonly counts: WebSocketCounts;
  /** The topics of the server. */
  readonly hub: Hub;
  /** The limits of subscribers. */
  readonly topicLimits: TopicLimits;
  readonly #plain: Uint32Array<ArrayBuffer>;
  readonly #compressed: Uint32Array<ArrayBuffer>;

  /** @param receiver Is notified of messages. */
  constructor(
    receiver: Receiver,
    { limits, host, counts, hub, slowSubscribers }: WebSocketServiceOptions,
  ) {
    this.receiver = receiver;
    this.limits = limits;
    this.host = host;
    this.counts = counts;
    this.hub = hub;
    const { topicsMax, backpressureBytesMax } = limits;
    this.topicLimits = {
      topicsMax,
      backpressureBytesMax,
      slowSubscribers,
    };
    this.#plain = wordsOf(limits, 0);
    this.#compressed = wordsOf(limits, COMPRESSION);
  }

  /**
   * Returns the words for a call of the parser, at rest. The words of a message
   * that has come in part must have left them before the next call.
   */
  words(allowsCompressed: boolean): Uint32Array<ArrayBuffer> {
    return allowsCompressed ? this.#compressed : this.#plain;
  }
}

function wordsOf(
  { messageBytesMax, fragmentsMax }: WebSocketLimits,
  flags: number,
): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(STATE_WORDS);
  words[STATE_SETTINGS] = MASKED | flags;
  words[STATE_MESSAGE_MAX] = messageBytesMax;
  words[STATE_FRAGMENTS_MAX] = fragmentsMax;
  return words;
}
