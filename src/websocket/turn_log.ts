/**
 * The messages of one turn, which leave together.
 *
 * Members that get the same messages get one range of bytes, by one broadcast.
 * A message that a member sends directly, or a change of its topics, comes
 * behind what was published before: `settle` sends that first. So each member
 * has a place in the log, which is kept only for members that are ahead.
 *
 * @module
 */

import { type Audience, audiencesOf, entriesFrom, partOf } from "./audience.ts";
import type { FrameLog, Publication } from "./frame_log.ts";
import { mayWait } from "./limits.ts";
import { Topic, type TopicMember, type TopicTransport } from "./topic.ts";

/** As many bytes leave before the turn ends. */
const LOG_BYTES_MAX = 65_536;
/**
 * Fewer receivers get copies in the reactor's write buffer, which leave with
 * those of other topics: a native call sends to fewer one by one.
 */
const BROADCAST_MIN = 8;

/** What the log does for a member whose peer reads too slowly. */
export type TooSlow = (member: TopicMember) => void;

/** The messages of one turn. */
export class TurnLog {
  /** The topic of each message. */
  #topics: Topic[] = [];
  /** Messages before this one have left, except for {@linkcode #places}. */
  #first = 0;
  /** The next message of members that are ahead, or late. */
  readonly #places = new Map<TopicMember, number>();
  /** Frames by form, the plain one first. */
  readonly #logs: readonly FrameLog[];
  readonly #tooSlow: TooSlow;
  /** Whether messages are written right now. */
  #isWriting = false;

  /**
   * @param logs Frames by form; the array may grow.
   * @param tooSlow Acts when a member cannot take a message.
   */
  constructor(logs: readonly FrameLog[], tooSlow: TooSlow) {
    this.#logs = logs;
    this.#tooSlow = tooSlow;
  }

  /** Whether no message waits. */
  get isEmpty(): boolean {
    return this.#topics.length === 0;
  }

  /**
   * Appends a message; the log leaves when it is long.
   *
   * @param except Does not get the message, and has got all before.
   */
  add(topic: Topic, message: Publication, except?: TopicMember): void {
    const index = this.#topics.length;
    let bytes = 0;
    for (const { log } of topic.groups) {
      log.append(index, message);
      bytes += log.length;
    }
    this.#topics.push(topic);
    (topic.entries ??= []).push(index);
    if (except !== undefined) this.#places.set(except, index + 1);
    if (bytes >= LOG_BYTES_MAX) this.flush();
  }

  /** Sends what `member` has not got yet, before anything else is sent to it. */
  settle(member: TopicMember): void {
    const isOuter = !this.#isWriting;
    this.#isWriting = true;
    try {
      // Writes may run handlers, which publish.
      for (;;) {
        const from = this.#places.get(member) ?? this.#first;
        const to = this.#topics.length;
        if (from >= to) return;
        this.#places.set(member, to);
        this.#deliver(member, this.#entriesOf(member, from));
      }
    } finally {
      if (isOuter) this.#isWriting = false;
    }
  }

  /** Forgets a member, which has left all topics. */
  forget(member: TopicMember): void {
    this.#places.delete(member);
  }

  /** Sends all messages. */
  flush(): void {
    // Inside of a write: the call that writes goes on with this log.
    if (this.#isWriting) return;
    this.#isWriting = true;
    try {
      while (this.#first < this.#topics.length) this.#fanOut();
    } finally {
      this.#isWriting = false;
      this.#clear();
    }
  }

  #clear(): void {
    for (const topic of this.#topics) topic.entries = undefined;
    for (const log of this.#logs) log.clear();
    this.#topics = [];
    this.#first = 0;
    this.#places.clear();
  }

  /** Sends the messages that are there to all members. */
  #fanOut(): void {
    const from = this.#first;
    const to = this.#topics.length;
    const few: Audience[] = [];
    const topics = new Set(this.#topics.slice(from));
    for (const audience of audiencesOf(topics, from)) {
      if (audience.size >= BROADCAST_MIN) this.#broadcast(audience);
      else few.push(audience);
    }
    for (const { members } of few) {
      for (const member of members) this.#postpone(member);
    }
    // From here on writes may call handlers, which send and publish.
    this.#first = to;
    for (const { members, entries } of few) {
      for (const member of members) this.#catchUp(member, from, entries);
    }
    for (const [member, place] of this.#places) {
      if (place < to) this.settle(member);
      else if (place === to) this.#places.delete(member);
    }
  }

  /** Sends to all that are neither ahead nor slow, in one piece. */
  #broadcast({ log, members, entries }: Audience): void {
    const part = partOf(log, entries);
    const size = part.end - part.start;
    const reached: TopicMember[] = [];
    const receivers: TopicTransport[] = [];
    for (const member of members) {
      if (this.#places.size > 0 && this.#places.has(member)) continue;
      const { transport } = member;
      if (transport.broadcast === undefined || !takes(member, 0, size)) {
        this.#postpone(member);
        continue;
      }
      reached.push(member);
      receivers.push(transport);
    }
    if (receivers.length === 0) return;
    const others = receivers[0]!.broadcast!(receivers, part);
    for (const index of others) this.#postpone(reached[index]!);
  }

  /** Leaves the messages to a call of {@linkcode settle}. */
  #postpone(member: TopicMember): void {
    if (!this.#places.has(member)) this.#places.set(member, this.#first);
  }

  /** Sends messages to a member that still waits for them from `from` on. */
  #catchUp(
    member: TopicMember,
    from: number,
    entries: readonly number[],
  ): void {
    if (this.#places.get(member) !== from) return;
    this.#places.delete(member);
    this.#deliver(member, entries);
  }

  /** Returns the numbers of the member's messages from `from` on. */
  #entriesOf(member: TopicMember, from: number): readonly number[] {
    const { joined } = member;
    if (joined === undefined) return [];
    if (joined instanceof Topic) return entriesFrom(joined, from);
    const entries: number[] = [];
    if (joined.length < this.#topics.length - from) {
      for (const topic of joined) entries.push(...entriesFrom(topic, from));
      return entries.sort((a, b) => a - b);
    }
    for (let at = from; at < this.#topics.length; at++) {
      if (this.#topics[at]!.has(member)) entries.push(at);
    }
    return entries;
  }

  /** Writes messages to one member, as far as its peer takes them. */
  #deliver(member: TopicMember, entries: readonly number[]): void {
    // A member that joins its first topic may have no log yet.
    if (entries.length === 0) return;
    const log = this.#logs.find(({ codec }) => codec === member.topicCodec)!;
    let start = 0;
    let end = 0;
    for (const entry of entries) {
      const from = log.start(entry);
      const to = log.end(entry);
      const isJoined = from === end && takes(member, end - start, to - from);
      if (!isJoined) {
        write(member, log, start, end);
        start = from;
        if (!takes(member, 0, to - from)) {
          start = to;
          this.#tooSlow(member);
          if (member.joined === undefined) return;
        }
      }
      end = to;
    }
    write(member, log, start, end);
  }
}

function write(
  { transport }: TopicMember,
  { bytes }: FrameLog,
  start: number,
  end: number,
): void {
  if (end > start) transport.write(bytes, start, end);
}

/**
 * Whether so few bytes wait for the peer that a message of `size` bytes may
 * wait too, behind `before` bytes that are not written yet.
 */
function takes(
  { transport, topicLimits }: TopicMember,
  before: number,
  size: number,
): boolean {
  const waiting = transport.bufferedBytes + before;
  return mayWait(size, waiting, topicLimits.backpressureBytesMax);
}
