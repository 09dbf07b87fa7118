/**
 * The Worker of `poll_echo.ts`: its thread waits in the poll.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { HostPort, UnixPath } from "../../src/poll.ts";
import { PollEcho, type Started } from "./poll_echo.ts";

self.onmessage = ({ data }: MessageEvent<HostPort | UnixPath>) => {
  {
    using echo = new PollEcho(data);
    const { addr, registry } = echo;
    self.postMessage({ addr, registry } satisfies Started);
    echo.run();
  }
  self.postMessage("ended");
};
