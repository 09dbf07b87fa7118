/**
 * The benchmark's echo server on denio's fibers: the same loop as the one on
 * `Deno.listen`, a connection each.
 *
 * @module
 */

import { Fibers, Reactor } from "../../../mod.ts";
import { announce } from "./announce.ts";

/** The largest message of the benchmark. */
const BUFFER_BYTES = 65_536;

const server = new Fibers(new Reactor()).serve(
  { hostname: "127.0.0.1", port: 0 },
  async (connection) => {
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      // When this resolves, all bytes are sent or copied.
      await connection.write(buffer.subarray(0, count));
    }
  },
);
announce(server.addr);
