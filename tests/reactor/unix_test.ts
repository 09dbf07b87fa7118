/** Unix sockets on a reactor, and the servers on them. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { echo, Fibers, Reactor, serve } from "../../mod.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ReportingReactor } from "../util/fibers.ts";
import { runScript } from "../util/scripts.ts";
import { abstractName, NO_ABSTRACT, SocketFolder } from "../util/unix_paths.ts";
import { within } from "../util/waiting.ts";

const HELLO = new TextEncoder().encode("hello");
const IGNORED = { data() {} };

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

async function readText(conn: Deno.Conn): Promise<string> {
  const text = conn.readable.pipeThrough(new TextDecoderStream());
  return (await Array.fromAsync(text)).join("");
}

cleanTest(
  "echo() at a path echoes, and removes the path in the end",
  async () => {
    using folder = new SocketFolder();
    using reactor = new Reactor();
    const path = folder.path();
    const server = echo({ path, reactor });
    assertEquals(server.addr, { transport: "unix", path });
    const client = await Deno.connect({ transport: "unix", path });
    await client.write(HELLO);
    await client.closeWrite();
    assertEquals(await readText(client), "hello");
    assertEquals(exists(path), true);
    await within(server.shutdown(), "the server to shut down");
    assertEquals(exists(path), false);
  },
);

cleanTest("a connection knows its Unix addresses, at either end", async () => {
  using folder = new SocketFolder();
  using reactor = new Reactor();
  const path = folder.path();
  const addresses = Promise.withResolvers<unknown>();
  reactor.listen({ path }, {
    ...IGNORED,
    open: ({ localAddress, peerAddress }) =>
      addresses.resolve([localAddress, peerAddress]),
  });
  const client = reactor.connect({ path }, IGNORED);
  const named = { transport: "unix", path } as const;
  const unnamed = { transport: "unix", path: "" } as const;
  assertEquals(await within(addresses.promise, "the connection"), [
    named,
    unnamed,
  ]);
  assertEquals(client.localAddress, unnamed);
  assertEquals(client.peerAddress, named);
});

cleanTest(
  "a Unix client may write before open is called",
  async () => {
    using folder = new SocketFolder();
    using reactor = new Reactor();
    const path = folder.path();
    echo({ path, reactor });
    const { promise, resolve } = Promise.withResolvers<string>();
    const client = reactor.connect({ path }, {
      data: (connection, bytes, start, end) => {
        resolve(new TextDecoder().decode(bytes.subarray(start, end)));
        connection.abort();
      },
    });
    client.write(HELLO);
    assertEquals(await within(promise, "the echo"), "hello");
  },
);

cleanTest(
  "listen() throws and leaves a path alone, when it is there already",
  () => {
    using folder = new SocketFolder();
    using reactor = new Reactor();
    const path = folder.path();
    using _first = reactor.listen({ path }, IGNORED);
    assertThrows(
      () => reactor.listen({ path }, IGNORED),
      Deno.errors.AddrInUse,
    );
    assertEquals(exists(path), true);
  },
);

cleanTest(
  "closing leaves a path alone, when another socket has it by now",
  () => {
    using folder = new SocketFolder();
    using reactor = new Reactor();
    const path = folder.path();
    const first = reactor.listen({ path }, IGNORED);
    Deno.renameSync(path, folder.path("moved"));
    const second = reactor.listen({ path }, IGNORED);
    first.close();
    assertEquals(exists(path), true);
    second.close();
    assertEquals(exists(path), false);
  },
);

cleanTest(
  "a listener closes and calls onError, when its path cannot be removed",
  async () => {
    using folder = new SocketFolder();
    const parent = folder.path("parent");
    Deno.mkdirSync(parent);
    using reactor = new ReportingReactor();
    const fibers = new Fibers(reactor);
    const path = `${parent}/a.sock`;
    const listener = reactor.listen({ path }, IGNORED);
    const server = fibers.serve({ path: `${parent}/b.sock` }, () => {});
    const second = echo({ path: `${parent}/c.sock`, reactor });
    // The folder is now a file: ENOTDIR.
    Deno.renameSync(parent, folder.path("moved"));
    Deno.writeTextFileSync(parent, "");
    listener.close();
    assertEquals([listener.isClosed, reactor.reported.length], [true, 1]);
    await within(server.shutdown(), "the fibers' server");
    await within(second.shutdown(), "the echo server");
    assertEquals([reactor.size, reactor.reported.length], [0, 3]);
  },
);

cleanTest("Reactor.close() closes all, when no path can be removed", () => {
  using folder = new SocketFolder();
  const parent = folder.path("parent");
  Deno.mkdirSync(parent);
  using reactor = new ReportingReactor();
  for (const name of ["a", "b", "c"]) {
    reactor.listen({ path: `${parent}/${name}` }, IGNORED);
  }
  Deno.renameSync(parent, folder.path("moved"));
  Deno.writeTextFileSync(parent, "");
  reactor.close();
  assertEquals([reactor.size, reactor.reported.length], [0, 3]);
});

for (const how of ["serve", "workers"]) {
  Deno.test(`${how} at a path shuts down and the process ends, when its permissions were revoked`, async () => {
    using folder = new SocketFolder();
    const path = folder.path();
    const { code, stdout, stderr } = await runScript("revoked_path.ts", {
      args: [how, path],
    });
    assertEquals([code, stdout], [0, "finished\n"], stderr);
    assertStringIncludes(stderr, `Cannot remove "${path}"`);
    assertEquals(exists(path), true);
  });
}

cleanTest("an abstract name is served", async () => {
  using reactor = new Reactor();
  const path = abstractName();
  await using server = echo({ path, reactor });
  assertEquals(server.addr, { transport: "unix", path });
}, { ignore: NO_ABSTRACT });

/** What a handler sees: the same for both servers. */
interface Seen {
  readonly url: string;
  readonly remoteAddr: Deno.Addr;
}

type Start = (
  path: string,
  handler: (request: Request, info: { remoteAddr: Deno.Addr }) => Response,
) => AsyncDisposable;

/** Both servers, at the same path: URLs have it. */
const SERVERS: Start[] = [
  (path, handler) => Deno.serve({ path, onListen() {} }, handler),
  (path, handler) => {
    const reactor = new Reactor();
    // Deno accepts an empty Host.
    const options = { path, reactor, requireHost: false, onListen() {} };
    const server = serve(options, handler);
    return {
      async [Symbol.asyncDispose]() {
        await server.shutdown();
        reactor.close();
      },
    };
  },
];

async function seenBy(start: Start, path: string, head: string): Promise<Seen> {
  const { promise, resolve } = Promise.withResolvers<Seen>();
  await using _server = start(path, (request, { remoteAddr }) => {
    resolve({ url: request.url, remoteAddr });
    // A real `Request`, as a framework makes it.
    return new Response(new Request(request).url);
  });
  const client = await Deno.connect({ transport: "unix", path });
  await client.write(new TextEncoder().encode(head));
  const [, body] = (await readText(client)).split("\r\n\r\n");
  const seen = await within(promise, "the request");
  assertEquals(body, seen.url);
  return seen;
}

for (const host of ["h.test", ""]) {
  cleanTest(
    `serve() at a path is as Deno.serve, with Host "${host}"`,
    async () => {
      using folder = new SocketFolder();
      const path = folder.path("a_b-c.sock");
      const head = `GET /a?b HTTP/1.1\r\nHost: ${host}\r\n` +
        "Connection: close\r\n\r\n";
      const seen = [];
      for (const start of SERVERS) {
        seen.push(await seenBy(start, path, head));
        assertEquals(exists(path), false);
      }
      const [theirs, ours] = seen;
      assertEquals(ours, theirs);
    },
  );
}
