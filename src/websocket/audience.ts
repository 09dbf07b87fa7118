/**
 * Audiences: members that get the same messages of a turn in the same form, so
 * that one range of bytes serves all of them.
 *
 * @module
 */

import type { Part } from "../stream/shared.ts";
import type { FrameLog } from "./frame_log.ts";
import type { Topic, TopicMember } from "./topic.ts";

/** Members that get the same messages. */
export interface Audience {
  /** The frames. */
  readonly log: FrameLog;
  /** The members. */
  readonly members: Iterable<TopicMember>;
  /** How many they are. */
  readonly size: number;
  /** The numbers of the messages, in order. */
  readonly entries: readonly number[];
}

/** A set of topics, as a path in a tree; the members that have just these. */
class Node {
  readonly log: FrameLog;
  readonly topic: Topic | undefined;
  readonly parent: Node | undefined;
  readonly members: TopicMember[] = [];
  #next: Map<Topic, Node> | undefined;

  constructor(log: FrameLog, topic?: Topic, parent?: Node) {
    this.log = log;
    this.topic = topic;
    this.parent = parent;
  }

  /** Returns the node for one topic more. */
  with(topic: Topic): Node {
    const known = this.#next?.get(topic);
    if (known !== undefined) return known;
    const node = new Node(this.log, topic, this);
    (this.#next ??= new Map()).set(topic, node);
    return node;
  }

  /**
   * Yields the audience of this node, and those of all nodes behind it. Without
   * recursion: a path is as long as a member has topics.
   */
  *audiences(from: number): Generator<Audience> {
    const nodes: Node[] = [this];
    for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
      const { log, members } = node;
      if (members.length > 0) {
        const entries = entriesOf(node, from);
        yield { log, members, size: members.length, entries };
      }
      for (const next of node.#next?.values() ?? []) nodes.push(next);
    }
  }
}

/** Returns the messages of a node's topics, in order. */
function entriesOf(node: Node, from: number): readonly number[] {
  const all: number[] = [];
  let topics = 0;
  for (let at = node; at.parent !== undefined; at = at.parent) {
    all.push(...entriesFrom(at.topic!, from));
    topics++;
  }
  return topics > 1 ? all.sort((a, b) => a - b) : all;
}

/**
 * Returns the messages of a topic from number `from` on. A copy: while they are
 * sent, further ones may be published.
 */
export function entriesFrom(topic: Topic, from: number): readonly number[] {
  return topic.entries?.filter((at) => at >= from) ?? [];
}

/** Returns the audiences of the messages of some topics, from `from` on. */
export function* audiencesOf(
  topics: ReadonlySet<Topic>,
  from: number,
): Generator<Audience> {
  if (topics.size > 1) return yield* audiencesOfSeveral(topics, from);
  for (const topic of topics) {
    const entries = entriesFrom(topic, from);
    for (const { log, members } of topic.groups) {
      yield { log, members, size: members.size, entries };
    }
  }
}

function* audiencesOfSeveral(
  topics: ReadonlySet<Topic>,
  from: number,
): Generator<Audience> {
  const roots = new Map<FrameLog, Node>();
  const nodes = new Map<TopicMember, Node>();
  for (const topic of topics) {
    for (const { log, members } of topic.groups) {
      let root = roots.get(log);
      if (root === undefined) roots.set(log, root = new Node(log));
      const alone = root.with(topic);
      for (const member of members) {
        if (member.joined === topic) alone.members.push(member);
        else nodes.set(member, (nodes.get(member) ?? root).with(topic));
      }
    }
  }
  for (const [member, node] of nodes) node.members.push(member);
  for (const root of roots.values()) yield* root.audiences(from);
}

/** Returns the frames of some messages as one range of bytes. */
export function partOf(log: FrameLog, entries: readonly number[]): Part {
  const ranges: Part[] = [];
  let size = 0;
  for (const part of rangesOf(log, entries)) {
    ranges.push(part);
    size += part.end - part.start;
  }
  if (ranges.length === 1) return ranges[0]!;
  const joined = new Uint8Array(size);
  let at = 0;
  for (const { bytes, start, end } of ranges) {
    joined.set(bytes.subarray(start, end), at);
    at += end - start;
  }
  return { bytes: joined, start: 0, end: size };
}

/** Yields ranges with the frames of some messages, as few as there can be. */
function* rangesOf(
  log: FrameLog,
  entries: readonly number[],
): Generator<Part> {
  let start = 0;
  let end = 0;
  for (const entry of entries) {
    const from = log.start(entry);
    if (from !== end && end > start) yield { bytes: log.bytes, start, end };
    if (from !== end) start = from;
    end = log.end(entry);
  }
  if (end > start) yield { bytes: log.bytes, start, end };
}
