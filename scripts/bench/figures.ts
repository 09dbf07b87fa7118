/**
 * From what was counted to what is compared.
 *
 * @module
 */

import type { CpuTime } from "../process_cpu.ts";
import type { LoadSeen } from "./load_generators.ts";

const US_PER_SECOND = 1_000_000;

/** One round of one server. */
export interface Sample extends LoadSeen {
  /** What the server used meanwhile. */
  readonly cpu: CpuTime;
}

/** What a server is worth in a scenario: medians over its rounds. */
export interface Figures {
  /** Processor time in the program for a request. */
  readonly userUs: number;
  /** Processor time in the kernel for a request. */
  readonly systemUs: number;
  /** Both. */
  readonly cpuUs: number;
  /** Requests in a second of time. */
  readonly requestsPerSecond: number;
  /** Requests in a second of processor time. */
  readonly requestsPerCpuSecond: number;
}

/** How a server's figures relate to another's. */
export interface Ratios {
  /** Less is better. */
  readonly user: number;
  /** Less is better. */
  readonly cpu: number;
  /** More is better. */
  readonly requestsPerCpuSecond: number;
}

/** Returns the medians of a server's rounds. */
export function figuresOf(samples: readonly Sample[]): Figures {
  const of = (figure: (sample: Sample) => number) =>
    median(samples.map(figure));
  const cpuUs = of((sample) => cpuOf(sample) / sample.requests);
  // The kernel knows to the nanosecond what was used, but guesses by its tick
  // who did: only all rounds together make a good guess.
  const userShare = sum(samples, ({ cpu }) => cpu.userUs) /
    sum(samples, cpuOf);
  return {
    userUs: cpuUs * userShare,
    systemUs: cpuUs * (1 - userShare),
    cpuUs,
    requestsPerSecond: of(({ requests, seconds }) => requests / seconds),
    requestsPerCpuSecond: of((sample) =>
      sample.requests / cpuOf(sample) * US_PER_SECOND
    ),
  };
}

/** Returns `figures` in units of `base`. */
export function ratiosOf(figures: Figures, base: Figures): Ratios {
  return {
    user: figures.userUs / base.userUs,
    cpu: figures.cpuUs / base.cpuUs,
    requestsPerCpuSecond: figures.requestsPerCpuSecond /
      base.requestsPerCpuSecond,
  };
}

/** Returns the middle of some numbers, of which there is at least one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function cpuOf({ cpu }: Sample): number {
  return cpu.userUs + cpu.systemUs;
}

function sum(
  samples: readonly Sample[],
  figure: (sample: Sample) => number,
): number {
  return samples.reduce((total, sample) => total + figure(sample), 0);
}
