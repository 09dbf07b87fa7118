/**
 * Sockets of libc's, for what no interface of Deno's or denio's sends: urgent
 * bytes, and descriptors. They block; the peer has room.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { lacks } from "./machine.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_OOB = 1;
/** Bytes of a `struct msghdr`, and of a control message with one descriptor. */
const MSGHDR_BYTES = 56;
const CONTROL_BYTES = 24;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Whether there are none here: their layouts are those of 64-bit Linux. */
export const NO_RAW_SOCKETS: boolean = lacks("64-bit Linux", () => {
  const isKnown = ["x86_64", "aarch64"].includes(Deno.build.arch);
  return Deno.build.os === "linux" && isKnown;
});

/** A connected socket. */
export class RawSocket implements Disposable {
  readonly #libc = Deno.dlopen("libc.so.6", SYMBOLS);
  readonly #fd: number;

  /** Connects to a port of this machine, or to a path. */
  constructor(to: number | string) {
    const { socket, connect } = this.#libc.symbols;
    const family = typeof to === "number" ? AF_INET : AF_UNIX;
    this.#fd = socket(family, SOCK_STREAM, 0);
    const address = typeof to === "number"
      ? new Uint8Array([2, 0, to >> 8, to & 255, 127, 0, 0, 1, ...zeros(8)])
      : new Uint8Array([1, 0, ...new TextEncoder().encode(to), 0]);
    const code = connect(this.#fd, address, address.byteLength);
    assertEquals(code, 0, `connect to ${to}`);
  }

  /** Sends a text. */
  send(text: string): void {
    this.#send(text, 0);
  }

  /** Sends a byte that is urgent: `MSG_OOB`. */
  sendUrgent(byte: string): void {
    this.#send(byte, MSG_OOB);
  }

  /** Sends a text with its own descriptor: `SCM_RIGHTS`, `unix(7)`. */
  sendWithDescriptor(text: string): void {
    const bytes = new TextEncoder().encode(text);
    const part = new BigUint64Array([address(bytes), BigInt(bytes.length)]);
    const control = new Uint8Array(CONTROL_BYTES);
    const fields = new DataView(control.buffer);
    fields.setBigUint64(0, 20n, true);
    fields.setInt32(8, SOL_SOCKET, true);
    fields.setInt32(12, SCM_RIGHTS, true);
    fields.setInt32(16, this.#fd, true);
    const message = new BigUint64Array(MSGHDR_BYTES / 8);
    message[2] = address(part);
    message[3] = 1n;
    message[4] = address(control);
    message[5] = BigInt(CONTROL_BYTES);
    const view = new Uint8Array(message.buffer);
    const sent = this.#libc.symbols.sendmsg(this.#fd, view, 0);
    assertEquals(Number(sent), bytes.length, "sendmsg");
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#fd);
    this.#libc.close();
  }

  #send(text: string, flags: number): void {
    const bytes = new TextEncoder().encode(text);
    const length = BigInt(bytes.length);
    const sent = this.#libc.symbols.send(this.#fd, bytes, length, flags);
    assertEquals(Number(sent), bytes.length, "send");
  }
}

function address(array: Uint8Array | BigUint64Array): bigint {
  return Deno.UnsafePointer.value(
    Deno.UnsafePointer.of(array as Uint8Array<ArrayBuffer>),
  );
}

function zeros(count: number): number[] {
  return new Array(count).fill(0);
}
