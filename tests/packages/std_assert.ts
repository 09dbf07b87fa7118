/**
 * `@std/assert`, from npm: not every machine reaches JSR.
 *
 * Why here and not in deno.json, `typescript.ts` says.
 *
 * @module
 */

// @ts-types="./std_assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
