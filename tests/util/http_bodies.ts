/**
 * Bodies of answers that tests stream.
 *
 * @module
 */

import { latin1 } from "./http_bytes.ts";

/** A stream, and the reasons for which it was cancelled. */
export interface Watched {
  readonly stream: ReadableStream;
  readonly cancelled: unknown[];
}

/**
 * Returns a stream of the given chunks, each when it is asked for: a text is
 * sent as bytes, and an error ends the stream.
 */
export function streamOf(...chunks: unknown[]): Watched {
  const cancelled: unknown[] = [];
  const left = chunks.slice();
  const stream = new ReadableStream({
    pull(controller) {
      const chunk = left.shift();
      if (chunk === undefined) return controller.close();
      if (chunk instanceof Error) return controller.error(chunk);
      controller.enqueue(typeof chunk === "string" ? latin1(chunk) : chunk);
    },
    cancel(reason) {
      cancelled.push(reason);
    },
  }, { highWaterMark: 0 });
  return { stream, cancelled };
}

/** Returns a stream without end, which counts what was taken of it. */
export function endless(
  chunk: Uint8Array,
): Watched & { pulled: () => number } {
  let count = 0;
  const cancelled: unknown[] = [];
  const stream = new ReadableStream({
    pull(controller) {
      count++;
      controller.enqueue(chunk.slice());
    },
    cancel(reason) {
      cancelled.push(reason);
    },
  }, { highWaterMark: 0 });
  return { stream, pulled: () => count, cancelled };
}

/** A stream of chunks that the test chooses. */
export class Source {
  /** The stream. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The reasons for which it was cancelled. */
  readonly cancelled: unknown[] = [];
  #controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

  constructor() {
    this.stream = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: (reason) => void this.cancelled.push(reason),
    });
  }

  /** Gives a chunk. */
  give(chunk: string | Uint8Array<ArrayBuffer>): this {
    this.#controller.enqueue(typeof chunk === "string" ? latin1(chunk) : chunk);
    return this;
  }

  /** Ends the stream. */
  close(): this {
    this.#controller.close();
    return this;
  }
}

/** Streams of every kind; each gives `abc` in some chunks. */
export const STREAMS_OF_ABC: [name: string, make: () => BodyInit][] = [
  ["a stream with all in it", () => {
    return new Source().give("a").give("bc").close().stream;
  }],
  ["a stream that is pulled", () => streamOf("a", "bc").stream],
  ["a stream that is pulled and has chunks of nothing", () => {
    return streamOf("", "a", "", "bc", "").stream;
  }],
  ["a stream of bytes", () => {
    const left = ["a", "bc"];
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        controller.enqueue(latin1(left.shift()!));
        if (left.length === 0) controller.close();
      },
    });
  }],
  ["a pipe", () => streamOf("a", "bc").stream.pipeThrough(identity())],
  ["three pipes", () => {
    const { stream } = streamOf("a", "bc");
    return stream.pipeThrough(identity()).pipeThrough(identity())
      .pipeThrough(identity());
  }],
  ["a TextEncoderStream", () => {
    return ReadableStream.from(["a", "bc"]).pipeThrough(
      new TextEncoderStream(),
    );
  }],
  ["an async generator", () => ReadableStream.from(lettersOf("a", "bc"))],
  ["an async generator without a stream", () => {
    // Deno accepts any such object, which lib.dom does not know.
    return lettersOf("a", "bc") as unknown as BodyInit;
  }],
  ["an array", () => ReadableStream.from([latin1("a"), latin1("bc")])],
  ["a branch of a tee", () => {
    const [branch, other] = streamOf("a", "bc").stream.tee();
    other.cancel();
    return branch;
  }],
  ["a Blob's stream", () => new Blob(["a", "bc"]).stream()],
  ["another response's body", () => new Response("abc").body!],
];

function identity(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream();
}

async function* lettersOf(
  ...texts: string[]
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const text of texts) yield await Promise.resolve(latin1(text));
}
