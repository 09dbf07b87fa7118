/**
 * Has servers take turns: what disturbs the machine for a while disturbs all of
 * them alike.
 *
 * @module
 */

import { Failure } from "../command_line.ts";

/** What is done in a scenario with each server. */
export interface Turns<P, S> {
  /** How often each is measured. */
  readonly rounds: number;
  /** Done once with each before any is measured. */
  readonly warmUp?: (peer: P) => Promise<unknown>;
  /** Measures one, in a round that is counted from 0. */
  readonly measure: (peer: P, round: number) => Promise<S>;
  /** Takes one that failed. */
  readonly drop: (peer: P, error: Failure) => Promise<void> | void;
}

/**
 * Measures all servers in turns. One that fails is dropped, with what was
 * measured of it: half of its rounds would be compared with all of others'.
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
 * from there on one further, so that none is always after the same one, nor
 * always first.
 */
export function orderOf<P>(peers: readonly P[], round: number): P[] {
  const first = (round >> 1) % Math.max(peers.length, 1);
  const order = [...peers.slice(first), ...peers.slice(0, first)];
  return round % 2 === 0 ? order : order.reverse();
}
