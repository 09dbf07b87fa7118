/** Server-sent events, by the format of HTML's section 9.2. */

import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import type { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { eventually, within } from "../util/waiting.ts";

const CLIENTS = 100;
const GET = "GET /events HTTP/1.1\r\nHost: a\r\n" +
  "Accept: text/event-stream\r\n\r\n";
const encoder = new TextEncoder();

/** One event as it was sent. */
interface Event {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** The clients of a stream of events. */
class Channel {
  /** The number of clients that have gone. */
  cancels = 0;
  readonly #listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #id = 0;

  /** The number of clients. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Returns the answer to one more client. */
  subscribe(): Response {
    let own: ReadableStreamDefaultController<Uint8Array>;
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        own = controller;
        this.#listeners.add(controller);
      },
      cancel: () => {
        this.cancels++;
        this.#listeners.delete(own);
      },
    });
    return new Response(stream, {
      headers: { "content-type": "text/event-stream" },
    });
  }

  /** Sends an event to all clients. */
  publish(type: string, data: string): void {
    const lines = data.split("\n").map((line) => `data: ${line}\n`).join("");
    this.#send(`id: ${++this.#id}\nevent: ${type}\n${lines}\n`);
  }

  /** Sends a comment. */
  comment(): void {
    this.#send(": keep-alive\n\n");
  }

  /** Ends all streams. */
  close(): void {
    for (const controller of this.#listeners) controller.close();
    this.#listeners.clear();
  }

  #send(text: string): void {
    const bytes = encoder.encode(text);
    for (const controller of this.#listeners) controller.enqueue(bytes);
  }
}

/** Reads events like an `EventSource`. */
class EventReader {
  /** The received comments. */
  comments = 0;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(response: Response) {
    const { body } = response;
    this.#reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Returns the next event; `undefined` at the end. */
  async next(): Promise<Event | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        if (!block.startsWith(":")) return parse(block);
        this.comments++;
        continue;
      }
      const reading = this.#reader.read();
      const { done, value } = await within(reading, "an event");
      if (done) return undefined;
      this.#text += value;
    }
  }

  /** Closes the connection. */
  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

function parse(block: string): Event {
  const values = new Map<string, string[]>();
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line)!;
    values.set(name!, [...values.get(name!) ?? [], value!]);
  }
  const of = (name: string) => (values.get(name) ?? []).join("\n");
  return { id: of("id"), type: of("event"), data: of("data") };
}

cleanTest(
  "client gets each event when it is sent, and nothing waits for more",
  async () => {
    const channel = new Channel();
    await using test = new TestServer(() => channel.subscribe());
    const response = await test.fetch("/events");
    assertEquals(response.headers.get("content-type"), "text/event-stream");
    const events = new EventReader(response);
    // An event is sent only after the previous one has arrived.
    for (const [index, data] of ["one", "two\nlines", "", "äöü"].entries()) {
      channel.publish("news", data);
      assertEquals(await events.next(), {
        id: String(index + 1),
        type: "news",
        data,
      });
    }
    channel.comment();
    channel.publish("last", "after a comment");
    assertEquals((await events.next())?.type, "last");
    assertEquals(events.comments, 1);
    channel.close();
    assertEquals(await events.next(), undefined);
  },
);

cleanTest(
  "client gets its head, when there is no event yet",
  async () => {
    const channel = new Channel();
    await using test = new TestServer(() => channel.subscribe());
    const response = await test.fetch("/events");
    assertEquals([response.status, channel.size], [200, 1]);
    const events = new EventReader(response);
    channel.publish("first", "late");
    assertEquals((await events.next())?.data, "late");
    channel.close();
    assertEquals(await events.next(), undefined);
  },
);

cleanTest(
  "events that are sent together leave in one write",
  async () => {
    const channel = new Channel();
    await using test = new TestServer(() => channel.subscribe());
    const events = new EventReader(await test.fetch("/events"));
    const before = test.reactor.stats().writes;
    for (let index = 0; index < 10; index++) channel.publish("many", "x");
    for (let index = 0; index < 10; index++) await events.next();
    assertEquals(test.reactor.stats().writes - before, 1);
    channel.close();
    await events.next();
  },
);

cleanTest(
  "server forgets a client, when it goes between events",
  async () => {
    const channel = new Channel();
    await using test = new TestServer(() => channel.subscribe());
    const events = new EventReader(await test.fetch("/events"));
    channel.publish("one", "");
    await events.next();
    assertEquals(channel.size, 1);
    await events.cancel();
    await eventually("the client to be forgotten", () => channel.size === 0);
    assertEquals(channel.cancels, 1);
  },
);

cleanTest(
  `server sends each event to ${CLIENTS} clients, and forgets clients that go`,
  async () => {
    const channel = new Channel();
    await using test = new TestServer(() => channel.subscribe());
    const clients: RawClient[] = [];
    for (let count = 0; count < CLIENTS; count++) {
      const client = await test.connect();
      await client.send(GET);
      clients.push(client);
    }
    await eventually("all to listen", () => channel.size === CLIENTS);
    await Promise.all(clients.map((client) => client.read()));
    for (const text of ["first", "second"]) {
      channel.publish(text, text);
      await Promise.all(clients.map((client) => hears(client, text)));
    }
    const [going, staying] = [clients.slice(0, 50), clients.slice(50)];
    for (const client of going) client.close();
    await eventually("half to be forgotten", () => channel.size === 50);
    channel.publish("third", "third");
    await Promise.all(staying.map((client) => hears(client, "third")));
    channel.close();
    assertEquals(channel.cancels, 50);
  },
);

/** Reads until an event with a text has arrived. */
async function hears(client: RawClient, text: string): Promise<void> {
  let heard = "";
  while (!heard.includes(`data: ${text}\n\n`)) {
    const bytes = await client.read();
    if (bytes === undefined) throw new Error("The server has closed");
    heard += new TextDecoder().decode(bytes);
  }
}
