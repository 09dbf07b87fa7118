/**
 * The TypeScript compiler, for rules that look at syntax; see `autocannon.ts`
 * for why here.
 *
 * @module
 */

export { default } from "npm:typescript@6.0.3";
