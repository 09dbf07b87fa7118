/**
 * ioredis, a client of Redis; see `std_assert.ts` for why here.
 *
 * @module
 */

export { Redis } from "npm:ioredis@6.0.0";
