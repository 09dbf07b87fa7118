/**
 * Asks Deno for permission before native code opens a socket, since Deno cannot
 * see what native code does.
 *
 * @module
 */

import { addressText, hostPort, pathText } from "./address.ts";

/**
 * Checks the permission that Deno requires for the same address.
 *
 * @throws {Deno.errors.NotCapable} when `--allow-net` does not cover it.
 */
export function requireNet(hostname: string, port: number): void {
  const host = addressText(hostPort({ hostname, port }));
  require({ name: "net", host }, host);
}

/**
 * Checks the permissions that Deno requires for a Unix socket: to read and to
 * write its path, and the network at `unix:` and the absolute path. An abstract
 * name has no path; it belongs to the network namespace and requires the whole
 * network.
 *
 * @throws {Deno.errors.NotCapable} when one of them is not granted.
 */
export function requireUnix(path: string): void {
  if (path.startsWith("\0")) {
    return require({ name: "net" }, `unix:${pathText(path)}`);
  }
  require({ name: "read", path }, path);
  require({ name: "write", path }, path);
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  require({ name: "net", host: `unix:${whole}` }, `unix:${whole}`);
}

function require(
  permission: Deno.PermissionDescriptor & { name: "net" | "read" | "write" },
  what: string,
): void {
  const { state } = Deno.permissions.querySync(permission);
  if (state !== "granted") throw requirementError(permission.name, what);
}

/** Returns the error that Deno throws when a permission is missing. */
export function requirementError(
  name: "net" | "read" | "write" | "all",
  what: string,
): Error {
  return new Deno.errors.NotCapable(
    `Requires ${name} access to "${what}", ` +
      `run again with the --allow-${name} flag`,
  );
}
