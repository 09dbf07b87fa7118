/**
 * The TypeScript compiler, for tests that look at syntax.
 *
 * Packages are named in files like this, and deno.lock is named where it is
 * used: `deno task` would install all packages that it finds in deno.json or
 * in a lock file of its own, and a server needs none of them.
 *
 * @module
 */

export { default } from "npm:typescript@6.0.3";
