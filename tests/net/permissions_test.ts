/** A native socket is no way around `--allow-net`. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { echo, Fibers, Reactor, serve } from "../../mod.ts";
import { pipe, TcpListener, TcpStream, UdpSocket } from "../../src/poll.ts";
import { NO_IPV6 } from "../util/machine.ts";
import { libraryFlag, runScript } from "../util/scripts.ts";
import { LOOPBACK } from "../util/streams.ts";

/** Holds the one port that a test is permitted. */
const holder = Deno.listen(LOOPBACK);
Deno.test.afterAll(() => holder.close());
const PORT = holder.addr.port;
const OTHER_PORT = PORT === 65_535 ? PORT - 1 : PORT + 1;
const V4 = { hostname: "127.0.0.1", port: PORT };
const V6 = { hostname: "::1", port: PORT };

/** Opens in every way there is. */
const WAYS: Record<string, (address: typeof V4) => unknown> = {
  "TcpListener.bind()": (address) => TcpListener.bind(address),
  "TcpStream.connect()": (address) => TcpStream.connect(address),
  "UdpSocket.bind()": (address) => UdpSocket.bind(address),
  "Reactor.listen()": (address) => {
    using reactor = new Reactor();
    reactor.listen(address, { data() {} });
  },
  "Reactor.connect()": (address) => {
    using reactor = new Reactor();
    reactor.connect(address, { data() {} });
  },
  "echo()": (address) => echo(address),
  "serve()": (address) =>
    serve({ ...address, onListen() {} }, () => new Response()),
};

for (const [name, open] of Object.entries(WAYS)) {
  Deno.test({
    name: `${name} throws NotCapable naming the address, without --allow-net`,
    permissions: { net: false, ffi: "inherit", env: "inherit" },
    fn() {
      for (const [address, text] of [[V4, "127.0.0.1"], [V6, "[::1]"]]) {
        assertThrows(
          () => open(address as typeof V4),
          Deno.errors.NotCapable,
          `Requires net access to "${text}:${PORT}", ` +
            "run again with the --allow-net flag",
        );
      }
    },
  });
}

Deno.test({
  name: "sockets open at the one address that is permitted, and at none other",
  permissions: { net: [`127.0.0.1:${PORT}`], ffi: "inherit", env: "inherit" },
  fn() {
    using _stream = TcpStream.connect(V4);
    // Permitted, and refused by the system alone.
    assertThrows(() => TcpListener.bind(V4), Deno.errors.AddrInUse);
    for (
      const other of [
        { ...V4, port: OTHER_PORT },
        { ...V4, port: 0 },
        { ...V4, hostname: "127.0.0.2" },
        { ...V4, hostname: "localhost" },
        V6,
      ]
    ) {
      assertThrows(() => TcpListener.bind(other), Deno.errors.NotCapable);
      assertThrows(() => TcpStream.connect(other), Deno.errors.NotCapable);
    }
  },
});

Deno.test({
  name:
    "the address that is permitted is the one that is used, when it changes",
  permissions: { net: ["127.0.0.1"], ffi: "inherit", env: "inherit" },
  fn() {
    using listener = TcpListener.bind(changing("127.0.0.1", "127.0.0.2"));
    assertEquals(listener.localAddress.hostname, "127.0.0.1");
    const { port } = listener.localAddress;
    using stream = TcpStream.connect(changing("127.0.0.1", "127.0.0.2", port));
    assertEquals(stream.peerAddress.hostname, "127.0.0.1");
  },
});

Deno.test({
  name: "UdpSocket asks for each destination, each time",
  permissions: {
    net: ["127.0.0.1:0", `127.0.0.1:${PORT}`],
    ffi: "inherit",
    env: "inherit",
  },
  fn() {
    using socket = UdpSocket.bind({ ...V4, port: 0 });
    const bytes = new Uint8Array(1);
    socket.sendTo(bytes, V4);
    for (
      const other of [
        { ...V4, port: OTHER_PORT },
        { ...V4, hostname: "localhost" },
        { ...V4, hostname: "239.0.0.1" },
      ]
    ) {
      const message = `"${other.hostname}:${other.port}"`;
      for (
        const open of [
          () => socket.sendTo(bytes, other),
          () => socket.connect(other),
          () => UdpSocket.bind(other),
        ]
      ) assertThrows(open, Deno.errors.NotCapable, message);
    }
    socket.connect(V4);
    Deno.permissions.revokeSync({ name: "net" });
    assertThrows(() => socket.sendTo(bytes, V4), Deno.errors.NotCapable);
  },
});

Deno.test({
  name: "a pipe asks for nothing",
  permissions: { ffi: "inherit", env: "inherit" },
  fn() {
    const { reader, writer } = pipe();
    reader.close();
    writer.close();
  },
});

Deno.test({
  name: "an IPv6 address in brackets is permitted as without them",
  ignore: NO_IPV6,
  permissions: { net: [`[::1]:${PORT}`], ffi: "inherit", env: "inherit" },
  async fn() {
    const bracketed = { hostname: "[::1]", port: PORT };
    TcpListener.bind(bracketed).close();
    UdpSocket.bind(bracketed).close();
    await using reactor = new Reactor();
    const fibers = new Fibers(reactor);
    const { ConnectionRefused, NotCapable } = Deno.errors;
    const other = { hostname: "[::1]", port: OTHER_PORT };
    for (
      const [address, thrown] of [
        [bracketed, ConnectionRefused],
        [V6, ConnectionRefused],
        [other, NotCapable],
      ] as const
    ) {
      const fiber = fibers.spawn((fiber) => fiber.connect(address));
      await assertRejects(() => fiber.finished, thrown);
    }
  },
});

Deno.test({
  name: "a name that is no host is refused, though nothing is permitted",
  permissions: { net: false, ffi: "inherit", env: "inherit" },
  fn() {
    for (const hostname of ["", "two words", "127.0.0.1:80"]) {
      assertThrows(() => TcpListener.bind({ hostname, port: 0 }));
      assertThrows(() => TcpStream.connect({ hostname, port: 80 }));
      assertThrows(() => UdpSocket.bind({ hostname, port: 0 }));
    }
  },
});

Deno.test("a program without --allow-net is refused, not asked", async () => {
  const { stdout, stderr, code } = await runScript("serves_and_echoes.ts", {
    flags: [libraryFlag()],
  });
  assertEquals({ stdout, code }, { stdout: "", code: 1 });
  assertEquals(
    stderr.includes('NotCapable: Requires net access to "127.0.0.1:0"'),
    true,
    stderr,
  );
});

Deno.test("opening is permitted again, once the permission is there", () => {
  using listener = TcpListener.bind(LOOPBACK);
  using _stream = TcpStream.connect(listener.localAddress);
});

/** Names one host when asked first, and another ever after. */
function changing(first: string, second: string, port = 0): typeof V4 {
  let asked = 0;
  return {
    get hostname() {
      return asked++ === 0 ? first : second;
    },
    port,
  };
}
