/** Bodies on sockets: the memory that they take, and that readers get them. */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import type { Handler } from "../../src/http/service.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { ConsoleWatch } from "../util/console.ts";
import type { Answer } from "../util/http_answers.ts";
import { latin1 } from "../util/http_bytes.ts";
import type { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { runScript } from "../util/scripts.ts";
import { eventually, within } from "../util/waiting.ts";
import { CHUNKED_HEAD, postHead } from "../util/requests.ts";

const MIB = 1_048_576;
const PIECE_BYTES = 65_536;
/** Memory beyond the bound: the bytes of one read, and their copy. */
const OVER_BYTES_MAX = MIB;

/** Begins to read a body into a file. */
const FILERS: [
  name: string,
  begin: (request: Request, file: Deno.FsFile) => unknown,
][] = [
  ["a pipe", ({ body }, { writable }) => void body!.pipeTo(writable)],
  ["a loop", async ({ body }, file) => {
    for await (const chunk of body!) await file.write(chunk);
    file.close();
  }],
  ["the pipe of a clone", (request, { writable }) => {
    request.clone().body!.pipeTo(writable);
    return request.text();
  }],
];

for (const [name, begin] of FILERS) {
  cleanTest(
    `file has all of a body, when that comes after the answer and is written by ${name}`,
    async () => {
      const path = await Deno.makeTempFile();
      try {
        await using test = new TestServer(async (request) => {
          const file = await Deno.create(path);
          begin(request, file);
          return new Response(null, { status: 201 });
        });
        const client = await test.connect();
        await client.send(`${postHead(10)}12345`);
        assertEquals((await client.answer()).status, 201);
        await client.send("67890");
        const isWhole = () => Deno.readTextFileSync(path) === "1234567890";
        await eventually("the file", isWhole);
      } finally {
        await Deno.remove(path);
      }
    },
  );
}

cleanTest(
  "shutdown() settles when a body was read whole, which comes after the answer",
  async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    await using test = new TestServer((request) => {
      request.text().then(resolve);
      return new Response(null, { status: 201 });
    });
    const client = await test.connect();
    await client.send(`${postHead(10)}12345`);
    assertEquals((await client.answer()).status, 201);
    const closed = test.server.shutdown();
    await client.send("67890");
    assertEquals(await within(promise, "the body"), "1234567890");
    assertEquals(await client.restBytes(), new Uint8Array());
    client.close();
    await within(closed, "the server to shut down");
  },
);

/** Sends a body without its last byte, unless the answer comes before. */
async function upload(
  client: RawClient,
  byteLength: number,
  onPiece: () => void,
): Promise<{ answer: Promise<Answer>; isAnswered: () => boolean }> {
  let isAnswered = false;
  const answer = client.answer().finally(() => isAnswered = true);
  await client.send(postHead(byteLength));
  for (let left = byteLength - 1; left > 0 && !isAnswered;) {
    const count = Math.min(left, PIECE_BYTES);
    await client.send(new Uint8Array(count));
    left -= count;
    onPiece();
  }
  return { answer, isAnswered: () => isAnswered };
}

/** Reads the whole body, or the part that arrives. */
const collecting: Handler = async (request) => {
  const { byteLength } = await request.bytes();
  return new Response(`${byteLength}`);
};

cleanTest(
  "each client gets 200 or 503 and no more memory is taken than may be, when uploads are more than that",
  async () => {
    const memoryBytesMax = 10 * MIB;
    const uploadBytes = 2 * MIB;
    // Each body that is ended is reported.
    using printed = new ConsoleWatch();
    using reactor = new Reactor({ memoryBytesMax });
    await using test = new TestServer(collecting, { reactor });
    const clients: RawClient[] = [];
    for (let count = 0; count < 20; count++) clients.push(await test.connect());
    let mostBytes = 0;
    const onPiece = () => {
      mostBytes = Math.max(mostBytes, reactor.stats().memoryBytes);
    };
    const uploads = await Promise.all(
      clients.map((client) => upload(client, uploadBytes, onPiece)),
    );
    // The system may have taken the uploads before the server reads them.
    await eventually("the server to read", () => {
      onPiece();
      return mostBytes > uploadBytes;
    });
    const answers: Answer[] = [];
    for (const [index, { answer, isAnswered }] of uploads.entries()) {
      if (!isAnswered()) await clients[index]!.send("x");
      answers.push(await answer);
    }
    const whole = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 503);
    assertEquals(whole.length + refused.length, clients.length);
    for (const { text } of whole) assertEquals(text, `${uploadBytes}`);
    for (const answer of refused) {
      assertEquals(answer.get("connection"), "close");
    }
    assert(whole.length > 0 && refused.length > 0);
    assertEquals(printed.complained.length, refused.length);
    assertLess(mostBytes, memoryBytesMax + OVER_BYTES_MAX);
    await eventually("no memory", () => reactor.stats().memoryBytes === 0);
  },
);

cleanTest(
  "reactor counts what it keeps, and that is bounded, when handlers do not read the bodies of many clients",
  async () => {
    using reactor = new Reactor();
    const gate = Promise.withResolvers<void>();
    let requests = 0;
    await using test = new TestServer(async (request) => {
      requests++;
      await gate.promise;
      return new Response(`${(await request.bytes()).byteLength}`);
    }, { reactor });
    const clients: RawClient[] = [];
    for (let count = 0; count < 20; count++) clients.push(await test.connect());
    const chunks = latin1(`${"1\r\na\r\n".repeat(100_000)}0\r\n\r\n`);
    const sending = clients.map(async (client) => {
      await client.send(`${CHUNKED_HEAD}`);
      await client.send(chunks);
    });
    const keptBytes = () => reactor.stats().memoryBytes;
    await eventually(
      "all to wait",
      () =>
        requests === clients.length && keptBytes() > 32_768 * clients.length,
    );
    assertLess(keptBytes(), 200_000 * clients.length);
    gate.resolve();
    await Promise.all(sending);
    for (const client of clients) {
      assertEquals((await client.answer()).text, "100000");
    }
    await eventually("no memory", () => keptBytes() === 0);
  },
);

for (const way of ["collected", "streamed"]) {
  Deno.test(`body of one-byte chunks fits in a small heap, when it is ${way}`, async () => {
    // 24 MB on the wire, which took 1.6 GB when each chunk was an object.
    const { code, stdout, stderr } = await runScript("small_chunks.ts", {
      flags: ["-A", "--v8-flags=--max-old-space-size=64"],
      args: ["4000000", way],
    });
    assertMatch(stdout, /4000000/);
    assertEquals([code, stderr], [0, ""]);
  });
}
