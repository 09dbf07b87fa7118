/**
 * Faults that somebody could make, to see that the simulation finds them: each
 * changes one place of the source.
 *
 * @module
 */

/** One fault. */
export interface Bite {
  /** What is wrong with it. */
  readonly name: string;
  /** The file, from `src/`. */
  readonly file: string;
  /** What is there, exactly once. */
  readonly right: string;
  /** What takes its place. */
  readonly wrong: string;
  /** The scenario that finds it. */
  readonly scenario: string;
}

/** All of them. */
export const BITES: readonly Bite[] = [
  {
    name: "a connection that has read its share is not read on",
    file: "reactor/connection.ts",
    right: "if (budget <= 0) return this.#requeue();",
    wrong: "if (budget <= 0) return;",
    scenario: "echo",
  },
  {
    name: "what was sent of the outbox is miscounted by one",
    file: "bytes/outbox.ts",
    right: "this.#queue.shift(count);",
    wrong: "this.#queue.shift(Math.max(0, count - 1));",
    scenario: "echo",
  },
  {
    name: "the tail of a short write is forgotten",
    file: "reactor/connection.ts",
    right: "const left = count > 0 ? start + count : start;",
    wrong: "const left = count > 0 ? end : start;",
    scenario: "echo",
  },
  {
    name: "the tail of a short write of several parts is forgotten",
    file: "reactor/connection.ts",
    right: "skipped = Math.max(0, sent);",
    wrong: "skipped = sent > 0 ? Infinity : 0;",
    scenario: "http",
  },
  {
    name: "several parts overtake what waits in the shared write buffer",
    file: "reactor/connection.ts",
    right: "else this.#sendVectored([this.#host.output.take(this), ...parts]);",
    wrong: "else this.#sendVectored(parts);",
    scenario: "http",
  },
  {
    name: "the end is not read for when it came with the last bytes",
    file: "reactor/connection.ts",
    right: "const READS_ON = READ_CLOSED | MARKED | UNMARKED;",
    wrong: "const READS_ON = MARKED | UNMARKED;",
    scenario: "echo",
  },
  {
    name: "a read that ends at an urgent byte is taken for all that has come",
    file: "reactor/connection.ts",
    right: "    if (readiness & Readiness.PRIORITY) this.#flags |= MARKED;\n",
    wrong: "",
    scenario: "echo",
  },
  {
    name: "reads stop short though the poll cannot tell of urgent bytes",
    file: "reactor/connection.ts",
    right: "(host.lacksPriority ? UNMARKED : 0)",
    wrong: "0",
    scenario: "echo",
  },
  {
    name: "bytes that came before a reset are thrown away",
    file: "reactor/connection.ts",
    right:
      "    this.#requeue();\n    try {\n      this.#origin.handlers.broken?.(this, error);\n",
    wrong: "    try {\n      this.#failBroken();\n",
    scenario: "echo",
  },
  {
    name: "a connect that was reset at once loses what had come",
    file: "reactor/connection.ts",
    right: "if (error !== undefined && !(this.#stream.unreadBytes! > 0)) {",
    wrong: "if (error !== undefined) {",
    scenario: "reactor",
  },
  {
    name: "reading does not go on when the peer has read",
    file: "reactor/connection.ts",
    right: "this.#flags = this.#flags & ~CONGESTED | RESUMED;",
    wrong: "this.#flags |= RESUMED;",
    scenario: "echo",
  },
  {
    name: "reading goes on though the peer does not read",
    file: "reactor/connection.ts",
    right: "const UNREADABLE = STOPPED | CONGESTED;",
    wrong: "const UNREADABLE = STOPPED;",
    scenario: "echo",
  },
  {
    name: "accepting does not go on after a shortage",
    file: "reactor/listener.ts",
    right: "  #awaitRoom(): void {\n    this.#restFor(REST_MS);",
    wrong: "  #awaitRoom(): void {",
    scenario: "echo",
  },
  {
    name: "a full batch of accepts is not followed by the next",
    file: "reactor/listener.ts",
    right: "if (stopped === 0) return this.#host.requeue(this);",
    wrong: "if (stopped === 0) return;",
    scenario: "echo",
  },
  {
    name: "closing does not wait for what is unsent",
    file: "reactor/connection.ts",
    right: "const isSent = this.#outbox === undefined;",
    wrong: "const isSent = true;",
    scenario: "echo",
  },
  {
    name: "a lingering connection ends with its peer, whatever is unsent",
    file: "reactor/connection.ts",
    right: 'if (this.#flags & WRITE_ENDED) this.#destroy("closed");',
    wrong: 'this.#destroy("closed");',
    scenario: "http",
  },
  {
    name: "read bytes are overwritten though a request refers to them",
    file: "bytes/buffers.ts",
    right: "    this.offset = end;\n",
    wrong: "",
    scenario: "http",
  },
  {
    name: "bytes overtake those that wait in the shared write buffer",
    file: "bytes/buffers.ts",
    right: "    if (run >= 0) this.#send(run);\n",
    wrong: "",
    scenario: "http",
  },
  {
    name: "requests that waited for an answer are not handled after it",
    file: "http/h1/connection.ts",
    right: "    this.#resumePending();\n  }\n\n  #handleError",
    wrong: "  }\n\n  #handleError",
    scenario: "http",
  },
  {
    name: "a body that nobody reads any more is left paused",
    file: "http/h1/connection.ts",
    right: "      body.discard();\n      this.#unpause();\n",
    wrong: "      body.discard();\n",
    scenario: "http",
  },
  {
    name: "a streamed answer does not go on when the peer has read",
    file: "http/h1/connection.ts",
    right: "    this.#stream?.drain();\n",
    wrong: "",
    scenario: "http",
  },
  {
    name: "whoever reads a body is not told that the client has gone",
    file: "http/h1/connection.ts",
    right: "    this.#body?.fail(reason);\n",
    wrong: "",
    scenario: "http",
  },
  {
    name:
      "a slot and its token are used again in the batch they were closed in",
    file: "reactor/slots.ts",
    right: "    this.#entries[slot] = (generation + 1) & GENERATION_MAX;\n" +
      "    this.#closed.push(slot);\n",
    wrong: "    this.#entries[slot] = generation;\n" +
      "    this.#free.push(slot);\n",
    scenario: "reactor",
  },
  {
    name: "a resumed connection is not read on",
    file: "reactor/connection.ts",
    right: "    this.#flags = this.#flags & ~PAUSED | RESUMED;\n" +
      "    if (this.#flags & READABLE) this.#requeue();\n",
    wrong: "    this.#flags = this.#flags & ~PAUSED | RESUMED;\n",
    scenario: "reactor",
  },
  {
    name: "what is written outside of a turn is not sent",
    file: "reactor/host.ts",
    right:
      "    this.#flushes = false;\n    this.#call(() => this.output.flush());\n",
    wrong: "    this.#flushes = false;\n",
    scenario: "http",
  },
  {
    name: "a timer that is removed leaves the heap out of order",
    file: "reactor/timers.ts",
    right:
      "      this.#sink(index, last);\n      this.#rise(last.index, last);\n",
    wrong: "      this.#heap[index] = last;\n      last.index = index;\n",
    scenario: "reactor",
  },
  {
    name: "a parked reactor is not woken for a new timer",
    file: "reactor/reactor.ts",
    right: "    if (this.#isParked) return this.#wake();\n",
    wrong: "",
    scenario: "reactor",
  },
  {
    name: "a failed connect is taken for a good one",
    file: "reactor/connection.ts",
    right: "if (error !== undefined && !(this.#stream.unreadBytes! > 0)) {",
    wrong: "if (false) {",
    scenario: "reactor",
  },
  {
    name: "what a batch has read is taken to lie where it does not",
    file: "reactor/dispatch.ts",
    right: "      at += Math.max(0, count);\n",
    wrong: "      at += count;\n",
    scenario: "echo",
  },
  {
    name: "the last of a batch is not read on, though it filled the room",
    file: "reactor/dispatch.ts",
    right: "    if (goesOn !== undefined) host.act(goesOn, 0);\n",
    wrong: "",
    scenario: "echo",
  },
  {
    name: "what a batch's connections retain is forgotten after it",
    file: "bytes/buffers.ts",
    right: "      if (end > this.#retained) this.#retained = end;\n",
    wrong: "",
    scenario: "http",
  },
  {
    name: "nothing is retained any more after the first batch",
    file: "bytes/buffers.ts",
    right: "    this.#retained = -1;\n",
    wrong: "",
    scenario: "http",
  },
  {
    name: "what a batch has sent is sent again",
    file: "bytes/buffers.ts",
    right: "      owners[last] = undefined;\n      owner.runs = 0;\n",
    wrong: "",
    scenario: "echo",
  },
  {
    name: "a batch overtakes what the system had no room for before",
    file: "bytes/buffers.ts",
    right: "owner.runs > 1 || !owner.sendsAtOnce",
    wrong: "owner.runs > 1",
    scenario: "reactor",
  },
  {
    name: "a batch forgets the later runs of an owner that has several",
    file: "bytes/buffers.ts",
    right: "owner === undefined || owner.runs > 1 ||",
    wrong: "owner === undefined ||",
    scenario: "http",
  },
  {
    name: "a connection that another has stopped is told what was read for it",
    file: "reactor/connection.ts",
    right: "const INTERRUPTED = STOPPED | CLOSING | UNREAD;",
    wrong: "const INTERRUPTED = CLOSED | ENDED;",
    scenario: "reactor",
  },
  {
    name: "what was read for a connection that another stopped is forgotten",
    file: "reactor/connection.ts",
    right: "    this.#flags |= UNREAD | READABLE | HEARD;\n",
    wrong: "    this.#flags |= READABLE | HEARD;\n",
    scenario: "reactor",
  },
  {
    name: "what was read for a stopped connection is counted for ever",
    file: "reactor/connection.ts",
    right: "    this.#host.countMemory(-unread.get(this)!.memoryBytes);\n",
    wrong: "",
    scenario: "reactor",
  },
];
