/**
 * What is used of Deno's own core, which has no public way: each part may be
 * missing in another version of Deno.
 *
 * @module
 */

/** The functions that are used. */
interface DenoCore {
  /** Let the process end while a promise of a native call is pending. */
  unrefOpPromise?(promise: Promise<unknown>): void;
  /** Keeps the process alive again. */
  refOpPromise?(promise: Promise<unknown>): void;
  /** Returns what `AsyncLocalStorage` has stored for the code that runs. */
  getAsyncContext?(): unknown;
  /** Puts another in its place. */
  setAsyncContext?(context: unknown): void;
}

/** Returns Deno's core, or what is left of it. */
export function denoCore(): DenoCore {
  const deno = Deno as unknown as {
    internal?: symbol;
    [key: symbol]: { core?: DenoCore } | undefined;
  };
  return deno.internal === undefined ? {} : deno[deno.internal]?.core ?? {};
}
