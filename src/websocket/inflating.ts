/**
 * Long compressed messages are decompressed step by step: a message of 16 MiB
 * can take seconds, in which other peers and the program would wait. Its
 * WebSocket is not read from meanwhile.
 *
 * @module
 */

import type { Work } from "../stream/shared.ts";
import type { Inflation, Outcome } from "./deflate.ts";
import { countHeld } from "./holding.ts";
import { spaceOut } from "./notifying.ts";
import {
  ACTING,
  extrasOf,
  INFLATING,
  Phase,
  phaseOf,
  type SocketRecord,
} from "./state.ts";

/** Acts on a message that was decompressed. */
type Take = (socket: SocketRecord, message: Outcome) => void;

/** Decompresses the rest of a message in later turns. */
export function inflateLater(
  socket: SocketRecord,
  inflation: Inflation,
  take: Take,
): void {
  const { transport } = socket;
  extrasOf(socket).inflation = inflation;
  socket.state |= INFLATING;
  transport.pause();
  const steps = new Steps(socket, inflation, take);
  if (transport.later !== undefined) transport.later(steps);
  else while (socket.state & INFLATING) steps.onReady();
}

/** The steps of one message: one in a turn, between those of others. */
class Steps implements Work {
  readonly #socket: SocketRecord;
  readonly #inflation: Inflation;
  readonly #take: Take;

  constructor(socket: SocketRecord, inflation: Inflation, take: Take) {
    this.#socket = socket;
    this.#inflation = inflation;
    this.#take = take;
  }

  onReady(): void {
    const socket = this.#socket;
    // It has closed meanwhile.
    if (!(socket.state & INFLATING)) return;
    const message = this.#inflation.goOn(1);
    if (message !== undefined) return this.#finish(message);
    countHeld(socket);
    socket.transport.later?.(this);
  }

  fail(error: unknown): void {
    // An error of denio's own: nothing else would end the WebSocket.
    this.#socket.transport.abort();
    this.#socket.service.host.report(error);
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
