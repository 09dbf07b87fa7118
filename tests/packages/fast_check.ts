/**
 * `fast-check`, for tests of properties; see `std_assert.ts` for why here.
 *
 * @module
 */

export { default } from "npm:fast-check@4.10.2";
export * from "npm:fast-check@4.10.2";
