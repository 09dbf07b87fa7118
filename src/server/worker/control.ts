/**
 * The messages between a group of Workers and its members, on a pair of Unix
 * streams. Messages for topics go by the same streams.
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
import {
  type Frame,
  FrameKind,
  frameReader,
  messageFrame,
  messageOf,
} from "./frames.ts";
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
  /** Names the group to other machines. */
  readonly origin: Uint8Array<ArrayBuffer>;
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

/** What one end of the streams receives. */
export interface ControlHandlers<Message extends Report | Order> {
  /** A message has come. */
  message(message: Message): void;
  /** A frame of a topic has come; its bytes are valid until this returns. */
  topic(frame: Frame): void;
  /** The other end has taken bytes. */
  drain?(): void;
  /** The stream has ended. */
  end(): void;
}

/** Sends a message. */
export function send(to: Connection, message: Report | Order): void {
  to.write(messageFrame(message));
}

/** Returns the handlers of one end. */
export function receiving<Message extends Report | Order>(
  { message, topic, drain, end }: ControlHandlers<Message>,
): ConnectionHandlers {
  const read = frameReader((frame) => {
    if (frame.kind !== FrameKind.MESSAGE) topic(frame);
    else message(messageOf(frame) as Message);
  });
  return {
    // Two ends that both wait for the other to read would wait forever.
    keepsReading: true,
    data: (_, bytes, start, end) => read(bytes, start, end),
    ...drain && { drain },
    // The end of a Worker may reset the stream: `close` follows in any case.
    error() {},
    close: end,
  };
}
