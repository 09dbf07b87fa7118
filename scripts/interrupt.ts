/**
 * Ends what a script has started when the script is interrupted: servers in
 * the background, and whatever else outlives it.
 *
 * @module
 */

/** The signals that interrupt a script, with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** A shell's exit code for a program that a signal ended is this and more. */
const EXIT_CODE_BASE = 128;

type Cleanup = () => Promise<void> | void;

const cleanups = new Set<Cleanup>();

/**
 * Has `cleanup` run when the script is interrupted, before those that were
 * given earlier. Disposing of the answer takes it back.
 */
export function whenInterrupted(cleanup: Cleanup): Disposable {
  if (cleanups.size === 0) listen();
  cleanups.add(cleanup);
  return {
    [Symbol.dispose]() {
      cleanups.delete(cleanup);
      if (cleanups.size === 0) unlisten();
    },
  };
}

const LISTENERS = Object.entries(SIGNALS).map(([name, number]) => {
  const listener = () => cleanUp(EXIT_CODE_BASE + number);
  return { name: name as keyof typeof SIGNALS, listener };
});

function listen(): void {
  for (const { name, listener } of LISTENERS) {
    Deno.addSignalListener(name, listener);
  }
}

function unlisten(): void {
  for (const { name, listener } of LISTENERS) {
    Deno.removeSignalListener(name, listener);
  }
}

async function cleanUp(exitCode: number): Promise<never> {
  // A second signal finds the default action: it ends at once.
  unlisten();
  for (const cleanup of [...cleanups].reverse()) await cleanup();
  Deno.exit(exitCode);
}
