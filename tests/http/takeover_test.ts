/** Another protocol takes a connection over from HTTP, without sockets. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import type { Service } from "../../src/http/service.ts";
import { takeoverResponse } from "../../src/http/takeover.ts";
import { Source } from "../util/http_bodies.ts";
import { toLatin1 } from "../util/http_bytes.ts";
import { Peer } from "../util/http_transport.ts";
import { GET, get, head, HOST, postHead } from "../util/requests.ts";

const FIELDS = { "Upgrade": "toy", "X-Own": "field", "Connection": "mine" };
const ASKS = ["Connection: Upgrade", "Upgrade: toy"];
const UPGRADE = get("/", ...ASKS);
/** A 101 as the peer gets it, but for its date. */
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: toy\r\n" +
  "X-Own: field\r\nconnection: Upgrade\r\n\r\n";

/** What has become of the 101s of one test. */
class Toy {
  /** What was left over at each takeover. */
  readonly taken: string[] = [];
  /** The service of the last takeover. */
  service: Service | undefined;
  /** How many 101s were never sent. */
  lost = 0;

  /** Returns a 101. */
  readonly respond = (): Response =>
    takeoverResponse(
      (_, service, leftover) => {
        this.service = service;
        this.taken.push(leftover === undefined ? "" : toLatin1(leftover));
      },
      FIELDS,
      { lost: () => this.lost++ },
    );
}

/** Returns what left, without the dates. */
function undated(peer: Peer): string {
  return peer.output.replaceAll(/\r\ndate: [^\r]*/g, "");
}

Deno.test("takeover gets the bytes behind the head, when the handler answers at once", () => {
  const toy = new Toy();
  const peer = new Peer(toy.respond);
  peer.send(UPGRADE + "behind \0\r\n\r\n");
  assertEquals(undated(peer), SWITCHED);
  assertEquals(toy.taken, ["behind \0\r\n\r\n"]);
  assertEquals(toy.service, peer.service);
  assertEquals(peer.connection.pending, undefined);
  assertEquals(peer.transport.closing, undefined);
});

Deno.test("takeover gets the same bytes, wherever the reads are cut and whenever the handler answers", async () => {
  const sent = GET + UPGRADE + GET;
  for (const isLate of [false, true]) {
    const asked = isLate ? UPGRADE.length + GET.length : sent.length;
    for (let cut = 1; cut < sent.length; cut++) {
      const toy = new Toy();
      const gate = Promise.withResolvers<void>();
      const peer = new Peer((request) => {
        if (!request.headers.has("upgrade")) return new Response("first");
        return isLate ? gate.promise.then(toy.respond) : toy.respond();
      });
      // What is sent behind the takeover is no longer HTTP's.
      const end = Math.max(cut, Math.min(asked, GET.length + UPGRADE.length));
      peer.send(sent.slice(0, cut));
      if (cut < end) peer.send(sent.slice(cut, end));
      if (isLate) peer.send(sent.slice(end));
      gate.resolve();
      await peer.settle();
      const got = isLate ? GET : sent.slice(GET.length + UPGRADE.length, end);
      assertEquals(toy.taken, [got], `cut at ${cut}, late: ${isLate}`);
      assert(undated(peer).endsWith(`\r\n\r\nfirst${SWITCHED}`));
    }
  }
});

Deno.test("takeover gets the bytes behind a request that waited for the answer to an earlier one", async () => {
  const toy = new Toy();
  const gate = Promise.withResolvers<void>();
  const peer = new Peer((request) =>
    request.headers.has("upgrade")
      ? toy.respond()
      : gate.promise.then(() => new Response("first"))
  );
  await peer.send(`${GET}${UPGRADE}behind`).end().settle();
  assertEquals(peer.output, "");
  gate.resolve();
  await peer.settle();
  assert(undated(peer).endsWith(`\r\n\r\nfirst${SWITCHED}`));
  assertEquals(toy.taken, ["behind"]);
  assertEquals(peer.transport.closing, undefined);
});

Deno.test("stream behind an earlier answer is cancelled, when another protocol takes over", async () => {
  const toy = new Toy();
  const source = new Source();
  const headers = { "content-length": "5" };
  const peer = new Peer((request) =>
    request.headers.has("upgrade")
      ? toy.respond()
      : new Response(source.stream, { headers })
  );
  peer.send(GET);
  // The answer is whole; its stream does not end.
  source.give("whole");
  await peer.settle();
  assertEquals(source.cancelled, []);
  await peer.send(UPGRADE).settle();
  assertEquals([toy.taken, source.cancelled.length], [[""], 1]);
});

Deno.test("takeover gets a reading transport without held bytes, when much came before the answer", async () => {
  const toy = new Toy();
  const gate = Promise.withResolvers<void>();
  const peer = new Peer(() => gate.promise.then(toy.respond));
  const piece = "x".repeat(40_000);
  peer.send(UPGRADE, piece, piece, piece);
  assert(peer.transport.isPaused);
  assertEquals(peer.unread, piece.length);
  assert(peer.transport.heldBytes >= 2 * piece.length);
  gate.resolve();
  await gate.promise;
  await peer.until(() => toy.taken.length > 0, "the takeover");
  assertEquals(toy.taken, [piece + piece]);
  assert(!peer.transport.isPaused);
});

Deno.test("takeover goes on behind the peer's end, and behind a whole body", async () => {
  const toy = new Toy();
  const ended = new Peer(toy.respond);
  await ended.send(UPGRADE).end().settle();
  const late = new Peer(() => Promise.resolve().then(toy.respond));
  await late.send(UPGRADE + "a").end().settle();
  const bodied = new Peer(async (request) => {
    await request.text();
    return toy.respond();
  });
  await bodied.send(postHead(4, ...ASKS), "body", "b").settle();
  assertEquals(toy.taken, ["", "a", "b"]);
  for (const peer of [ended, late, bodied]) {
    assertEquals(undated(peer), SWITCHED);
    assertEquals(peer.transport.closing, undefined);
  }
});

Deno.test("body that is read behind a takeover leaves the transport alone", async () => {
  const toy = new Toy();
  let request: Request | undefined;
  const gate = Promise.withResolvers<void>();
  const peer = new Peer(async (given) => {
    request = given;
    void given.body;
    await gate.promise;
    return toy.respond();
  });
  peer.send(postHead(6, ...ASKS), "in", "two", "!");
  gate.resolve();
  await peer.settle();
  assertEquals(toy.taken, [""]);
  peer.transport.heldBytes = 7;
  peer.transport.isPaused = true;
  assertEquals(await new Response(request!.body).text(), "intwo!");
  await peer.settle();
  assertEquals(peer.transport.heldBytes, 7);
  assert(peer.transport.isPaused);
});

const REFUSED: [what: string, sent: string][] = [
  ["the body is not whole", `${postHead(4, ...ASKS)}bod`],
  [
    "the client waits for 100",
    postHead(4, "Expect: 100-continue", ...ASKS),
  ],
  ["the request is of HTTP/1.0", head("GET / HTTP/1.0", HOST, ...ASKS)],
];

for (const [what, sent] of REFUSED) {
  Deno.test(`takeover is lost and the answer is 500, when ${what}`, async () => {
    const toy = new Toy();
    const peer = new Peer(toy.respond);
    const [answer] = await peer.send(sent).answers();
    assertEquals(answer?.status, 500);
    assertInstanceOf(peer.errors[0], TypeError);
    assertEquals([toy.taken, toy.lost], [[], 1]);
  });
}

Deno.test("takeover response is refused, when it is returned a second time", async () => {
  const toy = new Toy();
  const response = toy.respond();
  const first = new Peer(() => response);
  const second = new Peer(() => response);
  first.send(UPGRADE);
  const [answer] = await second.send(UPGRADE).answers();
  assertEquals(answer?.status, 500);
  assertEquals([toy.taken, toy.lost], [[""], 0]);
});

Deno.test("takeover is lost, when the peer has gone before the answer", async () => {
  const toy = new Toy();
  const gate = Promise.withResolvers<void>();
  const late = new Peer(() => gate.promise.then(toy.respond));
  late.send(UPGRADE).reset();
  gate.resolve();
  await late.settle();
  assertEquals([toy.taken, toy.lost], [[], 1]);
  const ending: Peer = new Peer(() => {
    ending.reset();
    return toy.respond();
  });
  ending.send(UPGRADE);
  assertEquals([toy.taken, toy.lost], [[], 2]);
});

Deno.test("takeover is lost, when the transport closes between the 101 and the takeover", async () => {
  const failed: unknown[] = [];
  let lost = 0;
  const respond = () =>
    takeoverResponse(
      (transport) => {
        if (transport.isClosed) throw new Deno.errors.BadResource("Closed");
      },
      FIELDS,
      { lost: () => lost++ },
    );
  const observer = {
    answered: () => void peer.reset(),
    failed: (event: unknown) => failed.push(event),
  };
  let peer: Peer = new Peer(respond, { observer });
  peer.send(UPGRADE);
  assertEquals(lost, 1);
  peer = new Peer(() => Promise.resolve().then(respond), { observer });
  await peer.send(UPGRADE).settle();
  assertEquals([lost, failed], [2, []]);
});

Deno.test("takeover happens once and behind a copy, when the response says whose it is", async () => {
  let first: Response | undefined;
  let taken = 0;
  const answer = (request: Request): Response => {
    // The second request gets what the first one was upgraded by.
    if (first !== undefined) return first;
    const takeover = () => void taken++;
    first = takeoverResponse(takeover, FIELDS, { request });
    const copy = new Response(first.body, first);
    copy.headers.set("x-more", "field");
    return copy;
  };
  const peer = new Peer(answer);
  peer.send(UPGRADE);
  const [head, ...fields] = undated(peer).split("\r\n").slice(0, -2);
  assertEquals(head, "HTTP/1.1 101 Switching Protocols");
  assertEquals(fields.map((field) => field.toLowerCase()).sort(), [
    "connection: upgrade",
    "upgrade: toy",
    "x-more: field",
    "x-own: field",
  ]);
  assertEquals(taken, 1);
  const errors: unknown[] = [];
  const onError = (error: unknown) => {
    errors.push(error);
    return new Response("failed");
  };
  const other = new Peer(answer, { onError });
  await other.send(UPGRADE).settle();
  assertEquals([String(errors), taken], [
    'TypeError: Cannot answer with status "101": it must be what an upgrade ' +
    "of this request has returned",
    1,
  ]);
});

Deno.test("observer gets a 101 as an answer, when another protocol takes over", () => {
  const toy = new Toy();
  const seen: unknown[] = [];
  const peer = new Peer(toy.respond, {
    observer: {
      answered: ({ status, sentBytes, error, request }) => {
        seen.push(status, sentBytes, error, request.headers.get("upgrade"));
        // The 101 is written, and HTTP has not left yet.
        seen.push(toy.taken.length);
      },
    },
  });
  peer.send(UPGRADE + "behind");
  assertEquals(seen, [101, 0, undefined, "toy", 0]);
  assertEquals(toy.taken, ["behind"]);
});

Deno.test("completed resolves, when another protocol takes over", async () => {
  const toy = new Toy();
  let completed: Promise<void> | undefined;
  const peer = new Peer((_, info) => {
    completed = info.completed;
    return toy.respond();
  });
  peer.send(UPGRADE);
  await completed;
  assertEquals(toy.taken, [""]);
});

Deno.test("new protocol is asked to finish, when the connection was shut down before the 101", async () => {
  const toy = new Toy();
  const gate = Promise.withResolvers<void>();
  const peer = new Peer(() => gate.promise.then(toy.respond));
  let asked = 0;
  peer.transport.onShutdown = () => asked++;
  peer.send(UPGRADE);
  peer.connection.shutdown();
  gate.resolve();
  await peer.until(() => asked > 0, "the shutdown");
  assertEquals([toy.taken, asked], [[""], 1]);
  assertEquals(undated(peer), SWITCHED);
});
