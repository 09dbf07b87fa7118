/**
 * Asks Deno before native code opens a socket, which Deno itself cannot see.
 *
 * @module
 */

/**
 * Checks the permission that Deno would ask for the same address.
 *
 * @throws {Deno.errors.NotCapable} when `--allow-net` does not cover it.
 */
export function requireNet(hostname: string, port: number): void {
  const host = hostname.includes(":")
    ? `[${hostname}]:${port}`
    : `${hostname}:${port}`;
  const { state } = Deno.permissions.querySync({ name: "net", host });
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(
    `Requires net access to "${host}", run again with the --allow-net flag`,
  );
}
