/**
 * Hands a connection of HTTP/1.1 over to another protocol, behind a 101.
 *
 * The 101 may be written while `data` still works on bytes of the connection.
 * So the connection leaves HTTP in two steps: {@linkcode handOver} writes the
 * head, after which no byte is taken for HTTP, and {@linkcode leave} follows
 * when `data` is done.
 *
 * @module
 */

import { defer } from "../../base/own.ts";
import type { Transport } from "../../stream/transport.ts";
import { type AnswerPlan, RequestFlag } from "../answer_plan.ts";
import { cancelEndless } from "../stream_pump.ts";
import type { Handover } from "../takeover.ts";
import { writeWhole } from "./answer_writer.ts";
import { ConnectionField } from "./heads.ts";
import { type Http1, Reading, SHUT_DOWN } from "./state.ts";

/** What takes over: for connections between the two steps only. */
const handovers = new WeakMap<Http1, Handover>();

/**
 * Writes a 101: from now on the connection's bytes belong to another protocol.
 *
 * @throws {TypeError} when the request does not allow that, or when a field
 * cannot be sent; nothing is written then.
 */
export function handOver(
  connection: Http1,
  plan: AnswerPlan,
  handover: Handover,
): void {
  // RFC 9110 section 7.8: HTTP/1.0 has no upgrade.
  if (connection.flags & RequestFlag.HTTP_1_0) {
    throw cannotSwitch("the request is of HTTP/1.0");
  }
  // The next bytes are the body's, or will never be read.
  if (connection.reading !== Reading.HEAD) {
    throw cannotSwitch("the body of the request is not whole");
  }
  const { transport, service } = connection;
  writeWhole(transport, service.heads, plan, ConnectionField.UPGRADE);
  connection.reading = Reading.HANDED_OVER;
  connection.exchange = undefined;
  handovers.set(connection, handover);
}

/**
 * Calls the takeover, with the bytes that came behind the request. HTTP keeps
 * nothing, and what is left of the request can touch the transport no more.
 * Does nothing when the connection has left before.
 */
export function leave(connection: Http1): void {
  const handover = handovers.get(connection);
  if (handover === undefined) return;
  handovers.delete(connection);
  const { transport, service, pending } = connection;
  cancelEndless(connection);
  connection.pending = undefined;
  connection.intake = undefined;
  // The new protocol begins with a transport that reads.
  connection.unpause();
  // `http1` gets whole transports.
  const whole = transport as unknown as Transport;
  try {
    handover.takeover(whole, service, pending?.queue.joined());
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
    // The server has ended the connection since the 101 was written.
    return handover.lost?.();
  }
  // Not here: `data` may run.
  if (connection.state & SHUT_DOWN) defer(() => transport.shutdown?.());
}

function cannotSwitch(why: string): TypeError {
  return new TypeError(`Cannot switch protocols: ${why}`);
}
