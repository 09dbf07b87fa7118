/** Topics across Workers: the frames between them, and what the group relays. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { type Connection, Reactor } from "../../mod.ts";
import { openChannel } from "../../src/server/worker/channel.ts";
import {
  type Order,
  receiving,
  type Report,
} from "../../src/server/worker/control.ts";
import {
  FrameKind,
  frameReader,
  messageFrame,
  messageOf,
  topicFrame,
  topicOf,
} from "../../src/server/worker/frames.ts";
import { WorkerTopicLink } from "../../src/server/worker/topic_link.ts";
import {
  RELAY_BYTES_MAX,
  TopicRelay,
} from "../../src/server/worker/topic_relay.ts";
import { joinChannel } from "../../src/server/worker/channel.ts";
import { Hub } from "../../src/websocket/topics.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { concat } from "../util/http_bytes.ts";
import { frameText, Member } from "../util/topic_members.ts";
import { eventually } from "../util/waiting.ts";

const KIB = 1024;

/** One Worker, without its thread. */
interface Place {
  readonly hub: Hub;
  readonly member: Member;
  /** The Worker's end of the channel. */
  readonly control: Connection;
  /** The group's end. */
  readonly connection: Connection;
}

/** A group, and Workers on its reactor. */
function group(reactor: Reactor, count: number) {
  const relay = new TopicRelay(reactor);
  const places = Array.from({ length: count }, () => placeOf(reactor, relay));
  return { relay, places };
}

function placeOf(reactor: Reactor, relay: TopicRelay): Place {
  const hub = new Hub();
  const { connection, handle, abandon } = openChannel(
    reactor,
    receiving<Report>({
      message() {},
      topic: (frame) => relay.receive(connection, frame),
      end: () => relay.leave(connection),
    }),
  );
  const control = joinChannel(
    reactor,
    handle,
    receiving<Order>({
      message() {},
      topic: (frame) => link.receive(frame),
      drain: () => link.drain(),
      end() {},
    }),
  );
  abandon();
  const link = new WorkerTopicLink(control, hub, {
    forwards: false,
    hasOthers: true,
  });
  return { hub, member: new Member(), control, connection };
}

Deno.test("frameReader() receives the same frames, wherever the stream is split", () => {
  const sent = concat([
    messageFrame({ kind: "stop" }),
    topicFrame(FrameKind.SUBSCRIBED, "news"),
    topicFrame(FrameKind.TEXT, "naïve", encoded("hello")),
    topicFrame(FrameKind.BINARY, "x".repeat(300), new Uint8Array(700)),
  ]);
  for (let first = 0; first <= sent.byteLength; first++) {
    for (const second of [first, first + 1, first + 7]) {
      const received: unknown[] = [];
      const read = frameReader((frame) => {
        if (frame.kind === FrameKind.MESSAGE) {
          return received.push(messageOf(frame));
        }
        const { topic, payload } = topicOf(frame);
        const { length } = decoded(frame.bytes, payload, frame.end);
        received.push(`${frame.kind} ${topic.length} ${length}`);
      });
      const cuts = [0, first, Math.min(second, sent.byteLength)];
      for (const [index, cut] of cuts.entries()) {
        read(sent, cut, cuts[index + 1] ?? sent.byteLength);
      }
      assertEquals(received, [{ kind: "stop" }, "1 4 0", "3 5 5", "4 300 700"]);
    }
  }
});

cleanTest(
  "a message reaches the Workers that have subscribers, and no others",
  async () => {
    using reactor = new Reactor();
    const { relay, places: [first, second, third] } = group(reactor, 3);
    for (const { hub, member } of [first!, second!]) hub.subscribe("a", member);
    third!.hub.subscribe("b", third!.member);
    first!.hub.publish("a", "hello");
    first!.hub.publish("a", encoded("bytes"));
    first!.hub.publish("nobody", "hello");
    // The group does not know of the subscriptions yet.
    relay.publish("a", "to all");
    relay.publish("b", encoded("to one"));
    const expected = ["hello", encoded("bytes"), "to all"].map((message) =>
      frameText(message)
    ).sort();
    const textOf = ({ member }: Place) => member.text.length;
    const { length } = expected.join("");
    await eventually("all", () => textOf(second!) === length);
    await eventually("all", () => textOf(first!) === length);
    await eventually("b", () => textOf(third!) === 8);
    for (const part of expected) assert(second!.member.text.includes(part));
    assertEquals(third!.member.text, frameText(encoded("to one")));
    assertEquals(relay.counts, { relayed: 5, lost: 0 });
    second!.hub.leave(second!.member);
    relay.publish("a", "last");
    await eventually("the last", () => textOf(first!) === length + 6);
    assertEquals(textOf(second!), length);
    assertEquals(relay.counts.relayed, 6);
  },
);

cleanTest(
  "a message waits for an announcement that a slow turn has not read yet",
  async () => {
    using reactor = new Reactor();
    const { relay, places: [first, second] } = group(reactor, 2);
    // A turn ends behind each frame: it has lasted for longer than it may.
    const receive = relay.receive.bind(relay);
    relay.receive = (from, frame) => {
      const untilMs = performance.now() + 30;
      while (performance.now() < untilMs);
      receive(from, frame);
    };
    for (const { hub, member } of [first!, second!]) hub.subscribe("a", member);
    first!.hub.publish("a", "hello");
    relay.publish("a", "to all");
    const { length } = frameText("hello") + frameText("to all");
    await eventually("both", () => second!.member.text.length === length);
  },
);

cleanTest("messages and long ones keep their order on the way", async () => {
  using reactor = new Reactor();
  const { places: [first, second] } = group(reactor, 2);
  second!.hub.subscribe("a", second!.member);
  const sizes = [1, 200 * KIB, 3, 3_000, 70 * KIB, 5];
  const messages = sizes.map((size, at) => `${at}`.repeat(size));
  for (const message of messages) first!.hub.publish("a", message);
  const expected = messages.map((message) => frameText(message)).join("");
  const { member } = second!;
  await eventually("all", () => member.text.length === expected.length);
  assert(member.text === expected);
});

cleanTest(
  "a Worker that does not read loses messages, which are counted, and no other waits",
  async () => {
    using reactor = new Reactor();
    const { relay, places: [first, second] } = group(reactor, 2);
    for (const { hub, member } of [first!, second!]) hub.subscribe("a", member);
    relay.publish("a", "0");
    await eventually("a start", () => second!.member.text.length === 3);
    first!.control.pause();
    const message = encoded("x".repeat(100 * KIB));
    const frames = frameText(message).length;
    const count = 100;
    for (let sent = 1; sent <= count; sent++) {
      relay.publish("a", message);
      const length = 3 + sent * frames;
      await eventually(
        "a message",
        () => second!.member.text.length === length,
      );
    }
    assert(relay.counts.lost > 0);
    const { bufferedBytes } = first!.connection;
    assert(bufferedBytes > RELAY_BYTES_MAX / 2);
    assertLess(bufferedBytes, RELAY_BYTES_MAX + 1);
    first!.control.resume();
    const length = 3 + (count - relay.counts.lost) * frames;
    await eventually("the rest", () => first!.member.text.length === length);
    assertEquals(relay.counts.lost + relay.counts.relayed, 2 * (count + 1));
  },
);

cleanTest(
  "a publisher counts what it cannot send, while the group does not read",
  async () => {
    using reactor = new Reactor();
    const { places: [first, second] } = group(reactor, 2);
    const { hub, member } = second!;
    hub.subscribe("a", member);
    first!.hub.publish("a", "0");
    await eventually("a start", () => member.text.length === 3);
    first!.connection.pause();
    const message = new Uint8Array(1_024 * KIB);
    const count = 20;
    for (let sent = 0; sent < count; sent++) first!.hub.publish("a", message);
    const { lost } = first!.hub.counts;
    assert(lost > 0);
    assertLess(first!.control.bufferedBytes, RELAY_BYTES_MAX + 2 * 1_024 * KIB);
    first!.connection.resume();
    const length = 3 + (count - lost) * frameText(message).length;
    await eventually("the rest", () => member.text.length === length);
  },
);

cleanTest(
  "announcements are bounded while the group does not read, and right in the end",
  async () => {
    using reactor = new Reactor();
    const { relay, places: [first] } = group(reactor, 1);
    const { hub, member, control, connection } = first!;
    hub.subscribe("kept", member);
    hub.subscribe("left", member);
    relay.publish("left", "0");
    await eventually("a start", () => member.text.length === 3);
    connection.pause();
    const name = "x".repeat(250);
    for (let count = 0; count < 20_000; count++) {
      hub.subscribe(name, member);
      hub.unsubscribe(name, member);
    }
    hub.unsubscribe("left", member);
    hub.subscribe("new", member);
    assertLess(control.bufferedBytes, 128 * KIB);
    connection.resume();
    await eventually("the announcements", () => control.bufferedBytes === 0);
    const { relayed } = relay.counts;
    for (const topic of ["kept", "left", "new", name]) {
      relay.publish(topic, topic);
    }
    await eventually("two", () => member.text.length === 3 + 6 + 5);
    assertEquals(relay.counts.relayed, relayed + 2);
  },
);

cleanTest("a Worker that has ended gets no messages", async () => {
  using reactor = new Reactor();
  const { relay, places: [first, second] } = group(reactor, 2);
  for (const { hub, member } of [first!, second!]) hub.subscribe("a", member);
  relay.publish("a", "0");
  await eventually("a start", () => second!.member.text.length === 3);
  first!.control.abort();
  await eventually("its end", () => first!.connection.isClosed);
  relay.publish("a", "1");
  await eventually("the other", () => second!.member.text.length === 6);
  assertEquals(relay.counts.relayed, 3);
});
