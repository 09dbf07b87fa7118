/**
 * Counts one scenario, in a process that was started for it.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- its parent reads what it prints

// Brought by the first bodies, at a time of its own, if it were not there.
import "node:buffer";
import { Meter } from "./meter.ts";
import { type ScenarioName, SCENARIOS } from "./scenarios.ts";

const [name] = Deno.args;
const { count } = SCENARIOS[name as ScenarioName];
console.log(JSON.stringify(await count(new Meter())));
