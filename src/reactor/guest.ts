/**
 * Guests: work on a reactor that promises carry on, as fibers do. The reactor
 * knows how much of it runs, and ends it when the reactor closes.
 *
 * @module
 */

/** Work on a reactor beside its handlers: see `Reactor.attach`. */
export interface Guest {
  /**
   * Ends the work, because the reactor closes. Connections stay open until this
   * returns.
   */
  close(reason: ReactorClosed): void;
}

/** Where a guest counts what runs. */
export interface GuestLoop {
  /**
   * Pieces of work that run, or that wait for Deno's loop: all pieces except
   * those that wait for the reactor. Above 0, the reactor yields to Deno's loop
   * after each turn. Never set this too low: an exclusive reactor would block
   * the thread that the work waits for.
   */
  running: number;
}

/** The error of a wait that cannot end: the reactor is closed. */
export class ReactorClosed extends Deno.errors.BadResource {
  /**
   * Made by a reactor that closes.
   *
   * @param cause Why the reactor could not go on; left out for `close()`.
   */
  constructor(cause?: unknown) {
    super(
      "Cannot wait: the reactor is closed",
      cause === undefined ? {} : { cause },
    );
  }
}
