/** Topics across machines by a real Redis, which is killed and started again. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Redis } from "ioredis";
import { redisTopics, type RedisTopicsOptions, serve } from "../../mod.ts";
import { AdapterLink } from "../../src/websocket/adapter.ts";
import { Hub } from "../../src/websocket/topics.ts";
import { ConsoleWatch } from "../util/console.ts";
import { encoded } from "../util/handlers.ts";
import { concat } from "../util/http_bytes.ts";
import { NO_REDIS, RedisServer } from "../util/redis_server.ts";
import { frameText, Member } from "../util/topic_members.ts";
import { eventually, within } from "../util/waiting.ts";
import { Peer } from "../util/websocket_peer.ts";

/** A server's topics, without the server. */
function machine(path: string, options: RedisTopicsOptions = {}) {
  const errors: Error[] = [];
  const client = new Redis({
    path,
    lazyConnect: true,
    retryStrategy: () => 20,
  });
  const adapter = redisTopics(client, {
    onError: (error) => void errors.push(error),
    ...options,
  });
  const hub = new Hub();
  const link = new AdapterLink(adapter, hub, (error) => {
    throw error;
  });
  const member = new Member();
  const isOpen = () =>
    eventually("its connections", () => adapter.status === "open");
  return { hub, adapter, link, member, errors, isOpen };
}

/** Registers a test that has a Redis. */
function redisTest(
  name: string,
  run: (redis: RedisServer) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: NO_REDIS,
    fn: async () => {
      await using redis = await RedisServer.start();
      await run(redis);
    },
  });
}

redisTest(
  "redisTopics() carries messages to the other servers, each once",
  async (redis) => {
    const machines = [1, 2, 3].map(() => machine(redis.path));
    const [one, other, third] = machines;
    for (const { hub, member } of [one!, other!]) {
      hub.subscribe(
        "naïve",
        member,
      );
    }
    third!.hub.subscribe("other", third!.member);
    for (const { isOpen } of machines) await isOpen();
    const messages = ["hello", encoded("bytes"), "", "x".repeat(100_000)];
    for (const message of messages) one!.hub.publish("naïve", message);
    one!.hub.publish("other", "last");
    const all = messages.map((message) => frameText(message)).join("");
    const ends = () =>
      other!.member.text.length === all.length &&
      third!.member.text.length > 0 && one!.adapter.counts.received === 4 &&
      one!.adapter.counts.published === 5;
    await eventually("all", ends);
    assert(one!.member.text === all);
    assert(other!.member.text === all);
    assertEquals(third!.member.text, frameText("last"));
    assertEquals(one!.adapter.counts, { published: 5, received: 4, lost: 0 });
    for (const { link, adapter, errors } of machines) {
      link.close();
      assertEquals(adapter.status, "closed");
      assertEquals(errors, []);
    }
  },
);

redisTest("redisTopics() takes messages of other programs", async (redis) => {
  const { hub, member, link, isOpen } = machine(redis.path, { prefix: "p:" });
  hub.subscribe("news", member);
  await isOpen();
  const client = new Redis({ path: redis.path });
  const hello = concat([
    Uint8Array.of(1),
    new Uint8Array(16),
    encoded("hello"),
  ]);
  await client.publish("p:news", "not in this form");
  await client.publish("p:news", Buffer.from(hello));
  await eventually("it", () => member.text !== "");
  assertEquals(member.text, frameText("hello"));
  client.disconnect();
  link.close();
});

redisTest(
  "redisTopics() subscribes again after an outage, and counts what it lost",
  async (redis) => {
    const [one, other] = [machine(redis.path), machine(redis.path)];
    for (const { hub, member, isOpen } of [one, other]) {
      hub.subscribe("before", member);
      await isOpen();
    }
    await redis.kill();
    const isDown = () => one.adapter.status === other.adapter.status;
    await eventually(
      "the outage",
      () => one.adapter.status === "connecting" && isDown(),
    );
    one.hub.publish("before", "lost");
    await eventually("the loss", () => one.adapter.counts.lost === 1);
    other.hub.subscribe("during", other.member);
    other.hub.unsubscribe("before", other.member);
    await redis.start();
    for (const { isOpen } of [one, other]) await isOpen();
    for (const topic of ["before", "during"]) one.hub.publish(topic, topic);
    await eventually("it", () => other.member.text !== "");
    assertEquals(other.member.text, frameText("during"));
    assertEquals(one.member.text, frameText("lost") + frameText("before"));
    for (const { link } of [one, other]) link.close();
  },
);

redisTest(
  "redisTopics() bounds what Redis has not answered for, and loses it when the connection breaks",
  async (redis) => {
    const one = machine(redis.path, { pendingBytesMax: 100_000 });
    await one.isOpen();
    redis.signal("SIGSTOP");
    for (let count = 0; count < 10; count++) {
      one.hub.publish("news", new Uint8Array(40_000));
    }
    assertEquals(one.hub.counts.lost, 8);
    assertEquals(one.adapter.counts.published, 0);
    redis.signal("SIGCONT");
    await eventually("two", () => one.adapter.counts.published === 2);
    redis.signal("SIGSTOP");
    one.hub.publish("news", "never answered");
    await redis.kill();
    await eventually("the loss", () => one.adapter.counts.lost === 9);
    assertEquals(one.adapter.counts.published, 2);
    one.link.close();
  },
);

redisTest(
  "redisTopics() makes no queue, when topics change again and again",
  async (redis) => {
    const [one, other] = [machine(redis.path), machine(redis.path)];
    for (const { isOpen } of [one, other]) await isOpen();
    for (let count = 0; count < 3_000; count++) {
      other.hub.subscribe(`t${count}`, new Member());
      other.hub.subscribe("flips", other.member);
      other.hub.unsubscribe("flips", other.member);
    }
    other.hub.subscribe("flips", other.member);
    await other.isOpen();
    const client = new Redis({ path: redis.path });
    const [, subscribers] = await client.pubsub("NUMSUB", "denio:t2999");
    assertEquals(subscribers, 1);
    const stats = await client.info("commandstats");
    const [, calls] = /cmdstat_subscribe:calls=(\d+)/.exec(stats)!;
    assert(Number(calls) < 20);
    one.hub.publish("flips", "hello");
    await eventually("it", () => other.member.text !== "");
    client.disconnect();
    for (const { link } of [one, other]) link.close();
  },
);

redisTest(
  "redisTopics() reports errors of Redis, and is of use to one server",
  async (redis) => {
    const client = new Redis({ path: redis.path });
    await client.call("ACL", "SETUSER", "default", "resetchannels");
    const one = machine(redis.path);
    one.hub.subscribe("news", one.member);
    await eventually("an error", () => one.errors.length > 0);
    assert(one.errors[0]!.message.includes("NOPERM"), one.errors[0]!.message);
    assertThrows(() => one.adapter.open(() => {}), TypeError, "another server");
    client.disconnect();
    one.link.close();
  },
);

Deno.test("redisTopics() waits for a Redis that is not there, without an unhandled error", async () => {
  const one = machine("/nonexistent/redis.sock");
  one.hub.subscribe("news", one.member);
  assertEquals(one.hub.publish("news", "hello"), 1);
  await eventually("two attempts", () => one.errors.length > 1);
  assertEquals(one.adapter.status, "connecting");
  assertEquals(one.hub.counts.lost, 1);
  one.link.close();
  assertEquals(one.adapter.status, "closed");
});

Deno.test("redisTopics() prints the first error of an outage alone, when no one gets errors", async () => {
  let attempts = 0;
  const client = new Redis({
    path: "/nonexistent/redis.sock",
    lazyConnect: true,
    retryStrategy: (times) => {
      attempts = times;
      return 1;
    },
  });
  const adapter = redisTopics(client);
  using watch = new ConsoleWatch();
  adapter.open(() => {});
  await eventually("some attempts", () => attempts > 5);
  adapter.close();
  assertEquals(watch.complained.length, 1);
});

Deno.test("redisTopics() throws for what is no client", () => {
  for (const client of [undefined, 7, {}, { duplicate() {} }]) {
    assertThrows(() => redisTopics(client as unknown as Redis), TypeError);
  }
});

Deno.test("redisTopics() throws for a wrong option", () => {
  const client = new Redis({ lazyConnect: true });
  for (const options of [{ prefix: 7 }, { pendingBytesMax: "1" }]) {
    assertThrows(() => redisTopics(client, options as never), TypeError);
  }
  for (const pendingBytesMax of [-1, NaN]) {
    assertThrows(() => redisTopics(client, { pendingBytesMax }), RangeError);
  }
});

redisTest(
  "the WebSockets of two servers on Workers reach each other by Redis, once",
  async (redis) => {
    Deno.env.set("DENIO_TEST_REDIS", redis.path);
    const options = {
      module: new URL("../fixtures/redis_worker.ts", import.meta.url),
      workers: 2,
      hostname: "127.0.0.1",
      port: 0,
    };
    await using one = await serve(options);
    await using other = await serve(options);
    const peers: Peer[] = [];
    for (const { addr } of [one, one, other, other]) {
      peers.push(await Peer.connect(addr));
    }
    // Each Worker that has a WebSocket subscribes by itself.
    const workers = [...one.accepted, ...other.accepted].filter(Boolean).length;
    const client = new Redis({ path: redis.path });
    const subscribed = async () => {
      let count: unknown = 0;
      while (count !== workers) {
        [, count] = await client.pubsub("NUMSUB", "denio:news");
      }
    };
    await within(subscribed(), "the subscriptions");
    client.disconnect();
    await peers[0]!.sendTexts("from a socket");
    for (const peer of peers.slice(1)) {
      assertEquals(await peer.text(), "from a socket");
    }
    one.publish("news", "from the program");
    for (const peer of peers) {
      assertEquals(await peer.text(), "from the program");
    }
    for (const peer of peers) peer[Symbol.dispose]();
  },
);
