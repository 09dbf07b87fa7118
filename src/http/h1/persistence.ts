/**
 * Whether a connection of HTTP/1.1 is used again: RFC 9112 section 9.3.
 *
 * @module
 */

import type { Fields } from "../answer_plan.ts";

/** Whether the handler's own `Connection` says that this answer is the last. */
export function saysClose(fields: Fields): boolean {
  // By index: this runs for each answer, and iterators are objects.
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index]!;
    const name = field[0];
    const isConnection = name.length === 10 &&
      name.toLowerCase() === "connection";
    if (isConnection && /(^|,)\s*close\s*(,|$)/i.test(field[1])) return true;
  }
  return false;
}
