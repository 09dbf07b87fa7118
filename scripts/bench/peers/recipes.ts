/**
 * How each peer is made ready, and what starts it.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../../../deno.json" with { type: "json" };
import {
  libraryPath,
  NATIVE_PATH_VARIABLE,
} from "../../../src/native/library.ts";
import { build, buildIfStale } from "../../build.ts";
import { Failure } from "../../command_line.ts";
import { nginxPeer } from "./nginx.ts";
import { npmPackage } from "./npm.ts";
import { type Peer, ROUTES, type Service, supporting } from "./peer.ts";
import { need, outputOf, placeOf, serverFile, type Tools } from "./tools.ts";

/** What is measured. */
export const SUBJECT = "denio";
/** What it is compared with. */
export const BASELINE = "Deno";
/** What no server can be better than. */
export const LIMIT = "bare loop";

const BUN = { name: "bun", version: "1.4.5" };
/**
 * uWebSockets.js is not on npm by its own name. This is a copy of the files
 * that its authors release, made by somebody who needed it there.
 */
const UWS = { name: "@btc-vision/uwebsockets.js", version: "20.57.0" };
/** The module versions of node that it brings an addon for: 20, 22, 24, 25. */
const UWS_MODULE_VERSIONS = [115, 127, 137, 141];
/** What its addon for Linux is linked against. */
const UWS_GLIBC: readonly [number, number] = [2, 38];

/** A program that only says its version, on a machine that is busy. */
const VERSION_MS = 20_000;
/** The first time Go compiles its library too. */
const GO_BUILD_MS = 300_000;

const EVERYTHING = supporting({ http: ROUTES, echo: true });
const ALSO_WORKERS = supporting({ http: ROUTES, echo: true, workers: true });
const ONLY_WORKERS = supporting({ workers: true });
const ONLY_HTTP = supporting({ http: ROUTES });
const ONLY_ECHO = supporting({ echo: true });

/**
 * Makes a peer ready.
 *
 * @throws {Failure} with the reason why it cannot be.
 */
export type Recipe = (tools: Tools) => Peer | Promise<Peer>;

/** Every peer, by its name, in the order of the report. */
export const RECIPES: Readonly<Record<string, Recipe>> = {
  [LIMIT]: bareLoop,
  [SUBJECT]: denio,
  "denio fibers": denioFibers,
  "denio reuse-port": denioReusePort,
  [BASELINE]: deno,
  "node": node,
  "Bun": bun,
  "uWebSockets": uWebSockets,
  "Go": go,
  "nginx": nginxPeer,
};

function bareLoop(tools: Tools): Peer {
  if (Deno.build.os !== "linux") {
    throw new Failure("it is written for epoll, which is Linux's");
  }
  need(tools, "cargo", ", to build it with");
  build(["--example", "limit"]);
  const program = fileURLToPath(
    new URL(
      "../../../native/target/release/examples/limit",
      import.meta.url,
    ),
  );
  return {
    name: LIMIT,
    version: config.version,
    supports: supporting({ http: ["hello"], echo: true }),
    command: (service) => service === "echo" ? [program, "--echo"] : [program],
  };
}

function denio(): Peer {
  buildIfStale();
  return {
    name: SUBJECT,
    version: config.version,
    supports: ALSO_WORKERS,
    command: (service) =>
      service === "workers-1" || service === "workers-2"
        ? workersCommand(service, "shared-listener")
        : denoCommand(libraryPermissions(), ...serverOf("denio", service)),
  };
}

/** Its Workers with a socket each, beside those that share one. */
function denioReusePort(): Peer {
  buildIfStale();
  return {
    name: "denio reuse-port",
    version: config.version,
    supports: ONLY_WORKERS,
    command: (service) => workersCommand(service, "reuse-port"),
  };
}

function workersCommand(service: Service, balance: string): string[] {
  // Deno asks it of any Worker, for denio's own files.
  const permissions = [...libraryPermissions(), "--allow-read"];
  const workers = service === "workers-2" ? "2" : "1";
  const file = serverFile("denio_workers.ts");
  return denoCommand(permissions, file, workers, balance);
}

function denioFibers(): Peer {
  buildIfStale();
  return {
    name: "denio fibers",
    version: config.version,
    supports: ONLY_ECHO,
    command: () =>
      denoCommand(libraryPermissions(), serverFile("denio_fibers.ts")),
  };
}

function deno(): Peer {
  return {
    name: BASELINE,
    version: Deno.version.deno,
    supports: EVERYTHING,
    command: (service) => denoCommand([], ...serverOf("deno", service)),
  };
}

async function node(tools: Tools): Promise<Peer> {
  need(tools, "node");
  const version = await outputOf(["node", "--version"], VERSION_MS);
  return {
    name: "node",
    version: version.replace("v", ""),
    supports: EVERYTHING,
    command: (service) =>
      service === "echo"
        ? ["node", serverFile("node_echo.mjs")]
        : ["node", serverFile("node_http.mjs"), service],
  };
}

async function bun(tools: Tools): Promise<Peer> {
  const folder = await npmPackage(BUN, tools);
  // Its name on every system.
  const program = join(folder, "bin", "bun.exe");
  const version = await outputOf([program, "--version"], VERSION_MS);
  return {
    name: "Bun",
    version,
    supports: EVERYTHING,
    command: (service) => [program, ...serverOf("bun", service)],
  };
}

async function uWebSockets(tools: Tools): Promise<Peer> {
  need(tools, "node");
  const folder = await uwsFolder(tools);
  const loads = "require(process.argv[1])";
  await outputOf(["node", "-e", loads, folder], VERSION_MS);
  const file = serverFile("uws_http.mjs");
  return {
    name: "uWebSockets",
    version: UWS.version,
    supports: ONLY_HTTP,
    command: (service) => ["node", file, folder, service],
  };
}

/** Asks first whether the addon can run: it is a large package. */
async function uwsFolder(tools: Tools): Promise<string> {
  const asks = "[process.versions.modules, " +
    "process.report.getReport().header.glibcVersionRuntime].join(' ')";
  const said = await outputOf(["node", "-p", asks], VERSION_MS);
  const [moduleVersion, glibc = ""] = said.split(" ");
  if (!UWS_MODULE_VERSIONS.includes(Number(moduleVersion))) {
    throw new Failure(
      "uWebSockets.js has no addon for this node, whose module version is " +
        `${moduleVersion}; there are ${UWS_MODULE_VERSIONS.join(", ")}`,
    );
  }
  if (Deno.build.os === "linux" && !isAtLeast(glibc, UWS_GLIBC)) {
    throw new Failure(
      `the addon of uWebSockets.js needs glibc ${UWS_GLIBC.join(".")}, and ` +
        `this machine has ${glibc || "another library"}`,
    );
  }
  return await npmPackage(UWS, tools);
}

function isAtLeast(
  version: string,
  [majorMin, minorMin]: readonly [number, number],
): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

async function go(tools: Tools): Promise<Peer> {
  need(tools, "go");
  const program = placeOf("go_server");
  const files = ["main", "http", "clock", "echo"]
    .map((name) => serverFile(`go/${name}.go`));
  tools.progress("building the Go server");
  await outputOf(["go", "build", "-o", program, ...files], GO_BUILD_MS);
  const version = await outputOf(["go", "env", "GOVERSION"], VERSION_MS);
  return {
    name: "Go",
    version: version.replace("go", ""),
    supports: EVERYTHING,
    command: (service) => [program, service],
  };
}

/** The file of a runtime's server, and what it is told. */
function serverOf(
  runtime: string,
  service: Service,
): [file: string, ...words: string[]] {
  return service === "echo"
    ? [serverFile(`${runtime}_echo.ts`)]
    : [serverFile(`${runtime}_http.ts`), service];
}

/** denio's and Deno's differ in nothing but what the library needs. */
function denoCommand(permissions: string[], ...server: string[]): string[] {
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net=127.0.0.1",
    ...permissions,
    ...server,
  ];
}

function libraryPermissions(): string[] {
  const library = libraryPath();
  const path = library instanceof URL ? fileURLToPath(library) : library;
  return [`--allow-ffi=${path}`, `--allow-env=${NATIVE_PATH_VARIABLE}`];
}
