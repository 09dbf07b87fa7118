/**
 * What a group of Workers and each of its members say to one another: lines of
 * JSON on a pair of Unix streams.
 *
 * Not messages of Deno's, which a Worker whose reactor blocks would see late,
 * and whose order beside the Worker's end is not told: the stream's end is the
 * Worker's, however that ended.
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

/** What a member is to do, posted to it once. */
export interface Assignment {
  /** Its end of the pair of streams. */
  readonly control: number;
  /** A module with a `fetch`; the member echoes when it is undefined. */
  readonly module: string | undefined;
  /** The folder from which a path of a module leads. */
  readonly folder: string;
  /** The backend to wait with; the environment's when left out. */
  readonly backend: string | undefined;
  /** Where to listen, together with the others. */
  readonly where: Where;
  /** The socket that all accept from; left out, each binds one of its own. */
  readonly shared: SharedSocket | undefined;
  /** Options of `serve`. */
  readonly options: MemberOptions;
  /** The memory of the group's `AcceptTable`. */
  readonly table: Int32Array<SharedArrayBuffer>;
  /** Its own place there. */
  readonly index: number;
}

/** A port from 0 to 65535, 0 only for the first member of all; or a path. */
export type Where =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string };

/** Options of `serve` that can be posted. */
export interface MemberOptions extends Omit<LimitedOptions, "bodyBytesMax"> {
  /** Bytes of a request's body; more is 413. 128 MiB when left out. */
  bodyBytesMax?: number;
}

/** What a member says. */
export type Report =
  | { kind: "serving"; addr: ServeAddress; backend: string }
  | { kind: "failed"; name: string; message: string }
  | { kind: "stopped" };

/** What a group says. */
export type Order = { kind: "stop" };

const encoder = new TextEncoder();

/** Says something. */
export function tell(to: Connection, what: Report | Order): void {
  to.write(encoder.encode(`${JSON.stringify(what)}\n`));
}

/** Returns handlers that call `hear` with all that is said, and `end` at last. */
export function listening<What extends Report | Order>(
  hear: (what: What) => void,
  end: () => void,
): ConnectionHandlers {
  const decoder = new TextDecoder();
  let rest = "";
  return {
    data(_connection, bytes, start, end) {
      rest += decoder.decode(bytes.subarray(start, end), { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop()!;
      for (const line of lines) hear(JSON.parse(line));
    },
    // A Worker's end may reset the stream: `close` follows, as after any end.
    error() {},
    close: end,
  };
}
