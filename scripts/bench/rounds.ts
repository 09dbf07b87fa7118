/**
 * Lets servers take turns, so that a disturbance of the machine disturbs all of
 * them alike.
 *
 * @module
 */

import { Failure } from "../command_line.ts";

/** The steps of a scenario with each server. */
export interface Turns<P, S> {
  /** How often each is measured. */
  readonly rounds: number;
  /** Called once with each before any is measured. */
  readonly warmUp?: (peer: P) => Promise<unknown>;
  /** Measures one server, in a round that is counted from 0. */
  readonly measure: (peer: P, round: number) => Promise<S>;
  /** Receives a server that failed. */
  readonly drop: (peer: P, error: Failure) => Promise<void> | void;
}

/**
 * Measures all servers in turns. A server that fails is dropped with its
 * figures: half of its rounds would be compared with all of the others'.
 *
 * @returns Each one's samples by round, in the order of `peers`.
 */
export async function inTurns<P, S>(
  peers: readonly P[],
  { rounds, warmUp, measure, drop }: Turns<P, S>,
): Promise<Map<P, S[]>> {
  const samples = new Map(peers.map((peer) => [peer, [] as S[]]));
  const orDrop = async (peer: P, act: () => Promise<unknown>) => {
    if (!samples.has(peer)) return;
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await drop(peer, error);
      samples.delete(peer);
    }
  };
  for (const peer of peers) {
    await orDrop(peer, async () => await warmUp?.(peer));
  }
  for (let round = 0; round < rounds; round++) {
    for (const peer of orderOf(peers, round)) {
      await orDrop(peer, async () => {
        samples.get(peer)!.push(await measure(peer, round));
      });
    }
  }
  return samples;
}

/**
 * Returns the order of a round, counted from 0: backwards every other time, and
 * then rotated by one, so that no server is always after the same server, or
 * always first.
 */
export function orderOf<P>(peers: readonly P[], round: number): P[] {
  const first = (round >> 1) % Math.max(peers.length, 1);
  const order = [...peers.slice(first), ...peers.slice(0, first)];
  return round % 2 === 0 ? order : order.reverse();
}
