/**
 * Hands the events of a turn to their sources. Connections that only have
 * something to read are read together, in one call for all of them; then each
 * is told what came.
 *
 * @module
 */

import { assert } from "../base/assert.ts";
import { ReadBatch } from "../net/batches.ts";
import type { Events } from "../poll/events.ts";
import { READ_ROOM_MIN } from "../bytes/buffers.ts";
import { EngineConnection } from "./connection/engine.ts";
import type { Host } from "./host.ts";
import type { System } from "../system/system.ts";

/** Acts on the events of one reactor. */
export class Dispatch {
  readonly #host: Host;
  readonly #readAll: System["readAll"];
  readonly #batch: ReadBatch;

  /** @param capacity How many events there may be in a turn. */
  constructor(host: Host, system: System, capacity: number) {
    this.#host = host;
    this.#readAll = system.readAll?.bind(system);
    this.#batch = new ReadBatch(capacity);
  }

  /** Acts on the first `count` events, in their order. */
  act(events: Events, count: number): void {
    const readAll = this.#readAll;
    for (let index = 0; index < count;) {
      // A connection that is alone reads by itself.
      const isBatch = readAll !== undefined && index + 1 < count &&
        this.#gather(events, index, count) > 1;
      if (isBatch) index += this.#read(events, index, readAll);
      else this.#actAlone(events, index++);
    }
  }

  /** Collects neighbours that only have to read; returns how many there are. */
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

  /** Reads a batch, tells its connections, and returns how many were read. */
  #read(
    events: Events,
    first: number,
    readAll: NonNullable<System["readAll"]>,
  ): number {
    const host = this.#host;
    const { input, slots } = host;
    const batch = this.#batch;
    const { bytes, offset } = input;
    const read = readAll(batch, bytes, offset, READ_ROOM_MIN);
    // Of none, the same batch would be read for ever.
    assert(read > 0 && read <= batch.length, "a batch that is read has some");
    host.reads += read;
    let goesOn: EngineConnection | undefined;
    input.beginBatch();
    try {
      for (let index = 0, at = offset; index < read; index++) {
        const count = batch.count(index);
        const source = slots.get(events.token(first + index));
        // One that was closed by who was told before has left its slot.
        if (source instanceof EngineConnection) {
          const room = bytes.byteLength - at;
          try {
            // Only the last can have had more than there was room for.
            if (source.onRead(bytes, at, count, room)) goesOn = source;
          } catch (error) {
            source.fail(error);
          }
        }
        at += Math.max(0, count);
      }
    } finally {
      input.endBatch();
    }
    if (goesOn !== undefined) host.act(goesOn, 0);
    return read;
  }

  #actAlone(events: Events, index: number): void {
    const source = this.#host.slots.get(events.token(index));
    if (source === undefined) return;
    this.#host.act(source, events.readiness(index));
  }
}
