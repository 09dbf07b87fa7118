/**
 * Waiting for completions without blocking Deno's loop.
 *
 * @module
 */

import { after, cancelAfter, type DenoTimer } from "../base/own.ts";
import { unwrap } from "../native/errors.ts";
import { native } from "../native/library.ts";
import { LoopPark, type Parking, type ParkWay } from "../park/loop_park.ts";

/** The native functions of what can be parked. */
export interface Parkable {
  /** The handle of the proactor or the reaper. */
  readonly handle: number;
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
 * Completions signal an eventfd. A raw pipe reads it, or a thread of the native
 * library waits for it, and writes to a socket that `node:net` reads.
 */
class CompletionParking implements Parking {
  readonly fd: number;
  readonly #parkable: Parkable;
  /** The handle of the thread's parker; `undefined` with a raw pipe. */
  readonly #parker: number | undefined;
  #timer: DenoTimer | undefined = undefined;
  /** Whether a wake came before the park, which resets the eventfd. */
  #mustWake = false;

  constructor(parkable: Parkable, by: ParkWay) {
    this.#parkable = parkable;
    if (by === "kernel") {
      this.fd = unwrap(parkable.descriptor(), "park");
      return;
    }
    const out = new Float64Array(2);
    unwrap(native().denio_parker_new(parkable.handle, 0, out), "park");
    this.#parker = out[0]!;
    this.fd = out[1]!;
  }

  park(timeoutMs: number | undefined): void {
    cancelAfter(this.#timer);
    this.#timer = undefined;
    const isReady = unwrap(this.#parkable.park(), "park") > 0;
    const mustWake = isReady || this.#mustWake;
    this.#mustWake = false;
    if (mustWake) return this.#signal();
    if (this.#parker !== undefined) {
      unwrap(native().denio_parker_park(this.#parker, -1), "park");
    }
    if (timeoutMs !== undefined) {
      this.#timer = after(timeoutMs, () => this.#signal());
    }
  }

  wake(): void {
    this.#mustWake = true;
    this.#signal();
  }

  close(): void {
    cancelAfter(this.#timer);
    if (this.#parker !== undefined) native().denio_source_close(this.#parker);
  }

  #signal(): void {
    if (this.#parker === undefined) this.#parkable.unpark();
    else native().denio_parker_wake(this.#parker);
  }
}
