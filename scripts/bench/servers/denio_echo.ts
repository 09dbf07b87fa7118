/**
 * The benchmark's echo server on denio's callback face: the library's own, in
 * which `data` writes the reactor's buffer back.
 *
 * @module
 */

import { echo } from "../../../mod.ts";
import { announce } from "./announce.ts";

announce(echo({ hostname: "127.0.0.1", port: 0 }).addr);
