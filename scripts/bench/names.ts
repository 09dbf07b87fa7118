/**
 * The servers that the benchmark's rules name.
 *
 * @module
 */

/** The server that is measured. */
export const SUBJECT = "denio";
/** denio's other face, for echo: a fiber for each connection. */
export const FIBERS = "denio fibers";
/** The server that denio is compared with. */
export const BASELINE = "Deno";
/**
 * A bare epoll loop in Rust that sends fixed bytes and runs no handler: no
 * server can need less than it does.
 */
export const LIMIT = "bare loop";
