/**
 * Streams behind whole answers: a stream may have more to give than its content
 * length, or never end.
 *
 * @module
 */

import type { StreamPump } from "./stream_pump.ts";

/** Streams that one connection waits for at the most. */
const ENDLESS_MAX = 16;

/** Pumps that wait for the end of their streams, by connection. */
const waiting = new WeakMap<object, Set<StreamPump>>();

/**
 * Resolves when a stream ends whose answer is whole. Of more than sixteen such
 * streams of one connection, the oldest is cancelled.
 *
 * @throws What the stream throws, or that it is longer than it may be.
 */
export async function expectEnd(
  connection: object,
  pump: StreamPump,
): Promise<void> {
  const pumps = waiting.get(connection) ?? new Set();
  waiting.set(connection, pumps.add(pump));
  const [oldest] = pumps;
  if (pumps.size > ENDLESS_MAX) oldest!.cancel();
  try {
    await pump.expectEnd();
  } finally {
    pumps.delete(pump);
  }
}

/** Cancels the streams behind the answers of a connection that is gone. */
export function cancelEndless(connection: object): void {
  for (const pump of waiting.get(connection) ?? []) pump.cancel();
}
