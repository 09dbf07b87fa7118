/**
 * What a reactor offers work that promises carry on, as fibers do: the reactor
 * knows how much of it runs, and ends it when the reactor closes.
 *
 * @module
 */

/** Work on a reactor beside its handlers: see `Reactor.attach`. */
export interface Guest {
  /**
   * Ends the work for `reason`: the reactor closes. Connections are open until
   * this returns.
   */
  close(reason: ReactorClosed): void;
}

/** Where a guest counts what runs. */
export interface GuestLoop {
  /**
   * Pieces of work that run, or wait for something of Deno's: all that live,
   * less those that wait for something of the reactor's. While it is above 0 the
   * reactor leaves Deno's loop its rounds. Never fewer than there are, or an
   * exclusive reactor would block the thread that the work waits for.
   */
  running: number;
}

/** The reactor is closed: nothing can wait for it any more. */
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
