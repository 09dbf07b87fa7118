/** The small Redis: RESP by hand, and Redis' own tools where installed. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { FiberServer } from "../../mod.ts";
import { redis } from "./redis.ts";
import { CommandReader, latin1 } from "./redis_protocol.ts";
import { Store } from "./redis_store.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { readText, readTextToEnd, writeText } from "../util/deno_client.ts";
import { onReactor } from "../util/fibers.ts";
import { encoded } from "../util/handlers.ts";
import { lacks } from "../util/machine.ts";
import { within } from "../util/waiting.ts";

/** Runs `body` with a server. */
function served(body: (server: FiberServer) => Promise<void>) {
  return () =>
    onReactor(async ({ reactor }) => {
      await using server = redis({ port: 0, reactor });
      await body(server);
      assertEquals(reactor.reported, []);
    });
}

/** Returns a command as clients send it. */
function resp(...words: string[]): string {
  const bulks = words.map((word) => `$${word.length}\r\n${word}\r\n`);
  return `*${words.length}\r\n${bulks.join("")}`;
}

/** Sends commands one by one, and expects the reply of each. */
async function converse(
  server: FiberServer,
  exchange: readonly (readonly [string, string])[],
): Promise<void> {
  using client = await Deno.connect(server.addr);
  for (const [line, reply] of exchange) {
    await writeText(client, resp(...line.split(" ")));
    assertEquals(await readText(client, reply.length), reply, line);
  }
}

const EXCHANGES: Readonly<Record<string, [string, string][]>> = {
  "PING, ECHO and SELECT": [
    ["PING", "+PONG\r\n"],
    ["ping hello", "$5\r\nhello\r\n"],
    ["ECHO hi", "$2\r\nhi\r\n"],
    ["SELECT 0", "+OK\r\n"],
    ["SELECT 9", "-ERR DB index is out of range\r\n"],
  ],
  "GET, SET, DEL and EXISTS": [
    ["GET a", "$-1\r\n"],
    ["SET a 1", "+OK\r\n"],
    ["GET a", "$1\r\n1\r\n"],
    ["SET a 2 NX", "$-1\r\n"],
    ["SET b 2 XX", "$-1\r\n"],
    ["SET b 2 NX", "+OK\r\n"],
    ["SET b 3 XX", "+OK\r\n"],
    ["EXISTS a b c a", ":3\r\n"],
    ["DEL a b c", ":2\r\n"],
    ["DBSIZE", ":0\r\n"],
  ],
  "INCR and INCRBY": [
    ["INCR n", ":1\r\n"],
    ["INCRBY n 41", ":42\r\n"],
    ["INCRBY n -2", ":40\r\n"],
    ["GET n", "$2\r\n40\r\n"],
    ["SET n word", "+OK\r\n"],
    ["INCR n", "-ERR value is not an integer or out of range\r\n"],
    ["SET n 9223372036854775807", "+OK\r\n"],
    ["INCR n", "-ERR increment or decrement would overflow\r\n"],
  ],
  "EXPIRE, TTL and PTTL": [
    ["TTL k", ":-2\r\n"],
    ["EXPIRE k 10", ":0\r\n"],
    ["SET k v", "+OK\r\n"],
    ["TTL k", ":-1\r\n"],
    ["EXPIRE k 10", ":1\r\n"],
    ["TTL k", ":10\r\n"],
    ["INCR k", "-ERR value is not an integer or out of range\r\n"],
    ["SET k v", "+OK\r\n"],
    ["PTTL k", ":-1\r\n"],
    ["SET k v EX 100", "+OK\r\n"],
    ["TTL k", ":100\r\n"],
    ["EXPIRE k -1", ":1\r\n"],
    ["GET k", "$-1\r\n"],
  ],
  "errors": [
    ["GET", "-ERR wrong number of arguments for 'get' command\r\n"],
    ["SET a b EX", "-ERR syntax error\r\n"],
    ["SET a b NX XX", "-ERR syntax error\r\n"],
    ["SET a b EX x", "-ERR value is not an integer or out of range\r\n"],
    ["SET a b PX 0", "-ERR invalid expire time in 'set' command\r\n"],
    [
      "NOPE x",
      "-ERR unknown command 'NOPE', with args beginning with: 'x' \r\n",
    ],
  ],
  "what the tools ask": [
    ["COMMAND", "*0\r\n"],
    ["CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"],
    ["CONFIG GET other", "*0\r\n"],
  ],
};

for (const [name, exchange] of Object.entries(EXCHANGES)) {
  cleanTest(
    `the server answers ${name}`,
    served((server) => converse(server, exchange)),
  );
}

cleanTest(
  "the server answers a pipeline in order",
  served(async (server) => {
    using client = await Deno.connect(server.addr);
    const COUNT = 20_000;
    const sent = Array.from({ length: COUNT }, () => resp("INCR", "n"));
    const replies = Array.from({ length: COUNT }, (_, n) => `:${n + 1}\r\n`);
    const writing = writeText(client, sent.join(""));
    const wanted = replies.join("");
    assertEquals(await readText(client, wanted.length), wanted);
    await writing;
  }),
);

cleanTest(
  "the server obeys QUIT, and inline commands as telnet sends them",
  served(async (server) => {
    using client = await Deno.connect(server.addr);
    await writeText(client, '\r\nset "a key" \'it\\\'s\'\nGET "a\\x20key"\r\n');
    await writeText(client, "QUIT\r\nPING\r\n");
    assertEquals(await readTextToEnd(client), "+OK\r\n$4\r\nit's\r\n+OK\r\n");
  }),
);

const FAULTS: [string, string][] = [
  ["*x\r\n", "invalid multibulk length"],
  ["*2000000\r\n", "invalid multibulk length"],
  ["*1\r\n:1\r\n", "expected '$', got ':'"],
  ["*1\r\n$-1\r\n", "invalid bulk length"],
  ["*1\r\n$x\r\n", "invalid bulk length"],
  ["*1\r\n$600000000\r\n", "invalid bulk length"],
  [`*${"1".repeat(70_000)}`, "too big mbulk count string"],
  ["x".repeat(70_000), "too big inline request"],
  ['get "a\r\n', "unbalanced quotes in request"],
];

for (const [sent, words] of FAULTS) {
  cleanTest(
    `the server words ${JSON.stringify(sent.slice(0, 20))} as Redis does`,
    served(async (server) => {
      using client = await Deno.connect(server.addr);
      await writeText(client, resp("PING") + sent);
      const reply = `+PONG\r\n-ERR Protocol error: ${words}\r\n`;
      assertEquals(await readText(client, reply.length), reply);
    }),
  );
}

Deno.test("CommandReader finds the same commands, wherever pieces end", () => {
  const text = resp("SET", "key", "va\r\nlue") + "PING\r\n" + resp("GET", "k");
  const whole = [["SET", "key", "va\r\nlue"], ["PING"], ["GET", "k"]];
  for (let split = 0; split <= text.length; split++) {
    for (const second of [split, split + 3]) {
      const reader = new CommandReader();
      const found: string[][] = [];
      const pieces = [
        text.slice(0, split),
        text.slice(split, second),
        text.slice(second),
      ];
      for (const piece of pieces) {
        reader.push(encoded(piece));
        for (let next = reader.next(); next; next = reader.next()) {
          found.push(next.map(latin1));
        }
      }
      assertEquals(found, whole, `split at ${split} and ${second}`);
    }
  }
});

Deno.test("Store.sweep() forgets expired keys that no command has read", () => {
  const store = new Store();
  for (let index = 0; index < 1_000; index++) {
    store.set(`${index}`, encoded("x"), Date.now() - 1);
  }
  store.set("kept", encoded("x"), Date.now() + 60_000);
  store.set("lasting", encoded("x"));
  store.sweep();
  assertEquals(store.size, 2);
});

/** Runs a tool of Redis' and returns what it prints. */
async function tool(
  name: string,
  server: FiberServer,
  ...args: string[]
): Promise<string> {
  const command = new Deno.Command(name, {
    args: ["-p", `${server.addr.port}`, ...args],
    stdin: "null",
  });
  const { stdout, stderr } = await within(command.output(), name, 60_000);
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

function isInstalled(name: string): boolean {
  try {
    return new Deno.Command(name, { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

const NO_TOOLS = lacks(
  "redis-cli and redis-benchmark",
  () => isInstalled("redis-cli") && isInstalled("redis-benchmark"),
);

cleanTest(
  "redis-cli talks to the server",
  served(async (server) => {
    assertEquals(await tool("redis-cli", server, "PING"), "PONG\n");
    assertEquals(await tool("redis-cli", server, "SET", "a", "b"), "OK\n");
    assertEquals(await tool("redis-cli", server, "GET", "a"), "b\n");
    assertMatch(await tool("redis-cli", server, "INFO"), /redis_version/);
  }),
  { ignore: NO_TOOLS },
);

cleanTest(
  "redis-benchmark drives the server, with pipelines too",
  served(async (server) => {
    for (const depth of ["1", "16"]) {
      const args = ["-t", "get,set", "-n", "5000", "-c", "20", "-P", depth];
      const text = await tool("redis-benchmark", server, ...args, "--csv");
      assert(/"SET","\d/.test(text) && /"GET","\d/.test(text), text);
    }
  }),
  { ignore: NO_TOOLS },
);
