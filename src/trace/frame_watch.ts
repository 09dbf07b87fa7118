/**
 * Finds the frames of a WebSocket in one direction of a connection: RFC 6455
 * section 5.2.
 *
 * It serves a trace only: it follows heads, and checks nothing.
 *
 * @module
 */

const FIN = 0x80;
const COMPRESSED = 0x40;
const OPCODE = 0x0f;
const MASKED = 0x80;
const KEY_BYTES = 4;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const CLOSE = 8;
/** The longest head, and the code of a close frame behind it. */
const HEAD_BYTES_MAX = 16;

const NAMES: Readonly<Record<number, string>> = {
  0: "continuation",
  1: "text",
  2: "binary",
  8: "close",
  9: "ping",
  10: "pong",
};

/** The frames of one direction. */
export class FrameWatch {
  /** The beginning of a frame, until its head is whole. */
  readonly #head: number[] = [];
  /** Bytes of the frame that are still to come. */
  #left = 0;

  /** Takes bytes, and returns the frames that begin in them. */
  take(bytes: Uint8Array, start: number, end: number): string[] {
    const begun: string[] = [];
    for (let at = start; at < end;) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, end - at);
        this.#left -= count;
        at += count;
        continue;
      }
      this.#head.push(bytes[at++]!);
      const text = this.#begun();
      if (text !== undefined) begun.push(text);
    }
    return begun;
  }

  /** Returns the frame, once its head is whole. */
  #begun(): string | undefined {
    const head = this.#head;
    if (head.length < 2) return undefined;
    const [first, second] = head as [number, number];
    const short = second & ~MASKED;
    const lengthBytes = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0;
    const keyBytes = second & MASKED ? KEY_BYTES : 0;
    const size = 2 + lengthBytes + keyBytes;
    if (head.length < size) return undefined;
    const length = lengthBytes === 0 ? short : numberIn(head, 2, lengthBytes);
    const opcode = first & OPCODE;
    // A close frame is shown with its code, two bytes behind the head.
    const wanted = opcode === CLOSE && length >= 2 ? size + 2 : size;
    if (head.length < Math.min(wanted, HEAD_BYTES_MAX)) return undefined;
    this.#left = length - (head.length - size);
    const name = NAMES[opcode] ?? `opcode ${opcode}`;
    const what = wanted > size ? ` ${codeIn(head, size, keyBytes)}` : "";
    head.length = 0;
    return `${name}${what}${opcode < CLOSE ? sizeText(first, length) : ""}`;
  }
}

function sizeText(first: number, length: number): string {
  const how = first & COMPRESSED ? " compressed" : "";
  const rest = first & FIN ? "" : ", more follows";
  return ` of ${length} B${how}${rest}`;
}

function numberIn(bytes: readonly number[], at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    value = value * 256 + bytes[index]!;
  }
  return value;
}

/** Returns the code of a close frame, which a client masks. */
function codeIn(head: readonly number[], at: number, keyBytes: number): number {
  const unmasked = [0, 1].map((index) => {
    const key = keyBytes === 0 ? 0 : head[at - keyBytes + index]!;
    return head[at + index]! ^ key;
  });
  return numberIn(unmasked, 0, 2);
}
