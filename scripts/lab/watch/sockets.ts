/**
 * The sockets of a server, as `ss` has them.
 *
 * @module
 */

import { outputOf } from "../../programs.ts";

/** A TCP socket. */
export interface Socket {
  /** Its state, as `ss` names it. */
  readonly state: string;
  /**
   * Bytes that the server has not read; of a listener, connections that nobody
   * has accepted.
   */
  readonly receiveQueue: number;
  /**
   * Bytes that the client has not acknowledged; of a listener, how many
   * connections may wait, `undefined` where only `ss` knows.
   */
  readonly sendQueue: number | undefined;
  /** The client's address. */
  readonly peer: string;
}

/** The states of `/proc/net/tcp`, from 1: `include/net/tcp_states.h`. */
const STATES = [
  ...["ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2"],
  ...["TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"],
];
const HEX = 16;

const WORDS: Readonly<Record<string, string>> = {
  LISTEN: "Recv-Q: connected, not accepted; Send-Q: how many may be",
  ESTAB: "Recv-Q: bytes to read; Send-Q: bytes not acknowledged",
  "CLOSE-WAIT": "the client has ended its half, the server has not",
  "LAST-ACK": "both have ended, the client has to acknowledge it",
  "FIN-WAIT-1": "the server has ended its half",
  "FIN-WAIT-2": "the server has ended its half, the client has not",
  "TIME-WAIT": "closed; late segments are waited for, for a minute",
};

/** Returns what a state means. */
export function stateWord(state: string): string {
  return WORDS[state] ?? "";
}

/** Returns the sockets on a port; `undefined` where nobody knows. */
export function socketsOn(port: number): Socket[] | undefined {
  const text = outputOf(["ss", "-tanH", `sport = :${port}`]);
  if (text !== undefined) return fromSs(text);
  const tables = ["tcp", "tcp6"].map((name) => {
    try {
      return Deno.readTextFileSync(`/proc/net/${name}`);
    } catch {
      return "";
    }
  });
  if (tables.every((table) => table === "")) return undefined;
  return fromProc(tables.join("\n"), port);
}

/** Reads what `ss -tanH` prints. */
export function fromSs(text: string): Socket[] {
  const line = /^(\S+) +(\d+) +(\d+) +\S+ +(\S+)/gm;
  return [...text.matchAll(line)].map(([, state, received, sent, peer]) => ({
    ...{ state: state!, peer: peer! },
    receiveQueue: Number(received),
    sendQueue: Number(sent),
  }));
}

/** Reads `/proc/net/tcp` and `tcp6`: `proc_net_tcp(5)`. */
export function fromProc(text: string, port: number): Socket[] {
  const line =
    /^ *\d+: [\dA-F]+:([\dA-F]{4}) ([\dA-F]+):([\dA-F]{4}) ([\dA-F]{2}) ([\dA-F]{8}):([\dA-F]{8})/gm;
  return [...text.matchAll(line)]
    .filter(([, local]) => parseInt(local!, HEX) === port)
    .map(([, , address, peerPort, code, sent, received]) => {
      const state = STATES[parseInt(code!, HEX) - 1] ?? code!;
      const isListener = state === "LISTEN";
      const number = parseInt(peerPort!, HEX);
      return {
        state,
        receiveQueue: parseInt(received!, HEX),
        sendQueue: isListener ? undefined : parseInt(sent!, HEX),
        peer: `${addressOf(address!)}:${number === 0 ? "*" : number}`,
      };
    });
}

/** Four bytes in the machine's order; longer ones are left as they are. */
function addressOf(hex: string): string {
  if (hex.length > 8) return `[${hex}]`;
  return hex.match(/../g)!.map((byte) => parseInt(byte, HEX)).reverse()
    .join(".");
}
