/**
 * Long compressed messages are decompressed step by step: a message of 16 MiB
 * can take seconds, in which other peers and the program would wait. Its
 * WebSocket is not read from meanwhile.
 *
 * A thread works on one long message at a time, so that only one is in memory in
 * part. The others stand in line, compressed.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { nowMs } from "../base/own.ts";
import type { Work } from "../stream/shared.ts";
import type { Inflation, Outcome } from "./deflate.ts";
import { countHeld } from "./holding.ts";
import { spaceOut } from "./notifying.ts";
import {
  ACTING,
  extrasOf,
  INFLATING,
  type LongMessage,
  Phase,
  phaseOf,
  type SocketRecord,
} from "./state.ts";

/** Acts on a message that was decompressed. */
type Take = (socket: SocketRecord, message: Outcome) => void;

/** How long a turn works on a long message; one step may take longer. */
const SHARE_MS = 2;

/** The long messages of this thread; the first is worked on. */
const line: Steps[] = [];

/** Decompresses a message in later turns. */
export function inflateLater(
  socket: SocketRecord,
  inflation: Inflation,
  take: Take,
): void {
  const { transport } = socket;
  const steps = new Steps(socket, inflation, take);
  extrasOf(socket).inflation = steps;
  socket.state |= INFLATING;
  transport.pause();
  line.push(steps);
  if (transport.later === undefined) steps.doAll();
  else if (line[0] === steps) steps.begin();
  else inflation.restart();
}

/** The steps of one message. */
class Steps implements Work, LongMessage {
  readonly #socket: SocketRecord;
  readonly #inflation: Inflation;
  readonly #take: Take;

  constructor(socket: SocketRecord, inflation: Inflation, take: Take) {
    this.#socket = socket;
    this.#inflation = inflation;
    this.#take = take;
  }

  get memoryBytes(): number {
    return this.#inflation.memoryBytes;
  }

  begin(): void {
    this.#socket.transport.later?.(this);
  }

  /** Does all steps at once, for a transport without turns. */
  doAll(): void {
    while (this.#socket.state & INFLATING) this.#step();
  }

  onReady(): void {
    // It has closed meanwhile.
    if (line[0] !== this) return;
    const untilMs = nowMs() + SHARE_MS;
    do this.#step(); while (line[0] === this && nowMs() < untilMs);
    if (line[0] === this) this.begin();
  }

  fail(error: unknown): void {
    // An error of denio's own: nothing else would end the WebSocket.
    this.#socket.transport.abort();
    this.#socket.service.host.report(error);
  }

  end(): void {
    this.#inflation.end();
    this.#leave();
  }

  #step(): void {
    const message = this.#inflation.goOn(1);
    if (message === undefined) return countHeld(this.#socket);
    this.#leave();
    this.#finish(message);
  }

  /** Leaves the line; the next message is worked on. */
  #leave(): void {
    const place = line.indexOf(this);
    assert(place >= 0, "a message leaves the line once");
    line.splice(place, 1);
    if (place === 0) line[0]?.begin();
  }

  #finish(message: Outcome): void {
    const socket = this.#socket;
    extrasOf(socket).inflation = undefined;
    countHeld(socket);
    // The handler may resume: the next message waits until it has returned.
    socket.state = socket.state & ~INFLATING | ACTING;
    this.#take(socket, message);
    socket.state &= ~ACTING;
    spaceOut(socket);
    if (phaseOf(socket) !== Phase.CLOSED) socket.goOn();
  }
}
