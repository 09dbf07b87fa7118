/**
 * The opening handshake of a server: RFC 6455 sections 4.2 and 4.4.
 *
 * A pure function of a request: it answers with the fields of the 101, or with
 * the response that refuses the request and says why.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { wrongType } from "../base/checks.ts";
import { decodeLatin1 } from "../http/latin1.ts";
import { LazyRequest } from "../http/request.ts";
import { nativeWebSocket } from "../native/library.ts";
import {
  agreeOnDeflate,
  type CompressionSettings,
  type DeflateAgreement,
} from "./extension.ts";

/** The version of RFC 6455, the only one. */
const VERSION = "13";
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;
const KEY_LENGTH = 24;
const ACCEPT_LENGTH = 28;
/** A token: RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const UPGRADE_FIELD: [string, string] = ["Upgrade", "websocket"];

/** Fields that only the handshake itself may send, in lower case. */
const OWN_FIELD = /^(?:upgrade|sec-websocket-.*)$/;

/** A list that has the token, in any case of its letters. */
const UPGRADE = /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i;
/** The same. */
const CONNECTION = /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i;

/** What names the protocol in an answer with 426. */
const OFFER = { "Upgrade": "websocket" };

/** Chooses a subprotocol of those that a client offers; `undefined` for none. */
export type ProtocolChoice = (
  offered: readonly string[],
  request: Request,
) => string | undefined;

/** Says whether pages of an origin may connect; null when there is none. */
export type OriginCheck = (origin: string | null, request: Request) => boolean;

/** What a server asks of a client. */
export interface HandshakeOptions {
  /**
   * The subprotocol, which the client must offer, or a function that chooses
   * one. Left out or empty, no subprotocol is spoken.
   */
  readonly protocol?: string | ProtocolChoice | undefined;
  /**
   * The origins whose pages may connect, such as `https://example.com`, or a
   * function that decides. All may when left out. A list lets clients pass that
   * send no origin: they are no browsers, and could send any.
   */
  readonly origins?: readonly string[] | OriginCheck | undefined;
  /** How the server compresses messages; it does not when left out. */
  readonly compression?: CompressionSettings | undefined;
}

/** A handshake to answer with 101. */
export interface Handshake {
  /** The fields of the 101. */
  readonly headers: [string, string][];
  /** The subprotocol; empty for none. */
  readonly protocol: string;
  /** What was agreed about compression; `undefined` when it was not agreed. */
  readonly deflate: DeflateAgreement | undefined;
}

/**
 * Checks the handshake of a client.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { shakeHands } from "./handshake.ts";
 *
 * const refusal = shakeHands(new Request("http://localhost/"));
 * assertEquals(refusal instanceof Response && refusal.status, 426);
 * ```
 *
 * @returns What to answer with 101, or the response that refuses the client.
 * @throws {TypeError} when the program chooses a subprotocol that the client
 * does not offer.
 */
export function shakeHands(
  request: Request,
  options: HandshakeOptions = {},
): Handshake | Response {
  const refusal = refusalOf(request) ?? originRefusal(request, options.origins);
  if (refusal !== undefined) return refusal;
  const offered = offeredProtocols(request);
  if (offered === undefined) {
    return refused(400, "Sec-WebSocket-Protocol must be a list of tokens");
  }
  const protocol = chosen(offered, request, options.protocol);
  if (protocol === undefined) {
    return refused(400, `the subprotocol must be "${options.protocol}"`);
  }
  const deflate = agreedDeflate(request, options.compression);
  if (deflate === "malformed") {
    return refused(400, "Sec-WebSocket-Extensions must be a list of offers");
  }
  const key = LazyRequest.field(request, "sec-websocket-key")!;
  const headers: [string, string][] = [
    UPGRADE_FIELD,
    ["Sec-WebSocket-Accept", acceptOf(key)],
  ];
  if (protocol !== "") headers.push(["Sec-WebSocket-Protocol", protocol]);
  if (deflate !== undefined) {
    headers.push(["Sec-WebSocket-Extensions", deflate.header]);
  }
  return { headers, protocol, deflate };
}

/** Whether a request names WebSocket among the protocols that it offers. */
export function asksForWebSocket(request: Request): boolean {
  return UPGRADE.test(LazyRequest.field(request, "upgrade") ?? "");
}

/**
 * Throws unless `value` may be a request.
 *
 * @throws {TypeError} when it is no object.
 */
export function requireRequest(value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw wrongType("request", value, "a Request");
}

/** Whether only the handshake itself may send a field, named in lower case. */
export function isOwnField(name: string): boolean {
  return OWN_FIELD.test(name);
}

/** Refuses what is no handshake: RFC 6455 section 4.2.1. */
function refusalOf(request: Request): Response | undefined {
  if (request.method !== "GET") {
    return refused(405, "the method must be GET", { Allow: "GET" });
  }
  if (LazyRequest.isOld(request)) {
    return refused(400, "the version of HTTP must be 1.1");
  }
  if (!asksForWebSocket(request)) {
    return refused(426, "Upgrade must name websocket", OFFER);
  }
  if (!CONNECTION.test(LazyRequest.field(request, "connection") ?? "")) {
    return refused(400, "Connection must name upgrade");
  }
  if (LazyRequest.field(request, "sec-websocket-version") !== VERSION) {
    const version = { ...OFFER, "Sec-WebSocket-Version": VERSION };
    return refused(426, "Sec-WebSocket-Version must be 13", version);
  }
  if (!KEY.test(LazyRequest.field(request, "sec-websocket-key") ?? "")) {
    return refused(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  }
  // The bytes behind the head are frames: RFC 6455 section 4.1 asks for a GET.
  const length = LazyRequest.field(request, "content-length");
  if (
    LazyRequest.field(request, "transfer-encoding") !== null ||
    length !== null && +length !== 0
  ) {
    return refused(400, "the request must have no body");
  }
  return undefined;
}

/** Refuses pages of other origins: RFC 6455 section 10.2. */
function originRefusal(
  request: Request,
  origins: HandshakeOptions["origins"],
): Response | undefined {
  if (origins === undefined) return undefined;
  const origin = LazyRequest.field(request, "origin");
  const isAllowed = typeof origins === "function"
    ? origins(origin, request)
    : origin === null || origins.includes(origin);
  return isAllowed ? undefined : refused(403, "the origin is not allowed");
}

/** Returns the subprotocol; `undefined` when the client lacks the only one. */
function chosen(
  offered: readonly string[],
  request: Request,
  choice: HandshakeOptions["protocol"],
): string | undefined {
  if (typeof choice !== "function") {
    return !choice || offered.includes(choice) ? choice ?? "" : undefined;
  }
  const protocol = choice(offered, request);
  if (protocol === undefined || offered.includes(protocol)) {
    return protocol ?? "";
  }
  throw new TypeError(
    `Cannot use protocol "${protocol}": the client must offer it`,
  );
}

/** Returns what is agreed on; a malformed offer ends the handshake. */
function agreedDeflate(
  request: Request,
  compression: CompressionSettings | undefined,
): DeflateAgreement | "malformed" | undefined {
  const offers = LazyRequest.field(request, "sec-websocket-extensions");
  return offers === null ? undefined : agreeOnDeflate(offers, compression);
}

/** Returns the offered subprotocols; `undefined` for a malformed list. */
function offeredProtocols(request: Request): string[] | undefined {
  const value = LazyRequest.field(request, "sec-websocket-protocol");
  if (value === null) return [];
  const offered = listOf(value);
  // RFC 6455 section 4.1: at least one, all of them tokens, none twice.
  const isList = offered.length > 0 &&
    offered.every((protocol) => TOKEN.test(protocol)) &&
    new Set(offered).size === offered.length;
  return isList ? offered : undefined;
}

/** Returns the elements of a list, as RFC 9110 section 5.6.1 has it. */
function listOf(value: string): string[] {
  return value.split(",").map((element) => element.trim())
    .filter((element) => element !== "");
}

const text = new Uint8Array(ACCEPT_LENGTH);

/** Returns `Sec-WebSocket-Accept` for a key of the right length. */
function acceptOf(key: string): string {
  for (let index = 0; index < KEY_LENGTH; index++) {
    text[index] = key.charCodeAt(index);
  }
  const code = nativeWebSocket().denio_websocket_accept(text);
  assert(code === 0, "a key has room for its answer");
  return decodeLatin1(text, 0, ACCEPT_LENGTH);
}

function refused(
  status: number,
  why: string,
  headers: HeadersInit = {},
): Response {
  return new Response(`Cannot open a WebSocket: ${why}\n`, { status, headers });
}
