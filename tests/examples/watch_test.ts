/** Programs that watch sources on a reactor: datagrams and pipes. */

import { assertEquals } from "@std/assert";
import { Reactor } from "../../mod.ts";
import { Interest, pipe, UdpSocket, WOULD_BLOCK } from "../../src/poll.ts";
import { capitals } from "./capitals.ts";
import { udpEcho } from "./udp_echo.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { decoded, encoded } from "../util/handlers.ts";
import { LOOPBACK } from "../util/streams.ts";
import { within } from "../util/waiting.ts";

const FILTER = new URL("capitals.ts", import.meta.url).pathname;

cleanTest("the UDP echo answers each client's datagrams", async () => {
  using reactor = new Reactor();
  using echo = udpEcho(LOOPBACK, reactor);
  for (const text of ["hello", "", "x".repeat(9_000)]) {
    const client = UdpSocket.bind(LOOPBACK);
    const { promise, resolve } = Promise.withResolvers<string>();
    const reply = new Uint8Array(10_000);
    using _watch = reactor.watch(client, Interest.READABLE, () => {
      const length = client.receive(reply);
      if (length !== WOULD_BLOCK) resolve(decoded(reply.subarray(0, length)));
    });
    client.sendTo(encoded(text), echo.addr);
    assertEquals(await within(promise, "the reply"), text);
  }
});

Deno.test("the filter writes what its parent writes, in capitals", async () => {
  const filter = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "-A", FILTER],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const text = "Hello, pipe! ".repeat(20_000);
  const writing = new Response(text).body!.pipeTo(filter.stdin);
  const { stdout, code } = await within(filter.output(), "the filter's end");
  await writing;
  assertEquals(decoded(stdout), text.toUpperCase());
  assertEquals(code, 0);
});

cleanTest("the filter waits for a pipe that is full", async () => {
  using reactor = new Reactor();
  const before = pipe();
  const behind = pipe();
  using _reader = behind.reader;
  const text = "slow ".repeat(50_000);
  const bytes = encoded(text);
  capitals(before.reader, behind.writer, reactor);
  let written = 0;
  let read = "";
  const chunk = new Uint8Array(4_096);
  for (;;) {
    if (written < bytes.byteLength) {
      const count = before.writer.write(bytes, written);
      if (count > 0) written += count;
      if (written === bytes.byteLength) before.writer.close();
    }
    const count = behind.reader.read(chunk);
    if (count === 0) break;
    if (count > 0) read += decoded(chunk.subarray(0, count));
    else await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(read, text.toUpperCase());
});
