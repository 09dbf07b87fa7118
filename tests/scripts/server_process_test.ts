import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../scripts/command_line.ts";
import { builtInServer, startServer } from "../../scripts/server_process.ts";
import { Program } from "../util/program.ts";

const FIXTURE =
  new URL("../fixtures/holds_a_server.ts", import.meta.url).pathname;

async function expectNobody(port: number): Promise<void> {
  await assertRejects(
    () => Deno.connect({ hostname: "127.0.0.1", port }),
    Deno.errors.ConnectionRefused,
  );
}

Deno.test("startServer() finds the port, and stop() ends the server", async () => {
  const server = await startServer(builtInServer());
  const response = await fetch(`http://127.0.0.1:${server.port}/`);
  assertEquals(await response.text(), "Hello from denio!\n");
  await server.stop();
  await expectNobody(server.port);
});

Deno.test("startServer() says so, when a server ends before it listens", async () => {
  const command = [Deno.execPath(), "--version"];
  const { message } = await assertRejects(() => startServer(command), Failure);
  assertEquals(message.endsWith("it ended before it listened"), true);
});

Deno.test("startServer() keeps what a server complains about, when asked to", async () => {
  const code = "console.error('first\\nsecond'); Deno.exit(1)";
  const { message } = await assertRejects(
    () =>
      startServer([Deno.execPath(), "eval", code], { keepsComplaint: true }),
    Failure,
  );
  assertEquals(
    message.endsWith("it ended before it listened, and said: first"),
    true,
  );
});

for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`a script takes its server with it, on ${signal}`, async () => {
    await using script = new Program([Deno.execPath(), "run", "-A", FIXTURE]);
    const [, port] = await script.printed(/port (\d+)\n/);
    script.kill(signal);
    assertEquals((await script.ended()).code, expected);
    await expectNobody(Number(port));
  });
}
