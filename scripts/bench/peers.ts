/**
 * The servers that are compared.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { libraryPath, NATIVE_PATH_VARIABLE } from "../../src/native/library.ts";
import { build, buildIfStale } from "../build.ts";
import { Failure } from "../command_line.ts";
import { type ServerProcess, startServer } from "../server_process.ts";
import type { Machine } from "./machine.ts";

/** What is measured. */
export const SUBJECT = "denio";
/** What it is compared with. */
export const BASELINE = "Deno.serve";
/** What no server can be better than. */
export const LIMIT = "bare loop";

/** A server to measure. */
export interface Peer {
  /** What it is called in the report. */
  readonly name: string;
  /** The command that starts it. */
  readonly command: string[];
}

/** A peer that runs. */
export interface RunningPeer extends AsyncDisposable {
  /** What it is called in the report. */
  readonly name: string;
  /** Its process. */
  readonly server: ServerProcess;
}

/** Builds what is missing, and returns the servers that this system can run. */
export function preparePeers(): Peer[] {
  buildIfStale();
  const library = libraryPath();
  const path = library instanceof URL ? fileURLToPath(library) : library;
  const denio: Peer = {
    name: SUBJECT,
    command: denoServer(
      "denio.ts",
      `--allow-ffi=${path}`,
      `--allow-env=${NATIVE_PATH_VARIABLE}`,
    ),
  };
  const peers = [denio, {
    name: BASELINE,
    command: denoServer("deno_serve.ts"),
  }];
  // It is written for epoll.
  if (Deno.build.os !== "linux") return peers;
  build(["--example", "limit"]);
  const limit = "../../native/target/release/examples/limit";
  return [{ name: LIMIT, command: [fileOf(limit)] }, ...peers];
}

/** Starts a peer on the core that is the servers'. */
export async function startPeer(
  { name, command }: Peer,
  machine: Machine,
): Promise<RunningPeer> {
  const server = await startServer([...machine.onServerCore, ...command]);
  const stop = () => server.stop();
  try {
    await expectHello(server.port);
    return { name, server, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw new Failure(`Cannot measure ${name}: ${(error as Error).message}`);
  }
}

/** A server that answers something else would be compared unfairly. */
async function expectHello(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const text = await response.text();
  if (text !== "Hello, World!") throw new Error(`it answered "${text}"`);
}

function denoServer(file: string, ...permissions: string[]): string[] {
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net=127.0.0.1",
    ...permissions,
    fileOf(`servers/${file}`),
  ];
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
