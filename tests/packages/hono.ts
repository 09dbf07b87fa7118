/**
 * Hono, as its users get it from npm; see `std_assert.ts` for why here.
 *
 * @module
 */

export { type Context, Hono } from "npm:hono@4.13.19";
export { basicAuth } from "npm:hono@4.13.19/basic-auth";
export { bodyLimit } from "npm:hono@4.13.19/body-limit";
export {
  getCookie,
  getSignedCookie,
  setCookie,
  setSignedCookie,
} from "npm:hono@4.13.19/cookie";
export { compress } from "npm:hono@4.13.19/compress";
export { cors } from "npm:hono@4.13.19/cors";
export {
  getConnInfo,
  serveStatic,
  upgradeWebSocket,
} from "npm:hono@4.13.19/deno";
export { etag } from "npm:hono@4.13.19/etag";
export { HTTPException } from "npm:hono@4.13.19/http-exception";
export { stream, streamSSE, streamText } from "npm:hono@4.13.19/streaming";
export { timeout } from "npm:hono@4.13.19/timeout";
