/**
 * Hands the events of a turn to their sources. Neighbours in the batch that
 * only have to be read are read in one native call; then each connection gets
 * its bytes.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { ReadBatch } from "../net/batches.ts";
import type { Events } from "../poll/events.ts";
import { READ_ROOM_MIN } from "../bytes/read_buffer.ts";
import { EngineConnection } from "./connection/engine.ts";
import { requeue } from "./connection/record.ts";
import type { Host } from "./host.ts";
import type { System } from "../system/system.ts";

/** Acts on the events of one reactor. */
export class Dispatch {
  readonly #host: Host;
  readonly #readAll: System["readAll"];
  readonly #batch: ReadBatch;
  /** Connections of the batch that may have more bytes. */
  readonly #goOn: EngineConnection[] = [];
  /** The events that the last turn has left are those from here on. */
  #next = 0;
  #count = 0;

  /** @param capacity How many events there may be in a turn. */
  constructor(host: Host, system: System, capacity: number) {
    this.#host = host;
    this.#readAll = system.readAll?.bind(system);
    this.#batch = new ReadBatch(capacity);
  }

  /** How many events the last turn has left, since its time was over. */
  get left(): number {
    return this.#count - this.#next;
  }

  /** Acts on the first `count` events, in their order. */
  act(events: Events, count: number): void {
    this.#next = 0;
    this.#count = count;
    this.goOn(events);
  }

  /** Acts on the events that are left, until the turn has had its time. */
  goOn(events: Events): void {
    const readAll = this.#readAll;
    const count = this.#count;
    for (let index = this.#next; index < count;) {
      // A single connection reads by itself.
      const isBatch = readAll !== undefined && index + 1 < count &&
        this.#gather(events, index, count) > 1;
      if (isBatch) index += this.#read(events, index, readAll);
      else this.#actAlone(events, index++);
      this.#next = index;
      if (index < count && this.#host.isSpent) return;
    }
  }

  /** Collects neighbours that only have to be read; returns their number. */
  #gather(events: Events, first: number, count: number): number {
    const { slots } = this.#host;
    const batch = this.#batch;
    batch.length = 0;
    for (let index = first; index < count; index++) {
      const source = slots.get(events.token(index));
      if (!(source instanceof EngineConnection)) break;
      if (!source.readsOnly(events.readiness(index))) break;
      batch.add(source.handle);
    }
    return batch.length;
  }

  /** Reads a batch, hands the bytes out, and returns how many were read. */
  #read(
    events: Events,
    first: number,
    readAll: NonNullable<System["readAll"]>,
  ): number {
    const host = this.#host;
    const { input, slots } = host;
    const batch = this.#batch;
    const { bytes, start } = input;
    const read = readAll(batch, bytes, start, READ_ROOM_MIN);
    // With 0, the loop would read the same batch without end.
    assert(read > 0 && read <= batch.length, "each call reads a connection");
    host.reads += read;
    const goOn = this.#goOn;
    let isLate = false;
    input.beginBatch();
    try {
      for (let index = 0, at = start; index < read; index++) {
        const count = batch.count(index);
        const source = slots.get(events.token(first + index));
        // An earlier handler may have closed this connection.
        if (source instanceof EngineConnection) {
          const room = batch.room(index);
          try {
            if (isLate) source.onReadLate(bytes, at, count, room);
            else if (source.onRead(bytes, at, count, room)) goOn.push(source);
          } catch (error) {
            source.fail(error);
          }
        }
        at += Math.max(0, count);
        // The others were read: what came for them waits for the next turn.
        isLate ||= index + 1 < read && host.countCalls(1);
      }
    } finally {
      input.endBatch();
    }
    if (goOn.length > 0) this.#readOn(isLate);
    return read;
  }

  /** Reads on where there may be more, now or in the next turn. */
  #readOn(isLate: boolean): void {
    const host = this.#host;
    const goOn = this.#goOn;
    for (const source of goOn) {
      if (isLate) requeue(source);
      else host.act(source, 0);
      isLate ||= host.isSpent;
    }
    goOn.length = 0;
  }

  #actAlone(events: Events, index: number): void {
    const source = this.#host.slots.get(events.token(index));
    if (source === undefined) return;
    this.#host.act(source, events.readiness(index));
  }
}
