/**
 * Handlers that record their calls.
 *
 * @module
 */

import type {
  Connection,
  ConnectionHandlers,
} from "../../src/reactor/connection.ts";

/** The bytes of a text. */
export function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The text of the bytes from `start` to `end`. */
export function decoded(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.byteLength,
): string {
  return new TextDecoder().decode(bytes.subarray(start, end));
}

/**
 * Returns `handlers` that first add a line to `log`: the name of what was
 * called, with the text that came or the name of the error. Those that are not
 * given do nothing else; `end` stays away, since that changes what happens.
 */
export function logged(
  log: string[],
  handlers: Partial<ConnectionHandlers> = {},
): ConnectionHandlers {
  const { open, data, end, ending, drain, error, close } = handlers;
  const noted = (line: string, call: (() => void) | undefined) => {
    log.push(line);
    call?.();
  };
  return {
    open: (connection) => noted("open", open && (() => open(connection))),
    data: (connection, bytes, start, end) =>
      noted(
        `data ${decoded(bytes, start, end)}`,
        data && (() => data(connection, bytes, start, end)),
      ),
    ending: (connection) =>
      noted("ending", ending && (() => ending(connection))),
    drain: (connection) => noted("drain", drain && (() => drain(connection))),
    error: (connection, cause) =>
      noted(`error ${cause.name}`, error && (() => error(connection, cause))),
    close: (connection, reason) =>
      noted("close", close && (() => close(connection, reason))),
    ...end && {
      end: (connection: Connection) => noted("end", () => end(connection)),
    },
  };
}

/** Handlers that send all bytes back. */
export const ECHO: ConnectionHandlers = {
  data: (connection, bytes, start, end) => {
    connection.write(bytes, start, end);
  },
};
