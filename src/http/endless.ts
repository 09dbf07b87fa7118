/**
 * Streams behind whole answers: a stream may have more to give than its content
 * length, or never end.
 *
 * @module
 */

import { ON_ERROR_FAILED } from "./errors.ts";
import type { Service } from "./service.ts";
import type { StreamPump } from "./stream_pump.ts";

/** Streams that one connection waits for at the most. */
const ENDLESS_MAX = 16;

/** Pumps that wait for the end of their streams, by connection. */
const waiting = new WeakMap<object, Set<StreamPump>>();

/**
 * Waits for the end of a stream whose answer is whole, and reports what the
 * stream has to give behind it. Of more than sixteen such streams of one
 * connection, the oldest is cancelled.
 */
export async function watchEnd(
  connection: { readonly service: Service },
  pump: StreamPump,
): Promise<void> {
  const pumps = waiting.get(connection) ?? new Set();
  waiting.set(connection, pumps.add(pump));
  const [oldest] = pumps;
  if (pumps.size > ENDLESS_MAX) oldest!.cancel();
  try {
    await pump.expectEnd();
  } catch (error) {
    reportStream(connection.service, error);
  }
  pumps.delete(pump);
}

/**
 * Reports a stream that failed like a handler that did, as Deno does. The answer
 * to that is not sent, since the answer had begun.
 */
export async function reportStream(
  { onError, report }: Service,
  error: unknown,
): Promise<void> {
  try {
    const response = await onError(error);
    response?.body?.cancel().catch(() => {});
  } catch (second) {
    report(second, ON_ERROR_FAILED);
  }
}

/** Cancels the streams behind the answers of a connection that is gone. */
export function cancelEndless(connection: object): void {
  for (const pump of waiting.get(connection) ?? []) pump.cancel();
}
