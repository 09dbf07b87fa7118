/** Topics: who gets which messages, in which order, and what slow peers get. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Connection, Reactor } from "../../mod.ts";
import { Hub, type TopicLink, topicsOf } from "../../src/websocket/topics.ts";
import { Publication } from "../../src/websocket/frame_log.ts";
import type { TopicMember } from "../../src/websocket/topic.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readExactly } from "../util/deno_client.ts";
import { engineOf } from "../util/engine.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import {
  Broadcasts,
  frameText,
  Member,
  MEMBER_LIMITS,
  TurningCodec,
} from "../util/topic_members.ts";
import { eventually } from "../util/waiting.ts";

/** Returns members of one host. */
function members(count: number, host: Broadcasts = new Broadcasts()): Member[] {
  return Array.from({ length: count }, () => new Member(host));
}

Deno.test("Hub.publish() frames a message once, and sends it to all members at the turn's end in one broadcast", async () => {
  const host = new Broadcasts();
  const codec = new TurningCodec(4);
  const hub = new Hub();
  const plain = members(10, host);
  const small = Array.from({ length: 10 }, () => new Member(host, codec));
  for (const member of [...plain, ...small]) hub.subscribe("news", member);
  const messages = ["ab", "hello", encoded("bytes"), "ü".repeat(100)];
  for (const message of messages) {
    assertEquals(hub.publish("news", message), 20);
  }
  assertEquals(hub.publish("nobody", "hello"), 0);
  assertEquals(plain[0]!.text, "");
  await Promise.resolve();
  const expected = messages.map((message) => frameText(message)).join("");
  for (const member of plain) assertEquals(member.text, expected);
  const turned = messages.map((message) => frameText(message, codec)).join("");
  for (const member of small) assertEquals(member.text, turned);
  assertEquals(host.calls, 2);
  assertEquals(codec.deflations, 3);
  assertEquals(hub.counts.published, 5);
});

Deno.test("Hub.publish() compresses as it is told", () => {
  const codec = new TurningCodec(4);
  const hub = new Hub();
  const member = new Member(undefined, codec);
  hub.subscribe("news", member);
  hub.publish("news", "hello", { compress: false });
  hub.publish("news", "abc", { compress: true });
  hub.flush();
  assertEquals(member.text, frameText("hello") + "\xc1\x03cba");
});

Deno.test("Hub.subscribe() takes the first member with a codec, when messages wait for others", () => {
  const codec = new TurningCodec(4);
  const hub = new Hub();
  const plain = new Member();
  const small = new Member(undefined, codec);
  hub.subscribe("news", plain);
  hub.publish("news", "before");
  hub.subscribe("news", small);
  hub.publish("news", "behind");
  hub.flush();
  assertEquals(plain.text, frameText("before") + frameText("behind"));
  assertEquals(small.text, frameText("behind", codec));
});

Deno.test("Hub.publish() sends long messages, and many, at once", () => {
  const hub = new Hub();
  const all = members(10);
  for (const member of all) hub.subscribe("news", member);
  const long = "x".repeat(70_000);
  hub.publish("news", long);
  for (const member of all) assertEquals(member.text, frameText(long));
  const some = "ö".repeat(400);
  for (let count = 0; count < 200; count++) hub.publish("news", some);
  hub.flush();
  const expected = frameText(long) + frameText(some).repeat(200);
  for (const member of all) assert(member.text === expected);
});

Deno.test("Hub.publish() sends each topic's messages in one broadcast, when several topics are pending", () => {
  const host = new Broadcasts();
  const hub = new Hub();
  const all = members(30, host);
  for (const [index, member] of all.entries()) {
    if (index % 3 !== 0) hub.subscribe("a", member);
    if (index % 3 !== 1) hub.subscribe("b", member);
  }
  for (const topic of ["a", "b", "b", "a"]) hub.publish(topic, topic);
  hub.flush();
  const texts = ["bb", "aa", "abba"];
  for (const [index, member] of all.entries()) {
    const expected = [...texts[index % 3]!].map((text) => frameText(text));
    assertEquals(member.text, expected.join(""));
  }
  assertEquals(host.calls, 3);
  assertEquals(all.map(({ transport }) => transport.writes), Array(30).fill(0));
});

Deno.test("Hub keeps the order of all messages, for any sequence of calls", () => {
  const step = fc.record({
    what: fc.constantFrom(
      "subscribe",
      "subscribe",
      "unsubscribe",
      "publish",
      "publish",
      "publish",
      "publish for others",
      "send",
      "leave",
      "flush",
    ),
    member: fc.nat(23),
    topic: fc.constantFrom("a", "b", "c", "d"),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const hub = new Hub();
    const hosts = [new Broadcasts(), new Broadcasts(), undefined];
    const codec = new TurningCodec(2);
    const all = Array.from(
      { length: 24 },
      (_, index) =>
        new Member(hosts[index % 17 % 3], index % 5 === 0 ? codec : undefined),
    );
    for (const [index, member] of all.entries()) {
      if (index % 2 === 0) hub.subscribe("a", member);
    }
    const expected = all.map(() => "");
    for (const [at, { what, member: index, topic }] of steps.entries()) {
      const member = all[index]!;
      const message = `${at}`;
      if (what === "subscribe") hub.subscribe(topic, member);
      else if (what === "unsubscribe") hub.unsubscribe(topic, member);
      else if (what === "leave") {
        hub.settle(member);
        hub.leave(member);
      } else if (what === "flush") hub.flush();
      else if (what === "send") {
        hub.settle(member);
        member.transport.text += message;
        expected[index] += message;
      } else {
        const except = what === "publish" ? undefined : member;
        for (const [other, receiver] of all.entries()) {
          if (receiver === except) continue;
          if (!topicsOf(receiver).includes(topic)) continue;
          const { topicCodec } = receiver;
          expected[other] += frameText(message, topicCodec as TurningCodec);
        }
        hub.publish(topic, message, { except });
      }
    }
    hub.flush();
    assertEquals(all.map(({ text }) => text), expected);
  });
  fc.assert(property, { numRuns: 500 });
});

Deno.test("Hub sends a member of several topics their messages in order, when it settles", () => {
  const hub = new Hub();
  const member = new Member();
  for (const topic of ["a", "b"]) hub.subscribe(topic, member);
  for (const text of ["a1", "b2", "a3", "b4"]) hub.publish(text[0]!, text);
  hub.settle(member);
  hub.flush();
  const texts = ["a1", "b2", "a3", "b4"].map((text) => frameText(text));
  assertEquals(member.text, texts.join(""));
});

Deno.test("Hub sends a member of thousands of topics their messages, when all are pending", () => {
  const hub = new Hub();
  const member = new Member(undefined, undefined, {
    ...MEMBER_LIMITS,
    topicsMax: 20_000,
  });
  for (let index = 0; index < 20_000; index++) {
    hub.subscribe(`topic ${index}`, member);
  }
  for (let index = 0; index < 20_000; index++) {
    hub.publish(`topic ${index}`, "x");
  }
  hub.flush();
  assertEquals(member.text, frameText("x").repeat(20_000));
});

Deno.test("Hub sends a member that has left nothing more, when several topics are pending", () => {
  const hub = new Hub();
  const [first, second] = [new Member(), new Member()];
  for (const member of [first, second]) {
    for (const topic of ["a", "b"]) hub.subscribe(topic, member);
  }
  first.transport.onWrite = () => hub.leave(second);
  for (const topic of ["a", "b"]) hub.publish(topic, topic);
  hub.flush();
  assertEquals(first.text, frameText("a") + frameText("b"));
  assertEquals(second.text, "");
});

Deno.test("Hub keeps the order, when a write runs code that publishes, sends and leaves", () => {
  const hub = new Hub();
  const [first, second, third] = [new Member(), new Member(), new Member()];
  for (const member of [first, second, third]) hub.subscribe("a", member);
  first.transport.onWrite = () => {
    first.transport.onWrite = undefined;
    hub.publish("a", "2");
    hub.settle(second);
    second.transport.text += "direct";
    hub.leave(third);
  };
  hub.publish("a", "1");
  hub.flush();
  assertEquals(first.text, frameText("1") + frameText("2"));
  assertEquals(second.text, frameText("1") + frameText("2") + "direct");
  assertEquals(third.text, "");
});

Deno.test("Hub sends each message once, when a write runs code that publishes", () => {
  const hub = new Hub();
  const all = members(4);
  for (const member of all) hub.subscribe("a", member);
  all[0]!.transport.onWrite = () => {
    all[0]!.transport.onWrite = undefined;
    hub.publish("a", "2");
  };
  hub.publish("a", "1");
  hub.flush();
  const expected = frameText("1") + frameText("2");
  assertEquals(all.map(({ text }) => text), Array(4).fill(expected));
});

Deno.test("Hub.publish() keeps messages apart, when sending to its publisher runs code that publishes", () => {
  const hub = new Hub();
  const [first, second] = [new Member(), new Member()];
  for (const topic of ["a", "b"]) hub.subscribe(topic, first);
  hub.subscribe("a", second);
  hub.publish("a", "before");
  first.transport.onWrite = () => {
    first.transport.onWrite = undefined;
    hub.publish("b", "meanwhile");
  };
  hub.publish("a", "own", { except: first });
  hub.flush();
  assertEquals(first.text, frameText("before") + frameText("meanwhile"));
  assertEquals(second.text, frameText("before") + frameText("own"));
});

Deno.test("Hub sends what it has begun to send, when a write runs code that publishes much", () => {
  const hub = new Hub();
  const [first, second] = [new Member(), new Member()];
  for (const topic of ["a", "b"]) hub.subscribe(topic, first);
  hub.subscribe("c", second);
  for (const topic of ["a", "c", "b"]) hub.publish(topic, topic);
  const much = "x".repeat(70_000);
  first.transport.onWrite = () => {
    first.transport.onWrite = undefined;
    hub.publish("c", much);
  };
  hub.settle(first);
  hub.flush();
  assertEquals(first.text, frameText("a") + frameText("b"));
  assert(second.text === frameText("c") + frameText(much));
});

Deno.test("Hub adds no member to a topic, and removes none twice, when a write closes it", () => {
  for (const what of ["subscribe", "unsubscribe"] as const) {
    const hub = new Hub();
    const member = new Member();
    for (const topic of ["a", "b"]) hub.subscribe(topic, member);
    hub.publish("a", "last");
    member.transport.onWrite = () => {
      member.isOpen = false;
      hub.leave(member);
    };
    const topic = what === "subscribe" ? "c" : "b";
    assertEquals(hub[what](topic, member), false);
    assertEquals([...hub.topics], []);
    assertEquals(topicsOf(member), []);
    assertEquals(member.text, frameText("last"));
  }
});

Deno.test("Hub drops a message for a slow member, counts it, and sends later ones", () => {
  const hub = new Hub();
  const all = members(10);
  const slow = all[3]!;
  for (const member of all) hub.subscribe("news", member);
  slow.transport.bufferedBytes = 1_048_570;
  const length = 50;
  for (const text of ["a", "b"]) hub.publish("news", text.repeat(length));
  hub.flush();
  assertEquals(slow.text, "");
  assertEquals(all[4]!.text.length, 2 * (2 + length));
  assertEquals(hub.counts.dropped, 2);
  hub.publish("news", "abc");
  slow.transport.bufferedBytes = 65_535;
  hub.publish("news", "d".repeat(100));
  hub.flush();
  assertEquals(slow.text, frameText("abc") + frameText("d".repeat(100)));
  assertEquals(hub.counts, { published: 4, dropped: 2, closed: 0, lost: 0 });
});

Deno.test("Hub drops only the messages for which a member has no room", () => {
  const hub = new Hub();
  const limits = { ...MEMBER_LIMITS, backpressureBytesMax: 70_000 };
  const member = new Member(undefined, undefined, limits);
  hub.subscribe("news", member);
  member.transport.bufferedBytes = 69_990;
  const messages = ["abc", "a".repeat(20), "def"];
  for (const message of messages) hub.publish("news", message);
  hub.flush();
  assertEquals(member.text, frameText("abc") + frameText("def"));
  assertEquals(hub.counts.dropped, 1);
});

Deno.test("Hub closes a slow member after the messages were sent, when it is told to", async () => {
  const hub = new Hub();
  const limits = { ...MEMBER_LIMITS, slowSubscribers: "close" as const };
  const slow = new Member(undefined, undefined, limits);
  for (const topic of ["a", "b"]) hub.subscribe(topic, slow);
  slow.transport.bufferedBytes = 2_000_000;
  for (const topic of ["a", "b", "a"]) hub.publish(topic, "x");
  hub.flush();
  assertEquals(slow.closes, 0);
  assertEquals(topicsOf(slow), []);
  await Promise.resolve();
  assertEquals(slow.closes, 1);
  assertEquals(hub.counts, { published: 3, dropped: 1, closed: 1, lost: 0 });
});

Deno.test("Hub.subscribe() bounds topics and their names", () => {
  const hub = new Hub();
  const limits = { ...MEMBER_LIMITS, topicsMax: 2 };
  const member = new Member(undefined, undefined, limits);
  assertEquals(hub.subscribe("a", member), true);
  assertEquals(hub.subscribe("a", member), true);
  assertEquals(hub.subscribe("b", member), true);
  assertEquals(hub.subscribe("c", member), false);
  assertEquals(hub.unsubscribe("c", member), false);
  assertEquals(topicsOf(member), ["a", "b"]);
  assertEquals(hub.unsubscribe("a", member), true);
  assertEquals(hub.subscribe("c".repeat(255), member), true);
  for (const name of ["", "c".repeat(256)]) {
    assertThrows(() => hub.subscribe(name, member), RangeError, "topic");
    assertThrows(() => hub.publish(name, "x"), RangeError, "topic");
  }
  const strange = 7 as unknown as string;
  assertThrows(() => hub.subscribe(strange, member), TypeError, '"7"');
});

Deno.test("Hub tells its links of topics and messages, and delivers theirs to members alone", () => {
  const hub = new Hub();
  const calls: string[] = [];
  const link: TopicLink = {
    subscribed: (topic) => void calls.push(`+${topic}`),
    unsubscribed: (topic) => void calls.push(`-${topic}`),
    published: (topic, { bytes }) =>
      void calls.push(`${topic}: ${decoded(bytes)}`),
  };
  const [first, second] = [new Member(), new Member()];
  hub.subscribe("a", first);
  hub.link(link);
  hub.subscribe("a", second);
  hub.subscribe("b", second);
  hub.publish("a", "here");
  hub.publish("c", "nobody here");
  hub.deliver("a", new Publication("from elsewhere"));
  hub.leave(second);
  hub.unsubscribe("a", first);
  hub.flush();
  hub.unlink(link);
  hub.publish("a", "unheard");
  assertEquals(calls, ["+a", "+b", "a: here", "c: nobody here", "-b", "-a"]);
  const both = frameText("here") + frameText("from elsewhere");
  assertEquals([first.text, second.text], [both, ""]);
  assertEquals([...hub.topics], []);
});

cleanTest(
  "Hub sends to many sockets in order with their own messages",
  async () => {
    const hub = new Hub();
    using reactor = new Reactor();
    const all: (TopicMember & { transport: Connection })[] = [];
    const listener = reactor.listen(LOOPBACK, {
      open: (connection) => {
        const member = {
          transport: engineOf(connection),
          topicCodec: undefined,
          topicLimits: MEMBER_LIMITS,
          joined: undefined,
          isOpen: true,
          tooSlow() {},
        };
        all.push(member);
        hub.subscribe("all", member);
      },
      data: (connection, bytes, start, end) => {
        const own = all.find(({ transport }) => transport === connection)!;
        hub.publish("all", "joined", { except: own });
        hub.settle(own);
        own.transport.write(bytes, start, end);
        hub.publish("all", "done");
      },
    });
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => Deno.connect(listener.addr)),
    );
    await eventually("all members", () => all.length === 20);
    await clients[5]!.write(encoded("me"));
    const [joined, done] = [frameText("joined"), frameText("done")];
    for (const [index, client] of clients.entries()) {
      const expected = (index === 5 ? "me" : joined) + done;
      const bytes = await readExactly(client, expected.length);
      assertEquals(String.fromCharCode(...bytes), expected);
      client.close();
    }
  },
);
