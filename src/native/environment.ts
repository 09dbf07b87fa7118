/**
 * Environment variables, of which a program need not permit any.
 *
 * @module
 */

/** Returns a variable's value; `undefined` when unset, empty or not permitted. */
export function environment(variable: string): string | undefined {
  // Asked first, or a program without the permission would be prompted for a
  // variable that it never set.
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  if (state !== "granted") return undefined;
  return Deno.env.get(variable) || undefined;
}
