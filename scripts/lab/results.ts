/**
 * The results of the lab, as `--json` prints them and as the page reads them.
 *
 * @module
 */

import type { Model } from "./models.ts";

/** Raised when the shape changes. */
export const FORMAT = 1;

/** What is measured, with the unit in its name; of a message unless it says. */
export interface Figures {
  /** Messages that came back, and the seconds in which they did. */
  readonly messages: number;
  /** The time that was measured. */
  readonly seconds: number;
  /** Messages a second, over all connections. */
  readonly perSecond: number;
  /** Half of all messages came back within so many microseconds. */
  readonly p50Us: number;
  /** 99 of 100 messages came back within so many microseconds. */
  readonly p99Us: number;
  /** Processor time, exact, of all of the server's threads. */
  readonly cpuUs: number | null;
  /** The part of `cpuUs` in the program, in proportion to the kernel's ticks. */
  readonly userUs: number | null;
  /** The part of `cpuUs` in the kernel, in proportion to the kernel's ticks. */
  readonly systemUs: number | null;
  /** Processor time while no message comes: 1 is a whole core. */
  readonly restShare: number | null;
  /** The server's memory: what lies in RAM, without the kernel's. */
  readonly residentBytes: number | null;
  /** By how much each connection has raised that; null for few of them. */
  readonly connectionBytes: number | null;
  /** The server's addresses: stacks that no thread has touched among them. */
  readonly virtualBytes: number | null;
  /** The server's threads. */
  readonly threads: number | null;
  /** Context switches because a thread had to wait. */
  readonly voluntary: number | null;
  /** Context switches because the kernel took the processor away. */
  readonly involuntary: number | null;
  /** System calls. */
  readonly systemCalls: number | null;
}

/** The name of a figure. */
export type FigureName = keyof Figures;

/** System calls of a message, by name, the most frequent first. */
export type CallsByName = Readonly<Record<string, number>>;

/** One model under one load. */
export interface Row {
  /** The model's name. */
  readonly model: string;
  /** All connections, open from the beginning to the end. */
  readonly connections: number;
  /** How many of them send a message whenever the last one is back. */
  readonly busy: number;
  /** What was measured; left out when the model cannot hold the load. */
  readonly figures?: Figures;
  /** The system calls by name, where they can be told apart. */
  readonly callsByName?: CallsByName;
  /** Why the model cannot hold the load. */
  readonly cannot?: Refusal;
}

/** Why a model cannot hold a load. */
export interface Refusal {
  /** What was seen. */
  readonly seen: string;
  /** Why that is so, if the model's author knew. */
  readonly why: string | null;
  /** How many connections were answered before; null when nobody counted. */
  readonly held: number | null;
}

/** A whole run. */
export interface LabResults {
  /** {@linkcode FORMAT}. */
  readonly format: number;
  /** When it began, in ISO 8601. */
  readonly date: string;
  /** denio's version. */
  readonly version: string;
  /** The machine, and the versions of the programs. */
  readonly machine: Readonly<Record<string, string>>;
  /** The numbers of connections, in the order of the run. */
  readonly connections: readonly number[];
  /** How many of them were busy, as it was asked for: `10`, or `10%`. */
  readonly busyOption: string;
  /** Bytes of a message. */
  readonly size: number;
  /** How long each model was measured under each load. */
  readonly seconds: number;
  /** The conditions, a line each. */
  readonly notes: readonly string[];
  /** Why a figure is null in every row. */
  readonly missing: Readonly<Partial<Record<FigureName, string>>>;
  /** The models that took part. */
  readonly models: readonly Model[];
  /** Every model under every load, by connections and then by model. */
  readonly rows: readonly Row[];
}
