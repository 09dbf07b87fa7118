/**
 * A system in memory of which one call throws: the test says which one.
 *
 * @module
 */

import type { HostPort } from "../../src/net/address.ts";
import type {
  Batch,
  ListenerSocket,
  ReactorPoll,
  StreamSocket,
} from "../../src/system/system.ts";
import { BatchingSystem } from "./fake_system.ts";

/** What a call that was chosen throws. */
export class Fault extends Error {
  /** Its own name. */
  override name = "Fault";
}

/** Calls that cannot fail: a clock, and what wakes no one. */
const SAFE = new Set(["nowMs", "batch"]);

/** Counts calls, of the system and of handlers, and has one of them throw. */
export class Faults {
  /** The call that threw, if it has come to that. */
  thrown: string | undefined;
  #left: number;
  #isArmed = false;

  /** @param at Which call throws, from 1, of those after `arm`. */
  constructor(at: number) {
    this.#left = at;
  }

  /** Counts from now on. */
  arm(): void {
    this.#isArmed = true;
  }

  /** Has no call throw any more. */
  disarm(): void {
    this.#isArmed = false;
  }

  /** Throws when it is this call's turn. */
  pass(what: string): void {
    if (!this.#isArmed || --this.#left !== 0) return;
    this.thrown = what;
    throw new Fault(`Fault of "${what}"`);
  }

  /** Returns `target`, whose methods and setters pass here first. */
  watch<Target extends object>(
    name: string,
    target: Target,
    onCall: (method: string) => void = () => {},
  ): Target {
    return new Proxy(target, {
      get: (_, key) => {
        const value = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          onCall(String(key));
          if (!SAFE.has(String(key))) this.pass(`${name}.${String(key)}()`);
          return value.apply(target, args);
        };
      },
      set: (_, key, value) => {
        this.pass(`${name}.${String(key)} =`);
        return Reflect.set(target, key, value, target);
      },
    });
  }
}

/** A system of which a call throws. */
export class FaultySystem extends BatchingSystem {
  /** Handles of streams that the reactor has, and has not closed. */
  readonly open = new Set<number>();
  readonly #faults: Faults;

  /** @param faults Which call throws. */
  constructor(faults: Faults) {
    super();
    this.#faults = faults;
  }

  override openPoll(): ReactorPoll {
    return this.#faults.watch("poll", super.openPoll());
  }

  override listen(): ListenerSocket {
    const listener = super.listen();
    const accept = listener.acceptBatch.bind(listener);
    listener.acceptBatch = (batch: Batch) => {
      const count = accept(batch);
      const { stream } = batch;
      batch.stream = (index) => {
        this.#faults.pass("batch.stream()");
        return this.#watched(stream.call(batch, index));
      };
      return count;
    };
    return this.#faults.watch("listener", listener);
  }

  override connect(address: HostPort): StreamSocket {
    return this.#watched(super.connect(address));
  }

  #watched(stream: StreamSocket): StreamSocket {
    const { handle } = stream;
    this.open.add(handle);
    return this.#faults.watch("stream", stream, (method) => {
      if (method === "close" || method === "Symbol(Symbol.dispose)") {
        this.open.delete(handle);
      }
    });
  }
}
