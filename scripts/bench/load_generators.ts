/**
 * What puts load on a server: wrk where it is installed, else autocannon.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Failure } from "../command_line.ts";
import { hasProgram, type Machine } from "./machine.ts";
import type { LoadScenario } from "./scenarios.ts";

/** What a load generator saw. */
export interface LoadSeen {
  /** Requests that were answered. */
  readonly requests: number;
  /** How long it took. */
  readonly seconds: number;
}

/** Puts load on the server at `port` for some seconds. */
export type LoadGenerator = (
  port: number,
  scenario: LoadScenario,
  seconds: number,
) => Promise<LoadSeen>;

/** Returns the best load generator that is installed, and what to say of it. */
export function chooseLoadGenerator(
  machine: Machine,
): { note: string; run: LoadGenerator } {
  const [note, command] = hasProgram("wrk")
    ? ["load by wrk", wrkCommand] as const
    : [
      "load by autocannon, which is spent before a good server is: " +
      "install wrk to learn more",
      autocannonCommand,
    ] as const;
  const run: LoadGenerator = async (port, scenario, seconds) => {
    const words = command(`http://127.0.0.1:${port}/`, scenario, seconds);
    return seenBy(await outputOf([...machine.onLoadCore, ...words]));
  };
  return { note, run };
}

function wrkCommand(
  url: string,
  { connections, depth }: LoadScenario,
  seconds: number,
): string[] {
  const script = fileOf("wrk.lua");
  const load = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script];
  return ["wrk", ...load, url, "--", `${depth}`];
}

function autocannonCommand(
  url: string,
  { connections, depth }: LoadScenario,
  seconds: number,
): string[] {
  return [
    Deno.execPath(),
    "run",
    `--lock=${fileOf("../../deno.lock")}`,
    "--no-prompt",
    "--allow-net=127.0.0.1",
    "--allow-env",
    fileOf("../load.ts"),
    url,
    "--json",
    `--connections=${connections}`,
    `--pipelining=${depth}`,
    `--duration=${seconds}`,
  ];
}

/** Both print their figures as JSON on the last line. */
function seenBy(output: string): LoadSeen {
  const figures = JSON.parse(output.trim().split("\n").at(-1)!);
  const failures = figures.failures ??
    figures.errors + figures.resets + figures.non2xx;
  if (failures > 0 || figures.requests === 0) {
    throw new Failure(
      `Cannot measure: ${failures} of ${figures.requests} requests failed`,
    );
  }
  const seconds = figures.seconds ?? figures.elapsedSeconds;
  return { requests: figures.requests, seconds };
}

async function outputOf([program, ...args]: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Failure(
    `Cannot put load on a server: ${decoder.decode(stderr).trim()}`,
  );
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
