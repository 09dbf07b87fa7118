/** Topics across servers, by an adapter in memory. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { serve, type TopicAdapter, webSocket } from "../../mod.ts";
import { AdapterLink } from "../../src/websocket/adapter.ts";
import { Hub } from "../../src/websocket/topics.ts";
import { encoded } from "../util/handlers.ts";
import { concat } from "../util/http_bytes.ts";
import { frameText, Member } from "../util/topic_members.ts";
import { eventually } from "../util/waiting.ts";
import { Peer } from "../util/websocket_peer.ts";

const QUIET = { hostname: "127.0.0.1", port: 0, onListen() {} };

/** What all adapters of a test reach. */
class Bus {
  readonly adapters: BusAdapter[] = [];

  adapter(): BusAdapter {
    const adapter = new BusAdapter(this);
    this.adapters.push(adapter);
    return adapter;
  }
}

/** An adapter that calls the others at once. */
class BusAdapter implements TopicAdapter {
  status: "open" | "closed" = "open";
  readonly topics = new Set<string>();
  receive: ((topic: string, message: Uint8Array) => void) | undefined;
  /** Whether it takes messages. */
  takes = true;
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  open(receive: (topic: string, message: Uint8Array) => void): void {
    this.receive = receive;
  }

  subscribe(topic: string): void {
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic);
  }

  publish(topic: string, message: Uint8Array<ArrayBuffer>): boolean {
    if (!this.takes) return false;
    for (const { topics, receive } of this.#bus.adapters) {
      if (topics.has(topic)) receive?.(topic, message);
    }
    return true;
  }

  close(): void {
    this.status = "closed";
  }
}

/** A hub with an adapter, and a member. */
function linked(bus: Bus) {
  const hub = new Hub();
  const adapter = bus.adapter();
  const reported: unknown[] = [];
  const link = new AdapterLink(adapter, hub, (error) => reported.push(error));
  return { hub, adapter, link, member: new Member(), reported };
}

Deno.test("a message reaches the other servers that have subscribers, once", () => {
  const bus = new Bus();
  const [one, other, third] = [linked(bus), linked(bus), linked(bus)];
  for (const { hub, member } of [one, other]) hub.subscribe("news", member);
  third.hub.subscribe("other", third.member);
  const messages = ["hello", encoded("bytes"), "", "naïve"];
  for (const message of messages) one.hub.publish("news", message);
  one.hub.publish("nobody", "hello");
  const all = messages.map((message) => frameText(message)).join("");
  for (const { hub } of [one, other, third]) hub.flush();
  assertEquals([one, other, third].map(({ member }) => member.text), [
    all,
    all,
    "",
  ]);
  other.hub.leave(other.member);
  assertEquals([...other.adapter.topics], []);
  assertEquals(one.hub.counts.lost, 0);
});

Deno.test("messages of one's own group, and what is no message, are dropped", () => {
  const bus = new Bus();
  const { hub, adapter, member } = linked(bus);
  hub.subscribe("news", member);
  const zeros = new Uint8Array(16);
  const [text, bytes, unknown] = [1, 2, 3].map((kind) => Uint8Array.of(kind));
  const hello = encoded("hello");
  const receive = (...parts: Uint8Array<ArrayBuffer>[]) =>
    adapter.receive!("news", concat(parts));
  receive(text!, hub.origin, hello);
  receive(unknown!, zeros, hello);
  receive(text!, zeros.subarray(1));
  receive();
  receive(text!, zeros, Uint8Array.of(0xff));
  receive(text!, zeros, hello);
  receive(bytes!, zeros, Uint8Array.of(0xff));
  adapter.receive!("unknown", concat([text!, zeros, hello]));
  hub.flush();
  const all = frameText("hello") + frameText(Uint8Array.of(0xff));
  assertEquals(member.text, all);
});

Deno.test("what an adapter does not take is counted, and what it throws is reported", () => {
  const { hub, adapter, link, reported } = linked(new Bus());
  adapter.takes = false;
  hub.publish("news", "hello");
  assertEquals(hub.counts.lost, 1);
  adapter.publish = adapter.subscribe = adapter.close = () => {
    throw new Error("on purpose");
  };
  const member = new Member();
  assert(hub.subscribe("news", member));
  hub.publish("news", "hello");
  link.close();
  hub.publish("news", "unheard");
  hub.flush();
  assertEquals(reported.length, 3);
  assertEquals(hub.counts.lost, 2);
  assertEquals(member.text, frameText("hello") + frameText("unheard"));
});

Deno.test("serve() links its topics with other servers, and closes the adapter", async () => {
  const bus = new Bus();
  const adapters = [bus.adapter(), bus.adapter()];
  const routes = adapters.map(() =>
    webSocket({
      open: (socket) => void socket.subscribe("news"),
      message: (socket, message) => void socket.publish("news", message),
    })
  );
  const servers = routes.map((websocket, index) =>
    serve({ ...QUIET, websocket, topics: adapters[index]! })
  );
  const peers: Peer[] = [];
  for (const { addr } of servers) peers.push(await Peer.connect(addr));
  await eventually(
    "both",
    () => routes.every((route) => route.stats().open === 1),
  );
  routes[0]!.publish("news", "to both");
  for (const peer of peers) assertEquals(await peer.text(), "to both");
  await peers[1]!.sendTexts("from one");
  assertEquals(await peers[0]!.text(), "from one");
  for (const peer of peers) peer[Symbol.dispose]();
  for (const server of servers) await server.shutdown();
  assertEquals(adapters.map(({ status }) => status), ["closed", "closed"]);
});

Deno.test("serve() throws for what is no adapter", () => {
  for (const topics of [7, {}, { open() {}, publish: 1 }]) {
    const options = { ...QUIET, topics: topics as unknown as TopicAdapter };
    const error = assertThrows(
      () => serve(options, () => new Response()),
      TypeError,
    );
    assert(error.message.startsWith("Cannot use topics"));
  }
});
