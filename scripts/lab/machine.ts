/**
 * What this machine allows the lab, and what that means for its figures.
 *
 * @module
 */

import { prepareMachine } from "../bench/machine.ts";
import { callCounter } from "./calls.ts";
import { HAS_PROC } from "./process.ts";
import type { FigureName } from "./results.ts";

/** The cores, the quota, and how many connections a process can hold. */
export type LabMachine = Pick<
  ReturnType<typeof prepareMachine>,
  "onServerCore" | "onLoadCore" | "quota" | "connectionsMax" | "notes"
>;

/** A machine of which nothing is known. */
const PLAIN: LabMachine = {
  onServerCore: [],
  onLoadCore: [],
  quota: undefined,
  connectionsMax: Infinity,
  notes: ["nothing is pinned to a core, and no server is limited"],
};

const OF_PROC = [
  ...["cpuUs", "userUs", "systemUs", "restShare", "residentBytes"] as const,
  ...["connectionBytes", "virtualBytes", "threads"] as const,
  ...["voluntary", "involuntary"] as const,
];

/** Finds what the lab can do here; the quota is to be disposed of. */
export function prepareLab() {
  const machine = HAS_PROC
    ? prepareMachine("while they start and rest")
    : PLAIN;
  const counter = callCounter();
  const missing: Partial<Record<FigureName, string>> = {};
  if (!HAS_PROC) {
    for (const name of OF_PROC) missing[name] = "needs Linux's /proc";
  }
  if ("reason" in counter) missing.systemCalls = counter.reason;
  return {
    machine,
    counter: "reason" in counter ? undefined : counter,
    missing,
    notes: [
      ...machine.notes,
      "processor time is exact; its parts, in the program and in the kernel, " +
      "are in proportion to the kernel's ticks",
      "context switches are those of all threads; no model ends a thread " +
      "while it is measured",
      "memory is what lies in RAM: a thread's stack as far as it was touched, " +
      "not the kernel's own 16 KiB for each thread, nor its sockets",
      "reason" in counter
        ? `system calls are not counted: ${counter.reason}`
        : `system calls are counted by ${counter.program}, in a run of their ` +
          "own",
    ],
  };
}
