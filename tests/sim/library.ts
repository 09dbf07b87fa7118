/**
 * Loads a copy of the library.
 *
 * @module
 */

import type { Library } from "./simulation.ts";

/** Returns the library that lies in the `src` of a folder. */
export async function loadLibrary(folder: URL): Promise<Library> {
  const from = (path: string) => import(new URL(path, folder).href);
  const { Reactor } = await from("src/reactor/reactor.ts");
  const { echo } = await from("src/server/echo.ts");
  const { serve } = await from("src/server/serve.ts");
  const { webSocket } = await from("src/websocket/route.ts");
  return { Reactor, echo, serve, webSocket };
}
