/**
 * autocannon, which `deno task load` drives.
 *
 * Packages are named in files like this, and deno.lock is named where it is
 * used: `deno task` would install all that it finds in deno.json or in a lock
 * file of its own, and a server needs none of it.
 *
 * @module
 */

// @ts-types="npm:@types/autocannon@7.12.7"
export { default } from "npm:autocannon@9.0.0";
