/** The bare loop: over epoll and over a ring, it loses no byte of any peer. */

import { assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import { build } from "../../scripts/build.ts";
import { cratePath } from "../../scripts/programs.ts";
import {
  type ServerProcess,
  startServer,
} from "../../scripts/server_process.ts";
import { readExactly, readToEnd, writeAll } from "../util/deno_client.ts";
import { concat, latin1 } from "../util/http_bytes.ts";
import { lacks } from "../util/machine.ts";
import { runProgram } from "../util/program.ts";
import { NO_STRACE } from "../util/strace.ts";

const PROGRAM = cratePath("target/release/examples/limit");
const IS_LINUX = Deno.build.os === "linux";
if (IS_LINUX) build(["--example", "limit"]);
const NO_RING = lacks("io_uring", () => {
  const command = new Deno.Command(PROGRAM, { args: ["--ring", "--probe"] });
  return IS_LINUX && command.outputSync().success;
});

/** Peers that are served in one turn. */
const MANY = 48;
/** More than the sockets of one peer hold on both sides: sends are cut short. */
const MUCH = 60_000_000;

const REQUEST = latin1("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
const REPLY = latin1(
  "HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\n" +
    "content-length: 13\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n" +
    "Hello, World!",
);
/** Its length is a prime number: no buffer ends where it does. */
const PATTERN = Uint8Array.from({ length: 251 }, (_, i) => i);

const repeat = (bytes: Uint8Array, times: number): Uint8Array =>
  Buffer.alloc(bytes.length * times, bytes);

const connect = ({ port }: ServerProcess) =>
  Deno.connect({ hostname: "127.0.0.1", port });

/** Has a peer of its own send one request, and returns the first bytes back. */
async function ask(loop: ServerProcess, count: number): Promise<Uint8Array> {
  using peer = await connect(loop);
  await writeAll(peer, REQUEST);
  return await readExactly(peer, count);
}

/**
 * Peers send while the loop stands still, and read when it has sent what their
 * sockets hold.
 */
async function expectAll(
  loop: ServerProcess,
  count: number,
  sent: Uint8Array,
  expected: Uint8Array,
): Promise<void> {
  using stack = new DisposableStack();
  Deno.kill(loop.pid, "SIGSTOP");
  const peers = await Promise.all(
    Array.from({ length: count }, async () => stack.use(await connect(loop))),
  );
  const all = peers.map((peer) => writeAll(peer, sent));
  Deno.kill(loop.pid, "SIGCONT");
  // Each answer is of a turn after the one before.
  for (let turn = 0; turn < 3; turn++) await ask(loop, 1);
  for (const peer of peers) {
    const bytes = await readExactly(peer, expected.length);
    assertEquals(Buffer.compare(bytes, expected), 0);
  }
  await Promise.all(all);
}

for (
  const [name, ignore, ...options] of [
    ["epoll", !IS_LINUX],
    ["a ring", NO_RING, "--ring"],
    ["a ring that is short of buffers", NO_RING, "--ring", "--buffers", "4"],
  ] as const
) {
  const test = (
    what: string,
    fn: (loop: ServerProcess) => Promise<void>,
    ...more: string[]
  ) =>
    Deno.test({
      name: `the bare loop over ${name} ${what}`,
      ignore,
      async fn() {
        await using loop = await startServer([PROGRAM, ...options, ...more]);
        await fn(loop);
      },
    });

  for (const count of [1, MANY]) {
    const timesOf = (bytes: Uint8Array) =>
      Math.floor(MUCH / count / bytes.length);
    test(`answers each request of ${count} that read late`, async (loop) => {
      const times = timesOf(REPLY);
      const expected = repeat(REPLY, times);
      await expectAll(loop, count, repeat(REQUEST, times), expected);
    });

    test(`sends back all bytes of ${count} that read late`, async (loop) => {
      const bytes = repeat(PATTERN, timesOf(PATTERN));
      await expectAll(loop, count, bytes, bytes);
    }, "--echo");
  }

  test("answers, and closes, when a peer ends its stream", async (loop) => {
    using peer = await connect(loop);
    await writeAll(peer, concat([REQUEST, REQUEST.subarray(0, 9)]));
    await peer.closeWrite();
    assertEquals(await readToEnd(peer), REPLY);
  });

  test("goes on, when peers are gone", async (loop) => {
    for (let round = 0; round < 100; round++) {
      const peer = await connect(loop);
      await writeAll(peer, repeat(REQUEST, 100));
      // Its answers were not read: the system resets the connection.
      peer.close();
    }
    assertEquals(await ask(loop, REPLY.length), REPLY);
  });
}

Deno.test({
  name: "the bare loop says why, when there may be no ring",
  ignore: NO_RING || NO_STRACE,
  async fn() {
    const inject = "inject=io_uring_setup:error=EPERM";
    const strace = ["-D", "-qq", "-o", "/dev/null", "-e", inject];
    const { code, stderr } = await runProgram(
      ["strace", ...strace, PROGRAM, "--ring"],
    );
    assertMatch(stderr, /^error: Cannot open a ring: .*not permitted.*forbids/);
    assertEquals(code, 1);
  },
});
