/**
 * Fibers on a reactor of their own, with both ends at hand.
 *
 * @module
 */

import { type FiberConnection, Reactor } from "../../mod.ts";
import { LOOPBACK } from "./streams.ts";
import { within } from "./waiting.ts";

/** A reactor that writes down what is reported. */
export class ReportingReactor extends Reactor {
  /** What `onError` was told. */
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
export async function fiberPair(reactor: Reactor): Promise<FiberPair> {
  using listener = reactor.listenFibers(LOOPBACK);
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

/** Runs `body` on a reactor of its own. */
export async function onReactor(
  body: (reactor: ReportingReactor) => Promise<void>,
): Promise<void> {
  using reactor = new ReportingReactor();
  await body(reactor);
}

/** Runs `body` with a pair on a reactor of its own. */
export function withPair(
  body: (pair: FiberPair, reactor: ReportingReactor) => Promise<void>,
): () => Promise<void> {
  return () =>
    onReactor(async (reactor) => {
      using pair = await fiberPair(reactor);
      await body(pair, reactor);
    });
}
