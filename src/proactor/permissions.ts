/**
 * Asks Deno for permission before native code opens a file.
 *
 * @module
 */

/**
 * Checks the permission that Deno requires for the same path.
 *
 * @throws {Deno.errors.NotCapable} when it is not granted.
 */
export function requirePath(name: "read" | "write", path: string): void {
  const { state } = Deno.permissions.querySync({ name, path });
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(
    `Requires ${name} access to "${path}", ` +
      `run again with the --allow-${name} flag`,
  );
}
