/**
 * Counts scenarios, each in processes of its own.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { libraryPath, NATIVE_PATH_VARIABLE } from "../../src/native/library.ts";
import { Failure } from "../command_line.ts";
import { BUDGETS } from "./budgets.ts";
import { FLAGS_OF } from "./meter.ts";
import type { Figures, ScenarioName } from "./scenarios.ts";

const PROGRAM = fileURLToPath(new URL("measure.ts", import.meta.url));

/** What one of something allocates, in bytes. */
export interface AllocationResult {
  /** What it is. */
  readonly name: ScenarioName;
  /** What its handler allocates by itself. */
  readonly handler: number;
  /** What is allocated on the heap beside that, as it runs. */
  readonly asRun: number;
  /** The same, as it is written. */
  readonly asWritten: number;
  /** What is allocated beside the heap. */
  readonly beside: number;
}

/**
 * Counts a scenario.
 *
 * @throws {Failure} when it cannot be counted.
 */
export async function countScenario(
  name: ScenarioName,
): Promise<AllocationResult> {
  const [run, written] = await Promise.all([
    countWith(name, FLAGS_OF.asRun),
    countWith(name, FLAGS_OF.asWritten),
  ]);
  return {
    name,
    handler: run.handler.heapBytes,
    asRun: oursOf(run),
    asWritten: oursOf(written),
    beside: run.total.besideBytes - run.handler.besideBytes,
  };
}

/** Which figures are over their budget; none when all is well. */
export function excesses(result: AllocationResult): string[] {
  const budget = BUDGETS[result.name];
  return (["asRun", "asWritten", "beside"] as const)
    .filter((figure) => result[figure] > budget[figure])
    .map((figure) => `${figure} ${result[figure]} > ${budget[figure]} bytes`);
}

function oursOf({ total, handler }: Figures): number {
  return total.heapBytes - handler.heapBytes;
}

async function countWith(
  name: ScenarioName,
  flags: readonly string[],
): Promise<Figures> {
  const library = libraryPath();
  const path = library instanceof URL ? fileURLToPath(library) : library;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--allow-ffi=${path}`,
      `--allow-env=${NATIVE_PATH_VARIABLE}`,
      `--v8-flags=${flags.join()}`,
      PROGRAM,
      name,
    ],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (success) return JSON.parse(decoder.decode(stdout));
  throw new Failure(`Cannot count "${name}": ${decoder.decode(stderr).trim()}`);
}
