/**
 * The authority in the URLs of requests without `Host`.
 *
 * @module
 */

import type { ServeAddress } from "./transport.ts";

/** The port that URLs leave out. */
const PORT_HTTP = 80;

const encoder = new TextEncoder();

/**
 * Returns the authority for a request without `Host`, as `Deno.serve` has it:
 * `localhost` for an unspecified or a loopback address.
 *
 * @param addr Where the server listens.
 */
export function authorityOf(addr: ServeAddress): string {
  if ("path" in addr) return escaped(addr.path);
  const { hostname, port } = addr;
  const host = isLocal(hostname)
    ? "localhost"
    : hostname.includes(":")
    ? `[${hostname}]`
    : hostname;
  return port === PORT_HTTP ? host : `${host}:${port}`;
}

/** Whether an address is unspecified or a loopback one. */
function isLocal(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::" || hostname === "::1" ||
    hostname.startsWith("127.");
}

/** Escapes all but letters and digits, as `Deno.serve` does with a path. */
function escaped(path: string): string {
  let text = "";
  for (const byte of encoder.encode(path)) {
    const char = String.fromCharCode(byte);
    text += /[0-9A-Za-z]/.test(char)
      ? char
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
