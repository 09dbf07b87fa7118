/**
 * What was measured, by backend and by how many sources there were.
 *
 * @module
 */

import { median } from "../bench/figures.ts";
import type { Figures } from "./field.ts";

/** Figures by the number of sources, by backend. */
export type Results = ReadonlyMap<string, ReadonlyMap<number, Figures>>;

/** Evenly spread where scales are logarithmic. */
const SIZES = [10, 30, 100, 300, 1000, 3000, 10_000];

/** Returns how many sources are measured, up to `max`. */
export function sizesFor(max: number): number[] {
  return [...SIZES.filter((size) => size < max), max];
}

/** Returns the median of each figure. */
export function medians(
  samples: ReadonlyMap<string, ReadonlyMap<number, readonly Figures[]>>,
): Results {
  return new Map(
    [...samples].map(([backend, bySize]) => [
      backend,
      new Map([...bySize].map(([size, all]) => [size, medianOf(all)])),
    ]),
  );
}

function medianOf(all: readonly Figures[]): Figures {
  const of = (key: keyof Figures) => median(all.map((figures) => figures[key]));
  return {
    register: of("register"),
    reregister: of("reregister"),
    deregister: of("deregister"),
    poll: of("poll"),
    transfer: of("transfer"),
  };
}
