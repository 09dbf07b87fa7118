// deno-lint-ignore-file no-console -- what is printed is what is tested

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Reactor } from "../../src/reactor/reactor.ts";
import type { HttpServer } from "../../src/server/http_server.ts";
import { serve } from "../../src/server/serve.ts";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { NO_IPV6 } from "../util/machine.ts";
import { within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0, onListen() {} };

const hello: Handler = () => new Response("Hello");

/** Checks that a server answers, and shuts it down. */
async function assertServes(server: HttpServer): Promise<void> {
  using client = await RawClient.connect(server.addr);
  await client.send(GET);
  assertEquals((await client.answer()).text, "Hello");
  client.close();
  await within(server.shutdown(), "the server to shut down");
}

cleanTest(
  "serve() answers, when options and handler are two arguments",
  async () => {
    using reactor = new Reactor();
    await assertServes(serve({ ...LOCAL, reactor }, hello));
  },
);

cleanTest(
  "serve() answers, when the handler is among the options",
  async () => {
    using reactor = new Reactor();
    await assertServes(serve({ ...LOCAL, reactor, handler: hello }));
  },
);

cleanTest("serve() answers, when it is on the shared reactor", async () => {
  using reactor = Reactor.shared;
  const server = serve(LOCAL, hello);
  assert(reactor.size > 0);
  await assertServes(server);
});

cleanTest("serve() prints its address, when the system chose the port", () => {
  using reactor = new Reactor();
  const { addr } = serve({ ...LOCAL, reactor }, hello);
  assertEquals(addr.transport, "tcp");
  assertEquals(addr.hostname, "127.0.0.1");
  assert(addr.port > 0);
});

cleanTest(
  "serve() listens on all addresses, when it is given none",
  async () => {
    using reactor = new Reactor();
    const server = serve({ port: 0, onListen() {}, reactor }, hello);
    assertEquals(server.addr.hostname, "0.0.0.0");
    using client = await RawClient.connect({
      ...server.addr,
      hostname: "127.0.0.1",
    });
    await client.send(GET);
    assertEquals((await client.answer()).text, "Hello");
  },
);

cleanTest("serve() answers, when the hostname is a name", async () => {
  using reactor = new Reactor();
  await assertServes(
    serve({ ...LOCAL, hostname: "localhost", reactor }, hello),
  );
});

cleanTest("serve() answers, when the address is IPv6", async () => {
  using reactor = new Reactor();
  const { promise, resolve } = Promise.withResolvers<Deno.NetAddr>();
  const server = serve({ ...LOCAL, hostname: "::1", reactor }, (_, info) => {
    resolve(info.remoteAddr);
    return new Response("Hello");
  });
  assertEquals(server.addr.hostname, "::1");
  await assertServes(server);
  assertEquals((await promise).hostname, "::1");
}, { ignore: NO_IPV6 });

cleanTest("serve() throws AddrInUse, when the address is in use", () => {
  using reactor = new Reactor();
  const { port } = serve({ ...LOCAL, reactor }, hello).addr;
  const error = assertThrows(
    () => serve({ ...LOCAL, port, reactor }, hello),
    Deno.errors.AddrInUse,
  );
  assertStringIncludes(error.message, `127.0.0.1:${port}`);
  assertEquals(reactor.size, 1);
});

cleanTest("serve() shares an address, when reusePort is set", async () => {
  using reactor = new Reactor();
  const options = { ...LOCAL, reactor, reusePort: true };
  const first = serve(options, hello);
  const second = serve({ ...options, port: first.addr.port }, hello);
  assertEquals(first.addr, second.addr);
  await within(first.shutdown(), "the first server to shut down");
  await assertServes(second);
});

for (const handler of [undefined, null, "handler", {}]) {
  cleanTest(
    `serve() throws TypeError, when the handler is ${JSON.stringify(handler)}`,
    () => {
      using reactor = new Reactor();
      const options = { ...LOCAL, reactor };
      assertThrows(() => serve(options, handler as never), TypeError);
      assertThrows(
        () => serve({ ...options, handler: handler as never }),
        TypeError,
      );
      assertEquals(reactor.size, 0);
    },
  );
}

for (const limit of [-1, NaN, "many"]) {
  const wanted = typeof limit === "number" ? RangeError : TypeError;
  for (const name of ["headBytesMax", "bodyBytesMax"]) {
    cleanTest(`serve() throws ${wanted.name}, when ${name} is ${limit}`, () => {
      using reactor = new Reactor();
      assertThrows(
        () => serve({ ...LOCAL, reactor, [name]: limit }, hello),
        wanted,
        name,
      );
      assertEquals(reactor.size, 0);
    });
  }
}

cleanTest("serve() throws and listens no more, when onListen throws", () => {
  using reactor = new Reactor();
  const onListen = (): void => {
    throw new Error("cannot announce");
  };
  assertThrows(
    () => serve({ ...LOCAL, reactor, onListen }, hello),
    Error,
    "cannot announce",
  );
  assertEquals(reactor.size, 0);
});

cleanTest("serve() calls onListen with the address, when it listens", () => {
  using reactor = new Reactor();
  const seen: Deno.NetAddr[] = [];
  const onListen = (addr: Deno.NetAddr): void => void seen.push(addr);
  const { addr } = serve({ ...LOCAL, reactor, onListen }, hello);
  assertEquals(seen, [addr]);
});

cleanTest(
  "serve() prints the error and answers 500, when there is no onError",
  async () => {
    using reactor = new Reactor();
    const server = serve({ ...LOCAL, reactor }, () => {
      throw new Error("handler failed");
    });
    const printed: unknown[] = [];
    const { error } = console;
    console.error = (...values) => printed.push(...values);
    try {
      using client = await RawClient.connect(server.addr);
      await client.send(GET);
      assertEquals((await client.answer()).status, 500);
    } finally {
      console.error = error;
    }
    assertEquals(printed.map((value) => (value as Error).message), [
      "handler failed",
    ]);
  },
);

cleanTest(
  "server refuses heads and bodies, when they pass its limits",
  async () => {
    const options = { headBytesMax: 100, bodyBytesMax: 10 };
    await using test = new TestServer(hello, options);
    using head = await test.connect();
    await head.send(
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(100)}\r\n\r\n`,
    );
    assertEquals((await head.rest()).map(({ status }) => status), [431]);
    using body = await test.connect();
    await body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    assertEquals((await body.rest()).map(({ status }) => status), [413]);
  },
);

cleanTest(
  "two servers answer each for itself, when they share a reactor",
  async () => {
    using reactor = new Reactor();
    const servers = ["one", "two"].map((name) =>
      serve({ ...LOCAL, reactor }, () => new Response(name))
    );
    const texts = servers.map(async ({ addr }) => {
      using client = await RawClient.connect(addr);
      await client.send(GET);
      return (await client.answer()).text;
    });
    assertEquals(await Promise.all(texts), ["one", "two"]);
    const [first, second] = servers as [HttpServer, HttpServer];
    await within(first.shutdown(), "the first server to shut down");
    using client = await RawClient.connect(second.addr);
    await client.send(GET);
    assertEquals((await client.answer()).text, "two");
    await assertRejects(() => RawClient.connect(first.addr));
  },
);
