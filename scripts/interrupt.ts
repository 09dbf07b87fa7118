/**
 * Ends the processes that a script has started when the script is interrupted.
 *
 * @module
 */

/** The signals that interrupt a script, with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** A shell's exit code for a program that a signal ended is this and more. */
const EXIT_CODE_BASE = 128;

/**
 * Within this time a second signal is the first again: a terminal sends Ctrl-C
 * to every program, and `deno task` passes it on to the same programs.
 */
const SAME_MS = 1_000;

type Cleanup = () => Promise<void> | void;

const cleanups = new Set<Cleanup>();
let isInterrupted = false;

/**
 * Calls `cleanup` when the script is interrupted, before functions that were
 * given earlier. Disposing of the result takes it back.
 */
export function whenInterrupted(cleanup: Cleanup): Disposable {
  if (cleanups.size === 0) listen();
  cleanups.add(cleanup);
  return {
    [Symbol.dispose]() {
      cleanups.delete(cleanup);
      if (cleanups.size === 0 && !isInterrupted) unlisten();
    },
  };
}

/**
 * Resolves at once, or never after an interrupt: then nothing more may be
 * started, because no cleanup would end it.
 */
export function stillWanted(): Promise<void> {
  return isInterrupted ? new Promise(() => {}) : Promise.resolve();
}

const LISTENERS = Object.entries(SIGNALS).map(([name, number]) =>
  [name as Deno.Signal, () => cleanUp(EXIT_CODE_BASE + number)] as const
);

function listen(): void {
  for (const each of LISTENERS) Deno.addSignalListener(...each);
}

function unlisten(): void {
  for (const each of LISTENERS) Deno.removeSignalListener(...each);
}

async function cleanUp(exitCode: number): Promise<void> {
  if (isInterrupted) return;
  isInterrupted = true;
  // A second signal, after a while, finds the default action: it ends at once.
  setTimeout(unlisten, SAME_MS);
  for (const cleanup of [...cleanups].reverse()) await cleanup();
  Deno.exit(exitCode);
}
