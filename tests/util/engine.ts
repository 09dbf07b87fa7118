/**
 * The engine's side of a connection, which programs cannot reach.
 *
 * @module
 */

import type { Connection } from "../../src/reactor/connection.ts";
import type { EngineConnection } from "../../src/reactor/connection/engine.ts";

/**
 * Returns the engine's side of a reactor's connection. The class is not looked
 * at: a copy of the library, as the mutants are, has a class of its own.
 */
export function engineOf<Data>(
  connection: Connection<Data>,
): EngineConnection<Data> {
  return connection as EngineConnection<Data>;
}
