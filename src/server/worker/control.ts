/**
 * The messages between a group of Workers and its members: lines of JSON on a
 * pair of Unix streams.
 *
 * Deno's own messages would reach a blocking reactor late, and have no fixed
 * order with the end of the Worker. The end of the stream is the end of the
 * Worker.
 *
 * @module
 */

import type { ServeAddress } from "../../http/transport.ts";
import type { LimitedOptions } from "../option_table.ts";
import type {
  Connection,
  ConnectionHandlers,
} from "../../reactor/connection.ts";
import type { SharedSocket } from "./shared_listener.ts";

/** The work of a member, posted to it once. */
export interface Assignment {
  /** The member's end of the pair of streams. */
  readonly control: number;
  /** A module with a `fetch`; without one the member echoes. */
  readonly module: string | undefined;
  /** The folder that a module's path is relative to. */
  readonly folder: string;
  /** The backend of the poll; the environment's when left out. */
  readonly backend: string | undefined;
  /** The address that all members listen on. */
  readonly where: Where;
  /** The socket that all accept from; without one each member binds its own. */
  readonly shared: SharedSocket | undefined;
  /** Options of `serve`. */
  readonly options: MemberOptions;
  /** The memory of the group's `AcceptTable`. */
  readonly table: Int32Array<SharedArrayBuffer>;
  /** The member's row of the table. */
  readonly index: number;
}

/** A port from 0 to 65535, 0 for the first member only; or a path. */
export type Where =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string };

/** Options of `serve` that can be posted to a Worker. */
export interface MemberOptions extends Omit<LimitedOptions, "bodyBytesMax"> {
  /** Bytes of a request's body; more is 413. 128 MiB when left out. */
  bodyBytesMax?: number;
}

/** A message of a member. */
export type Report =
  | { kind: "serving"; addr: ServeAddress; backend: string }
  | { kind: "failed"; name: string; message: string }
  | { kind: "stopped" };

/** A message of a group. */
export type Order = { kind: "stop" };

const encoder = new TextEncoder();

/** Sends a message. */
export function send(to: Connection, message: Report | Order): void {
  to.write(encoder.encode(`${JSON.stringify(message)}\n`));
}

/** Returns handlers that call `receive` for each message, and `end` at last. */
export function receiving<Message extends Report | Order>(
  receive: (message: Message) => void,
  end: () => void,
): ConnectionHandlers {
  const decoder = new TextDecoder();
  let rest = "";
  return {
    data(_connection, bytes, start, end) {
      rest += decoder.decode(bytes.subarray(start, end), { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      for (const line of lines) receive(JSON.parse(line));
    },
    // The end of a Worker may reset the stream: `close` follows in any case.
    error() {},
    close: end,
  };
}
