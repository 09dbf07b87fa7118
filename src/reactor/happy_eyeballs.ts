/**
 * Which of a name's addresses to connect to: RFC 8305, "Happy Eyeballs Version
 * 2".
 *
 * This file knows no socket: the caller begins and gives up attempts.
 *
 * @module
 */

import { addressText, type HostPort } from "../net/address.ts";
import type { Scheduler, Timer } from "./timers.ts";

/** RFC 8305 section 5: the recommended Connection Attempt Delay. */
export const ATTEMPT_DELAY_MS = 250;

/** An attempt to connect to one address. */
export interface Attempt {
  /** Resolves when the connection is open; rejects when the attempt failed. */
  readonly opened: Promise<void>;
  /** Closes the attempt, or its connection. */
  giveUp(): void;
}

/** One address that failed, and why. */
export interface AttemptFailure {
  /** The address. */
  readonly address: string;
  /** The reason. */
  readonly error: Error;
}

/** The error of a race in which every address failed. */
export class AttemptsFailed extends AggregateError {
  /** The name of the class. */
  override name = "AttemptsFailed";
  /** The failures, in the order of the attempts. */
  readonly failures: readonly AttemptFailure[];

  /**
   * Made by {@linkcode Race}.
   *
   * @param failures The failures, in the order of the attempts.
   */
  constructor(failures: readonly AttemptFailure[]) {
    const list = failures.map(({ address, error }) =>
      `${address}: ${error.message}`
    );
    super(failures.map(({ error }) => error), list.join("; "));
    this.failures = failures;
  }
}

/**
 * Orders addresses by RFC 8305 section 4: the two families alternate, and the
 * family of the first address comes first.
 */
export function interleave(addresses: readonly string[]): string[] {
  const isV6 = (address: string) => address.includes(":");
  const first = addresses.filter((each) => isV6(each) === isV6(addresses[0]!));
  const second = addresses.filter((each) => isV6(each) !== isV6(addresses[0]!));
  return first.flatMap((
    each,
    index,
  ) => [each, ...second.slice(index, index + 1)])
    .concat(second.slice(first.length));
}

/**
 * Begins one attempt after the other: the next when one fails, or after 250 ms.
 * The first connection to open wins; the race gives up the others.
 *
 * @throws {AttemptsFailed} when every attempt failed.
 */
export class Race<A extends Attempt> {
  readonly #timers: Scheduler;
  readonly #addresses: readonly string[];
  readonly #begin: (address: string) => A;
  readonly #running = new Set<A>();
  readonly #failures: AttemptFailure[] = [];
  readonly #won = Promise.withResolvers<A>();
  #next = 0;
  #timer: Timer | undefined = undefined;
  #isOver = false;

  /**
   * @param timers The clock of the delay.
   * @param addresses At least one; tried in this order.
   * @param begin Begins an attempt; an error that it throws fails the attempt.
   */
  constructor(
    timers: Scheduler,
    addresses: readonly string[],
    begin: (address: string) => A,
  ) {
    this.#timers = timers;
    this.#addresses = addresses;
    this.#begin = begin;
  }

  /** Runs the race, once. */
  run(): Promise<A> {
    this.#attempt();
    return this.#won.promise;
  }

  /** Gives up all attempts; {@linkcode Race.run} rejects with `reason`. */
  stop(reason: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.#won.reject(reason);
  }

  #attempt(): void {
    if (this.#timer !== undefined) this.#timers.clearTimer(this.#timer);
    this.#timer = undefined;
    const address = this.#addresses[this.#next++]!;
    let attempt: A;
    try {
      attempt = this.#begin(address);
    } catch (error) {
      return this.#failed(address, error);
    }
    this.#running.add(attempt);
    attempt.opened.then(
      () => this.#opened(attempt),
      (error) => {
        this.#running.delete(attempt);
        this.#failed(address, error);
      },
    );
    if (this.#next < this.#addresses.length) {
      this.#timer = this.#timers.setTimer(
        ATTEMPT_DELAY_MS,
        () => this.#attempt(),
      );
    }
  }

  #opened(attempt: A): void {
    if (this.#isOver) return;
    this.#running.delete(attempt);
    this.#end();
    this.#won.resolve(attempt);
  }

  #failed(address: string, error: unknown): void {
    if (this.#isOver) return;
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#failures.push({ address, error: cause });
    if (this.#next < this.#addresses.length) return this.#attempt();
    if (this.#running.size > 0) return;
    this.#end();
    this.#won.reject(new AttemptsFailed(this.#failures));
  }

  #end(): void {
    this.#isOver = true;
    if (this.#timer !== undefined) this.#timers.clearTimer(this.#timer);
    for (const attempt of this.#running) attempt.giveUp();
    this.#running.clear();
  }
}

/**
 * Returns the addresses of a name in the order to try them in.
 *
 * @throws {Deno.errors.NotFound} when there is none.
 */
export function orderedAddresses(
  { hostname }: HostPort,
  addresses: readonly string[],
): string[] {
  if (addresses.length > 0) return interleave(addresses);
  throw new Deno.errors.NotFound(
    `Cannot resolve "${hostname}": it has no address`,
  );
}

/** Returns an error of the class of the first failure. */
export function errorOfAttempts(
  target: HostPort,
  failed: AttemptsFailed,
): Error {
  const first = failed.failures[0]!.error;
  const Class = first.constructor as new (
    message: string,
    options: ErrorOptions,
  ) => Error;
  return new Class(
    `Cannot connect to "${addressText(target)}": ${failed.message}`,
    { cause: failed },
  );
}
