/**
 * Copies of the library, each with one fault: the simulation must find it.
 * `syntax_place.ts` explains how a place is described.
 *
 * @module
 */

import type { Change } from "./syntax_place.ts";

/** One fault. */
export interface Mutant extends Change {
  /** What the copy does wrong, in words. */
  readonly name: string;
  /** The scenario that finds it. */
  readonly scenario: string;
}

/** All of them. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "a connection that has read its share is not read on",
    inside: "read",
    place: "if (budget <= 0) return $0;",
    wrong: "undefined",
    scenario: "echo",
  },
  {
    name: "what was sent of the outbox is miscounted by one",
    inside: "Outbox.shift",
    place: "shift($0)",
    wrong: "Math.max(0, $0 - 1)",
    scenario: "echo",
  },
  {
    name: "the tail of a short write is forgotten",
    inside: "noteSent",
    place: "count > 0 ? $0 : start",
    wrong: "end",
    scenario: "echo",
  },
  {
    name: "the tail of a short write of several parts is forgotten",
    inside: "sendVectored",
    place: "skipped = Math.max(0, $0)",
    wrong: "$0 > 0 ? Infinity : 0",
    scenario: "http",
  },
  {
    name: "several parts overtake what waits in the shared write buffer",
    inside: "writeVectored",
    place: "[take($$), ...$1]",
    wrong: "$1",
    scenario: "http",
  },
  {
    name: "the end is not read for when it came with the last bytes",
    inside: "READS_ON",
    place: "READ_CLOSED",
    wrong: "0",
    scenario: "echo",
  },
  {
    name: "a read that ends at an urgent byte is taken for all that has come",
    inside: "onReady",
    place: "flags |= MARKED",
    wrong: "0",
    scenario: "echo",
  },
  {
    name: "reads stop short though the poll cannot report urgent bytes",
    inside: "EngineConnection",
    place: "lacksPriority ? $0 : 0",
    wrong: "0",
    scenario: "echo",
  },
  {
    name: "bytes that came before a reset are thrown away",
    inside: "breakOff",
    place: "if ($ && isAllRead($)) return $1;",
    wrong: "return $1;",
    scenario: "echo",
  },
  {
    name: "a connect that was reset at once loses what had come",
    inside: "finishConnect",
    place: "error !== undefined && $0",
    wrong: "true",
    scenario: "reactor",
  },
  {
    name: "reading does not go on when the peer has read",
    inside: "decongest",
    place: "$1 & ~CONGESTED",
    wrong: "$1",
    scenario: "echo",
  },
  {
    name: "reading goes on though the peer does not read",
    inside: "UNREADABLE",
    place: "CONGESTED",
    wrong: "0",
    scenario: "echo",
  },
  {
    name: "accepting does not go on after a shortage",
    inside: "awaitRoom",
    place: "restFor(REST_MS)",
    wrong: "0",
    scenario: "echo",
  },
  {
    name: "a full batch of accepts is not followed by the next",
    inside: "accept",
    place: "if (stopped === 0) return $0;",
    wrong: "undefined",
    scenario: "echo",
  },
  {
    name: "closing does not wait for what is unsent",
    inside: "close",
    place: "const isSent = $0;",
    wrong: "true",
    scenario: "echo",
  },
  {
    name: "a lingering connection ends with its peer, whatever is unsent",
    inside: "stopReading",
    place: 'if ($0) destroy($, "closed");',
    wrong: "true",
    scenario: "http",
  },
  {
    name: "read bytes are overwritten though a request refers to them",
    inside: "retain",
    place: "start = end;",
    wrong: "",
    scenario: "http",
  },
  {
    name: "bytes overtake those that wait in the shared write buffer",
    inside: "flushFor",
    place: "if (run >= 0) send(run);",
    wrong: "",
    scenario: "http",
  },
  {
    name: "requests that waited for an answer are not handled after it",
    inside: "settle",
    place: "proceed();",
    wrong: "",
    scenario: "http",
  },
  {
    name: "a body without a reader is left paused",
    inside: "BodyIntake.discard",
    place: "unpause();",
    wrong: "",
    scenario: "http",
  },
  {
    name: "a streamed answer does not go on when the peer has read",
    inside: "HttpConnection.drain",
    place: "exchange.drain();",
    wrong: "",
    scenario: "http",
  },
  {
    name: "the reader of a body gets no error when the client has gone",
    inside: "closed",
    place: "body.fail($);",
    wrong: "",
    scenario: "http",
  },
  {
    name:
      "a slot and its token are used again in the batch they were closed in",
    inside: "Slots.remove",
    place: "entries[slot] = ($1 + 1) & $; closed.push(slot);",
    wrong: "this.#entries[slot] = $1; this.#free.push(slot);",
    scenario: "reactor",
  },
  {
    name: "a resumed connection is not read on",
    inside: "resume",
    place: "if (flags & READABLE) requeue($$);",
    wrong: "",
    scenario: "reactor",
  },
  {
    name: "what is written outside of a turn is not sent",
    inside: "flush",
    place: "call(() => output.flush());",
    wrong: "",
    scenario: "http",
  },
  {
    name: "a timer that is removed leaves the heap out of order",
    inside: "Timers.remove",
    place: "sink(index, last); rise(last.index, last);",
    wrong: "this.#heap[index] = last; last.index = index;",
    scenario: "reactor",
  },
  {
    name: "a parked reactor is not woken for a new timer",
    inside: "start",
    place: "if (isParked) return wake();",
    wrong: "",
    scenario: "reactor",
  },
  {
    name: "a failed connect is taken for a good one",
    inside: "finishConnect",
    place: "error !== undefined && $",
    wrong: "false",
    scenario: "reactor",
  },
  {
    name: "what a batch has read is taken to lie where it does not",
    inside: "Dispatch",
    place: "at += Math.max(0, $1)",
    wrong: "at += $1",
    scenario: "echo",
  },
  {
    name: "connections of a batch are not read on, though they filled the room",
    inside: "Dispatch",
    place: "for (const source of goOn) act($$);",
    wrong: "",
    scenario: "echo",
  },
  {
    name: "what a batch's connections retain is forgotten after it",
    inside: "retain",
    place: "if (end > retained) retained = end;",
    wrong: "",
    scenario: "http",
  },
  {
    name: "nothing is retained any more after the first batch",
    inside: "endBatch",
    place: "retained = -1;",
    wrong: "",
    scenario: "http",
  },
  {
    name: "what a batch has sent is sent again",
    inside: "sendSeveral",
    place: "owners[last] = undefined; owner.runs = 0;",
    wrong: "",
    scenario: "echo",
  },
  {
    name: "a batch overtakes what the system had no room for before",
    inside: "sendSeveral",
    place: "$1 || !owner.sendsAtOnce",
    wrong: "$1",
    scenario: "reactor",
  },
  {
    name: "a batch forgets the later runs of an owner that has several",
    inside: "sendSeveral",
    place: "$1 || owner.runs > 1",
    wrong: "$1",
    scenario: "http",
  },
  {
    name: "a connection that another has paused gets the bytes that were read",
    inside: "INTERRUPTED",
    place: "$ | UNREAD",
    wrong: "CLOSED | ENDED",
    scenario: "reactor",
  },
  {
    name: "what was read for a connection that another stopped is forgotten",
    inside: "keepUnread",
    place: "UNREAD",
    wrong: "0",
    scenario: "reactor",
  },
  {
    name: "bytes kept for a paused connection stay counted",
    inside: "dropUnread",
    place: "countMemory($$);",
    wrong: "",
    scenario: "reactor",
  },
  {
    name: "what a protocol leaves over to the next is forgotten",
    inside: "upgrade",
    place: "keepUnreadFirst($$);",
    wrong: "",
    scenario: "reactor",
  },
  {
    name: "what was read for a stopped connection is lost when it is upgraded",
    inside: "keepUnreadFirst",
    place: "if (kept !== undefined) takeUnread($$);",
    wrong: "",
    scenario: "reactor",
  },
  {
    name: "a connection that is upgraded is not read on",
    inside: "upgrade",
    place: "if (flags & READABLE) requeue($$);",
    wrong: "",
    scenario: "reactor",
  },
];
