/** The URL of a request: the same as with `Deno.serve`. */

import { assertEquals } from "@std/assert";
import { authorityOf } from "../../src/http/authority.ts";
import { cleanTest } from "../util/clean_tests.ts";
import { RawClient } from "../util/http_client.ts";
import { TestServer } from "../util/http_server.ts";
import { head } from "../util/requests.ts";

/** Request lines, with or without a `Host`. */
const REQUESTS: [line: string, host?: string][] = [
  ["GET /path"],
  ["GET /path", ""],
  ["GET /path", "deno.land"],
  ["GET /path", "deno.land:80"],
  ["GET /path", "deno.land:443"],
  ["GET /path", "DENO.land:9999"],
  ["GET /path", "deno.land:"],
  ["GET /path", "[::1]:8000"],
  ["GET /?a=b"],
  ["GET //b/c"],
  ["GET //b/c", "deno.land"],
  ["GET /a/../b"],
  ["GET /%2e%zz|{}\\"],
  ["GET http://localhost/path"],
  ["GET http://localhost/path", "deno.land"],
  ["GET http://localhost:1234/path"],
  ["GET http://localhost:1234/path", "deno.land"],
  ["GET http://localhost:1234/path", "deno.land:9999"],
  ["GET http://localhost"],
  ["GET http://localhost:80"],
  ["GET http://localhost?a"],
  ["GET http://localhost?a/b"],
  ["GET HTTP://LOCALHOST/path"],
  ["GET https://localhost/path"],
  ["OPTIONS *"],
  ["OPTIONS *", "deno.land"],
  ["OPTIONS http://localhost"],
  ["CONNECT deno.land:80"],
  ["CONNECT deno.land:443", "deno.land"],
  ["CONNECT [::1]:80"],
];

const LISTENING = ["127.0.0.1", "0.0.0.0", "::1", "::"];

/** Sends all requests and returns the URLs that `urls` has then. */
async function urlsOf(addr: Deno.NetAddr, urls: string[]): Promise<string[]> {
  const hostname = addr.hostname.includes(":") ? "::1" : "127.0.0.1";
  for (const [line, host] of REQUESTS) {
    using client = await RawClient.connect({ ...addr, hostname });
    const fields = host === undefined ? [] : [`Host: ${host}`];
    // Deno's own tests send it so, for all methods.
    fields.push("Content-Length: 5");
    await client.send(`${head(`${line} HTTP/1.1`, ...fields)}12345`);
    await client.read();
  }
  return urls.map((url) => url.replaceAll(String(addr.port), "PORT"));
}

async function urlsOfDeno(hostname: string): Promise<string[]> {
  const urls: string[] = [];
  const aborter = new AbortController();
  const { signal } = aborter;
  const options = { hostname, port: 0, onListen() {}, signal };
  const server = Deno.serve(options, async (request) => {
    urls.push(request.url);
    await request.text();
    return new Response();
  });
  try {
    return await urlsOf(server.addr, urls);
  } finally {
    aborter.abort();
    await server.finished;
  }
}

for (const hostname of LISTENING) {
  cleanTest(
    `request.url is that of Deno.serve, when the server listens on ${hostname}`,
    async () => {
      const urls: string[] = [];
      await using test = new TestServer(async (request) => {
        urls.push(request.url);
        await request.text();
        return new Response();
      }, { hostname, requireHost: false });
      const found = await urlsOf(test.server.addr, urls);
      assertEquals(found.length, REQUESTS.length);
      assertEquals(found, await urlsOfDeno(hostname));
    },
    // Containers often have no IPv6.
    { ignore: !canListen(hostname) },
  );
}

Deno.test("authorityOf() is localhost, when the address is every or our own", () => {
  for (const hostname of ["0.0.0.0", "::", "127.0.0.1", "127.1.2.3", "::1"]) {
    assertEquals(authorityOf(tcp(hostname, 8000)), "localhost:8000");
    assertEquals(authorityOf(tcp(hostname, 80)), "localhost");
  }
});

Deno.test("authorityOf() is the address, when it is another", () => {
  assertEquals(authorityOf(tcp("192.0.2.1", 8000)), "192.0.2.1:8000");
  assertEquals(authorityOf(tcp("192.0.2.1", 80)), "192.0.2.1");
  assertEquals(authorityOf(tcp("2001:db8::1", 443)), "[2001:db8::1]:443");
  assertEquals(authorityOf(tcp("2001:db8::1", 80)), "[2001:db8::1]");
});

Deno.test("authorityOf() escapes all but letters and digits, when it is a path", () => {
  const path = "/run/a b.sock";
  assertEquals(
    authorityOf({ transport: "unix", path }),
    "%2Frun%2Fa%20b%2Esock",
  );
});

function canListen(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function tcp(hostname: string, port: number): Deno.NetAddr {
  return { transport: "tcp", hostname, port };
}
