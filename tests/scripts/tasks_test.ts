import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { runTask } from "../util/program.ts";

/** The tasks that a newcomer looks for stand first. */
const DOOR = ["serve", "load", "bench", "test"];
/** As much as fits in a line of a terminal behind the task's name. */
const COMMAND_LENGTH_MAX = 68;

const NAMES = Object.keys(config.tasks);

Deno.test("the tasks begin with those that a newcomer needs", () => {
  assertEquals(NAMES.slice(0, DOOR.length), DOOR);
  for (const task of Object.values(config.tasks)) assert(task.description);
});

for (const [name, { description }] of Object.entries(config.tasks)) {
  if (!description.endsWith("(--help)")) continue;
  Deno.test(`${name} --help explains, and exits 0`, async () => {
    const { code, stdout, stderr } = await runTask(name, ["--help"]);
    assertMatch(stdout, new RegExp(`^[^]+Usage: deno task ${name} `));
    assertEquals([code, stderr], [0, ""]);
  });
}

for (const name of ["bench:poll", "bench:alloc", "sim"]) {
  Deno.test(`${name} refuses a word, of which it takes none`, async () => {
    const { code, stderr } = await runTask(name, ["faster"]);
    const complaint = 'error: Cannot use "faster"; see --help\n';
    assertEquals([code, stderr], [2, complaint]);
  });
}

for (const name of ["serve", "load", "bench", "test"] as const) {
  Deno.test(`the task ${name} prints a command that fits in a line`, () => {
    const { command } = config.tasks[name];
    assert(command.length <= COMMAND_LENGTH_MAX, command);
  });
}

Deno.test("the task serve grants what a server needs, and no more", () => {
  assert(config.tasks.serve.command.includes(" --no-prompt -P=serve "));
  const library = "native/target/release/libdenio";
  assertEquals(config.permissions.serve, {
    net: true,
    read: true,
    ffi: [`${library}.so`, `${library}.dylib`],
    env: ["DENIO_NATIVE_PATH", "DENIO_BACKEND", "INIT_CWD", "REDIS_URL"],
  });
});
