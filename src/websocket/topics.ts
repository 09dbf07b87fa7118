/**
 * Topics: publish and subscribe for the WebSockets of one server.
 *
 * A message is framed once for all its receivers. Messages of one turn leave
 * together; they and the messages that a WebSocket sends directly keep their
 * order.
 *
 * A write that fails may close its connection, whose handlers then run inside of
 * the call: they may publish, close other members and change topics. So a method
 * first sends what waits, and looks at topics and members after that.
 *
 * @module
 */

import { shown } from "../base/checks.ts";
import { soon } from "../base/own.ts";
import { FrameLog, Publication, type SharedCodec } from "./frame_log.ts";
import type { Sendable } from "./socket.ts";
import { textOrBytes } from "./text.ts";
import { Topic, TOPIC_CHARACTERS_MAX, type TopicMember } from "./topic.ts";
import { TurnLog } from "./turn_log.ts";

/** Bytes of a server's name. */
export const ORIGIN_BYTES = 16;

/** Counts of a server's topics. */
export interface TopicCounts {
  /** Messages that were published here, or came from elsewhere. */
  published: number;
  /** Messages that were dropped, since a peer reads too slowly. */
  dropped: number;
  /** WebSockets that were closed for that. */
  closed: number;
  /**
   * Messages that did not go to other Workers, or to other machines: too many
   * bytes waited, or there was no connection. One that goes to neither counts
   * twice.
   */
  lost: number;
}

/** Options of {@linkcode Hub.publish}. */
export interface PublishOptions {
  /** A member that does not get the message: mostly the one that sends it. */
  readonly except?: TopicMember | undefined;
  /** Whether to compress it; left to the codec when left out. */
  readonly compress?: boolean | undefined;
}

/** A way to members elsewhere: on other Workers, or on other machines. */
export interface TopicLink {
  /** A topic has its first member here. */
  subscribed(topic: string): void;
  /** A topic has no member here any more. */
  unsubscribed(topic: string): void;
  /** A message was published here; its bytes are valid until this returns. */
  published(topic: string, message: Publication): void;
}

/** The topics of one server. */
export class Hub {
  /** Names the server to other machines; Workers of one group share it. */
  origin: Uint8Array<ArrayBuffer> = newOrigin();
  /** Counts. */
  readonly counts: TopicCounts = {
    published: 0,
    dropped: 0,
    closed: 0,
    lost: 0,
  };
  readonly #topics = new Map<string, Topic>();
  readonly #logs: FrameLog[] = [new FrameLog(undefined)];
  readonly #turn = new TurnLog(this.#logs, (member) => this.#note(member));
  readonly #links: TopicLink[] = [];

  /** The names of all topics that have members. */
  get topics(): Iterable<string> {
    return this.#topics.keys();
  }

  /** Tells `link` of the topics with members, and what happens from now on. */
  link(link: TopicLink): void {
    this.#links.push(link);
    for (const name of this.#topics.keys()) link.subscribed(name);
  }

  /** Tells `link` nothing more. */
  unlink(link: TopicLink): void {
    const index = this.#links.indexOf(link);
    if (index >= 0) this.#links.splice(index, 1);
  }

  /** Returns how many members a topic has. */
  sizeOf(name: string): number {
    return this.#topics.get(name)?.size ?? 0;
  }

  /** Whether a member is in a topic. */
  has(name: string, member: TopicMember): boolean {
    return this.#topics.get(name)?.has(member) ?? false;
  }

  /**
   * Adds a member to a topic: it gets all messages from now on.
   *
   * @returns Whether it is in the topic: false when it has `topicsMax` topics, or
   * is not open.
   * @throws {TypeError} when `name` is no string.
   * @throws {RangeError} when `name` is empty or too long.
   */
  subscribe(name: string, member: TopicMember): boolean {
    checkTopic(name);
    this.#turn.settle(member);
    if (!member.isOpen) return false;
    const known = this.#topics.get(name);
    if (known?.has(member)) return true;
    const { joined, topicLimits } = member;
    if (countOf(joined) >= topicLimits.topicsMax) return false;
    const log = this.#logOf(member.topicCodec);
    known?.add(member, log);
    const topic = known ?? new Topic(name, member, log);
    if (joined === undefined) member.joined = topic;
    else if (joined instanceof Topic) member.joined = [joined, topic];
    else joined.push(topic);
    if (known === undefined) this.#open(topic);
    return true;
  }

  /**
   * Removes a member from a topic.
   *
   * @returns Whether it was in the topic.
   */
  unsubscribe(name: string, member: TopicMember): boolean {
    this.settle(member);
    const topic = this.#topics.get(name);
    if (topic === undefined || !topic.has(member)) return false;
    const { joined } = member;
    if (joined instanceof Topic) member.joined = undefined;
    else {
      // Its place goes to the last one: moving all behind it takes longer.
      const last = joined!.pop()!;
      if (last !== topic) joined![joined!.indexOf(topic)] = last;
      if (joined!.length === 1) member.joined = joined![0];
    }
    this.#remove(topic, member);
    return true;
  }

  /** Removes a member from all topics: it sends nothing more, or is closed. */
  leave(member: TopicMember): void {
    const { joined } = member;
    if (joined === undefined) return;
    member.joined = undefined;
    this.#turn.forget(member);
    if (joined instanceof Topic) return this.#remove(joined, member);
    for (const topic of joined) this.#remove(topic, member);
  }

  /**
   * Sends a member what was published and has not left yet: call this before
   * anything else is sent to it.
   */
  settle(member: TopicMember): void {
    if (!this.#turn.isEmpty && member.joined !== undefined) {
      this.#turn.settle(member);
    }
  }

  /**
   * Publishes a message to all members of a topic, here and elsewhere.
   *
   * @returns How many members it has here.
   * @throws {TypeError} when `name` is no string, or `message` is neither text
   * nor bytes.
   * @throws {RangeError} when `name` is empty or too long.
   */
  publish(
    name: string,
    message: Sendable,
    { except, compress }: PublishOptions = {},
  ): number {
    checkTopic(name);
    const publication = new Publication(textOrBytes(message), { compress });
    for (const link of this.#links) link.published(name, publication);
    return this.deliver(name, publication, except);
  }

  /** Passes a message of one link to the others, and not to members. */
  forward(name: string, message: Publication, from: TopicLink): void {
    for (const link of this.#links) {
      if (link !== from) link.published(name, message);
    }
  }

  /** Publishes to the members here; for links, what comes from elsewhere. */
  deliver(name: string, message: Publication, except?: TopicMember): number {
    this.counts.published++;
    if (except !== undefined && this.has(name, except)) this.settle(except);
    const topic = this.#topics.get(name);
    if (topic === undefined) return 0;
    const isExcluded = except !== undefined && topic.has(except);
    const receivers = topic.size - (isExcluded ? 1 : 0);
    if (receivers === 0) return 0;
    if (this.#turn.isEmpty) soon(this.#flush);
    this.#turn.add(topic, message, isExcluded ? except : undefined);
    return receivers;
  }

  /** Sends at once what was published. */
  flush(): void {
    this.#turn.flush();
  }

  // Made once: a closure for each turn would be allocated.
  readonly #flush = (): void => this.flush();

  #open(topic: Topic): void {
    this.#topics.set(topic.name, topic);
    for (const link of this.#links) link.subscribed(topic.name);
  }

  #remove(topic: Topic, member: TopicMember): void {
    topic.remove(member);
    if (topic.groups.length > 0) return;
    this.#topics.delete(topic.name);
    for (const link of this.#links) link.unsubscribed(topic.name);
  }

  #logOf(codec: SharedCodec | undefined): FrameLog {
    for (const log of this.#logs) if (log.codec === codec) return log;
    const log = new FrameLog(codec);
    this.#logs.push(log);
    return log;
  }

  /** Notes that a member's peer reads too slowly for a message. */
  #note(member: TopicMember): void {
    this.counts.dropped++;
    if (member.topicLimits.slowSubscribers === "drop") return;
    this.counts.closed++;
    this.leave(member);
    // A handler must not run while messages are sent.
    soon(() => member.tooSlow());
  }
}

/** Returns a name for a server that no other has. */
export function newOrigin(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(ORIGIN_BYTES));
}

/** Returns the names of a member's topics. */
export function topicsOf({ joined }: TopicMember): string[] {
  if (joined === undefined) return [];
  if (joined instanceof Topic) return [joined.name];
  return joined.map(({ name }) => name);
}

function countOf(joined: TopicMember["joined"]): number {
  if (joined === undefined) return 0;
  return joined instanceof Topic ? 1 : joined.length;
}

/**
 * Throws unless `name` may be the name of a topic.
 *
 * @throws {TypeError} when it is no string.
 * @throws {RangeError} when it is empty or too long.
 */
export function checkTopic(name: string): void {
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot use the topic "${shown(name)}": it must be a string`,
    );
  }
  const { length } = name;
  if (length > 0 && length <= TOPIC_CHARACTERS_MAX) return;
  throw new RangeError(
    `Cannot use the topic "${name.slice(0, 32)}" of "${length}" characters: ` +
      `it must have from 1 to ${TOPIC_CHARACTERS_MAX}`,
  );
}
