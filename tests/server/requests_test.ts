import { assertEquals, assertInstanceOf } from "@std/assert";
import { Reactor, serve } from "../../mod.ts";
import type { Handler } from "../../src/http/service.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { type MemoryPoll, MemorySystem } from "../../src/system/memory.ts";
import { parseAnswers } from "../util/http_answers.ts";
import { latin1 } from "../util/http_bytes.ts";
import { ResettingClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { within } from "../util/waiting.ts";
import { get, pipeline } from "../util/requests.ts";

const PIPELINED = 16;

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `/${index}`);
}

function pathOf(request: Request): string {
  return new URL(request.url).pathname;
}

/** Resolves after a timer of Deno's. */
function timer(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const path: Handler = (request) => new Response(pathOf(request));

const echo: Handler = async (request) => {
  return new Response(await request.bytes(), {
    headers: { "x-method": request.method },
  });
};

cleanTest("server answers fetch(), when a handler returns text", async () => {
  await using test = new TestServer((request) =>
    new Response(`${request.method} ${pathOf(request)}`, {
      headers: { "x-a": request.headers.get("x-a") ?? "none" },
    })
  );
  const response = await test.fetch("/here", { headers: { "X-A": "b" } });
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("x-a"), "b");
  assertEquals(await response.text(), "GET /here");
});

for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
  cleanTest(`server answers fetch(), when ${method} has a body`, async () => {
    await using test = new TestServer(echo);
    const response = await test.fetch("/", { method, body: "gr\u00fc\u00df" });
    assertEquals(await response.text(), "gr\u00fc\u00df");
    assertEquals(response.headers.get("x-method"), method);
  });
}

cleanTest("server answers fetch(), when the body is a stream", async () => {
  await using test = new TestServer(echo);
  const chunks = ["a", "bc", "def"].map((text) =>
    new TextEncoder().encode(text)
  );
  const body = ReadableStream.from(chunks);
  const response = await test.fetch("/", { method: "POST", body });
  assertEquals(await response.text(), "abcdef");
});

cleanTest("server answers fetch(), when the form has a file", async () => {
  await using test = new TestServer(async (request) => {
    const form = await request.formData();
    const file = form.get("file") as File;
    return Response.json([form.get("a"), file.name, await file.text()]);
  });
  const body = new FormData();
  body.append("a", "1");
  body.append("file", new Blob(["inside"]), "name.txt");
  const response = await test.fetch("/", { method: "POST", body });
  assertEquals(await response.json(), ["1", "name.txt", "inside"]);
});

cleanTest(
  "server answers HEAD without a body, when another request follows",
  async () => {
    await using test = new TestServer(path);
    const client = await test.connect();
    await client.send(get("/head").replace("GET", "HEAD") + get("/get"));
    const head = await client.answer("HEAD");
    assertEquals(head.get("content-length"), "5");
    assertEquals((await client.answer()).text, "/get");
  },
);

cleanTest(
  "connection is used again, when requests come one after the other",
  async () => {
    const ports = new Set<number>();
    await using test = new TestServer((_, { remoteAddr }) => {
      ports.add(remoteAddr.port);
      return new Response("ok");
    });
    const client = await test.connect();
    for (let sent = 0; sent < 100; sent++) {
      await client.send(get());
      assertEquals((await client.answer()).text, "ok");
    }
    assertEquals([...ports], [client.address.port]);
  },
);

cleanTest("connection is used again, when fetch() comes twice", async () => {
  const ports = new Set<number>();
  await using test = new TestServer((_, { remoteAddr }) => {
    ports.add(remoteAddr.port);
    return new Response("ok");
  });
  for (let sent = 0; sent < 5; sent++) await (await test.fetch()).text();
  assertEquals(ports.size, 1);
});

/** Handlers, and the number of writes for the requests of one read. */
const HANDLERS: [name: string, writes: number, handler: Handler][] = [
  ["return at once", 1, path],
  // Some answers leave after rounds of microtasks, the others in a later turn.
  ["are async", 2, async (request) => {
    await undefined;
    return new Response(pathOf(request));
  }],
];

/** A system in memory beside Deno's own loop, which has a round each time. */
class RoundsSystem extends MemorySystem {
  override waits(poll: MemoryPoll): void {
    const { isRound, end } = poll.wait!;
    if (isRound) setImmediate(end);
    else super.waits(poll);
  }
}

for (const [name, writes, handler] of HANDLERS) {
  cleanTest(
    `client gets ${PIPELINED} pipelined answers in order, when handlers ${name}`,
    async () => {
      await using test = new TestServer(handler);
      const client = await test.connect();
      await client.send(pipeline(PIPELINED));
      const answers = await client.answers(PIPELINED);
      assertEquals(answers.map(({ text }) => text), numbers(PIPELINED));
    },
  );

  // In memory, where only the test decides how many reads requests take.
  Deno.test(`${PIPELINED} pipelined answers leave in ${writes} writes, when handlers ${name}`, async () => {
    const system = new RoundsSystem();
    const reactor = new Reactor({ system });
    await using _server = serve({ reactor, onListen() {} }, handler);
    const stream = system.arrive();
    stream.receive(pipeline(PIPELINED));
    await system.settle();
    const answers = parseAnswers(latin1(stream.text), []);
    assertEquals(answers.map(({ text }) => text), numbers(PIPELINED));
    assertEquals(stream.writes, writes);
  });
}

cleanTest(
  "client gets answers in order, when handlers take their time",
  async () => {
    await using test = new TestServer(async (request) => {
      const index = Number(pathOf(request).slice(1));
      await timer(index % 3 === 0 ? 5 : 0);
      return new Response(`/${index}`);
    });
    const client = await test.connect();
    await client.send(pipeline(12));
    const answers = await client.answers(12);
    assertEquals(answers.map(({ text }) => text), numbers(12));
  },
);

cleanTest(
  "many clients get their own answers, when they send at once",
  async () => {
    await using test = new TestServer(async (request) => {
      await undefined;
      return new Response(pathOf(request));
    });
    const one = async (index: number): Promise<void> => {
      using client = await test.connect();
      for (let round = 0; round < 10; round++) {
        const paths = [0, 1, 2].map((number) => `/${index}/${round}/${number}`);
        await client.send(paths.map((path) => get(path)).join(""));
        const answers = await client.answers(paths.length);
        assertEquals(answers.map(({ text }) => text), paths);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => one(index)));
  },
);

cleanTest("others are answered, when one handler never returns", async () => {
  await using test = new TestServer((request) =>
    pathOf(request) === "/never" ? new Promise(() => {}) : new Response("ok")
  );
  using stuck = new ResettingClient(test.server.addr);
  await stuck.send(get("/never"));
  await test.exercise(50);
  // A client that is gone does not delay the shutdown.
  stuck.reset();
});

cleanTest(
  "handler has the client's address, when it asks at once or later",
  async () => {
    await using test = new TestServer(async (_, info) => {
      const { remoteAddr } = info;
      await timer(0);
      return Response.json([remoteAddr, info.remoteAddr]);
    });
    const client = await test.connect();
    await client.send(get());
    const addrs = JSON.parse((await client.answer()).text);
    assertEquals(addrs, [client.address, client.address]);
  },
);

cleanTest(
  "handler has the client's address, when the client has gone",
  async () => {
    const begun = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<unknown>();
    await using test = new TestServer(async (request, info) => {
      const gone = new Promise((resolve) => {
        request.signal.addEventListener("abort", resolve);
      });
      begun.resolve();
      await gone;
      try {
        seen.resolve(info.remoteAddr);
      } catch (error) {
        seen.resolve(error);
      }
      return new Response();
    });
    using client = new ResettingClient(test.server.addr);
    await client.send(get());
    await within(begun.promise, "the handler");
    const { address } = client;
    client.reset();
    assertEquals(await within(seen.promise, "the handler's end"), address);
  },
);

cleanTest("server goes on, when a handler throws or rejects", async () => {
  await using test = new TestServer((request) => {
    const error = new Error(pathOf(request));
    if (pathOf(request) === "/0") throw error;
    if (pathOf(request) === "/1") return Promise.reject(error);
    return new Response("ok");
  });
  const client = await test.connect();
  await client.send(pipeline(3));
  const answers = await client.answers(3);
  assertEquals(answers.map(({ status }) => status), [500, 500, 200]);
  assertEquals(test.errors.map((error) => (error as Error).message), [
    "/0",
    "/1",
  ]);
});

cleanTest(
  "server answers 500, when a handler returns no Response",
  async () => {
    await using test = new TestServer(() => "text" as never);
    const response = await test.fetch();
    assertEquals(response.status, 500);
    assertEquals(await response.text(), "failed");
    assertInstanceOf(test.errors[0], TypeError);
  },
);

cleanTest("server answers 500, when onError throws or rejects", async () => {
  for (
    const onError of [() => {
      throw new Error("onError");
    }, () => Promise.reject(new Error("onError"))]
  ) {
    await using test = new TestServer(() => {
      throw new Error("handler");
    }, { onError });
    const response = await test.fetch();
    assertEquals(response.status, 500);
    await response.body?.cancel();
    await test.fetch().then((response) => response.body?.cancel());
  }
});

cleanTest(
  "server answers what onError returns, when that takes time",
  async () => {
    await using test = new TestServer(() => {
      throw new Error("handler");
    }, {
      onError: async (error) => {
        await timer(1);
        return new Response((error as Error).message, { status: 503 });
      },
    });
    const response = await test.fetch();
    assertEquals([response.status, await response.text()], [503, "handler"]);
  },
);

cleanTest(
  "handler may await Deno's timers, when requests come in parallel",
  async () => {
    await using test = new TestServer(async (request) => {
      await timer(5);
      return new Response(pathOf(request));
    });
    const paths = numbers(20);
    const texts = await Promise.all(
      paths.map(async (path) => await (await test.fetch(path)).text()),
    );
    assertEquals(texts, paths);
  },
);

cleanTest(
  "handler may fetch, when it asks another server of the same reactor",
  async () => {
    await using upstream = new TestServer(path);
    await using test = new TestServer(async (request) => {
      const response = await upstream.fetch(pathOf(request));
      return new Response(`upstream says ${await response.text()}`);
    }, { reactor: upstream.reactor });
    const paths = numbers(5);
    const texts = await Promise.all(
      paths.map(async (path) => await (await test.fetch(path)).text()),
    );
    assertEquals(texts, paths.map((path) => `upstream says ${path}`));
  },
);

cleanTest("handler may pass its request on, when it is a proxy", async () => {
  await using upstream = new TestServer(async (request) =>
    new Response(`${request.method} ${await request.text()}`, {
      status: 203,
      headers: { "x-seen": request.headers.get("x-a") ?? "none" },
    })
  );
  const client = Deno.createHttpClient({});
  await using test = new TestServer((request) => {
    const url = new URL(request.url);
    url.port = `${upstream.server.addr.port}`;
    return fetch(new Request(url, request), { client });
  }, { reactor: upstream.reactor });
  const init = { method: "POST", body: "hello", headers: { "x-a": "b" } };
  const response = await test.fetch("/path", init);
  assertEquals([response.status, await response.text()], [203, "POST hello"]);
  assertEquals(response.headers.get("x-seen"), "b");
  client.close();
});

cleanTest(
  "handler may fetch the very request, when that names another server",
  async () => {
    await using upstream = new TestServer(path);
    const client = Deno.createHttpClient({});
    await using test = new TestServer((request) => fetch(request, { client }), {
      reactor: upstream.reactor,
    });
    const { port } = upstream.server.addr;
    const raw = await test.connect();
    await raw.send(
      `GET /target HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
    );
    assertEquals((await raw.answer()).text, "/target");
    client.close();
  },
);

cleanTest("Deno's timers run, when requests never end", async () => {
  await using test = new TestServer(path);
  let ticks = 0;
  const interval = setInterval(() => ticks++, 1);
  const client = await test.connect();
  const ask = async () => {
    while (ticks < 20) {
      await client.send(pipeline(PIPELINED));
      await client.answers(PIPELINED);
    }
  };
  await within(ask(), "the ticks");
  clearInterval(interval);
});

cleanTest("client is answered, when it closes its half at once", async () => {
  await using test = new TestServer(async (request) => {
    await timer(5);
    return new Response(pathOf(request));
  });
  const client = await test.connect();
  await client.send(pipeline(3));
  await client.end();
  const answers = await client.rest();
  assertEquals(answers.map(({ text }) => text), numbers(3));
});

cleanTest("client is answered and closed, when it is HTTP/1.0", async () => {
  await using test = new TestServer(path);
  const client = await test.connect();
  await client.send("GET /old HTTP/1.0\r\n\r\n");
  const [answer, ...others] = await client.rest();
  assertEquals([answer?.text, others], ["/old", []]);
  assertEquals(answer?.get("connection"), "close");
});

cleanTest("client gets 100 Continue, when it expects that", async () => {
  await using test = new TestServer(echo);
  const client = await test.connect();
  await client.send(
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" +
      "Expect: 100-continue\r\n\r\n",
  );
  assertEquals((await client.answer()).status, 100);
  await client.send("hello");
  assertEquals((await client.answer()).text, "hello");
});

cleanTest(
  "server answers any size, when the body grows past every buffer",
  async () => {
    const sizes = [
      0,
      1,
      511,
      512,
      513,
      16_384,
      65_000,
      65_536,
      70_000,
      1_000_000,
    ];
    await using test = new TestServer((request) => {
      const size = Number(pathOf(request).slice(1));
      const text = "a".repeat(size);
      return new Response(
        request.headers.has("x-bytes") ? new TextEncoder().encode(text) : text,
      );
    });
    const client = await test.connect();
    for (const field of ["X-Text: 1", "X-Bytes: 1"]) {
      await client.send(sizes.map((size) => get(`/${size}`, field)).join(""));
      const answers = await client.answers(sizes.length);
      assertEquals(answers.map(({ body }) => body.byteLength), sizes);
    }
  },
);
