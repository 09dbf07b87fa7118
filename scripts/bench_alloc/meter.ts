/**
 * Counts the bytes that V8 allocates while something runs.
 *
 * The count is exact and not sampled: the heap is looked at before and after,
 * and nothing is collected in between, since the young generation is emptied
 * first and has room for all that is allocated until the second look.
 *
 * @module
 */

const MIB = 1024 * 1024;

/** Room in the young generation, in MiB. */
const YOUNG_MIB = 64;

/** The most of one count: no collection falls into half of the room. */
const COUNT_BYTES_MAX = YOUNG_MIB * MIB / 2;

/**
 * How V8 must be started. One thread: what is optimised is then optimised when
 * it is due, however busy the machine is.
 */
const V8_FLAGS = [
  "--expose-gc",
  "--single-threaded",
  `--min-semi-space-size=${YOUNG_MIB}`,
  `--max-semi-space-size=${YOUNG_MIB}`,
];

/**
 * How each way of counting starts V8: as it runs, or without the optimisation
 * that makes no object where none is needed. The objects that it spares depend
 * on what it inlines, and that on what else the process has done.
 */
export const FLAGS_OF = {
  asRun: V8_FLAGS,
  asWritten: V8_FLAGS.concat(
    "--no-turbo-escape",
    "--no-maglev-escape-analysis",
  ),
};

/** Counts of nothing, which learn the cost of a look; the first ones compile. */
const LOOKS = 16;

/** What was allocated. */
export interface Allocated {
  /** Bytes on V8's heap. */
  readonly heapBytes: number;
  /** Bytes beside it, to which array buffers refer. */
  readonly besideBytes: number;
}

/** Looks at the heap before and after. */
export class Meter {
  readonly #collect: (options: { type: "minor" }) => void;
  /** What two looks allocate themselves. */
  readonly #ownBytes: number;
  #before: Deno.MemoryUsage = Deno.memoryUsage();

  /** @throws {Error} when V8 was not started with {@linkcode FLAGS_OF}. */
  constructor() {
    const { gc } = globalThis as { gc?: (options: object) => void };
    if (gc === undefined) {
      throw new Error(`Cannot count without --v8-flags=${V8_FLAGS.join()}`);
    }
    this.#collect = gc;
    this.#ownBytes = 0;
    const costs = Array.from({ length: LOOKS }, () => {
      this.begin();
      return this.end().heapBytes;
    });
    this.#ownBytes = Math.min(...costs);
  }

  /** Begins to count, with an empty young generation. */
  begin(): void {
    this.#collect({ type: "minor" });
    this.#before = Deno.memoryUsage();
  }

  /**
   * Returns what was allocated since.
   *
   * @throws {RangeError} when that is so much that some may be missing.
   */
  end(): Allocated {
    const after = Deno.memoryUsage();
    const before = this.#before;
    const heapBytes = after.heapUsed - before.heapUsed - this.#ownBytes;
    if (heapBytes < -this.#ownBytes || heapBytes > COUNT_BYTES_MAX) {
      throw new RangeError(
        `Cannot count "${heapBytes}" bytes: it must be from 0 to ` +
          `${COUNT_BYTES_MAX} at a time`,
      );
    }
    return { heapBytes, besideBytes: after.external - before.external };
  }
}

/**
 * Returns the least that was allocated on the heap in several counts: what V8
 * does beside, such as compiling, can only add to one of them. Beside the heap
 * there is no such thing, and buffers that serve many are new now and then: of
 * that it is the mean.
 *
 * @param each How many each count was of.
 */
export function reduceCounts(
  counts: readonly Allocated[],
  each: number,
): Allocated {
  let heapBytes = Infinity;
  let besideBytes = 0;
  for (const count of counts) {
    heapBytes = Math.min(heapBytes, count.heapBytes);
    besideBytes += count.besideBytes / counts.length;
  }
  return { heapBytes: heapBytes / each, besideBytes: besideBytes / each };
}
