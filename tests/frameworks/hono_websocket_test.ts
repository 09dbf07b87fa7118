/** Hono's `upgradeWebSocket`, which calls Deno's, on denio's. */

import { assertEquals } from "@std/assert";
import { cors, Hono, upgradeWebSocket } from "hono";
import { Reactor } from "../../src/reactor/reactor.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { within } from "../util/waiting.ts";

const { register, unregister } = await import("../../src/server/register.ts");
unregister();

/** Returns an application with one WebSocket, and what it hears. */
function chat(): { app: Hono; heard: unknown[]; left: Promise<void> } {
  const heard: unknown[] = [];
  const left = Promise.withResolvers<void>();
  const app = new Hono();
  // Both return copies of the response.
  app.use("*", cors());
  app.use("*", async (context, next) => {
    await next();
    context.header("x-more", "field");
  });
  app.get("/plain", (context) => context.text("no WebSocket"));
  app.get(
    "/ws/:room",
    async (context, next) => {
      await next();
      heard.push(context.res.status);
    },
    upgradeWebSocket(
      (context) => ({
        onOpen: (_, ws) => ws.send(`Welcome to ${context.req.param("room")}`),
        onMessage: ({ data }, ws) => {
          heard.push(data);
          ws.send(data as string);
          if (data === "bye") ws.close(4000, "left");
        },
        onClose: ({ code, reason, wasClean }) => {
          heard.push(code, reason, wasClean);
          left.resolve();
        },
      }),
      { protocol: "chat" },
    ),
  );
  return { app, heard, left: left.promise };
}

/** Sends messages, and returns all that the client has got. */
async function visit(url: string, ...messages: string[]): Promise<unknown[]> {
  const got: unknown[] = [];
  const client = new WebSocket(url, ["chat"]);
  client.onopen = () => {
    for (const message of messages) client.send(message);
  };
  client.onmessage = ({ data }) => got.push(data);
  const closed = new Promise<CloseEvent>((resolve) => {
    client.onclose = resolve;
  });
  const { code, reason } = await within(closed, "the client's end");
  return [...got, code, reason];
}

cleanTest(
  "Hono's upgradeWebSocket opens WebSockets, when Deno's functions are denio's",
  async () => {
    using _reactor = Reactor.shared;
    register();
    try {
      const { app, heard, left } = chat();
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        app.fetch,
      );
      const where = `127.0.0.1:${server.addr.port}`;
      const got = await visit(`ws://${where}/ws/lobby`, "hello", "bye");
      assertEquals(got, ["Welcome to lobby", "hello", "bye", 4000, "left"]);
      await within(left, "the server's end");
      assertEquals(heard, [101, "hello", "bye", 4000, "left", true]);
      // Without an offer, the middleware passes the request on.
      const answer = await fetch(`http://${where}/ws/lobby`);
      assertEquals(answer.status, 404);
      await answer.body?.cancel();
      await within(server.shutdown(), "the server to shut down");
    } finally {
      unregister();
    }
  },
);
