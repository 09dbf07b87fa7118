/**
 * Waiting for completions without blocking Deno's loop.
 *
 * @module
 */

import { after, cancelAfter, type DenoTimer } from "../base/own.ts";
import { unwrap } from "../native/errors.ts";
import { LoopPark, type Parking, type ParkWay } from "../park/loop_park.ts";

/** The native functions of what can be parked. */
export interface Parkable {
  /** Returns a descriptor that becomes readable, or `-errno`. */
  descriptor(): number;
  /** Signals when a completion comes; returns 1 when one is there already. */
  park(): number;
  /** Makes the descriptor readable. */
  unpark(): number;
}

/** Returns the waits of a proactor or a reaper. */
export function parkOf(parkable: Parkable): LoopPark {
  return new LoopPark((by) => new CompletionParking(parkable, by));
}

/**
 * Completions signal an eventfd, which only a raw pipe can read. Where there is
 * none, `LoopPark` looks every ten milliseconds.
 */
class CompletionParking implements Parking {
  readonly fd: number;
  readonly #parkable: Parkable;
  #timer: DenoTimer | undefined = undefined;

  constructor(parkable: Parkable, by: ParkWay) {
    if (by !== "kernel") {
      throw new Deno.errors.NotSupported("Cannot park by a thread");
    }
    this.#parkable = parkable;
    this.fd = unwrap(parkable.descriptor(), "park");
  }

  park(timeoutMs: number | undefined): void {
    cancelAfter(this.#timer);
    this.#timer = undefined;
    if (unwrap(this.#parkable.park(), "park") > 0) return this.wake();
    if (timeoutMs !== undefined) {
      this.#timer = after(timeoutMs, () => this.wake());
    }
  }

  wake(): void {
    this.#parkable.unpark();
  }

  close(): void {
    cancelAfter(this.#timer);
  }
}
