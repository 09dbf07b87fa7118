/**
 * Fibers on a reactor of their own, with both ends at hand.
 *
 * @module
 */

import { type FiberConnection, Fibers, Reactor } from "../../mod.ts";
import { LOOPBACK } from "./streams.ts";
import { within } from "./waiting.ts";

/** A reactor that records reported errors. */
export class ReportingReactor extends Reactor {
  /** The errors that `onError` received. */
  readonly reported: Error[];

  constructor() {
    const reported: Error[] = [];
    super({ onError: (error) => void reported.push(error as Error) });
    this.reported = reported;
  }
}

/** A fiber's connection and its peer, which is Deno's own. */
export interface FiberPair extends Disposable {
  readonly conn: FiberConnection;
  readonly peer: Deno.TcpConn;
}

/** Returns a connection and its peer. */
export async function fiberPair(fibers: Fibers): Promise<FiberPair> {
  using listener = fibers.listen(LOOPBACK);
  const [conn, peer] = await within(
    Promise.all([listener.accept(), Deno.connect(listener.addr)]),
    "the connection",
  );
  return {
    conn,
    peer,
    [Symbol.dispose]() {
      conn[Symbol.dispose]();
      peer[Symbol.dispose]();
    },
  };
}

/** A reactor, and fibers on it. */
export interface Ground {
  readonly reactor: ReportingReactor;
  readonly fibers: Fibers;
}

/** Runs `body` on a reactor of its own. */
export async function onReactor(
  body: (ground: Ground) => Promise<void>,
): Promise<void> {
  using reactor = new ReportingReactor();
  await body({ reactor, fibers: new Fibers(reactor) });
}

/** Runs `body` with a pair on a reactor of its own. */
export function withPair(
  body: (pair: FiberPair, ground: Ground) => Promise<void>,
): () => Promise<void> {
  return () =>
    onReactor(async (ground) => {
      using pair = await fiberPair(ground.fibers);
      await body(pair, ground);
    });
}
