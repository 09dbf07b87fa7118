/**
 * Requests as tests send them: one character a byte.
 *
 * @module
 */

import { toLatin1 } from "./http_bytes.ts";

/** The field for `Host` of every request that names no other. */
export const HOST = "Host: a";

/** Returns lines as a head. */
export function head(...lines: string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** The smallest GET. */
export const GET: string = get();

/** The head of a POST with a body in chunks. */
export const CHUNKED_HEAD: string = head(
  "POST / HTTP/1.1",
  HOST,
  "Transfer-Encoding: chunked",
);

/** Returns a GET with a field for `Host`, its own or {@linkcode HOST}. */
export function get(target: string = "/", ...fields: string[]): string {
  const hasHost = fields.some((field) => field.startsWith("Host:"));
  const host = hasHost ? [] : [HOST];
  return head(`GET ${target} HTTP/1.1`, ...host, ...fields);
}

/** Returns the head of a POST with a body of so many bytes. */
export function postHead(length: number, ...fields: string[]): string {
  return head("POST / HTTP/1.1", HOST, `Content-Length: ${length}`, ...fields);
}

/** Returns a POST with a body. */
export function post(body: string | Uint8Array, ...fields: string[]): string {
  const text = typeof body === "string" ? body : toLatin1(body);
  return postHead(text.length, ...fields) + text;
}

/** Returns so many GETs, of "/0" and so on. */
export function pipeline(count: number): string {
  return Array.from({ length: count }, (_, index) => get(`/${index}`)).join("");
}
