/**
 * Counts one scenario, in a process of its own.
 *
 * @module
 */

// deno-lint-ignore-file no-console -- its parent reads what it prints

// Otherwise the first body would load it, at some time of the count.
import "node:buffer";
import { Meter } from "./meter.ts";
import { type ScenarioName, SCENARIOS } from "./scenarios.ts";

const [name] = Deno.args;
const { count } = SCENARIOS[name as ScenarioName];
console.log(JSON.stringify(await count(new Meter())));
