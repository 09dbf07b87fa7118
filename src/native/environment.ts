/**
 * Environment variables, read only when the program permits them.
 *
 * @module
 */

/**
 * Returns a variable's value; `undefined` when unset, empty or not permitted.
 */
export function environment(variable: string): string | undefined {
  // Without this query, Deno would prompt for a variable that was never set.
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  if (state !== "granted") return undefined;
  return Deno.env.get(variable) || undefined;
}
