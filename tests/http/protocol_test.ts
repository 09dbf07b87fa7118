/** HTTP after another protocol, and on another transport. */

import { assertEquals } from "@std/assert";
import { type Connection, type Protocol, Reactor } from "../../mod.ts";
import type { HttpConnection } from "../../src/http/h1/connection.ts";
import { http1, type Http1Protocol } from "../../src/http/h1/protocol.ts";
import { settingsOf } from "../../src/server/option_table.ts";
import { type Handler, Service } from "../../src/http/service.ts";
import type { ServeAddress } from "../../src/http/transport.ts";
import { backendTest } from "../contract/contract.ts";
import { readToEnd, writeAll } from "../util/deno_client.ts";
import { parseAnswers } from "../util/http_answers.ts";
import { concat, latin1, toLatin1 } from "../util/http_bytes.ts";
import { masked, unmasked } from "../util/masked_transport.ts";
import { LOOPBACK } from "../util/streams.ts";

const BODY_BYTES = 300_000;

/** Returns HTTP, as for a reactor's connections. */
function httpOn(
  reactor: Reactor,
  handler: Handler<ServeAddress>,
): Required<Http1Protocol> {
  return http1(
    new Service({
      handler,
      onError: (error) => new Response(String(error), { status: 500 }),
      limits: settingsOf({}),
      report: (error) => reactor.report(error),
      beginWork: () => reactor.beginWork(),
      endWork: () => reactor.endWork(),
    }),
  );
}

/** Answers with the path and the length of the body. */
async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const { byteLength } = await request.bytes();
  return new Response(`${pathname} ${byteLength}`);
}

/** Three requests: the second has a large body, the last closes. */
function requests(): Uint8Array<ArrayBuffer> {
  const host = "Host: a\r\n";
  return concat([
    latin1(`GET /first HTTP/1.1\r\n${host}\r\n`),
    latin1(
      `POST /second HTTP/1.1\r\n${host}Content-Length: ${BODY_BYTES}\r\n\r\n`,
    ),
    new Uint8Array(BODY_BYTES).fill(120),
    latin1(`GET /last HTTP/1.1\r\n${host}Connection: close\r\n\r\n`),
  ]);
}

const ANSWERS = ["/first 0", `/second ${BODY_BYTES}`, "/last 0"];

backendTest(
  "HTTP takes over from a protocol that looks at the first byte, wherever that is cut",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const http = httpOn(reactor, answer) as unknown as Protocol<
      HttpConnection,
      Connection<HttpConnection>
    >;
    const { addr } = reactor.listen(LOOPBACK, {
      data(connection, bytes, start, end) {
        const isHttp = bytes[start] === "G".charCodeAt(0);
        const left = bytes.subarray(start, end);
        // HTTP makes its data when it is opened.
        if (isHttp) connection.upgrade(http, undefined as never, left);
        else connection.write(bytes, start, end);
      },
    });
    for (const cut of [1, 20, 100, 100_000]) {
      using client = await Deno.connect(addr);
      const all = requests();
      await writeAll(client, all.subarray(0, cut));
      const reading = readToEnd(client);
      await writeAll(client, all.subarray(cut));
      const answers = parseAnswers(await reading, ["GET", "POST", "GET"]);
      assertEquals(answers.map(({ text }) => text), ANSWERS);
    }
    using client = await Deno.connect(addr);
    await writeAll(client, latin1("echo"));
    await client.closeWrite();
    assertEquals(toLatin1(await readToEnd(client)), "echo");
  },
);

backendTest(
  "HTTP stands on a layer between it and the connection",
  async (backend) => {
    using reactor = new Reactor({ backend });
    const http = httpOn(reactor, answer);
    const { addr } = reactor.listen(LOOPBACK, masked(http));
    using client = await Deno.connect(addr);
    const reading = readToEnd(client);
    await writeAll(client, unmasked(requests()));
    const bytes = unmasked(await reading);
    const answers = parseAnswers(bytes, ["GET", "POST", "GET"]);
    assertEquals(answers.map(({ text }) => text), ANSWERS);
  },
);

backendTest(
  "a streamed answer goes through a layer in whole, though it is more than fits at once",
  async (backend) => {
    using reactor = new Reactor({ backend });
    let pulls = 0;
    const chunks = 60;
    const http = httpOn(reactor, () => {
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        pull(controller) {
          if (pulls++ < chunks) controller.enqueue(new Uint8Array(65_536));
          else controller.close();
        },
      });
      return new Response(body, { headers: { connection: "close" } });
    });
    const { addr } = reactor.listen(LOOPBACK, masked(http));
    using client = await Deno.connect(addr);
    await writeAll(
      client,
      unmasked(latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    );
    const [answer] = parseAnswers(unmasked(await readToEnd(client)), ["GET"]);
    assertEquals(answer!.body.byteLength, chunks * 65_536);
  },
);
