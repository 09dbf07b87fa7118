/** A Unix socket asks for what Deno asks for, and no more. */

import { assertEquals, assertThrows } from "@std/assert";
import { UnixListener, UnixStream } from "../../src/poll.ts";
import { libraryFlag, runScript } from "../util/scripts.ts";
import { abstractName, NO_ABSTRACT, SocketFolder } from "../util/unix_paths.ts";

/** What the library itself needs. */
const LIBRARY = { ffi: "inherit", env: "inherit" } as const;

/** What is permitted, and what is then asked for at a path. */
const CASES: [(path: string) => string[], (path: string) => string][] = [
  [() => [], (path) => needs("read", path)],
  [() => ["--allow-net"], (path) => needs("read", path)],
  [() => ["--allow-write", "--allow-net"], (path) => needs("read", path)],
  [() => ["--allow-read"], (path) => needs("write", path)],
  [() => ["--allow-read", "--allow-net"], (path) => needs("write", path)],
  [
    () => ["--allow-read", "--allow-write"],
    (path) => needs("net", `unix:${path}`),
  ],
  [
    (path) => [
      "--allow-read",
      "--allow-write",
      `--allow-net=127.0.0.1,unix:${path}2`,
    ],
    (path) => needs("net", `unix:${path}`),
  ],
  [
    (path) => [
      "--allow-read",
      "--allow-write",
      "--allow-net",
      `--deny-net=unix:${path}`,
    ],
    (path) => needs("net", `unix:${path}`),
  ],
];

for (const [permitted, asked] of CASES) {
  Deno.test(`a Unix path asks as Deno does, with ${permitted("PATH").join(" ") || "nothing"}`, async () => {
    using folder = new SocketFolder();
    const path = folder.path();
    const [bind, connect, ...theirs] = await answers(path, permitted(path));
    assertEquals([bind, connect], theirs);
    assertEquals(bind, asked(path));
  });
}

Deno.test("a Unix path is opened, when it alone is permitted", async () => {
  using folder = new SocketFolder();
  const path = folder.path();
  const [bind, connect] = await answers(path, [
    `--allow-read=${path}`,
    `--allow-write=${path}`,
    `--allow-net=unix:${path}`,
  ]);
  assertEquals([bind, connect], ["opened", "permitted"]);
});

Deno.test("a relative Unix path asks for the whole of it, as Deno does", async () => {
  const [bind, connect, ...theirs] = await answers("relative.sock", [
    "--allow-read",
    "--allow-write",
  ]);
  assertEquals([bind, connect], theirs);
  assertEquals(bind, needs("net", `unix:${Deno.cwd()}/relative.sock`));
});

for (const net of [false, ["127.0.0.1"]]) {
  Deno.test({
    name: `an abstract name is refused, with ${net || "no"} network`,
    ignore: NO_ABSTRACT,
    permissions: { ...LIBRARY, net, read: true, write: true },
    fn() {
      const path = abstractName();
      for (const open of [UnixListener.bind, UnixStream.connect]) {
        assertThrows(
          () => open({ path }),
          Deno.errors.NotCapable,
          needs("net", `unix:\\0${path.slice(1)}`),
        );
      }
    },
  });
}

Deno.test({
  name: "an abstract name is opened, with all of the network and no files",
  ignore: NO_ABSTRACT,
  permissions: { ...LIBRARY, net: true },
  fn() {
    const path = abstractName();
    using _listener = UnixListener.bind({ path });
    using _client = UnixStream.connect({ path });
  },
});

Deno.test({
  name: "the path that is permitted is the one that is used, when it changes",
  fn() {
    using folder = new SocketFolder();
    const path = folder.path();
    using listener = UnixListener.bind(changing(path, folder.path("other")));
    assertEquals(listener.localAddress.path, path);
    using stream = UnixStream.connect(changing(path, folder.path("other")));
    assertEquals(stream.peerAddress.path, path);
  },
});

Deno.test({
  name: "a pair of streams asks for nothing",
  permissions: LIBRARY,
  fn() {
    for (const stream of UnixStream.pair()) stream.close();
  },
});

function needs(permission: string, what: string): string {
  return `Requires ${permission} access to "${what}", run again with the ` +
    `--allow-${permission} flag`;
}

/** Returns what denio's bind and connect said, and Deno's. */
async function answers(
  path: string,
  flags: readonly string[],
): Promise<string[]> {
  const { stdout, stderr } = await runScript("asks_as_deno.ts", {
    flags: ["--no-prompt", libraryFlag(), ...flags],
    args: [path],
  });
  assertEquals(stderr, "");
  return JSON.parse(stdout);
}

/** Names one path when asked first, and another ever after. */
function changing(first: string, second: string): { path: string } {
  let asked = 0;
  return {
    get path() {
      return asked++ === 0 ? first : second;
    },
  };
}
