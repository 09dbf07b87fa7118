/** WebSockets of the clients that people use, against denio's server. */

import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { WebSocket as Ws } from "ws";
import { bringPackages, pythonObstacle } from "../../scripts/python.ts";
import { Reactor } from "../../src/reactor/reactor.ts";
import { Browser, NO_BROWSER } from "../util/browser.ts";
import { lacks } from "../util/machine.ts";
import { Program, runProgram } from "../util/program.ts";
import { eventually, within } from "../util/waiting.ts";
import { serveWebSockets } from "../util/websocket_peer.ts";

const NO_PYTHON = lacks("Python", () => pythonObstacle() === undefined);
const NO_CURL = lacks("curl", () => {
  try {
    return new Deno.Command("curl", { args: ["-V"] }).outputSync().success;
  } catch {
    return false;
  }
});
const PYTHON = fileURLToPath(
  new URL("../fixtures/websockets_client.py", import.meta.url),
);
const PACKAGES = "websockets==17.4\n";

const MIB = 1 << 20;
const AGREED = "permessage-deflate; server_no_context_takeover; " +
  "client_no_context_takeover";
/** What becomes of a conversation; both sides see the same ends. */
const ENDS = [[4000, "the client's", true], [4001, "the server's", true]];
const HEARD = {
  extensions: AGREED,
  echoes: ["grüße, 😀", [0, 127, 128, 255], true],
  ends: ENDS,
};

/** A server that echoes, closes when it is told so, and notes how each ended. */
class Echo implements AsyncDisposable {
  readonly ends: unknown[] = [];
  readonly #reactor = new Reactor();
  readonly #server = serveWebSockets({
    compression: true,
    message(socket, message) {
      if (message === "close") socket.close(4001, "the server's");
      else socket.send(message);
    },
    close: (_, ...end) => void this.ends.push(end),
  }, { reactor: this.#reactor });

  /** Its address, behind a scheme. */
  get address(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** Asserts how a conversation went on, seen from here. */
  async expect(isCompressed: boolean): Promise<void> {
    await eventually("the ends", () => this.ends.length === ENDS.length);
    assertEquals(this.ends, ENDS);
    const { bytesIn, bytesOut } = this.#reactor.stats();
    const sizes = `${bytesIn} bytes came, ${bytesOut} left`;
    assertEquals(bytesIn < MIB / 10, isCompressed, sizes);
    assertEquals(bytesOut < MIB / 10, isCompressed, sizes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#reactor[Symbol.asyncDispose]();
  }
}

/**
 * Sends a text, bytes and 1 MiB, closes, and has the server close another
 * WebSocket. It runs in Chromium too, and so names nothing from outside.
 */
async function converse(Client: typeof WebSocket, url: string) {
  const long = "0123456789abcdef".repeat(65_536);
  const opened = () =>
    new Promise<WebSocket>((resolve, reject) => {
      const socket = new Client(url);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => resolve(socket);
      socket.onerror = reject;
    });
  const ended = (socket: WebSocket) =>
    new Promise<unknown[]>((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) =>
        resolve([code, reason, wasClean]);
    });
  const socket = await opened();
  const echoes = await new Promise<unknown[]>((resolve) => {
    const got: unknown[] = [];
    socket.onmessage = ({ data }) => {
      const isBinary = typeof data !== "string";
      const bytes = () => [...new Uint8Array(data)];
      got.push(isBinary ? bytes() : data.length < 99 ? data : data === long);
      if (got.length === 3) resolve(got);
    };
    socket.send("grüße, 😀");
    socket.send(Uint8Array.of(0, 127, 128, 255));
    socket.send(long);
  });
  socket.close(4000, "the client's");
  const ends = [await ended(socket)];
  const other = await opened();
  other.send("close");
  ends.push(await ended(other));
  return { extensions: socket.extensions, echoes, ends };
}

Deno.test("websocket talks to Deno's own WebSocket, which compresses nothing", async () => {
  await using echo = new Echo();
  const heard = converse(WebSocket, `ws://${echo.address}`);
  const wanted = { ...HEARD, extensions: "" };
  assertEquals(await within(heard, "Deno's WebSocket"), wanted);
  await echo.expect(false);
});

Deno.test("websocket talks to npm's ws, compressed", async () => {
  await using echo = new Echo();
  const heard = converse(Ws, `ws://${echo.address}`);
  // It tells names alone.
  const wanted = { ...HEARD, extensions: "permessage-deflate" };
  assertEquals(await within(heard, "ws"), wanted);
  await echo.expect(true);
});

Deno.test("websocket joins the frames of npm's ws, and answers its ping", async () => {
  await using echo = new Echo();
  const socket = new Ws(`ws://${echo.address}`);
  const got = new Promise<unknown[]>((resolve) => {
    const events: unknown[] = [];
    socket.on("pong", (bytes) => events.push(`${bytes}`));
    socket.on("message", (bytes) => resolve([...events, `${bytes}`]));
  });
  await within(new Promise((done) => socket.on("open", done)), "ws to open");
  socket.send("one, ", { fin: false });
  socket.ping("between");
  socket.send("", { fin: false });
  socket.send("two", { fin: true });
  assertEquals(await within(got, "an echo"), ["between", "one, two"]);
  socket.close();
  await within(new Promise((done) => socket.on("close", done)), "ws to close");
});

Deno.test({
  name: "websocket talks to Chromium, compressed",
  ignore: NO_BROWSER,
  async fn() {
    await using echo = new Echo();
    await using browser = await Browser.start();
    const page = await browser.open(`http://${echo.address}`);
    const call = `(${converse})(WebSocket, "ws://${echo.address}")`;
    assertEquals(await page.run(call), HEARD);
    await echo.expect(true);
  },
});

Deno.test({
  name: "websocket talks to Python's websockets, compressed and in fragments",
  ignore: NO_PYTHON,
  async fn() {
    await using echo = new Echo();
    const python = bringPackages("python-websockets", PACKAGES);
    const url = `ws://${echo.address}`;
    const { code, stdout, stderr } = await runProgram([python, PYTHON, url]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(JSON.parse(stdout), { ...HEARD, fragments: "one, two" });
    await echo.expect(true);
  },
});

/** The handshake of RFC 6455 section 1.3, as words for curl. */
function handshake(changes: Record<string, string> = {}): string[] {
  const fields = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...changes,
  };
  return Object.entries(fields)
    .flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
}

Deno.test({
  name: "websocket answers curl's handshake with 101, as RFC 6455 section 1.3",
  ignore: NO_CURL,
  async fn() {
    await using echo = new Echo();
    // What curl says of its work is not held back in a buffer.
    const words = ["-sv", ...handshake(), `http://${echo.address}`];
    await using curl = new Program(["curl", ...words]);
    const [head] = await curl.complained(/^< HTTP[^]*^< \r$/m);
    assertMatch(head, /^< HTTP\/1\.1 101 Switching Protocols\r$/m);
    const [, accept] = /^< sec-websocket-accept: (.*)\r$/im.exec(head) ?? [];
    assertEquals(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  },
});

Deno.test({
  name: "websocket refuses curl's handshake, and says by status what is wrong",
  ignore: NO_CURL,
  async fn() {
    await using echo = new Echo();
    const ask = async (...words: string[]) => {
      const url = `http://${echo.address}`;
      const { stdout } = await runProgram(["curl", "-si", ...words, url]);
      const field = /^(allow|sec-websocket-version|upgrade): .*$/gmi;
      return [stdout.slice(9, 12), ...stdout.match(field) ?? []]
        .map((line) => line.trim().toLowerCase());
    };
    const post = ["--request", "POST"];
    assertEquals(
      await ask(...handshake({ "Sec-WebSocket-Key": "short" })),
      ["400"],
    );
    assertEquals(
      await ask(...handshake({ "Sec-WebSocket-Version": "8" })),
      ["426", "upgrade: websocket", "sec-websocket-version: 13"],
    );
    assertEquals(await ask(...post, ...handshake()), ["405", "allow: get"]);
  },
});
