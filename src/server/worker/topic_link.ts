/**
 * Topics of one Worker, as the others see them: announces the topics that have
 * subscribers here, sends what is published here, and delivers what comes.
 *
 * @module
 */

import type { Connection } from "../../reactor/connection.ts";
import { Publication } from "../../websocket/frame_log.ts";
import type { Hub, TopicLink } from "../../websocket/topics.ts";
import { type Frame, FrameKind, topicFrame, topicOf } from "./frames.ts";
import { hasRoom } from "./topic_relay.ts";

/**
 * Unsent bytes beyond which announcements wait. Peers can make a Worker
 * subscribe again and again while the group does not read.
 */
const ANNOUNCED_BYTES_MAX = 65_536;

/** What a Worker's link is to know. */
export interface WorkerLinkOptions {
  /** Whether the Worker reaches other machines. */
  readonly forwards: boolean;
  /** Whether the group has other Workers. */
  readonly hasOthers: boolean;
}

/** The way from a Worker's topics to the other Workers of its group. */
export class WorkerTopicLink implements TopicLink {
  readonly #control: Connection;
  readonly #hub: Hub;
  readonly #hasOthers: boolean;
  /** Topics that the group believes to have subscribers here. */
  readonly #announced = new Set<string>();
  /** Whether announcements wait until the group has read. */
  #isBehind = false;

  /** @param control The Worker's end of the channel. */
  constructor(
    control: Connection,
    hub: Hub,
    { forwards, hasOthers }: WorkerLinkOptions,
  ) {
    this.#control = control;
    this.#hub = hub;
    this.#hasOthers = hasOthers;
    if (forwards) control.write(topicFrame(FrameKind.FORWARDS, ""));
    hub.link(this);
  }

  subscribed(topic: string): void {
    if (this.#isBehind || this.#announced.has(topic)) return;
    if (this.#announce(FrameKind.SUBSCRIBED, topic)) this.#announced.add(topic);
  }

  unsubscribed(topic: string): void {
    if (this.#isBehind) return;
    if (this.#announce(FrameKind.UNSUBSCRIBED, topic)) {
      this.#announced.delete(topic);
    }
  }

  published(topic: string, message: Publication): void {
    if (!this.#hasOthers) return;
    const { isText, bytes } = message;
    const kind = isText ? FrameKind.TEXT : FrameKind.BINARY;
    const frame = topicFrame(kind, topic, bytes);
    if (!hasRoom(this.#control, frame.byteLength)) this.#hub.counts.lost++;
    else this.#control.write(frame);
  }

  /** Delivers a message of another Worker or of the group. */
  receive(frame: Frame): void {
    const { topic, payload } = topicOf(frame);
    const { TEXT, BINARY, FORWARD_TEXT } = FrameKind;
    const { kind } = frame;
    const isText = kind === TEXT || kind === FORWARD_TEXT;
    const bytes = frame.bytes.subarray(payload, frame.end);
    const message = new Publication(bytes, { isText });
    if (kind === TEXT || kind === BINARY) this.#hub.deliver(topic, message);
    else this.#hub.forward(topic, message, this);
  }

  /** The group has read: announces what waits. */
  drain(): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    const topics = new Set(this.#hub.topics);
    for (const topic of this.#announced) {
      if (!topics.has(topic)) this.unsubscribed(topic);
    }
    for (const topic of topics) this.subscribed(topic);
  }

  #announce(kind: number, topic: string): boolean {
    this.#isBehind = this.#control.bufferedBytes > ANNOUNCED_BYTES_MAX;
    if (!this.#isBehind) this.#control.write(topicFrame(kind, topic));
    return !this.#isBehind;
  }
}
