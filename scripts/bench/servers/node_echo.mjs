/**
 * The benchmark's echo server on `node:net`: `data` written back as it comes,
 * and no more read while a write waits. It costs less than `pipe`.
 *
 * @module
 */

import { createServer } from "node:net";

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  // The peer has reset it; node destroys it.
  socket.on("error", () => {});
});
server.listen(0, "127.0.0.1", () => {
  // deno-lint-ignore no-console -- the benchmark reads it
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
