/**
 * Fake timers stop no reactor: the loop does not use the clock and the timers
 * that a test replaces.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { mock } from "node:test";
import { Fibers, Reactor, serve } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";
import { maskedClose } from "../util/websocket_frames.ts";
import { Peer, serveWebSockets } from "../util/websocket_peer.ts";

/** More rounds of Deno's loop than a reactor needs to start. */
const MESSAGES = 64;
/** A time that no clock shows. */
const FAKE_MS = 86_400_000;

/** The fakes of a library such as sinon and jest: they stand still. */
const FAKES: Record<string, () => () => void> = {
  "node:test's": () => {
    mock.timers.enable();
    return () => mock.timers.reset();
  },
  "sinon's": () => {
    const still = () => 0;
    const names = [
      "setTimeout",
      "setInterval",
      "setImmediate",
      "clearTimeout",
      "clearImmediate",
      "queueMicrotask",
      "Date",
    ] as const;
    const found = names.map((name) =>
      Object.getOwnPropertyDescriptor(globalThis, name)!
    );
    const { now } = performance;
    for (const name of names) {
      Object.defineProperty(globalThis, name, {
        value: still,
        configurable: true,
        writable: true,
      });
    }
    Object.defineProperty(globalThis, "Date", {
      value: Object.assign(still, { now: () => FAKE_MS }),
      configurable: true,
      writable: true,
    });
    performance.now = () => FAKE_MS;
    return () => {
      performance.now = now;
      names.forEach((name, at) =>
        Object.defineProperty(globalThis, name, found[at]!)
      );
    };
  },
};

/** Sends one byte there and back, while a handler's promise is pending. */
async function converse(reactor: Reactor): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const { addr } = reactor.listen(LOOPBACK, {
    data: (connection, bytes, start, end) => {
      connection.write(bytes, start, end);
    },
  });
  let count = 0;
  reactor.beginWork();
  const client = reactor.connect(addr, {
    open: (connection) => connection.write(new Uint8Array(1)),
    data: (connection, bytes, start, end) => {
      if (++count === MESSAGES) resolve(count);
      else connection.write(bytes, start, end);
    },
  });
  const received = await promise;
  reactor.endWork();
  client.close();
  return received;
}

/** Runs `body` within a limit of the real timers. */
function soon(body: () => Promise<void>): Promise<void> {
  return within(Promise.resolve().then(body), "what goes on");
}

/** Runs `body` with fakes that were installed before it. */
async function withFakes(
  install: () => () => void,
  body: () => Promise<void>,
): Promise<void> {
  const uninstall = install();
  try {
    await body();
  } finally {
    uninstall();
  }
}

for (const [library, install] of Object.entries(FAKES)) {
  cleanTest(
    `a reactor goes on, while ${library} fake timers are installed`,
    () =>
      within(
        (async () => {
          using before = new Reactor();
          await converse(before);
          await withFakes(install, async () => {
            assertEquals(await converse(before), MESSAGES);
            using meanwhile = new Reactor();
            assertEquals(await converse(meanwhile), MESSAGES);
            await new Fibers(meanwhile).sleep(1);
          });
          // The real ones again.
          assertEquals(await converse(before), MESSAGES);
          await new Fibers(before).sleep(1);
        })(),
        "the conversations",
      ),
  );

  cleanTest(
    `a server streams and dates its answers, while ${library} fake timers are installed`,
    () =>
      soon(() =>
        withFakes(install, async () => {
          const reactor = new Reactor();
          const options = { ...LOOPBACK, reactor, onListen() {} };
          await using server = serve(options, () => {
            let left = 40;
            const chunk = new Uint8Array(65_536);
            return new Response(
              new ReadableStream({
                pull(controller) {
                  if (left-- > 0) controller.enqueue(chunk);
                  else controller.close();
                },
              }),
            );
          });
          const { port } = server.addr;
          const response = await fetch(`http://127.0.0.1:${port}/`);
          const body = await response.arrayBuffer();
          assertEquals(body.byteLength, 40 * 65_536);
          const date = response.headers.get("date")!;
          assertMatch(date, /^\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT$/);
          reactor.close();
        })
      ),
  );

  cleanTest(
    `a WebSocket publishes and closes, while ${library} fake timers are installed`,
    () =>
      soon(() =>
        withFakes(install, async () => {
          const reactor = new Reactor();
          await using server = serveWebSockets({
            open: (socket) => void socket.subscribe("room"),
            message: (_, message) => void server.publish("room", message),
          }, { reactor });
          using peer = await Peer.connect(server.addr);
          await peer.sendTexts("hello");
          assertEquals(await peer.text(), "hello");
          await peer.send(maskedClose(1000, ""));
          assertEquals(String(await peer.closing()), "1000,");
          assertEquals(await peer.frame(), undefined);
          reactor.close();
        })
      ),
  );
}
