/**
 * Says where a benchmark ran: without that, its figures mean nothing.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { readProc } from "../process_cpu.ts";
import type { Peer } from "./peers.ts";

const MIB_PER_KIB = 1 / 1024;

/** Prints what a program is, on one of its outputs. */
const TOOLS: readonly (readonly [tool: string, ...args: string[]])[] = [
  ["wrk", "-v"],
  ["perf", "--version"],
  ["strace", "-V"],
  ["rustc", "--version"],
];
const TOOL_VERSION = /\d+(\.\d+)+[^\s,]*/;

/** Deno itself touches nothing under /sys: a shell does. */
const GOVERNOR = "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
const HYPERVISOR = "systemd-detect-virt --vm || " +
  "cat /sys/hypervisor/type /sys/class/dmi/id/product_name";
const NO_HYPERVISOR = "none";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Returns the machine and the versions of what takes part, by what it is. */
export function describeMachine(
  peers: readonly Peer[],
): Record<string, string> {
  const cpu = parseCpuInfo(readProc("cpuinfo") ?? "");
  const kernel = (readProc("sys/kernel/osrelease") ?? "").trim();
  const known: Record<string, string | undefined> = {
    "system": [Deno.build.os, kernel, Deno.build.arch].join(" "),
    "processor": cpu.model,
    "cores": cpu.cores === 0 ? undefined : `${cpu.cores}`,
    "memory": parseMemory(readProc("meminfo") ?? ""),
    "governor": printed("sh", "-c", GOVERNOR),
    "hypervisor": hypervisor(cpu.isVirtual),
    "commit": printed("git", "-C", ROOT, "rev-parse", "--short", "HEAD"),
  };
  for (const { name, version } of peers) known[name] = version;
  for (const [tool, ...args] of TOOLS) {
    known[tool] = TOOL_VERSION.exec(printed(tool, ...args) ?? "")?.[0];
  }
  return Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, string] =>
      entry[1] !== undefined
    ),
  );
}

/** What a `/proc/cpuinfo` says. */
export interface CpuInfo {
  /** The processor's name, where it has one. */
  readonly model: string | undefined;
  /** How many cores the kernel runs on; 0 when it does not say. */
  readonly cores: number;
  /** Whether the processor says that it is a virtual machine's. */
  readonly isVirtual: boolean;
}

/** Reads a `/proc/cpuinfo`. */
export function parseCpuInfo(text: string): CpuInfo {
  return {
    model: /^model name\s*:\s*(.*\S)\s*$/m.exec(text)?.[1],
    cores: text.match(/^processor\s*:/gm)?.length ?? 0,
    isVirtual: /^flags\s*:.*\bhypervisor\b/m.test(text),
  };
}

/** Returns the memory that a `/proc/meminfo` speaks of, if it does. */
export function parseMemory(text: string): string | undefined {
  const [, kibibytes] = /^MemTotal:\s+(\d+) kB$/m.exec(text) ?? [];
  if (kibibytes === undefined) return undefined;
  return `${Math.round(Number(kibibytes) * MIB_PER_KIB)} MiB`;
}

function hypervisor(isVirtual: boolean): string | undefined {
  const name = printed("sh", "-c", HYPERVISOR);
  if (name !== undefined && name !== NO_HYPERVISOR) return name;
  return isVirtual ? "one that does not say its name" : undefined;
}

/** Returns the first line that a program prints, if it is there and does. */
function printed(program: string, ...args: string[]): string | undefined {
  let output;
  try {
    output = new Deno.Command(program, { args, stdin: "null" }).outputSync();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  // wrk has an exit code of its own mind, and nothing else on stderr.
  const bytes = program === "sh" || output.stdout.length > 0
    ? output.stdout
    : output.success
    ? output.stderr
    : new Uint8Array();
  const [line = ""] = new TextDecoder().decode(bytes).trim().split("\n");
  return line === "" ? undefined : line;
}
