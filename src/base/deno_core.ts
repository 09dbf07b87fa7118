/**
 * Functions of Deno's core that Deno does not document. Each may be missing in
 * another version of Deno.
 *
 * @module
 */

/** The functions that denio uses. */
interface DenoCore {
  /** Lets the process end while a promise of a native call is pending. */
  unrefOpPromise?(promise: Promise<unknown>): void;
  /** Makes a pending promise keep the process alive again. */
  refOpPromise?(promise: Promise<unknown>): void;
  /** Returns the `AsyncLocalStorage` context of the running code. */
  getAsyncContext?(): unknown;
  /** Replaces that context. */
  setAsyncContext?(context: unknown): void;
}

/** Returns Deno's core; an empty object when it cannot be found. */
export function denoCore(): DenoCore {
  const deno = Deno as unknown as {
    internal?: symbol;
    [key: symbol]: { core?: DenoCore } | undefined;
  };
  return deno.internal === undefined ? {} : deno[deno.internal]?.core ?? {};
}
