import { connect } from "node:net";
import { assertEquals } from "@std/assert";
import { cleanTest } from "../util/clean_tests.ts";
import { TestServer } from "../util/http_server.ts";
import type { RawClient } from "../util/http_client.ts";
import { within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

function ok(): Response {
  return new Response("ok");
}

/** Sends a request; returns the answer, or nothing when the server closed. */
async function ask(client: RawClient): Promise<string | undefined> {
  try {
    await client.send(GET);
    return (await client.answer()).text;
  } catch {
    return undefined;
  }
}

/** Connects from another address of this machine, which Deno cannot. */
async function askFrom(
  localAddress: string,
  { hostname, port }: Deno.NetAddr,
): Promise<string> {
  const socket = connect({ host: hostname, port, localAddress });
  socket.end(GET);
  let text = "";
  socket.on("data", (bytes) => text += String(bytes));
  const closed = new Promise((resolve) => socket.on("close", resolve));
  await within(closed, "the other address' answer");
  return text.slice(0, "HTTP/1.1 200".length);
}

/** Sends requests on new connections until one is answered. */
async function askUntilAnswered(test: TestServer): Promise<RawClient> {
  for (;;) {
    const client = await test.connect();
    if (await ask(client) === "ok") return client;
    client.close();
  }
}

cleanTest(
  "server closes a connection beyond connectionsMax, when all are busy",
  async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using test = new TestServer(async () => (await promise).clone(), {
      connectionsMax: 2,
    });
    const clients = [await test.connect(), await test.connect()];
    for (const client of clients) await client.send(GET);
    // The server has accepted both, since it refuses a third.
    const third = await test.connect();
    assertEquals(await ask(third), undefined);
    resolve(ok());
    for (const client of clients) {
      assertEquals((await client.answer()).text, "ok");
    }
  },
);

cleanTest(
  "server lets the next one in, when one of connectionsMax has gone",
  async () => {
    await using test = new TestServer(ok, { connectionsMax: 1 });
    for (let count = 0; count < 3; count++) {
      const client = await test.connect();
      assertEquals(await ask(client), "ok");
      await client.end();
      await client.rest();
    }
  },
);

cleanTest(
  "server closes the connection that was quiet for longest, when there are connectionsMax",
  async () => {
    await using test = new TestServer(ok, { connectionsMax: 2 });
    const oldest = await test.connect();
    assertEquals(await ask(oldest), "ok");
    const younger = await test.connect();
    assertEquals(await ask(younger), "ok");
    // Clients active in the last second are not closed: a few are refused.
    const third = await within(askUntilAnswered(test), "a place");
    assertEquals((await oldest.restBytes()).byteLength, 0);
    assertEquals(await ask(third), "ok");
  },
);

cleanTest(
  "server closes a connection beyond connectionsPerAddressMax",
  async () => {
    await using test = new TestServer(ok, { connectionsPerAddressMax: 2 });
    const clients = [await test.connect(), await test.connect()];
    for (const client of clients) assertEquals(await ask(client), "ok");
    const third = await test.connect();
    assertEquals(await ask(third), undefined);
    // Connections of another address are counted apart.
    assertEquals(await askFrom("127.0.0.2", test.server.addr), "HTTP/1.1 200");
    // A connection that closes makes room.
    await clients[0]!.end();
    await clients[0]!.rest();
    assertEquals(await ask(await test.connect()), "ok");
    assertEquals(await ask(clients[1]!), "ok");
  },
);

cleanTest(
  "server counts nothing by address, when that has no limit",
  async () => {
    await using test = new TestServer(ok, {
      connectionsPerAddressMax: Infinity,
      connectionsMax: Infinity,
    });
    const clients: RawClient[] = [];
    for (let count = 0; count < 5; count++) clients.push(await test.connect());
    for (const client of clients) assertEquals(await ask(client), "ok");
  },
);
