/**
 * Counts the bytes that V8 allocates while something runs.
 *
 * The count is exact and not sampled: it compares the heap before and after.
 * Nothing is collected in between, because the young generation is emptied
 * first and has room for all that is allocated until then.
 *
 * @module
 */

const MIB = 1024 * 1024;

/** Room in the young generation, in MiB. */
const YOUNG_MIB = 64;

/** The most of one count: no collection falls into half of the room. */
const COUNT_BYTES_MAX = YOUNG_MIB * MIB / 2;

/**
 * V8's flags. With one thread V8 optimises a function when it is due, however
 * busy the machine is.
 */
const V8_FLAGS = [
  "--expose-gc",
  "--single-threaded",
  `--min-semi-space-size=${YOUNG_MIB}`,
  `--max-semi-space-size=${YOUNG_MIB}`,
];

/**
 * V8's flags for each way of counting: as the code runs, or without escape
 * analysis, which removes objects. The number of removed objects depends on
 * inlining, and that on everything else the process has done.
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

/** The bytes that were allocated. */
export interface Allocated {
  /** Bytes on V8's heap. */
  readonly heapBytes: number;
  /** Bytes outside it, in array buffers. */
  readonly besideBytes: number;
}

/** Looks at the heap before and after. */
export class Meter {
  readonly #collect: (options: { type: "minor" }) => void;
  /** The bytes that two readings allocate themselves. */
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
   * Returns the bytes that were allocated since.
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
 * Returns the least of several counts on the heap: other work of V8, such as
 * compiling, can only add to a count. Outside the heap there is no such work,
 * and a buffer for many messages is new now and then: there it returns the mean.
 *
 * @param each How many exchanges each count has.
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
