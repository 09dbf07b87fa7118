/**
 * The offers of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), and what is
 * agreed on of permessage-deflate (RFC 7692 section 7.1).
 *
 * @module
 */

import { wrongType } from "../base/checks.ts";

/** How a server compresses messages: {@linkcode compressionSettings}. */
export interface CompressionOptions {
  /**
   * Whether a message may refer to messages that the server has sent before.
   * Similar small messages get much smaller. But each socket then keeps what it
   * has sent last, up to its window, and compressing takes about 1 microsecond
   * more for each KiB of that. Default: false.
   */
  readonly serverContextTakeover?: boolean;
  /**
   * Whether a client may refer to messages that it has sent before. Each socket
   * then keeps what it has received last, up to its window. Default: false.
   */
  readonly clientContextTakeover?: boolean;
  /**
   * The window of the server is `2 ** serverWindowBits` bytes, from 8 to 15; a
   * client may ask for less. Default: 15, or 12 with context takeover.
   */
  readonly serverWindowBits?: number;
  /**
   * The most for the client's window, if the client allows the server to limit
   * it. Default: 15, or 12 with context takeover.
   */
  readonly clientWindowBits?: number;
  /**
   * From 1, which takes a third of the time, to 9, which takes three times as
   * long, for a few percent. Default: 3.
   */
  readonly level?: number;
  /** Smaller messages are not compressed. Default: 1024. */
  readonly thresholdBytes?: number;
}

/** {@linkcode CompressionOptions} that have been checked, with defaults. */
export type CompressionSettings = Required<CompressionOptions>;

/** What client and server have agreed on. */
export interface DeflateAgreement {
  /** The value of `Sec-WebSocket-Extensions` in the answer. */
  readonly header: string;
  /** Whether what the server sends may refer to earlier messages. */
  readonly serverContextTakeover: boolean;
  /** Whether what the client sends may refer to earlier messages. */
  readonly clientContextTakeover: boolean;
  /** The window of what the server sends. */
  readonly serverWindowBits: number;
  /** The window of what the client sends. */
  readonly clientWindowBits: number;
}

/** An extension with its parameters in their order. */
interface Offer {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value?: string])[];
}

/** The parameters of one offer of permessage-deflate. */
interface DeflateOffer {
  server_no_context_takeover?: true;
  client_no_context_takeover?: true;
  server_max_window_bits?: number;
  /** Without a value in the offer: the largest. */
  client_max_window_bits?: number;
}

const EXTENSION = "permessage-deflate";
const WINDOW_BITS_MIN = 8;
const WINDOW_BITS_MAX = 15;
/**
 * The default with context takeover. Messages of 1 KiB get no smaller with a
 * larger window, and 4 KiB are copied and searched for each.
 */
const TAKEOVER_BITS = 12;
const LEVEL_MAX = 9;
/** Messages that fit into one packet do not arrive sooner for being smaller. */
const THRESHOLD_BYTES = 1024;
/**
 * zlib's 3 of 9. A KiB of JSON shrinks to 26 percent in 11 microseconds. The
 * default of zlib, 6, takes twice as long for 16 KiB, and saves 7 percent.
 */
const LEVEL = 3;

/** RFC 9110 section 5.6.2. */
const TOKEN = /[!#$%&'*+.^_`|~\w-]+/y;
/** RFC 9110 section 5.6.4. */
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SPACE = /[ \t]*/y;
/** RFC 7692 section 7.1.2: no leading zeros. */
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;

/**
 * Returns the settings of a program's `compression`; `undefined` when it wants
 * none.
 *
 * @throws {TypeError} when an option is of another type.
 * @throws {RangeError} when a number is out of its range.
 */
export function compressionSettings(
  compression: boolean | CompressionOptions,
): CompressionSettings | undefined {
  if (compression === false) return undefined;
  const options = compression === true ? {} : compression;
  if (typeof options !== "object" || options === null) {
    throw wrongType("compression", options, "a boolean or an object");
  }
  const serverContextTakeover = flag(options, "serverContextTakeover");
  const clientContextTakeover = flag(options, "clientContextTakeover");
  const bits = (takesOver: boolean) => ({
    least: WINDOW_BITS_MIN,
    most: WINDOW_BITS_MAX,
    otherwise: takesOver ? TAKEOVER_BITS : WINDOW_BITS_MAX,
  });
  const levels = { least: 1, most: LEVEL_MAX, otherwise: LEVEL };
  const bytes = { least: 0, most: Infinity, otherwise: THRESHOLD_BYTES };
  return {
    serverContextTakeover,
    clientContextTakeover,
    serverWindowBits: whole(
      options,
      "serverWindowBits",
      bits(serverContextTakeover),
    ),
    clientWindowBits: whole(
      options,
      "clientWindowBits",
      bits(clientContextTakeover),
    ),
    level: whole(options, "level", levels),
    thresholdBytes: whole(options, "thresholdBytes", bytes),
  };
}

function flag(
  options: CompressionOptions,
  name: "serverContextTakeover" | "clientContextTakeover",
): boolean {
  const value = options[name] ?? false;
  if (typeof value === "boolean") return value;
  throw wrongType(`compression.${name}`, value, "a boolean");
}

function whole(
  options: CompressionOptions,
  name: "serverWindowBits" | "clientWindowBits" | "level" | "thresholdBytes",
  range: { least: number; most: number; otherwise: number },
): number {
  const value = options[name] ?? range.otherwise;
  if (typeof value !== "number") {
    throw wrongType(`compression.${name}`, value, "a number");
  }
  const { least, most } = range;
  if (Number.isInteger(value) && least <= value && value <= most) return value;
  const wanted = most === Infinity
    ? `an integer from ${least} on`
    : `an integer from ${least} to ${most}`;
  throw new RangeError(
    `Cannot use compression.${name} "${value}": it must be ${wanted}`,
  );
}

/**
 * Chooses among the offers of a client: the first of permessage-deflate that is
 * valid. An offer with a parameter that is unknown, invalid or there twice is
 * declined, as RFC 7692 section 7.1 has it.
 *
 * @param header The value of `Sec-WebSocket-Extensions`.
 * @param settings What the server wants; `undefined` declines all offers.
 * @returns What is agreed on; `undefined` when no offer is accepted;
 * "malformed" for a header of another grammar, which must end the handshake:
 * RFC 6455 section 9.1.
 */
export function agreeOnDeflate(
  header: string,
  settings: CompressionSettings | undefined,
): DeflateAgreement | "malformed" | undefined {
  const offers = parseOffers(header);
  if (offers === undefined) return "malformed";
  if (settings === undefined) return undefined;
  for (const offer of offers) {
    const deflate = deflateOffer(offer);
    if (deflate !== undefined) return answerTo(deflate, settings);
  }
  return undefined;
}

/** Returns the parameters of a valid offer. */
function deflateOffer(offer: Offer): DeflateOffer | undefined {
  if (offer.name !== EXTENSION) return undefined;
  const deflate: DeflateOffer = {};
  for (const [name, value] of offer.parameters) {
    if (name in deflate) return undefined;
    switch (name) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        if (value !== undefined) return undefined;
        deflate[name] = true;
        break;
      case "server_max_window_bits":
      case "client_max_window_bits": {
        const isOpen = name === "client_max_window_bits" && value === undefined;
        if (!isOpen && !WINDOW_BITS.test(value ?? "")) return undefined;
        deflate[name] = isOpen ? WINDOW_BITS_MAX : Number(value);
        break;
      }
      default:
        return undefined;
    }
  }
  return deflate;
}

function answerTo(
  offer: DeflateOffer,
  settings: CompressionSettings,
): DeflateAgreement {
  const serverContextTakeover = settings.serverContextTakeover &&
    offer.server_no_context_takeover === undefined;
  const clientContextTakeover = settings.clientContextTakeover &&
    offer.client_no_context_takeover === undefined;
  const serverWindowBits = Math.min(
    settings.serverWindowBits,
    offer.server_max_window_bits ?? WINDOW_BITS_MAX,
  );
  // Only a client that offers the parameter can be limited.
  const offered = offer.client_max_window_bits;
  const clientWindowBits = offered === undefined
    ? WINDOW_BITS_MAX
    : Math.min(settings.clientWindowBits, offered);
  let header = EXTENSION;
  if (!serverContextTakeover) header += "; server_no_context_takeover";
  if (!clientContextTakeover) header += "; client_no_context_takeover";
  if (
    serverWindowBits < WINDOW_BITS_MAX ||
    offer.server_max_window_bits !== undefined
  ) header += `; server_max_window_bits=${serverWindowBits}`;
  if (offered !== undefined && clientWindowBits < offered) {
    header += `; client_max_window_bits=${clientWindowBits}`;
  }
  return {
    header,
    serverContextTakeover,
    clientContextTakeover,
    serverWindowBits,
    clientWindowBits,
  };
}

/** Returns all offers; `undefined` for a header of another grammar. */
function parseOffers(header: string): Offer[] | undefined {
  const scanner = new Scanner(header);
  const offers: Offer[] = [];
  do {
    // A list may have empty elements: RFC 9110 section 5.6.1.2.
    if (scanner.isAtListSeam()) continue;
    const offer = parseOffer(scanner);
    if (offer === undefined) return undefined;
    offers.push(offer);
  } while (scanner.takes(","));
  return scanner.isAtEnd() && offers.length > 0 ? offers : undefined;
}

function parseOffer(scanner: Scanner): Offer | undefined {
  const name = scanner.token();
  if (name === undefined) return undefined;
  const parameters: (readonly [string, string?])[] = [];
  while (scanner.takes(";")) {
    const parameter = scanner.token();
    if (parameter === undefined) return undefined;
    if (!scanner.takes("=")) {
      parameters.push([parameter]);
      continue;
    }
    const value = scanner.token() ?? scanner.quotedToken();
    if (value === undefined) return undefined;
    parameters.push([parameter, value]);
  }
  return { name, parameters };
}

/** A place in a header. Each method skips the space behind what it takes. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#take(SPACE);
  }

  isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  isAtListSeam(): boolean {
    return this.isAtEnd() || this.#text[this.#at] === ",";
  }

  takes(sign: string): boolean {
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    this.#take(SPACE);
    return true;
  }

  token(): string | undefined {
    const token = this.#take(TOKEN)?.[0];
    this.#take(SPACE);
    return token;
  }

  /** Takes a quoted token: what is in quotes must be a token, too. */
  quotedToken(): string | undefined {
    const value = this.#take(QUOTED)?.[1]?.replaceAll(/\\(.)/g, "$1");
    this.#take(SPACE);
    if (value === undefined) return undefined;
    TOKEN.lastIndex = 0;
    return TOKEN.exec(value)?.[0] === value ? value : undefined;
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }
}
