/**
 * Breaches of WebSocket's protocol, by clients on purpose, and the code with
 * which the server must close: RFC 6455 section 7.4.1.
 *
 * @module
 */

import {
  BINARY,
  CLOSE,
  CONTINUATION,
  FIN,
  PING,
  RSV1,
  TEXT,
} from "../../src/websocket/frames.ts";
import { deflateOnce } from "../util/deflate_peer.ts";
import { latin1 } from "../util/http_bytes.ts";
import { maskedClose, maskedFrame } from "../util/websocket_frames.ts";

const RSV2 = 0x20;
/** More fragments than this take a client too long. */
const FRAGMENTS_MAX = 100;
/** More bytes than this take a client too long. */
const BYTES_MAX = 1_000_000;

/** The limits of WebSockets that clients may exceed. */
export interface ScriptLimits {
  /** The most frames of a message. */
  readonly fragmentsMax: number;
  /** The most bytes of a message. */
  readonly messageBytesMax: number;
  /** What the client offers, and the server takes; `undefined` for nothing. */
  readonly offer: string | undefined;
}

/** Takes bytes. */
type Add = (bytes: Uint8Array<ArrayBuffer>) => void;

/** A way to break the protocol. */
export interface Breach {
  /** The code that the server must close with. */
  readonly code: number;
  /** Whether it shows only when a message is decompressed. */
  readonly isHidden?: boolean;
  /** Adds the bytes; returns false when the limits do not allow it. */
  write(limits: ScriptLimits, add: Add): boolean;
}

function breach(code: number, bytes: Uint8Array<ArrayBuffer>): Breach {
  return {
    code,
    write: (_limits, add) => {
      add(bytes);
      return true;
    },
  };
}

/** Breaks the bound of a message's frames. */
const tooManyFragments: Breach = {
  code: 1008,
  write({ fragmentsMax }, add) {
    if (fragmentsMax > FRAGMENTS_MAX) return false;
    add(maskedFrame(BINARY, "a"));
    for (let count = 0; count < fragmentsMax; count++) {
      add(maskedFrame(CONTINUATION, "b"));
    }
    return true;
  },
};

/** Breaks the bound of a message's bytes, by the head of a frame alone. */
const tooManyBytes: Breach = {
  code: 1009,
  write({ messageBytesMax }, add) {
    if (messageBytesMax > BYTES_MAX) return false;
    const payload = new Uint8Array(messageBytesMax + 1);
    add(maskedFrame(FIN | BINARY, payload).slice(0, 20));
    return true;
  },
};

/** The same by two frames. */
const tooManyBytesTogether: Breach = {
  code: 1009,
  write({ messageBytesMax }, add) {
    if (messageBytesMax > BYTES_MAX) return false;
    add(maskedFrame(BINARY, "a"));
    const payload = new Uint8Array(messageBytesMax);
    add(maskedFrame(FIN | CONTINUATION, payload).slice(0, 20));
    return true;
  },
};

/** Breaks the bound by a message that grows when it is decompressed. */
const bomb: Breach = {
  code: 1009,
  isHidden: true,
  write({ messageBytesMax, offer }, add) {
    if (messageBytesMax > BYTES_MAX || offer === undefined) return false;
    const zeros = new Uint8Array(messageBytesMax + 1);
    add(maskedFrame(FIN | RSV1 | BINARY, deflateOnce(zeros)));
    return true;
  },
};

/** A compressed message that is none. */
const corrupt: Breach = {
  code: 1007,
  isHidden: true,
  write({ offer }, add) {
    if (offer === undefined) return false;
    add(maskedFrame(FIN | RSV1 | BINARY, Uint8Array.of(7, 7, 7)));
    return true;
  },
};

const HALF_A_CHARACTER = Uint8Array.of(0xe2, 0x82);

/** All of them; no one begins inside of a message. */
export const BREACHES: readonly Breach[] = [
  breach(1002, maskedFrame(FIN | RSV2 | TEXT, "reserved")),
  breach(1002, maskedFrame(FIN | RSV1 | PING, "compressed")),
  breach(1002, maskedFrame(FIN | 3, "unknown")),
  breach(1002, maskedFrame(PING, "in fragments")),
  breach(1002, maskedFrame(FIN | PING, new Uint8Array(126))),
  breach(1002, Uint8Array.of(FIN | TEXT, 2, 65, 65)),
  breach(1002, Uint8Array.of(FIN | TEXT, 0x80 | 126, 0, 1, 0, 0, 0, 0, 65)),
  breach(1002, maskedFrame(FIN | CLOSE, "a")),
  breach(1002, maskedClose(1005, "")),
  breach(1002, maskedClose(5000, "")),
  breach(1007, maskedFrame(FIN | TEXT, latin1("a\xff"))),
  breach(1007, maskedFrame(FIN | TEXT, HALF_A_CHARACTER)),
  breach(1007, maskedFrame(FIN | CLOSE, latin1("\x03\xe8\xff"))),
  tooManyFragments,
  tooManyBytes,
  tooManyBytesTogether,
  bomb,
  corrupt,
];
