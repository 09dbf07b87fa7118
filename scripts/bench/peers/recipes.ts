/**
 * How each peer is prepared, and the command that starts it.
 *
 * @module
 */

import { join } from "node:path";
import config from "../../../deno.json" with { type: "json" };
import { Reactor } from "../../../mod.ts";
import { type Backend, BACKEND_VARIABLE } from "../../../src/poll/poll.ts";
import { cratePath } from "../../programs.ts";
import { build, buildIfStale } from "../../build.ts";
import { denoCommand, libraryPermissions } from "../../server_process.ts";
import {
  type Ability,
  backendOf,
  BASELINE,
  BUN,
  FIBERS,
  LIMIT,
  OVER_TCP,
  RING,
  type Service,
  SUBJECT,
} from "../scenarios.ts";
import { nginx } from "./nginx.ts";
import {
  need,
  npmPackage,
  outputOf,
  placeOf,
  type Prepared,
  serverFile,
  type Tools,
} from "./tools.ts";

const BUN_PACKAGE = "bun@1.4.5";
const WS = "ws@8.23.0";
/** Its makers publish it beside npm; this is their build, and older. */
const UWS = "@trufflesuite/uws-js-unofficial@20.30.0-unofficial.0";
/** The first time Go compiles its library too. */
const GO_BUILD_MS = 300_000;

const ROUTES = ["hello", "app", "json", "upload", "big", "events"] as const;
const EVERYTHING: readonly Ability[] = [...ROUTES, "echo"];
const WEBSOCKETS = ["ws-echo", "ws", "ws-topic"] as const;

/**
 * Prepares a peer.
 *
 * @throws {Failure} with the reason when it cannot.
 */
type Recipe = (tools: Tools) => Prepared | Promise<Prepared>;

/** Every peer, by its name, in the order of the report. */
export const RECIPES: Readonly<Record<string, Recipe>> = {
  [LIMIT]: () => bare(),
  [RING]: () => bare("--ring"),
  [SUBJECT]: () => denio(),
  [FIBERS]: () => ours(["echo"], () => serverOf("denio", "fibers")),
  "denio drop-in": () =>
    ours(WEBSOCKETS, (service) => [
      `--preload=${cratePath("../src/server/register.ts")}`,
      ...serverOf("deno", service),
    ]),
  [OVER_TCP]: () => ours(["ws-echo"], () => serverOf("denio", "echo")),
  "denio reuse-port": () =>
    ours(["workers"], (service) => workers(service, "reuse-port")),
  [BASELINE]: deno,
  "node": node,
  [BUN]: bun,
  "Go": go,
  "nginx": nginx,
  "ws": (tools) => onNode(WS, tools),
  "uWebSockets.js": (tools) => onNode(UWS, tools),
};

/** Returns the recipe of a peer, by its name. */
export function recipeOf(name: string): Recipe {
  const backend = backendOf(name);
  return backend === undefined ? RECIPES[name]! : () => denioOn(backend);
}

/** It sends the same fixed answer to each request; so do the others. */
async function bare(...options: string[]): Promise<Prepared> {
  need("cargo", ", to build it with");
  build(["--example", "limit"]);
  const program = cratePath("target/release/examples/limit");
  const command = (
    service: Service,
    ...more: string[]
  ) => [program, ...options, ...service === "echo" ? ["--echo"] : [], ...more];
  await outputOf(command("hello", "--probe"));
  const can = ["hello", "app", "json", "echo"] as const;
  return { version: config.version, can, command };
}

function denio(...variables: string[]): Prepared {
  const can: readonly Ability[] = [
    ...[...EVERYTHING, ...WEBSOCKETS],
    ...["login", "workers", "ws-deflate"] as const,
  ];
  const server = (service: Service) =>
    service.startsWith("workers-")
      ? workers(service, "shared-listener")
      : serverOf("denio", service);
  return ours(can, server, ...variables);
}

/** Opens a poll first, which throws where there is no such backend. */
function denioOn(backend: string): Prepared {
  const peer = denio(BACKEND_VARIABLE);
  new Reactor({ backend: backend as Backend }).close();
  const env = `${BACKEND_VARIABLE}=${backend}`;
  return {
    ...peer,
    command: (service) => ["env", env, ...peer.command(service)],
  };
}

/** A server on denio, in one of its faces. */
function ours(
  can: readonly Ability[],
  server: (service: Service) => string[],
  ...variables: string[]
): Prepared {
  buildIfStale();
  return {
    version: config.version,
    can,
    command: (service) =>
      denoCommand(...libraryPermissions(...variables), ...server(service)),
  };
}

/** Deno asks the permission to read of any Worker, for denio's own files. */
function workers(service: Service, balance: string): string[] {
  const count = service === "workers-2" ? "2" : "1";
  return ["--allow-read", serverFile("denio_workers.ts"), count, balance];
}

function deno(): Prepared {
  return {
    version: Deno.version.deno,
    can: [...EVERYTHING, "login", ...WEBSOCKETS],
    command: (service) => denoCommand(...serverOf("deno", service)),
  };
}

async function node(): Promise<Prepared> {
  need("node");
  const version = await outputOf(["node", "--version"]);
  return {
    version: version.replace("v", ""),
    can: EVERYTHING,
    command: (service) => ["node", serverFile("node.mjs"), service],
  };
}

async function bun(tools: Tools): Promise<Prepared> {
  // Its name on every system.
  const program = join(await npmPackage(BUN_PACKAGE, tools), "bin", "bun.exe");
  return {
    version: await outputOf([program, "--version"]),
    can: [...EVERYTHING, ...WEBSOCKETS, "ws-deflate"],
    command: (service) => [program, ...serverOf("bun", service)],
  };
}

/** A package of npm that has WebSockets for node, if it has them for this one. */
async function onNode(wanted: string, tools: Tools): Promise<Prepared> {
  need("node");
  const folder = await npmPackage(wanted, tools);
  await outputOf(["node", "--eval", `require(${JSON.stringify(folder)})`]);
  const command = ["node", serverFile("node_websocket.mjs"), folder];
  return {
    version: wanted.replace(/^.*@/, ""),
    can: [...WEBSOCKETS, "ws-deflate"],
    command: (service) => [...command, service],
  };
}

async function go({ say }: Tools): Promise<Prepared> {
  need("go");
  const program = placeOf("go_server");
  say("building the Go server");
  const build = ["go", "build", "-o", program, serverFile("go_server.go")];
  await outputOf(build, GO_BUILD_MS);
  const version = await outputOf(["go", "env", "GOVERSION"]);
  return {
    version: version.replace("go", ""),
    can: EVERYTHING,
    command: (service) => [program, service],
  };
}

/** The file of a runtime's servers, and its argument. */
function serverOf(runtime: string, service: Service | "fibers"): string[] {
  return [serverFile(`${runtime}.ts`), service];
}
