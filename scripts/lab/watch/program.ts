/**
 * A server that is watched: it prints its address, and what watches it writes
 * lines to its standard error.
 *
 * @module
 */

import { Failure } from "../../command_line.ts";
import { stillWanted, whenInterrupted } from "../../interrupt.ts";
import { kill } from "../../server_process.ts";

const ADDRESS = /127\.0\.0\.1:(\d+)/;
/** A server that is asked to end, and does not within this time, is killed. */
const STOP_MS = 5_000;

/** A started server. */
export interface Watched {
  /** Its process. */
  readonly pid: number;
  /** Where it listens. */
  readonly port: number;
  /** Resolves when it has ended, and what watched it has, too. */
  readonly ended: Promise<void>;
  /** What strace is in the middle of writing. */
  readonly partialLine: string;
}

/**
 * Starts a server, and passes each line of its standard error on.
 *
 * @throws {Failure} when it ends before it listens.
 */
export async function startWatched(
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
): Promise<Watched> {
  await stillWanted();
  const pipes = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command(program!, { args, env: { ...env }, ...pipes })
    .spawn();
  const heard = new Lines(child.stderr, onLine);
  const address = Promise.withResolvers<number>();
  const said = new Lines(child.stdout, (line) => {
    const [, port] = ADDRESS.exec(line) ?? [];
    if (port !== undefined) address.resolve(Number(port));
  });
  const ended = Promise.all([child.status, heard.all, said.all])
    .then(() => {});
  // It stays until the end: the process may be interrupted at any time.
  whenInterrupted(async () => {
    const timer = setTimeout(() => kill(child, "SIGKILL"), STOP_MS);
    kill(child, "SIGTERM");
    await ended;
    clearTimeout(timer);
  });
  const port = await Promise.race([address.promise, ended]);
  if (port === undefined) {
    throw new Failure(
      `Cannot start "${program}": it ended, and said: ` + heard.last,
    );
  }
  return {
    ...{ pid: child.pid, port, ended },
    get partialLine() {
      return heard.rest;
    },
  };
}

/** Cuts a stream into lines. */
class Lines {
  /** Resolves at the end of the stream. */
  readonly all: Promise<void>;
  /** The last whole line. */
  last = "";
  /** What has come of the next line. */
  rest = "";

  constructor(
    stream: ReadableStream<Uint8Array>,
    onLine: (line: string) => void,
  ) {
    this.all = this.#read(stream, onLine);
  }

  async #read(
    stream: ReadableStream<Uint8Array>,
    onLine: (line: string) => void,
  ): Promise<void> {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (this.rest + piece).split("\n");
      this.rest = lines.pop()!;
      for (const line of lines) onLine(this.last = line);
    }
  }
}
