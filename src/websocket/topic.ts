/**
 * A topic, and what topics need of their members.
 *
 * @module
 */

import type { SharedTransport } from "../stream/shared.ts";
import type { Transport } from "../stream/transport.ts";
import type { FrameLog, SharedCodec } from "./frame_log.ts";

/**
 * The most characters of a topic's name. Peers often choose names, and a name is
 * kept for each topic and sent with each message between Workers and machines.
 * 255 fit what systems for messages take: a subject of NATS, a channel of Redis.
 */
export const TOPIC_CHARACTERS_MAX = 255;

/** What becomes of a message for a member whose peer reads too slowly. */
export type SlowSubscribers = "drop" | "close";

/** The limits of members. */
export interface TopicLimits {
  /** The most topics of one member. */
  readonly topicsMax: number;
  /** Unsent bytes beyond which a member is slow. */
  readonly backpressureBytesMax: number;
  /** Drops the message, or closes the member. */
  readonly slowSubscribers: SlowSubscribers;
}

/** The transport of a member. */
export interface TopicTransport
  extends Pick<Transport, "bufferedBytes" | "write"> {
  /** See {@linkcode SharedTransport.broadcast}. */
  readonly broadcast?: SharedTransport["broadcast"] | undefined;
}

/** A member of topics: a WebSocket. */
export interface TopicMember {
  /** Sends to the peer. */
  readonly transport: TopicTransport;
  /**
   * Compresses messages for all members that have it, without a context that
   * one message leaves for the next; `undefined` when messages go as they are.
   */
  readonly topicCodec: SharedCodec | undefined;
  /** Its limits. */
  readonly topicLimits: TopicLimits;
  /** Its topics, which the hub sets. One topic needs no array of its own. */
  joined: Topic | Topic[] | undefined;
  /** Whether it may be in topics. */
  readonly isOpen: boolean;
  /**
   * Closes it, since its peer reads too slowly. It has left its topics. Called
   * in a microtask.
   */
  tooSlow(): void;
}

/** Members of one topic that get the same bytes. */
export interface TopicGroup {
  /** The form of their messages. */
  readonly log: FrameLog;
  /** The members. */
  readonly members: Set<TopicMember>;
}

/** A topic with at least one member. */
export class Topic {
  /** Its name. */
  readonly name: string;
  /** Its members, by the form of their messages: mostly one group. */
  readonly groups: TopicGroup[];
  /** Its messages of this turn, by their numbers in the log. */
  entries: number[] | undefined = undefined;

  /** Makes a topic with its first member. */
  constructor(name: string, member: TopicMember, log: FrameLog) {
    this.name = name;
    this.groups = [{ log, members: new Set([member]) }];
  }

  /** How many members it has. */
  get size(): number {
    let size = 0;
    for (const { members } of this.groups) size += members.size;
    return size;
  }

  /** Whether `member` is in it. */
  has(member: TopicMember): boolean {
    for (const group of this.groups) {
      if (group.members.has(member)) return true;
    }
    return false;
  }

  /** Adds a member that gets messages in the form of `log`. */
  add(member: TopicMember, log: FrameLog): void {
    for (const group of this.groups) {
      if (group.log === log) return void group.members.add(member);
    }
    this.groups.push({ log, members: new Set([member]) });
  }

  /** Removes a member. */
  remove(member: TopicMember): void {
    for (let index = 0; index < this.groups.length; index++) {
      const { members } = this.groups[index]!;
      if (!members.delete(member)) continue;
      if (members.size === 0) this.groups.splice(index, 1);
      return;
    }
  }
}
