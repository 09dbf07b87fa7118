/**
 * The arguments and results of `serve()`, compared with `Deno.serve`.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import type { HttpServer } from "../../src/server/http_server.ts";
import { serve } from "../../src/server/serve.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ConsoleWatch } from "../util/console.ts";
import { readTextToEnd, writeText } from "../util/deno_client.ts";
import { RawClient } from "../util/http_client.ts";
import { NO_IPV6 } from "../util/machine.ts";
import { SocketFolder } from "../util/unix_paths.ts";
import { within } from "../util/waiting.ts";
import { GET } from "../util/requests.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0, onListen() {} };

const hello: Handler = () => new Response("Hello");

/** `serve`, as a program without types calls it. */
const serveAnything = serve as unknown as (
  ...args: unknown[]
) => Deno.HttpServer<Deno.NetAddr | Deno.UnixAddr>;

/** Checks that a server answers, and shuts it down. */
async function assertServes(
  server: Deno.HttpServer<Deno.NetAddr>,
): Promise<void> {
  using client = await RawClient.connect({
    ...server.addr,
    hostname: "127.0.0.1",
  });
  await client.send(GET);
  assertEquals((await client.answer()).text, "Hello");
  client.close();
  await within(server.shutdown(), "the server to shut down");
}

/** Returns a port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

cleanTest(
  "serve() takes Deno's own types, when they are declared",
  async () => {
    using _reactor = Reactor.shared;
    const handler: Deno.ServeHandler<Deno.NetAddr> = (_request, info) => {
      info.completed.catch(() => {});
      return new Response("Hello");
    };
    const options: Deno.ServeTcpOptions = LOCAL;
    const all: Deno.ServeTcpOptions & Deno.ServeInit<Deno.NetAddr> = {
      ...LOCAL,
      handler,
    };
    const servers: Deno.HttpServer<Deno.NetAddr>[] = [
      serve(options, handler),
      serve(all),
    ];
    for (const server of servers) await assertServes(server);
  },
);

cleanTest("serve() takes the handler alone, and listens on 8000", () => {
  using _watch = new ConsoleWatch();
  using _reactor = Reactor.shared;
  // Another program may have the port: then the message names the port.
  try {
    const server = serve(hello);
    assertEquals(server.addr.port, 8000);
    assertEquals(server.addr.hostname, "0.0.0.0");
  } catch (error) {
    assert(error instanceof Deno.errors.AddrInUse);
    assertStringIncludes(error.message, "0.0.0.0:8000");
  }
});

const LEFT_OUT: [name: string, ...args: unknown[]][] = [
  ["nothing"],
  ["undefined", undefined],
  ["null", null],
  ["no options but some after them", undefined, { handler: hello }],
  ["empty options", {}],
  ["an undefined handler", { handler: undefined }],
  ["a handler that is text", { handler: "hello" }],
  ["a number", 1],
  ["options and text", {}, "hello"],
];

for (const [name, ...args] of LEFT_OUT) {
  cleanTest(`serve() asks for a handler, when it is given ${name}`, () => {
    const own = assertThrows(() => serveAnything(...args), TypeError);
    assertStringIncludes(own.message, "handler");
    if (args[0] === null) return;
    const denos = assertThrows(
      () => (Deno.serve as typeof serveAnything)(...args),
      TypeError,
    );
    assertEquals(own.message, denos.message);
  });
}

cleanTest(
  "serve() takes the handler of the options, when no function comes second",
  async () => {
    using reactor = new Reactor();
    for (const second of [undefined, null, "hello"]) {
      const options = { ...LOCAL, reactor, handler: hello };
      await assertServes(serveAnything(options, second) as HttpServer);
    }
  },
);

for (
  const write of [
    String,
    (port: number) => ` ${port} `,
    (port: number) => `0x${port.toString(16)}`,
  ]
) {
  cleanTest(`serve() takes a port in text, as ${write(4501)}`, async () => {
    using reactor = new Reactor();
    const port = freePort();
    const text = write(port) as unknown as number;
    const server = serve({ ...LOCAL, reactor, port: text }, hello);
    assertEquals(server.addr.port, port);
    await assertServes(server);
  });
}

const BAD_PORTS: unknown[] = [
  45.1,
  NaN,
  Infinity,
  "some-name",
  "",
  "45.1",
  "1e400",
  "it's",
  -111,
  100_000,
  65_536,
  "-1",
  "70000",
  true,
  false,
  {},
  [],
  4503n,
];

for (const port of BAD_PORTS) {
  cleanTest(
    `serve() refuses a port as Deno does, when it is ${Deno.inspect(port)}`,
    () => {
      using reactor = new Reactor();
      const options = { ...LOCAL, port: port as number };
      const denos = assertThrows(() => Deno.serve(options, hello), Error);
      const own = assertThrows(
        () => serve({ ...options, reactor }, hello),
        denos.constructor as typeof Error,
      );
      assertEquals(own.message, denos.message);
      assertEquals(own.constructor, denos.constructor);
      assertEquals(reactor.size, 0);
    },
  );
}

cleanTest(
  "serve() takes null for what was left out, as Deno does",
  async () => {
    using reactor = new Reactor();
    const server = serveAnything({
      reactor,
      port: 0,
      hostname: null,
      path: null,
      reusePort: null,
      tcpBacklog: null,
      signal: null,
      onListen() {},
      onError: null,
      cert: undefined,
      key: undefined,
    }, hello) as HttpServer;
    assertEquals(server.addr.hostname, "0.0.0.0");
    await assertServes(server);
  },
);

cleanTest("serve() takes a backlog, and refuses what is none", async () => {
  using reactor = new Reactor();
  await assertServes(serve({ ...LOCAL, reactor, tcpBacklog: 1 }, hello));
  for (const tcpBacklog of [-1, 1.5, 2 ** 31, "many" as never]) {
    assertThrows(
      () => serve({ ...LOCAL, reactor, tcpBacklog }, hello),
      RangeError,
      `tcpBacklog "${tcpBacklog}"`,
    );
  }
  assertEquals(reactor.size, 0);
});

cleanTest("serve() finds a name's address before it returns", () => {
  using reactor = new Reactor();
  const { addr } = serve(
    { ...LOCAL, reactor, hostname: "localhost" },
    hello,
  );
  assert(["127.0.0.1", "::1"].includes(addr.hostname));
});

const WRONG: [option: string, value: unknown][] = [
  ["hostname", 5],
  ["hostname", ""],
  ["path", 5],
  ["path", ""],
  ["reactor", {}],
  ["signal", {}],
  ["signal", "soon"],
  ["onListen", 5],
  ["onError", 5],
];

for (const [option, value] of WRONG) {
  cleanTest(
    `serve() throws TypeError and listens nowhere, when ${option} is ${
      Deno.inspect(value)
    }`,
    () => {
      using reactor = new Reactor();
      // Binding the address would fail first, with another error.
      using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = taken.addr;
      const options = { ...LOCAL, port, reactor, [option]: value };
      assertThrows(() => serveAnything(options, hello), TypeError, option);
      assertEquals(reactor.size, 0);
    },
  );
}

const NOT_OFFERED: [what: string, options: object][] = [
  ["TLS", { cert: "certificate", key: "key" }],
  ["TLS", { cert: "certificate" }],
  ["TLS", { key: "key" }],
  ["TLS", { cert: null, key: null }],
  ["TLS", { cert: "", key: "" }],
  ["TLS", { certFile: "a.crt", keyFile: "a.key" }],
  ["TLS", { alpnProtocols: ["h2"] }],
  ["vsock", { cid: -1 }],
  ["vsock", { transport: "vsock" }],
  ["a tunnel", { tunnel: true }],
  ["unix", { transport: "unix" }],
];

for (const [what, options] of NOT_OFFERED) {
  cleanTest(
    `serve() throws NotSupported and listens nowhere, when it is given ${
      Deno.inspect(options)
    }`,
    () => {
      using reactor = new Reactor();
      const error = assertThrows(
        () => serveAnything({ ...LOCAL, reactor, ...options }, hello),
        Deno.errors.NotSupported,
      );
      assertStringIncludes(error.message, what);
      assertEquals(reactor.size, 0);
    },
  );
}

/** Starts both servers without `onListen`, and returns what each prints. */
async function announcements(
  options: Deno.ServeTcpOptions,
): Promise<{ own: string; denos: string }> {
  using reactor = new Reactor();
  using watch = new ConsoleWatch();
  const { addr } = serve({ port: 0, reactor, ...options }, hello);
  assertEquals(watch.logged, []);
  const [[own] = []] = watch.complained;
  // Deno does not print by the console.
  const code = `const server = Deno.serve(
    ${JSON.stringify({ port: 0, ...options })},
    () => new Response(),
  );
  console.log(server.addr.port);
  await server.shutdown();`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  const port = decoder.decode(stdout).trim();
  const denos = decoder.decode(stderr).trim();
  return { own: String(own), denos: denos.replaceAll(port, `${addr.port}`) };
}

for (const hostname of [undefined, "0.0.0.0", "127.0.0.1", "localhost"]) {
  cleanTest(
    `serve() prints what Deno prints, when it listens on ${hostname}`,
    async () => {
      const options = hostname === undefined ? {} : { hostname };
      const { own, denos } = await announcements(options);
      assertStringIncludes(own, "Listening on http://");
      assertEquals(own, denos);
    },
  );
}

for (const hostname of ["::", "::1"]) {
  cleanTest(
    `serve() prints what Deno prints, when it listens on ${hostname}`,
    async () => {
      const { own, denos } = await announcements({ hostname });
      assertStringIncludes(own, `Listening on http://[${hostname}]:`);
      assertEquals(own, denos);
    },
    { ignore: NO_IPV6 },
  );
}

cleanTest("serve() prints the path, when it listens at one", () => {
  using folder = new SocketFolder();
  using reactor = new Reactor();
  using watch = new ConsoleWatch();
  const path = folder.path();
  serve({ path, reactor }, () => new Response());
  assertEquals(watch.complained, [[`Listening on ${path}`]]);
});

cleanTest("serve() calls onListen with 0.0.0.0 as it is", () => {
  using reactor = new Reactor();
  const seen: Deno.NetAddr[] = [];
  const server = serve({
    port: 0,
    hostname: "0.0.0.0",
    reactor,
    onListen: (addr) => void seen.push(addr),
  }, hello);
  assertEquals(seen, [server.addr]);
  assertEquals(seen[0]?.hostname, "0.0.0.0");
});

cleanTest("serve() calls onListen as a method of its options", () => {
  using reactor = new Reactor();
  const options = {
    ...LOCAL,
    reactor,
    seen: 0,
    onListen({ port }: Deno.NetAddr) {
      this.seen = port;
    },
  };
  const { addr } = serve(options, hello);
  assertEquals(options.seen, addr.port);
});

cleanTest("serve() goes on, when onListen is still at work", async () => {
  using reactor = new Reactor();
  const asked = Promise.withResolvers<string>();
  const server = serve({
    ...LOCAL,
    reactor,
    async onListen(addr) {
      using client = await RawClient.connect(addr);
      await client.send(GET);
      asked.resolve((await client.answer()).text);
    },
  }, hello);
  assertEquals(await within(asked.promise, "an answer"), "Hello");
  await within(server.shutdown(), "the server to shut down");
});

cleanTest("server has its address as Deno's do, when it is TCP", () => {
  using reactor = new Reactor();
  const { addr } = serve({ ...LOCAL, reactor }, hello);
  const { transport, hostname, port, ...others } = addr;
  assertEquals([transport, hostname, others], ["tcp", "127.0.0.1", {}]);
  assert(Number.isInteger(port));
});

cleanTest(
  "server and info have the path as Deno's do, when it is Unix",
  async () => {
    using folder = new SocketFolder();
    using reactor = new Reactor();
    const path = folder.path();
    const seen: Deno.UnixAddr[] = [];
    const server = serve({
      path,
      transport: "unix",
      reactor,
      onListen: (addr) => void seen.push(addr),
      handler: (_request, { remoteAddr }) => {
        seen.push(remoteAddr);
        return new Response("Hello", { headers: { connection: "close" } });
      },
    });
    using client = await Deno.connect({ transport: "unix", path });
    await writeText(client, GET);
    assertStringIncludes(await readTextToEnd(client), "Hello");
    const addr = { transport: "unix", path } as const;
    assertEquals([server.addr, ...seen], [addr, addr, addr]);
    client.close();
    await within(server.shutdown(), "the server to shut down");
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  },
);

for (const [name, hostname] of [["IPv4", "127.0.0.1"], ["IPv6", "::1"]]) {
  cleanTest(
    `info has the client's address as Deno's does, when it is ${name}`,
    async () => {
      using reactor = new Reactor();
      const seen = Promise.withResolvers<Deno.NetAddr>();
      const server = serve(
        { ...LOCAL, hostname: hostname!, reactor },
        (_, i) => {
          seen.resolve(i.remoteAddr);
          return new Response("Hello");
        },
      );
      using client = await RawClient.connect(server.addr);
      await client.send(GET);
      await client.answer();
      const { transport, port } = client.address;
      assertEquals(await seen.promise, {
        transport,
        hostname: hostname!,
        port,
      });
      client.close();
      await within(server.shutdown(), "the server to shut down");
    },
    { ignore: name === "IPv6" && NO_IPV6 },
  );
}

cleanTest(
  "server is no thenable, when an async function returns it",
  async () => {
    using reactor = new Reactor();
    const start = async () => {
      await undefined;
      return serve({ ...LOCAL, reactor }, hello);
    };
    const server = await within(start(), "the server to be returned");
    assert(!("then" in server));
    await assertServes(server);
  },
);

cleanTest(
  "server has the members of Deno's, and they need no object",
  async () => {
    using reactor = new Reactor();
    const server = serve({ ...LOCAL, reactor }, hello);
    const denos = Deno.serve(LOCAL, hello);
    for (const name of Object.keys(denos)) assert(name in server, name);
    const { finished, ref, unref, shutdown } = server;
    unref();
    ref();
    assertEquals(await shutdown(), undefined);
    assertEquals(await finished, undefined);
    await denos.shutdown();
  },
);

cleanTest("server may be ended again, when it has ended", async () => {
  using reactor = new Reactor();
  const server = serve({ ...LOCAL, reactor }, hello);
  await within(server.shutdown(), "the server to shut down");
  await within(server.shutdown(), "the server to shut down again");
  await within(server[Symbol.asyncDispose](), "the server's disposal");
  server.ref();
  server.unref();
  assertEquals(server.addr.hostname, "127.0.0.1");
});

cleanTest(
  "serve() throws AddrInUse at once, when Deno's server is there",
  async () => {
    using reactor = new Reactor();
    const denos = Deno.serve(LOCAL, hello);
    const { port } = denos.addr as Deno.NetAddr;
    assertThrows(
      () => serve({ ...LOCAL, port, reactor }, hello),
      Deno.errors.AddrInUse,
    );
    await denos.shutdown();
    await assertServes(serve({ ...LOCAL, port, reactor }, hello));
  },
);
