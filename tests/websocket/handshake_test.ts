/** The opening handshake, as a table: RFC 6455 sections 4.2 and 4.4. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import {
  type Handshake,
  type HandshakeOptions,
  shakeHands,
} from "../../src/websocket/handshake.ts";
import { Peer } from "../util/http_transport.ts";
import { head, HOST } from "../util/requests.ts";

/** The handshake of RFC 6455 section 1.3. */
const FIELDS = {
  "Upgrade": "websocket",
  "Connection": "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Changes = Record<string, string | undefined>;

/** Returns a handshake with other fields; `undefined` removes one. */
function asked(changes: Changes = {}, method = "GET"): Request {
  const headers = Object.entries({ ...FIELDS, ...changes })
    .filter((field): field is [string, string] => field[1] !== undefined);
  return new Request("http://localhost/chat", { method, headers });
}

/** Asserts that a handshake is answered with 101; returns the answer. */
function agreed(request: Request, options?: HandshakeOptions): Handshake {
  const answer = shakeHands(request, options);
  assert(!(answer instanceof Response));
  return answer;
}

Deno.test("shakeHands() gives the fields of the 101, when the client is that of RFC 6455 section 1.3", () => {
  const changes = { "Sec-WebSocket-Protocol": "chat, superchat" };
  assertEquals(agreed(asked(changes), { protocol: "chat" }), {
    headers: [
      ["Upgrade", "websocket"],
      ["Sec-WebSocket-Accept", ACCEPT],
      ["Sec-WebSocket-Protocol", "chat"],
    ],
    protocol: "chat",
    deflate: undefined,
  });
  assertEquals(agreed(asked()), {
    headers: [["Upgrade", "websocket"], ["Sec-WebSocket-Accept", ACCEPT]],
    protocol: "",
    deflate: undefined,
  });
});

/** Handshakes that are in order. */
const GOOD: [what: string, changes: Changes, options?: HandshakeOptions][] = [
  ["letters of any case", { Upgrade: "WebSocket", Connection: "uPGRADE" }],
  [
    "lists of tokens",
    { Upgrade: "h2c , websocket", Connection: ",keep-alive,\tUpgrade" },
  ],
  ["a length of 0", { "Content-Length": "0" }],
  ["any bits behind the key's last byte", {
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAB==",
  }],
  ["any origin, when none is asked for", { Origin: "http://a" }],
  ["an origin of the list", { Origin: "http://a" }, { origins: ["http://a"] }],
  ["no origin, beside a list", {}, { origins: [] }],
  ["an empty protocol", {}, { protocol: "" }],
];

for (const [what, changes, options] of GOOD) {
  Deno.test(`shakeHands() agrees, when there is ${what}`, () => {
    assertEquals(agreed(asked(changes), options).protocol, "");
  });
}

/** Handshakes to refuse, and fields of the refusals. */
const BAD: [
  status: number,
  why: string,
  changes: Changes,
  options?: HandshakeOptions,
][] = [
  [426, "Upgrade must name websocket", { Upgrade: undefined }],
  [426, "Upgrade must name websocket", { Upgrade: "web, socket" }],
  [400, "Connection must name upgrade", { Connection: undefined }],
  [400, "Connection must name upgrade", { Connection: "upgrades" }],
  [426, "Sec-WebSocket-Version must be 13", {
    "Sec-WebSocket-Version": undefined,
  }],
  [426, "Sec-WebSocket-Version must be 13", { "Sec-WebSocket-Version": "8" }],
  [426, "Sec-WebSocket-Version must be 13", {
    "Sec-WebSocket-Version": "13, 8",
  }],
  [400, "Sec-WebSocket-Key must be 16 bytes in base64", {
    "Sec-WebSocket-Key": undefined,
  }],
  [400, "Sec-WebSocket-Key must be 16 bytes in base64", {
    // 15 bytes.
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j",
  }],
  [400, "Sec-WebSocket-Key must be 16 bytes in base64", {
    // 17 bytes.
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZWE=",
  }],
  [400, "Sec-WebSocket-Key must be 16 bytes in base64", {
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ-==",
  }],
  [400, "the request must have no body", { "Content-Length": "1" }],
  [400, "the request must have no body", { "Transfer-Encoding": "chunked" }],
  [400, "Sec-WebSocket-Protocol must be a list of tokens", {
    "Sec-WebSocket-Protocol": "chat, a b",
  }],
  [400, "Sec-WebSocket-Protocol must be a list of tokens", {
    "Sec-WebSocket-Protocol": "chat, chat",
  }],
  [400, "Sec-WebSocket-Protocol must be a list of tokens", {
    "Sec-WebSocket-Protocol": ",",
  }],
  [400, 'the subprotocol must be "chat"', {
    "Sec-WebSocket-Protocol": "Chat",
  }, { protocol: "chat" }],
  [400, 'the subprotocol must be "chat"', {}, { protocol: "chat" }],
  [403, "the origin is not allowed", { Origin: "http://a:1" }, {
    origins: ["http://a"],
  }],
  [403, "the origin is not allowed", {}, { origins: (origin) => !!origin }],
];

for (const [status, why, changes, options] of BAD) {
  const fields = Object.entries(changes).join("; ") || "no field is changed";
  Deno.test(`shakeHands() refuses with ${status}: ${why}, when there is ${fields}`, async () => {
    const answer = shakeHands(asked(changes), options);
    assertInstanceOf(answer, Response);
    assertEquals(answer.status, status);
    assertEquals(await answer.text(), `Cannot open a WebSocket: ${why}\n`);
    const { headers } = answer;
    assertEquals(headers.get("upgrade"), status === 426 ? "websocket" : null);
    assertEquals(
      headers.get("sec-websocket-version"),
      why.includes("Version") ? "13" : null,
    );
  });
}

Deno.test("shakeHands() refuses with 405, when the method is not GET", () => {
  const answer = shakeHands(asked({}, "POST"));
  assertInstanceOf(answer, Response);
  assertEquals([answer.status, answer.headers.get("allow")], [405, "GET"]);
});

Deno.test("shakeHands() refuses with 400, when a connection's request is of HTTP/1.0", async () => {
  const lines = Object.entries(FIELDS).map((field) => field.join(": "));
  const peer = new Peer((request) => {
    const answer = shakeHands(request);
    return answer instanceof Response ? answer : new Response("agreed");
  });
  peer.send(head("GET / HTTP/1.1", HOST, ...lines));
  peer.send(head("GET / HTTP/1.0", HOST, ...lines));
  const [agreed, refused] = await peer.answers();
  assertEquals(agreed?.text, "agreed");
  assertEquals(refused?.status, 400);
});

Deno.test("shakeHands() lets a function choose among the offered subprotocols", () => {
  const request = asked({ "Sec-WebSocket-Protocol": "a,b ,c" });
  const seen: unknown[] = [];
  const choose = (choice: string | undefined) =>
    agreed(request, {
      protocol: (offered, given) => {
        seen.push(offered, given === request);
        return choice;
      },
    }).protocol;
  assertEquals([choose("b"), choose(undefined)], ["b", ""]);
  assertEquals(seen, [["a", "b", "c"], true, ["a", "b", "c"], true]);
  assertThrows(
    () => choose("d"),
    TypeError,
    'Cannot use protocol "d": the client must offer it',
  );
});
