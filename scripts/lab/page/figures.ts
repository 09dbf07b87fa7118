/**
 * Figures of a run as the page writes them: each in an element that says which
 * of the results it is, so that a test can hold it against them.
 *
 * @module
 */

import { type Html, markup } from "../../html.ts";
import { formatBytes } from "../../packages/std.ts";
import type { FigureName, Figures, LabResults, Row } from "../results.ts";
import { shown } from "../view.ts";

const PERCENT = 100;

/** The figures of the page's tables and plots, with their titles. */
export const TITLES: Readonly<Partial<Record<FigureName, string>>> = {
  perSecond: "messages/s",
  p50Us: "p50, µs",
  p99Us: "p99, µs",
  cpuUs: "CPU, µs",
  userUs: "program, µs",
  systemUs: "kernel, µs",
  restShare: "core at rest",
  residentBytes: "RAM",
  connectionBytes: "RAM of a connection",
  virtualBytes: "addresses",
  threads: "threads",
  voluntary: "waits",
  involuntary: "times taken away",
  systemCalls: "system calls",
};

/** Returns a figure as text. */
export function textOf(name: FigureName, value: number): string {
  if (name.endsWith("Bytes")) return formatBytes(Math.round(value));
  if (name === "restShare") return `${Math.round(value * PERCENT)}%`;
  if (name === "threads" || name === "messages") {
    return value.toLocaleString("en");
  }
  return shown(value);
}

/** The results of a run, by model and load. */
export class Run {
  /** The results. */
  readonly results: LabResults;
  /** The largest load. */
  readonly most: number;

  /** Takes the results. */
  constructor(results: LabResults) {
    this.results = results;
    this.most = Math.max(...results.connections);
  }

  /** Returns whether a model took part. */
  has(model: string): boolean {
    return this.results.models.some(({ name }) => name === model);
  }

  /** Returns a row, if there is one. */
  row(model: string, connections: number): Row | undefined {
    return this.results.rows.find((row) =>
      row.model === model && row.connections === connections
    );
  }

  /** Returns a figure, unless it is missing. */
  value(
    model: string,
    connections: number,
    name: keyof Figures,
  ): number | undefined {
    return this.row(model, connections)?.figures?.[name] ?? undefined;
  }

  /** Returns the largest load that a model has held. */
  mostOf(model: string): number | undefined {
    return this.results.connections.toSorted((a, b) => b - a)
      .find((count) => this.row(model, count)?.figures !== undefined);
  }

  /** Returns a figure as an element; a dash when it is missing. */
  data(model: string, connections: number, name: FigureName): Html {
    const value = this.value(model, connections, name);
    if (value === undefined) return markup`–`;
    const of = `${model} ${connections} ${name}`;
    return markup`<data value="${`${value}`}" data-of="${of}">${
      textOf(name, value)
    }</data>`;
  }

  /** Returns how many times larger the first figure is, as an element. */
  ratio(
    name: FigureName,
    [model, connections]: readonly [string, number],
    [other, others]: readonly [string, number],
  ): Html | undefined {
    const value = this.value(model, connections, name);
    const base = this.value(other, others, name);
    if (value === undefined || !base) return undefined;
    const ratio = value / base;
    const of = `${model} ${connections} ${name} / ${other} ${others} ${name}`;
    return markup`<data value="${`${ratio}`}" data-of="${of}">${
      shown(ratio)
    }</data>`;
  }
}
