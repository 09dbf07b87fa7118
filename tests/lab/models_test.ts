/** Every model of the lab is the same server: bytes out equal bytes in. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { commandOf, type Model, MODELS } from "../../scripts/lab/models.ts";
import { buildLab } from "../../scripts/lab/run.ts";
import { Poll } from "../../src/poll.ts";
import {
  readExactly,
  readToEnd,
  writeAll,
  writeText,
} from "../util/deno_client.ts";
import { NO_PROACTOR } from "../util/machine.ts";
import { Program } from "../util/program.ts";
import { within } from "../util/waiting.ts";
import { pattern, pushAndRead } from "./echo_client.ts";

const ROOT = new URL("../../", import.meta.url);
const LINES_MAX = 60;
const CLIENTS = 50;
const ONE_CLIENT = "blocking";
/** More than the system's buffers of two ends hold: 4 and 6 MiB each. */
const LARGE_BYTES = 24 * 1024 * 1024;
/** A shell's exit code for a program that SIGTERM has ended. */
const TERMINATED = 143;

let isBuilt = false;

/** A program, and where it listens. */
async function start(
  model: Model,
  { env = {}, words = [] }: {
    env?: Record<string, string>;
    words?: string[];
  } = {},
): Promise<{ program: Program; port: number }> {
  if (!isBuilt) buildLab();
  isBuilt = true;
  const [name, ...args] = commandOf(model);
  const program = new Program([name!, ...args, ...words], { env });
  const [, port] = await program.printed(/^listening on 127\.0\.0\.1:(\d+)\n/);
  return { program, port: Number(port) };
}

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

async function expectEcho(
  client: Deno.Conn,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  await writeAll(client, bytes);
  assertEquals(await readExactly(client, bytes.length), bytes);
}

/** What every model must do, on a running one. */
const STEPS: Record<string, (port: number, model: Model) => Promise<void>> = {
  async "echoes messages, however they are split"(port) {
    using client = await connect(port);
    client.setNoDelay();
    const message = pattern(10_000);
    let start = 0;
    for (const length of [1, 1, 2, 3, 64, 1_000, 4_096, 4_833]) {
      await expectEcho(client, message.slice(start, start += length));
    }
    assertEquals(start, message.length);
  },

  async "echoes what many clients send, to each its own"(port, { name }) {
    if (name === ONE_CLIENT) return await oneAfterAnother(port);
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => connect(port)),
    );
    for (const round of [0, 1]) {
      const messages = clients.map((_, place) =>
        pattern(100 + place, place + round)
      );
      for (const [place, client] of clients.entries()) {
        await writeAll(client, messages[place]!);
      }
      for (const [place, client] of [...clients.entries()].reverse()) {
        const message = messages[place]!;
        assertEquals(await readExactly(client, message.length), message);
      }
    }
    for (const client of clients) client.close();
  },

  async "sends all back, and then its end, when a client ends its half"(port) {
    using client = await connect(port);
    const message = pattern(50_000);
    await Promise.all([
      writeAll(client, message).then(() => client.closeWrite()),
      readToEnd(client).then((came) => assertEquals(came, message)),
    ]);
  },

  async "goes on, when a client has reset its connection"(port) {
    const client = await connect(port);
    await writeText(client, "hello");
    // The rest is unread, so the system resets: RFC 9293 section 3.6.1.
    await readExactly(client, 1);
    client.close();
    using next = await connect(port);
    await expectEcho(next, pattern(100));
  },

  "keeps what a client does not read, and loses nothing"(port) {
    return pushAndRead(port, LARGE_BYTES);
  },
};

/** The model that serves one client: the next is served when it has left. */
async function oneAfterAnother(port: number): Promise<void> {
  const clients = [await connect(port), await connect(port)];
  const [first, second] = clients as [Deno.TcpConn, Deno.TcpConn];
  await writeText(second, "second");
  await expectEcho(first, pattern(100));
  let isServed = false;
  const echo = readExactly(second, 6).then(() => isServed = true);
  await expectEcho(first, pattern(200));
  assert(!isServed, "the second client waits");
  first.close();
  await within(echo, "the second client's turn");
  second.close();
}

for (const model of MODELS) {
  const backends = model.runsOnAnyBackend ? Poll.backends() : [undefined];
  for (const backend of backends) {
    Deno.test({
      name: `${model.name}${backend ? ` on ${backend}` : ""} is an echo server`,
      ignore: !model.isHere || model.name === "completions" && NO_PROACTOR,
      async fn(test) {
        const env: Record<string, string> = backend === undefined
          ? {}
          : { DENIO_BACKEND: backend };
        const { program, port } = await start(model, { env });
        await using _ = program;
        for (const [name, step] of Object.entries(STEPS)) {
          await test.step(name, () => step(port, model));
        }
        await test.step("ends by a signal, and has not complained", async () => {
          program.kill("SIGTERM");
          const { code, stderr } = await program.ended();
          assertEquals([code, stderr], [TERMINATED, ""]);
        });
      },
    });
  }

  Deno.test(`${model.name} is short, and opens with what it shows`, () => {
    const text = Deno.readTextFileSync(new URL(model.file, ROOT));
    const lines = text.trimEnd().split("\n");
    assert(lines.length <= LINES_MAX, `${lines.length} lines`);
    assertMatch(text, /^(\/\*\*\n \* |\/\/! )[A-Za-z]/);
  });
}

Deno.test("timers closes a client that has been silent, and no other", async () => {
  const model = MODELS.find(({ name }) => name === "timers")!;
  const { program, port } = await start(model, {
    words: ["--silent-ms", "50"],
  });
  await using _ = program;
  using silent = await connect(port);
  assertEquals((await readToEnd(silent)).length, 0);
  using next = await connect(port);
  await expectEcho(next, pattern(100));
});

Deno.test("every file of a model is in the table", () => {
  const files = ["scripts/lab/models", "native/lab/src"].flatMap((folder) =>
    [...Deno.readDirSync(new URL(folder, ROOT))]
      .map(({ name }) => `${folder}/${name}`)
  );
  assertEquals(files.sort(), MODELS.map(({ file }) => file).sort());
});
